/*
 * Ports of servers with real sockets: who listens where before, during and
 * after a change, and who is let in.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "daemon/change.h"
#include "daemon/notify.h"
#include "daemon/ports/listeners.h"
#include "daemon/ports/servers.h"
#include "daemon/roles/workers.h"
#include "daemon/table/conns.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

enum { PORTS = 3 };

static uint16_t port[PORTS], inherited_port;
static int inherited; /* the service manager's socket */
static char path[] = "/tmp/pop3d-listeners-XXXXXX";

/* ---- sockets of the test ---- */

static int
listen_at(in_addr_t address, uint16_t *number)
{
	struct sockaddr_in sin = {
	    .sin_family = AF_INET, .sin_addr.s_addr = htonl(address), .sin_port = htons(*number)};
	socklen_t len = sizeof(sin);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd == -1 || bind(fd, (struct sockaddr *)&sin, len) == -1 || listen(fd, 8) == -1 ||
	    getsockname(fd, (struct sockaddr *)&sin, &len) == -1) {
		close(fd);
		return -1;
	}
	*number = ntohs(sin.sin_port);
	return fd;
}

/* Free ones: nobody is given them again at once. */
static void
choose_ports(void)
{
	int fd[PORTS];

	for (int i = 0; i < PORTS; i++) {
		port[i] = 0;
		if ((fd[i] = listen_at(INADDR_LOOPBACK, &port[i])) == -1)
			abort();
	}
	for (int i = 0; i < PORTS; i++)
		close(fd[i]);
}

