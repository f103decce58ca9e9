#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/build.h"
#include "common/channel.h"
#include "tests/unit/unit.h"

static struct channel master, worker;
static struct msg m;

static void
open_pair(size_t queue_max)
{
	int fd[2];

	CU_ASSERT_EQUAL_FATAL(channel_pair(fd), 0);
	channel_init(&master, fd[0], ROLE_MASTER, ROLE_LOGIN, queue_max);
	channel_init(&worker, fd[1], ROLE_LOGIN, ROLE_MASTER, queue_max);
}

static void
close_pair(void)
{
	channel_close(&master);
	channel_close(&worker);
}

static void
test_round_trip(void)
{
	struct msg_ping ping = {77};

	open_pair(4);
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), 0);
	CU_ASSERT_EQUAL(channel_put(&master, MSG_PING, &ping, sizeof(ping)), 0);
	CU_ASSERT_EQUAL(channel_put(&master, MSG_DRAIN, NULL, 0), 0);
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), 1);
	CU_ASSERT_EQUAL(m.type, MSG_PING);
	CU_ASSERT_EQUAL(m.u.ping.seq, 77);
	CU_ASSERT_EQUAL(channel_wait(&worker, &m, 1000), 1);
	CU_ASSERT_EQUAL(m.type, MSG_DRAIN);
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), 0);
	close_pair();
}

static void
test_queue_is_bounded_and_in_order(void)
{
	struct msg_ping ping = {0};
	uint32_t sent = 0, got = 0;

	open_pair(8);
	while (channel_put(&master, MSG_PING, &ping, sizeof(ping)) == 0)
		ping.seq = ++sent;
	CU_ASSERT_EQUAL(errno, ENOBUFS);
	CU_ASSERT_EQUAL(master.queued, 8);
	CU_ASSERT_EQUAL(channel_flush(&master), 1);
	while (got < sent) {
		CU_ASSERT_EQUAL_FATAL(channel_recv(&worker, &m), 1);
		CU_ASSERT_EQUAL(m.u.ping.seq, got);
		got++;
		channel_flush(&master);
	}
	CU_ASSERT_EQUAL(channel_flush(&master), 0);
	CU_ASSERT_EQUAL(master.queued, 0);
	close_pair();
}

static int
open_fds(void)
{
	int n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) != -1;
	return n;
}

static void
test_descriptors_travel_and_do_not_leak(void)
{
	struct msg_conn conn = {.id = 5};
	int before = open_fds(), p[2];

	CU_ASSERT_EQUAL_FATAL(pipe(p), 0);
	open_pair(200);
	/* More than the socket holds: the rest waits with duplicates. */
	for (int i = 0; i < 100; i++)
		CU_ASSERT_EQUAL(channel_send(&master, MSG_CONN_NEW, &conn, sizeof(conn), &p[1], 1),
				0);
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), 1);
	CU_ASSERT_EQUAL(m.nfds, 1);
	int fd = msg_take_fd(&m, 0);
	CU_ASSERT_EQUAL(write(fd, "x", 1), 1);
	CU_ASSERT_EQUAL(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);
	msg_discard(&m);
	close_pair();
	close(p[0]);
	close(p[1]);
	CU_ASSERT_EQUAL(open_fds(), before);
}

