/*
 * Which sockets a server's settings stand for (CONFORMANCE CON-01), and getting them.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/ports/sockets.h"
#include "tests/unit/unit.h"

static struct conf_server set;

static void
fresh(void)
{
	memset(&set, 0, sizeof(set));
}

static void
add(const char *address)
{
	snprintf(set.addresses.address[set.addresses.n++], MSG_WORD_SIZE, "%s", address);
}

/* All that they stand for, as text, in order; a "?" behind what may be missing. */
static const char *
walk(uint16_t chosen)
{
	static char text[2048];
	struct sockets w = {.set = &set, .chosen = chosen};
	struct sockaddr_storage ss;
	char one[LOG_ADDR_SIZE];
	struct msg_addr a;
	bool optional;

	text[0] = '\0';
	while (sockets_next(&w, &ss, &optional)) {
		socket_addr(&a, &ss);
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s ",
			 log_addr(one, &a), optional ? "?" : "");
	}
	return text;
}

static void
test_each_port_at_each_address(void)
{
	fresh();
	add("127.0.0.1");
	add("::1");
	set.port.number[set.port.n++] = 995;
	set.port.number[set.port.n++] = 1995;
	CU_ASSERT_STRING_EQUAL(walk(0), "127.0.0.1:995 [::1]:995 127.0.0.1:1995 [::1]:1995 ");
}

static void
test_all_addresses(void)
{
	fresh();
	set.port.number[set.port.n++] = 110;
	add("*");
	CU_ASSERT_STRING_EQUAL(walk(0), "0.0.0.0:110? [::]:110? ");
	fresh();
	set.port.number[set.port.n++] = 110;
	add("0.0.0.0");
	add("::");
	CU_ASSERT_STRING_EQUAL(walk(7), "0.0.0.0:110 [::]:110 ");
}

static void
test_chosen_port(void)
{
	fresh();
	set.port.number[set.port.n++] = 0;
	add("*");
	CU_ASSERT_STRING_EQUAL(walk(0), "0.0.0.0:0? [::]:0? ");
	CU_ASSERT_STRING_EQUAL(walk(40000), "0.0.0.0:40000? [::]:40000? ");
	fresh();
	CU_ASSERT_STRING_EQUAL(walk(0), "");
}

static void
test_same(void)
{
	struct sockaddr_storage a, b;
	struct sockaddr_in *in = (struct sockaddr_in *)&a;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)&b;

	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	in->sin_family = AF_INET;
	in->sin_port = htons(110);
	in->sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	in6->sin6_family = AF_INET6;
	in6->sin6_port = htons(110);
	CU_ASSERT_EQUAL(inet_pton(AF_INET6, "::ffff:127.0.0.1", &in6->sin6_addr), 1);
	CU_ASSERT_TRUE(socket_same(&a, &a));
	CU_ASSERT_FALSE(socket_same(&a, &b)); /* another socket, if not other clients */
	b = a;
	((struct sockaddr_in *)&b)->sin_port = htons(111);
	CU_ASSERT_FALSE(socket_same(&a, &b));
	CU_ASSERT_EQUAL(socket_port(&b), 111);
}

/* A socket on a port that the kernel chose at the loopback, or -1. */
static int
listen_at(struct sockaddr_storage *ss, uint32_t address, uint16_t port, bool beside)
{
	struct sockaddr_in *in = (struct sockaddr_in *)ss;

	memset(ss, 0, sizeof(*ss));
	in->sin_family = AF_INET;
	in->sin_addr.s_addr = htonl(address);
	in->sin_port = htons(port);
	return socket_listen(ss, beside);
}

static void
test_beside(void)
{
	struct sockaddr_storage ss;
	int one = listen_at(&ss, INADDR_LOOPBACK, 0, false), all;
	uint16_t port = socket_port(&ss);

	CU_ASSERT_FATAL(one != -1);
	CU_ASSERT_NOT_EQUAL(port, 0);
	CU_ASSERT_EQUAL(listen_at(&ss, INADDR_ANY, port, false), -1);
	CU_ASSERT_EQUAL(errno, EADDRINUSE);
	CU_ASSERT_EQUAL(listen_at(&ss, INADDR_ANY, port, true),
			-1); /* the other one is not shared */
	socket_share(one, true);
	all = listen_at(&ss, INADDR_ANY, port, true);
	socket_share(one, false);
	CU_ASSERT_NOT_EQUAL(all, -1);
	/* And busy for others as before. */
	CU_ASSERT_EQUAL(listen_at(&ss, INADDR_LOOPBACK + 1, port, false), -1);
	CU_ASSERT_EQUAL(errno, EADDRINUSE);
	close(one);
	close(all);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"CON-01 each port at each address", test_each_port_at_each_address},
	    {"all addresses of both kinds", test_all_addresses},
	    {"a port that the kernel chose is everybody's", test_chosen_port},
	    {"the same address", test_same},
	    {"one address beside all, for a moment", test_beside},
	    {NULL, NULL},
	};

	return unit_run("sockets", tests);
}