/* A client's socket; -1: nobody listens there. */
static int
client(uint16_t number)
{
	struct sockaddr_in sin = {.sin_family = AF_INET,
				  .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				  .sin_port = htons(number)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (connect(fd, (struct sockaddr *)&sin, sizeof(sin)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* The name of the server that a client of this port gets; "" for none. */
static const char *
served_by(uint16_t number)
{
	const struct conn *c, *last = NULL;
	size_t before = conns_count(&fake.m);
	int fd = client(number);

	if (fd == -1)
		return "";
	fake_loop();
	for (c = conns_next(&fake.m, NULL); c != NULL; c = conns_next(&fake.m, (struct conn *)c))
		last = c;
	close(fd);
	return conns_count(&fake.m) > before ? last->server->set.name : "";
}

/* accept4(2) of master: how often it is asked, and whether there are descriptors. */
static unsigned accepts;
static bool no_descriptors;

int
accept4(int fd, struct sockaddr *address, socklen_t *len, int flags)
{
	accepts++;
	if (!no_descriptors)
		return (int)syscall(SYS_accept4, fd, address, len, flags);
	errno = EMFILE;
	return -1;
}

/* ---- master ---- */

#define S(name) "server " name " { addresses = '127.0.0.1' socket = plain port = %u }\n"

static const char *__attribute__((format(printf, 1, 2))) text(const char *fmt, ...)
{
	static char out[4096];
	va_list ap;
	int n = snprintf(out, sizeof(out),
			 "log = stderr log_level = error session_spares = 1\n"
			 "login_workers = 1 worker_connections = 64\n"
			 "auth = ''\n");

	va_start(ap, fmt);
	(void)vsnprintf(out + n, sizeof(out) - (size_t)n, fmt, ap);
	va_end(ap);
	return out;
}

static void
begin_start(const char *settings)
{
	/* where it is handed over, for each master anew */
	if (dup2(inherited, NOTIFY_FDS_START) == -1)
		abort();
	fake_begin(strdup(settings)); /* kept by its address */
	fake.m.conf_path = path;
}

static void
begin(const char *settings)
{
	begin_start(settings);
	fake_all_ready();
	CU_ASSERT_EQUAL(fake.m.state, MASTER_SERVING);
}

static void
reload_begin(const char *settings)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);

	if (fd == -1 || write(fd, settings, strlen(settings)) == -1)
		abort();
	close(fd);
	change_settings(&fake.m);
	fake_loop();
}

static void
reload(const char *settings)
{
	reload_begin(settings);
	fake_all_ready();
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
}

static void
refuse(void)
{
	static const struct msg_refused refused = {"no"};

	for (unsigned n = 0; n < fake_count(ROLE_LOGIN); n++) {
		struct fake_peer *p = fake_peer(ROLE_LOGIN, n);

		if (!((struct worker *)p->ec->arg)->child.ready) {
			fake_say(p, MSG_REFUSED, &refused, sizeof(refused));
			break;
		}
	}
	fake_loop();
	CU_ASSERT_FALSE(change_is_under_way(&fake.m));
}

static void
finish(void)
{
	listeners_close_all(&fake.m);
	fake_end();
}

#define AB S("a") S("b")

/* ---- a change of ports ---- */

static void
test_serves(void)
{
	begin(text(AB, port[0], port[1]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "b");
	finish();
}

/* Nobody is served before the start is adopted, and the port is taken all the same. */
static void
test_bound_before(void)
{
	int fd;

	begin_start(text(AB, port[0], port[1]));
	fd = client(port[0]);
	CU_ASSERT_NOT_EQUAL(fd, -1);
	fake_loop();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	fake_all_ready();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	close(fd);
	finish();
}

static void
test_swap(void)
{
	begin(text(AB, port[0], port[1]));
	reload_begin(text(AB, port[1], port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "b");
	fake_all_ready();
	CU_ASSERT_FALSE(change_is_pending(&fake.m));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "b");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "a");
	finish();
}

static void
test_swap_refused(void)
{
	begin(text(AB, port[0], port[1]));
	reload_begin(text(AB, port[1], port[2]));
	refuse();
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "b");
	CU_ASSERT_EQUAL(client(port[2]), -1);
	/* and may be asked for once more */
	reload(text(AB, port[1], port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "b");
	finish();
}

/* Three servers, each takes the next one's port. */
static void
test_circle(void)
{
	static const char abc[] = S("a") S("b") S("c");

	begin(text(abc, port[0], port[1], port[2]));
	reload(text(abc, port[1], port[2], port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "c");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[2]), "b");
	finish();
}

/* A server that goes leaves its port to one that comes. */
static void
test_left_to_another(void)
{
	begin(text(S("a"), port[0]));
	reload(text(S("c"), port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "c");
	CU_ASSERT_PTR_NULL(servers_find(&fake.m, "a"));
	finish();
}

/* A client in the backlog when the port changes hands is not turned away. */
static void
test_backlog(void)
{
	int fd;

	begin(text(AB, port[0], port[1]));
	reload_begin(text(AB, port[1], port[0]));
	fd = client(port[0]); /* not looked at yet */
	fake_all_ready();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	close(fd);
	finish();
}

/* From one address to all at the same port, and back. */
static void
test_all_addresses(void)
{
	begin(text(S("a"), port[0]));
	reload(text("server a { port = %u addresses = '*' socket = plain }\n", port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	reload(text(S("a"), port[0]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	finish();
}

static void
test_busy(void)
{
	int fd;

	begin(text(S("a"), port[0]));
	fd = listen_at(INADDR_LOOPBACK, &port[1]);
	CU_ASSERT_NOT_EQUAL(fd, -1);
	reload(text(AB, port[2], port[1]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	CU_ASSERT_EQUAL(client(port[2]), -1); /* what was bound already is closed */
	CU_ASSERT_PTR_NULL(servers_find(&fake.m, "b"));
	close(fd);
	finish();
}

/* One that leaves its port is gone through after one that wants it, and before. */
static void
test_order(void)
{
	begin(text(AB, port[0], port[1]));
	reload(text(AB, port[1], port[2]));
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[2]), "b");
	CU_ASSERT_EQUAL(client(port[0]), -1);
	reload(text(AB, port[0], port[1]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "b");
	CU_ASSERT_EQUAL(client(port[2]), -1);
	finish();
}

/* ---- at run time ---- */

static void
test_down_and_up(void)
{
	char why[MSG_PATH_SIZE];
	struct server *a;

	begin(text(AB, port[0], port[1]));
	a = servers_find(&fake.m, "a");
	CU_ASSERT_EQUAL(server_down(&fake.m, a, why), 0);
	CU_ASSERT_EQUAL(server_down(&fake.m, a, why), 0);
	CU_ASSERT_EQUAL(client(port[0]), -1);
	/* a reload does not bring up what was taken down */
	reload(text(AB, port[0], port[1]));
	CU_ASSERT_EQUAL(client(port[0]), -1);
	CU_ASSERT_EQUAL(server_up(&fake.m, a, why), 0);
	CU_ASSERT_EQUAL(server_up(&fake.m, a, why), 0);
	fake_loop();
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	finish();
}

static void
test_destroyed(void)
{
	char why[MSG_PATH_SIZE];
	struct server *a;

	begin(text(AB, port[0], port[1]));
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	a = servers_find(&fake.m, "a");
	server_destroy(&fake.m, a);
	fake_loop();
	CU_ASSERT_PTR_EQUAL(servers_find(&fake.m, "a"), a); /* its connection is there */
	CU_ASSERT_EQUAL(client(port[0]), -1);
	CU_ASSERT_EQUAL(server_up(&fake.m, a, why), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "exiting"));
	conns_kill_server(&fake.m, a);
	fake_conn_end(conns_next(&fake.m, NULL)->row.id, CONN_END_DROPPED);
	CU_ASSERT_PTR_NULL(servers_find(&fake.m, "a"));
	finish();
}

/* Port 0: the kernel chooses, at each `up`. */
static void
test_chosen_port(void)
{
	char why[MSG_PATH_SIZE];
	struct server *s;

	begin(text(S("a"), port[0]));
	s = server_make(&fake.m, "z");
	s->set.port.number[0] = 0;
	snprintf(s->set.addresses.address[0], sizeof(s->set.addresses.address[0]), "127.0.0.1");
	s->set.addresses.n = 1;
	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), 0);
	fake_loop();
	CU_ASSERT_NOT_EQUAL(server_port(s), 0);
	CU_ASSERT_STRING_EQUAL(served_by((uint16_t)server_port(s)), "z");
	finish();
}

static void
test_busy_at_up(void)
{
	char why[MSG_PATH_SIZE] = "";
	struct server *s;

	begin(text(S("a"), port[0]));
	s = server_make(&fake.m, "z");
	s->set.port.number[0] = port[0];
	CU_ASSERT_EQUAL(server_up(&fake.m, s, why), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "cannot listen"));
	fake_loop();
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a");
	finish();
}

static void
test_names(void)
{
	char name[MSG_SERVER_SIZE], other[MSG_SERVER_SIZE];

	begin(text(S("a") S("pop3d1"), port[0], port[1]));
	servers_auto_name(&fake.m, name);
	CU_ASSERT_STRING_EQUAL(name, "pop3d2");
	servers_auto_name(&fake.m, other);
	CU_ASSERT_STRING_NOT_EQUAL(name, other);
	CU_ASSERT_STRING_EQUAL(server_state_name(SERVER_EXITING), "exiting");
	CU_ASSERT_PTR_EQUAL(servers_at(&fake.m, 0), servers_find(&fake.m, "a"));
	CU_ASSERT_PTR_NULL(servers_at(&fake.m, SERVERS_MAX));
	for (int i = 2; i < SERVERS_MAX; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		CU_ASSERT_PTR_NOT_NULL(server_make(&fake.m, name));
	}
	CU_ASSERT_PTR_NULL(server_make(&fake.m, "too many"));
	CU_ASSERT_EQUAL(errno, EUSERS);
	finish();
}

/* ---- who is let in ---- */

/* What the server says at once; "" if it closes without a word. */
static const char *
first_line(int fd)
{
	static char line[128];
	struct pollfd p = {fd, POLLIN, 0};
	ssize_t n;

	fake_loop();
	n = poll(&p, 1, 5000) == 1 ? read(fd, line, sizeof(line) - 1) : -1;
	line[n > 0 ? n : 0] = '\0';
	return line;
}

static void
refused_at_the_door(const char *limit)
{
	int first, second;

	begin(text("%s = 1\n" S("a"), limit, port[0]));
	first = client(port[0]);
	fake_loop();
	second = client(port[0]);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_line(second), "-ERR [SYS/TEMP]"));
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	fake_conn_end(conns_next(&fake.m, NULL)->row.id, CONN_END_CLIENT);
	CU_ASSERT_STRING_EQUAL(served_by(port[0]), "a"); /* there is room again */
	close(first);
	close(second);
	finish();
}

static void
test_limits(void)
{
	refused_at_the_door("max_connections");
	refused_at_the_door("max_connections_per_address");
}

/* Who is not served hears it once, and counts for nothing. */
static void
test_barred(void)
{
	int fd;

	begin(text("server a { addresses = '127.0.0.1' socket = plain port = %u\n"
		   " deny = '127.0.0.0/8' }\n" S("b"),
		   port[0], port[1]));
	fd = client(port[0]);
	CU_ASSERT_PTR_NOT_NULL(strstr(first_line(fd), "-ERR [SYS/PERM]"));
	CU_ASSERT_EQUAL(conns_count(&fake.m), 0);
	CU_ASSERT_STRING_EQUAL(served_by(port[1]), "b");
	close(fd);
	finish();
}

/* Nobody is accepted while a client waits for a worker. */
static void
test_not_accepted(void)
{
	struct fake_peer *helper;
	int first, second;

	begin(text(S("a"), port[0]));
	helper = fake_peer(ROLE_AUTH, 0);
	helper->slow = true;
	first = client(port[0]);
	fake_loop();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	second = client(port[0]);
	fake_loop();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	fake_read(helper);
	fake_loop();
	CU_ASSERT_EQUAL(conns_count(&fake.m), 2);
	close(first);
	close(second);
	finish();
}

/* Without descriptors it tries once a second, and not for ever in a circle. */
static void
test_no_descriptors(void)
{
	int fd;

	begin(text(S("a"), port[0]));
	fd = client(port[0]);
	no_descriptors = true;
	accepts = 0;
	for (int i = 0; i < 10; i++)
		fake_loop();
	CU_ASSERT_EQUAL(accepts, 1);
	fake_pass(2000);
	CU_ASSERT_EQUAL(accepts, 3);
	no_descriptors = false;
	fake_pass(1000);
	CU_ASSERT_EQUAL(conns_count(&fake.m), 1);
	close(fd);
	finish();
}

/* ---- sockets of the service manager ---- */

static void
test_inherited(void)
{
	char why[MSG_PATH_SIZE] = "";
	struct server *a;

	begin(text(S("a") S("i"), port[0], inherited_port));
	a = servers_find(&fake.m, "i");
	CU_ASSERT_TRUE(listeners_inherited(&fake.m, a));
	CU_ASSERT_STRING_EQUAL(served_by(inherited_port), "i");
	CU_ASSERT_EQUAL(server_down(&fake.m, a, why), -1);
	CU_ASSERT_PTR_NOT_NULL(strstr(why, "service manager"));
	/* its server goes, the socket stays with us and serves the next one */
	reload(text(S("a"), port[0]));
	reload(text(S("a") S("j"), port[0], inherited_port));
	CU_ASSERT_STRING_EQUAL(served_by(inherited_port), "j");
	finish();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"serves", test_serves},
	    {"bound before it serves", test_bound_before},
	    {"two servers swap ports", test_swap},
	    {"a swap is refused", test_swap_refused},
	    {"three in a circle", test_circle},
	    {"left to another", test_left_to_another},
	    {"a client in the backlog", test_backlog},
	    {"all addresses and back", test_all_addresses},
	    {"a port of somebody else", test_busy},
	    {"in either order", test_order},
	    {"down and up", test_down_and_up},
	    {"destroyed", test_destroyed},
	    {"a port that the kernel chooses", test_chosen_port},
	    {"busy at up", test_busy_at_up},
	    {"names and slots", test_names},
	    {"limits", test_limits},
	    {"CON-13 networks that are not served", test_barred},
	    {"not accepted while one waits", test_not_accepted},
	    {"no descriptors for clients", test_no_descriptors},
	    {"the service manager's socket", test_inherited},
	    {NULL, NULL}};
	char pid[24];
	int fd, status;

	fd = listen_at(INADDR_LOOPBACK, &inherited_port);
	snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	if (fd == -1 || dup2(fd, NOTIFY_FDS_START) == -1)
		return EXIT_FAILURE;
	notify_init(); /* closes what is above */
	inherited = fcntl(NOTIFY_FDS_START, F_DUPFD_CLOEXEC, NOTIFY_FDS_START + 1);
	close(NOTIFY_FDS_START);
	if (inherited == -1 || (fd = mkstemp(path)) == -1)
		return EXIT_FAILURE;
	close(fd);
	choose_ports();
	status = unit_run("listeners", tests);
	unlink(path);
	return status;
}
