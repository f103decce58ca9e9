#include "config.h"

#include <linux/tcp.h> /* struct tcp_info in full */
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "common/peer.h"

enum { PROBES_UNANSWERED = 2 };

int
peer_judge(const struct peer_facts *f)
{
	bool asked;

	if (f->unacked == 0 && f->notsent == 0)
		return -1;
	/* Behind a closed window nothing is under way but probes, up to two minutes apart: a client
	 * that pauses answers them. */
	asked = f->unacked > 0 || f->probes >= PROBES_UNANSWERED;
	return asked && f->last_ack_recv > PEER_DEAD_MS;
}

int
peer_is_dead(int fd)
{
	struct tcp_info info;
	struct peer_facts facts;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) == -1)
		return -1;
	facts = (struct peer_facts){.unacked = info.tcpi_unacked,
				    .notsent = info.tcpi_notsent_bytes,
				    .probes = info.tcpi_probes,
				    .last_ack_recv = info.tcpi_last_ack_recv};
	return peer_judge(&facts);
}
