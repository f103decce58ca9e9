/*
 * libFuzzer: what happens to master, in pieces, each with an octet for what it is
 * and one for its length: a role says a message, a client comes, a process ends or
 * stops reading, time passes, a login goes on.  Master survives all of it, and says
 * nothing that breaks a rule of msg.h.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/ports/servers.h"
#include "tests/fuzz/lawful.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/fake_master.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char settings[] = "log = stderr log_level = error\n"
			       "login_workers = 2 session_spares = 2\n"
			       "server main { port = 1100 socket = plain auth = '' }\n"
			       "server tls { port = 1995 socket = tls auth = ''"
			       " certificate = '/c' certificate_key = '/k' }\n";

static conn_id last; /* that came */

/* Which process: the role in its low bits, then which of them. */
static struct fake_peer *
peer(uint8_t octet)
{
	return fake_peer((enum role)(octet % ROLE_COUNT), octet / ROLE_COUNT % 4);
}

/* Its first octet says who says it; the octets that an id has are 1 for the last client's. */
static void
do_say(const uint8_t *piece, size_t len)
{
	static const conn_id one = 1;
	static struct msg m;
	struct fake_peer *p = len > 0 ? peer(piece[0]) : NULL;

	if (p == NULL || !lawful_make(&m, p->role, ROLE_MASTER, piece + 1, len - 1))
		return;
	if (m.len >= sizeof(one) && memcmp(&m.u.ref.id, &one, sizeof(one)) == 0)
		m.u.ref.id = last;
	if (msg_check(p->role, ROLE_MASTER, &m) == 0)
		fake_say(p, m.type, m.u.octets, m.len);
}

static void
do_connect(const uint8_t *piece, size_t len)
{
	struct server *s = servers_at(&fake.m, len > 0 ? piece[0] % 2 : 0);
	conn_id id = s != NULL && fake_accepts() ? fake_connect(s) : 0;

	if (id != 0)
		last = id;
}

static void
do_exit(const uint8_t *piece, size_t len)
{
	struct fake_peer *p = len > 0 ? peer(piece[0]) : NULL;

	if (p != NULL)
		fake_exit(p, len > 1 ? piece[1] : 0);
}

static void
do_lose(const uint8_t *piece, size_t len)
{
	struct fake_peer *p = len > 0 ? peer(piece[0]) : NULL;

	if (p != NULL)
		fake_lose(p, EPIPE);
}

static void
do_stall(const uint8_t *piece, size_t len)
{
	struct fake_peer *p = len > 0 ? peer(piece[0]) : NULL;

	if (p == NULL)
		return;
	if (p->slow)
		fake_read(p);
	else
		p->slow = true;
}

static void
do_pass(const uint8_t *piece, size_t len)
{
	fake_pass(len > 0 ? 100 * (1 + (uint32_t)piece[0]) : 100);
}

static void
do_ready(const uint8_t *piece, size_t len)
{
	(void)piece, (void)len;
	fake_bury();
	fake_all_ready();
}

static void
do_grant(const uint8_t *piece, size_t len)
{
	static const char *const users[] = {"ann", "bob"};

	if (fake_peer(ROLE_AUTH, 0) != NULL && last != 0)
		fake_grant(last, users[len > 0 ? piece[0] % 2 : 0], geteuid());
}

static void
do_take(const uint8_t *piece, size_t len)
{
	(void)piece, (void)len;
	if (last != 0 && fake_session_of(last) != NULL)
		fake_take(last);
	if (last != 0 && fake_session_of(last) != NULL)
		fake_open(last, LOGIN_OK);
}

static void (*const events[])(const uint8_t *piece, size_t len) = {
    do_say, do_connect, do_exit, do_lose, do_stall, do_pass, do_ready, do_grant, do_take,
};

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	quiet();
	last = 0;
	fake_begin_serving(settings);
	while (size >= 2 && !fake.over) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		events[data[0] % COUNT_OF(events)](data + 2, len);
		fake_loop();
		data += 2 + len;
		size -= 2 + len;
	}
	if (fake.unlawful > 0)
		abort();
	fake_end();
	return 0;
}
