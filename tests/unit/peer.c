#include "config.h"

#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/peer.h"
#include "tests/unit/unit.h"

static int
judge(uint32_t unacked, uint32_t notsent, uint32_t probes, uint32_t last_ack_recv)
{
	struct peer_facts f = {unacked, notsent, probes, last_ack_recv};

	return peer_judge(&f);
}

static void
test_nothing_waits(void)
{
	CU_ASSERT_EQUAL(judge(0, 0, 0, 0), -1);
	CU_ASSERT_EQUAL(judge(0, 0, 9, 10 * PEER_DEAD_MS), -1); /* idle: keepalive's affair */
}

static void
test_transfer(void)
{
	CU_ASSERT_EQUAL(judge(3, 5000, 0, 20), 0);
	CU_ASSERT_EQUAL(judge(1, 0, 0, PEER_DEAD_MS), 0);
	CU_ASSERT_EQUAL(judge(1, 0, 0, PEER_DEAD_MS + 1), 1);
	CU_ASSERT_EQUAL(judge(10, 100000, 0, PEER_DEAD_MS + 1), 1);
	CU_ASSERT_EQUAL(judge(1, 0, 0, UINT32_MAX), 1);
}

/* RFC 9293 section 3.8.6.1 */
static void
test_pausing_client(void)
{
	/* Each probe is answered, however long ago the last one was. */
	CU_ASSERT_EQUAL(judge(0, 100000, 0, 10 * PEER_DEAD_MS), 0);
	CU_ASSERT_EQUAL(judge(0, 100000, 1, 10 * PEER_DEAD_MS), 0); /* on its way */
	CU_ASSERT_EQUAL(judge(0, 100000, 2, PEER_DEAD_MS), 0);
	/* Dead since. */
	CU_ASSERT_EQUAL(judge(0, 100000, 2, PEER_DEAD_MS + 1), 1);
}

static void
test_two_minutes(void)
{
	CU_ASSERT(PEER_LOOK_MS + PEER_DEAD_MS <= 120000);
}

static void
test_sockets(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof(a);
	int listener, tcp, accepted, pair[2];

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM, 0);
	tcp = socket(AF_INET, SOCK_STREAM, 0);
	CU_ASSERT_EQUAL_FATAL(bind(listener, (struct sockaddr *)&a, len), 0);
	CU_ASSERT_EQUAL_FATAL(listen(listener, 1), 0);
	CU_ASSERT_EQUAL_FATAL(getsockname(listener, (struct sockaddr *)&a, &len), 0);
	CU_ASSERT_EQUAL_FATAL(connect(tcp, (struct sockaddr *)&a, len), 0);
	CU_ASSERT_EQUAL(peer_is_dead(tcp), -1); /* nothing was sent */
	CU_ASSERT_NOT_EQUAL_FATAL(accepted = accept(listener, NULL, NULL), -1);
	while (send(tcp, "0123456789abcdef", 16, MSG_DONTWAIT) > 0) /* nobody reads */
		;
	CU_ASSERT_EQUAL(peer_is_dead(tcp), 0);
	(void)close(accepted);
	(void)close(tcp);
	(void)close(listener);
	CU_ASSERT_EQUAL_FATAL(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	CU_ASSERT_EQUAL(peer_is_dead(pair[0]), -1);
	(void)close(pair[0]);
	(void)close(pair[1]);
	CU_ASSERT_EQUAL(peer_is_dead(-1), -1);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"nothing waits to be acknowledged", test_nothing_waits},
	    {"octets under way", test_transfer},
	    {"behind a closed window", test_pausing_client},
	    {"looks and patience make two minutes", test_two_minutes},
	    {"sockets", test_sockets},
	    {NULL, NULL},
	};

	return unit_run("peer", tests);
}
