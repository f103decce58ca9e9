/* worker/login/shed.c */
#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "worker/login/shed.h"

enum { CONNS = 64 };

static struct worker worker;
static struct conn conns[CONNS];

static void
begin(void)
{
	memset(&worker, 0, sizeof(worker));
	memset(conns, 0, sizeof(conns));
}

/* A connection from 192.0.`network`.`host`; its id is its place. */
static struct conn *
add(uint8_t network, uint8_t host, enum conn_state state)
{
	struct conn *c = &conns[worker.nconns];

	c->row.id = ++worker.nconns;
	c->row.peer = (struct msg_addr){.family = AF_INET, .octets = {192, 0, network, host}};
	c->state = state;
	RB_INSERT(conn_tree, &worker.conns, c);
	return c;
}

static void
end(struct conn *c)
{
	RB_REMOVE(conn_tree, &worker.conns, c);
}

/* The one that is chosen, and then gone; how far it was is in its id. */
static conn_id
chosen(void)
{
	struct conn *c = shed_choose(&worker);

	if (c == NULL)
		return 0;
	end(c);
	return c->row.id;
}

static void
test_order(void)
{
	static char name[] = "ann";

	begin();
	add(2, 1, CONN_COMMAND)->user = name;	 /* 1 */
	add(2, 2, CONN_COMMAND)->greeted = true; /* 2 */
	add(2, 3, CONN_COMMAND);		 /* 3 */
	add(2, 4, CONN_HANDSHAKE);		 /* 4 */
	add(2, 5, CONN_LOGIN);			 /* 5: being decided */
	add(2, 6, CONN_RELAY);			 /* 6: logged in */
	CU_ASSERT_EQUAL(chosen(), 4);
	CU_ASSERT_EQUAL(chosen(), 3);
	CU_ASSERT_EQUAL(chosen(), 2);
	CU_ASSERT_EQUAL(chosen(), 1);
	CU_ASSERT_EQUAL(chosen(), 5);
	CU_ASSERT_EQUAL(chosen(), 0);
}

/* Whose guesses wait for their refusals are as many as others. */
static void
test_guesses_make_room(void)
{
	begin();
	add(2, 1, CONN_COMMAND);
	for (uint8_t host = 1; host <= 3; host++)
		add(3, host, CONN_LOGIN);
	CU_ASSERT_TRUE(chosen() > 1);
	CU_ASSERT_TRUE(chosen() > 1);
}

/* Of guesses and a login that is decided soon, the one that has waited longest. */
static void
test_longest_wait(void)
{
	begin();
	for (uint8_t network = 1; network <= 4; network++)
		add(network, 1, CONN_LOGIN)->asked = UINT32_MAX + 10ull - network;
	CU_ASSERT_EQUAL(chosen(), 4);
	CU_ASSERT_EQUAL(chosen(), 3);
	CU_ASSERT_EQUAL(chosen(), 2);
}

static void
test_exchange_comes_last(void)
{
	begin();
	add(2, 1, CONN_SASL);
	add(2, 2, CONN_STLS_WAIT);
	CU_ASSERT_EQUAL(chosen(), 2);
	CU_ASSERT_EQUAL(chosen(), 1);
}

/* Whoever runs a webmail answers for it. */
static void
test_trusted_stays(void)
{
	begin();
	add(2, 1, CONN_HANDSHAKE)->row.trusted = 1;
	add(2, 2, CONN_HANDSHAKE)->row.trusted = 1;
	add(3, 1, CONN_COMMAND);
	CU_ASSERT_EQUAL(chosen(), 3);
	CU_ASSERT_EQUAL(chosen(), 0);
}

/* A handshake under way of a network with fewer stays. */
static void
test_fullest_network(void)
{
	begin();
	add(7, 1, CONN_HANDSHAKE);
	add(7, 2, CONN_HANDSHAKE);
	for (uint8_t host = 1; host <= 3; host++)
		add(8, host, CONN_COMMAND);
	CU_ASSERT_TRUE(chosen() > 2);
	add(7, 3, CONN_HANDSHAKE);
	CU_ASSERT_TRUE(chosen() != 3);
}

/* One of each network: who is closed is of the kind that most are of, whatever the addresses. */
static void
crowd_of_networks(enum conn_state crowd, enum conn_state other)
{
	unsigned seen = 0;

	begin();
	add(1, 1, other);
	for (uint8_t network = 2; network <= 5; network++)
		add(network, 1, crowd);
	add(6, 1, other);
	for (int i = 0; i < 1000; i++)
		seen |= 1u << shed_choose(&worker)->row.id;
	CU_ASSERT_EQUAL(seen, 0x3c);
}

static void
test_networks_with_as_many(void)
{
	crowd_of_networks(CONN_COMMAND, CONN_SASL);   /* who types stays */
	crowd_of_networks(CONN_SASL, CONN_HANDSHAKE); /* and so does who comes */
	crowd_of_networks(CONN_COMMAND, CONN_HANDSHAKE);
	crowd_of_networks(CONN_HANDSHAKE, CONN_COMMAND);
}

static void
test_at_random(void)
{
	unsigned seen = 0;

	begin();
	for (uint8_t host = 1; host <= 4; host++)
		add(2, host, CONN_COMMAND);
	for (int i = 0; i < 1000; i++)
		seen |= 1u << shed_choose(&worker)->row.id;
	CU_ASSERT_EQUAL(seen, 0x1e);
	begin();
	seen = 0;
	for (uint8_t network = 1; network <= 4; network++)
		add(network, 1, CONN_COMMAND);
	for (int i = 0; i < 1000; i++)
		seen |= 1u << shed_choose(&worker)->row.id;
	CU_ASSERT_EQUAL(seen, 0x1e);
}

/* main.c has it, which is no part of the library. */
int
worker_confine(struct worker *w, struct msg_ready *ready, char *why, size_t cap)
{
	(void)w, (void)ready, (void)why, (void)cap;
	return -1;
}

static const struct unit_test tests[] = {
    {"whoever has got least far comes first", test_order},
    {"guesses make room", test_guesses_make_room},
    {"of waiting logins the oldest", test_longest_wait},
    {"an exchange comes last", test_exchange_comes_last},
    {"who is trusted stays", test_trusted_stays},
    {"the fullest network makes room", test_fullest_network},
    {"of networks with as many, one of the crowd's kind", test_networks_with_as_many},
    {"of equals one at random", test_at_random},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("shed", tests);
}
