/* daemon/auth/guesses: what the gate shows the back ends, whoever asks. */
#include "config.h"

#include "daemon/auth/guesses.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "common/clock.h"
#include "tests/unit/unit.h"

static uint64_t now = 1000000;

uint64_t
clock_ms(void)
{
	return now;
}

/* A connection from 192.0.2.HOST. */
static struct msg_conn
from(uint32_t host)
{
	const uint8_t octets[] = {192, 0, 2, (uint8_t)host};
	struct msg_conn conn = {.peer.family = AF_INET};

	memcpy(conn.peer.octets, octets, sizeof(octets));
	return conn;
}

static void
test_name(void)
{
	struct msg_conn guesser = from(1), other = from(2), webmail = from(3);

	CU_ASSERT_EQUAL(guesses_init(), 0);
	webmail.trusted = 1;
	for (int i = 0; i < GUESSES_NAME; i++) {
		CU_ASSERT_TRUE(guesses_may("ann", &guesser));
		guesses_wrong(i % 2 == 0 ? "ann" : "Ann", &guesser);
	}
	CU_ASSERT_FALSE(guesses_may("ann", &guesser));
	CU_ASSERT_FALSE(guesses_may("ANN", &guesser));
	CU_ASSERT_TRUE(guesses_may("bob", &guesser));
	/* who knows his password gets in; who guesses has one guess more */
	CU_ASSERT_TRUE(guesses_may("ann", &other));
	guesses_wrong("ann", &other);
	CU_ASSERT_FALSE(guesses_may("ann", &other));
	guesses_wrong("ann", &webmail);
	CU_ASSERT_TRUE(guesses_may("ann", &webmail));
	now += GUESSES_WINDOW * UINT64_C(1000) + 1000;
	CU_ASSERT_TRUE(guesses_may("ann", &guesser));
}

static void
test_all(void)
{
	struct msg_conn guesser = from(4);
	char name[16];

	for (int i = 0; i < GUESSES_ALL; i++) {
		(void)snprintf(name, sizeof(name), "user%d", i);
		CU_ASSERT_TRUE(guesses_may(name, &guesser));
		guesses_wrong(name, &guesser);
	}
	CU_ASSERT_FALSE(guesses_may("another", &guesser));
	guesser = from(5);
	CU_ASSERT_TRUE(guesses_may("another", &guesser));
}

int
main(void)
{
	static const struct unit_test tests[] = {{"wrong passwords of one name", test_name},
						 {"wrong passwords of all names", test_all},
						 {NULL, NULL}};

	return unit_run("guesses", tests);
}
