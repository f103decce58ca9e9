#include "config.h"

#include "daemon/auth/guesses.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/failures.h"
#include "common/source.h"
#include "daemon/auth/digest.h"

/* What all are counted as. */
static const struct failure_key everybody;

static struct {
	struct failures *wrong;
	uint8_t key[MSG_DIGEST_SIZE];
} guesses;

int
guesses_init(void)
{
	arc4random_buf(guesses.key, sizeof(guesses.key));
	guesses.wrong = failures_new(FAILURES_MAX);
	if (guesses.wrong == NULL)
		return -1;
	failures_set_window(guesses.wrong, GUESSES_WINDOW);
	return 0;
}

/* Letters in either case are one name: the account may be so, too. */
static struct failure_key
name_key(const char *user)
{
	struct failure_key key;
	char name[MSG_NAME_SIZE] = "";
	const struct iovec part = {name, sizeof(name)};

	for (size_t i = 0; user[i] != '\0' && i < sizeof(name) - 1; i++)
		name[i] = (char)(user[i] >= 'A' && user[i] <= 'Z' ? user[i] - 'A' + 'a' : user[i]);
	digest_make(key.octets, guesses.key, &part, 1);
	return key;
}

static struct failure_key
source_key(const struct msg_conn *conn)
{
	struct failure_key key = {{0}};
	struct source source;

	source_set(&source, &conn->peer);
	memcpy(key.octets, &source, sizeof(source));
	return key;
}

static uint32_t
count(enum failure_kind kind, struct failure_key key)
{
	return failures_count(guesses.wrong, kind, &key, clock_ms() / 1000, NULL);
}

bool
guesses_may(const char *user, const struct msg_conn *conn)
{
	return (count(FAILURE_NAME, name_key(user)) < GUESSES_NAME &&
		count(FAILURE_USER, everybody) < GUESSES_ALL) ||
	       conn->trusted != 0 || count(FAILURE_SOURCE, source_key(conn)) == 0;
}

void
guesses_wrong(const char *user, const struct msg_conn *conn)
{
	const struct failure_key name = name_key(user), source = source_key(conn);
	uint64_t now = clock_ms() / 1000;

	failures_add(guesses.wrong, FAILURE_NAME, &name, now, false);
	failures_add(guesses.wrong, FAILURE_USER, &everybody, now, false);
	failures_add(guesses.wrong, FAILURE_SOURCE, &source, now, false);
}