static void
test_broken_rules(void)
{
	const struct {
		struct msg_head head;
		uint32_t seq, unused;
	} ping = {{MSG_PING, sizeof(struct msg_ping), build_id}, 9, 0};
	const size_t len = sizeof(struct msg_head) + sizeof(struct msg_ping);
	int before = open_fds();

	open_pair(4);
	CU_ASSERT_EQUAL(send(master.fd, &ping, sizeof(ping.head), 0),
			sizeof(ping.head)); /* no body */
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	CU_ASSERT_EQUAL(send(master.fd, &ping, 3, 0), 3); /* shorter than a head */
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	CU_ASSERT_EQUAL(send(worker.fd, &ping, len, 0), len); /* wrong way */
	CU_ASSERT_EQUAL(channel_recv(&master, &m), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	/* An unexpected descriptor is closed with the message. */
	CU_ASSERT_EQUAL(channel_send(&master, MSG_DRAIN, NULL, 0, &master.fd, 1), 0);
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	close_pair();
	CU_ASSERT_EQUAL(open_fds(), before);
}

/* Whatever a message of another build says, its sender is given up, and hears of which build we
 * are: that is another one than its own. */
static void
test_another_build(void)
{
	const struct msg_head drain = {MSG_DRAIN, 0, build_id + 1};
	struct msg_head answer;
	int before = open_fds();

	open_pair(4);
	CU_ASSERT_EQUAL(send(master.fd, &drain, sizeof(drain), 0), sizeof(drain));
	CU_ASSERT_EQUAL(channel_recv(&worker, &m), -1);
	CU_ASSERT_EQUAL(errno, EPROTO);
	CU_ASSERT_EQUAL(recv(master.fd, &answer, sizeof(answer), 0), sizeof(answer));
	CU_ASSERT_EQUAL(answer.type, MSG_NONE);
	CU_ASSERT_EQUAL(answer.len, 0);
	CU_ASSERT_EQUAL(answer.build, build_id);
	CU_ASSERT_STRING_EQUAL(channel_end_text(EPROTO), build_differs);
	close_pair();
	CU_ASSERT_EQUAL(open_fds(), before);
}

/* The kernel lets an empty packet carry descriptors. */
static void
test_empty_packet_with_descriptor(void)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(sizeof(int))];
	} control;
	struct msghdr mh = {.msg_control = &control, .msg_controllen = sizeof(control)};
	int before = open_fds();

	open_pair(4);
	memset(&control, 0, sizeof(control));
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(&control.align), &worker.fd, sizeof(int));
	CU_ASSERT_EQUAL(sendmsg(worker.fd, &mh, 0), 0);
	CU_ASSERT_EQUAL(channel_recv(&master, &m), -1);
	CU_ASSERT_EQUAL(errno, EBADMSG);
	close_pair();
	CU_ASSERT_EQUAL(open_fds(), before);
}

static int waiting;

static void
count_waiting(struct channel *c)
{
	(void)c;
	waiting++;
}

/* Whoever drives the channel is told of a message that has to wait, log lines included. */
static void
test_waiting_is_told(void)
{
	struct msg_ping ping = {0};

	open_pair(8);
	master.waits = count_waiting;
	while (master.queued == 0)
		CU_ASSERT_EQUAL_FATAL(channel_put(&master, MSG_PING, &ping, sizeof(ping)), 0);
	CU_ASSERT_EQUAL(waiting, 1);
	close_pair();
}

static void
test_end_comes_after_what_was_sent(void)
{
	struct msg_ping ping = {1};

	open_pair(4);
	/* Unread octets at the closing end must not hide what it said before. */
	CU_ASSERT_EQUAL(channel_put(&worker, MSG_PONG, &ping, sizeof(ping)), 0);
	CU_ASSERT_EQUAL(channel_put(&master, MSG_PING, &ping, sizeof(ping)), 0);
	channel_close(&worker);
	CU_ASSERT_EQUAL(channel_recv(&master, &m), 1);
	CU_ASSERT_EQUAL(m.type, MSG_PONG);
	CU_ASSERT_EQUAL(channel_recv(&master, &m), -1);
	CU_ASSERT_EQUAL(errno, EPIPE);
	CU_ASSERT_EQUAL(channel_put(&master, MSG_PING, &ping, sizeof(ping)), -1);
	CU_ASSERT_EQUAL(errno, EPIPE);
	channel_close(&master);
	CU_ASSERT_EQUAL(channel_put(&master, MSG_PING, &ping, sizeof(ping)), -1);
	CU_ASSERT_EQUAL(errno, EPIPE);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"messages arrive in order", test_round_trip},
	    {"the queue is bounded and keeps order", test_queue_is_bounded_and_in_order},
	    {"descriptors travel and do not leak", test_descriptors_travel_and_do_not_leak},
	    {"broken rules are errors of the peer", test_broken_rules},
	    {"a message of another build is given up, and its sender told", test_another_build},
	    {"an empty packet leaks no descriptor", test_empty_packet_with_descriptor},
	    {"a message that waits is told", test_waiting_is_told},
	    {"the end comes after what was sent", test_end_comes_after_what_was_sent},
	    {NULL, NULL},
	};

	return unit_run("channel", tests);
}
