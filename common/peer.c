#include "config.h"

#include <linux/tcp.h> /* struct tcp_info in full */
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "common/peer.h"

enum { PROBES_UNANSWERED = 2 };

int
peer_is_dead(int fd)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);
	bool asked;

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return -1;
	if (info.tcpi_unacked == 0 && info.tcpi_notsent_bytes == 0)
		return -1;
	/* Behind a closed window nothing is under way but probes, minutes apart: a client that
	 * pauses answers them. */
	asked = info.tcpi_unacked > 0 || info.tcpi_probes >= PROBES_UNANSWERED;
	return asked && info.tcpi_last_ack_recv > PEER_DEAD_MS;
}
