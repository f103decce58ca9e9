/*
 * pop3ctl(8) last: who logged in when, and what his client did.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/ctl_words.h"
#include "common/log.h"
#include "common/names.h"
#include "daemon/control/commands.h"
#include "daemon/last.h"

struct request {
	const char *user;  /* NULL: all */
	const char *since; /* the beginning of a time; "": any */
};

/* What was asked for; false: it was answered. */
static bool
request_take(struct ctl *c, struct request *r, size_t n, char *words[])
{
	char text[CTL_TEXT_SIZE];
	size_t i;

	*r = (struct request){NULL, ""};
	for (i = 1; i < n; i++) {
		if (strcmp(words[i], "--since") == 0 && i + 1 < n && r->since[0] == '\0')
			r->since = words[++i];
		else if (words[i][0] != '-' && r->user == NULL)
			r->user = words[i];
		else
			break;
	}
	if (i < n)
		ctl_fail(c, CONTROL_USAGE, "wrong # args: should be \"pop3ctl %s\"",
			 ctl_synopsis(text, words[0], NULL));
	else if (r->since[0] != '\0' && !time_is_begun(r->since))
		ctl_fail(c, CONTROL_USAGE, TIME_IS_NONE, r->since);
	else if (!last_is_kept())
		ctl_fail(c, CONTROL_FAILED, "none are kept: last_logins is off");
	else
		return true;
	return false;
}

static bool
is_since(const struct last *l, const char *since)
{
	char when[CLOCK_UTC_SIZE];

	return strcmp(clock_utc(when, l->login), since) >= 0;
}

static const char *
quoted(char dst[LOG_QUOTED_SIZE], const char *text)
{
	return log_quote(dst, LOG_QUOTED_SIZE, text, strlen(text));
}

static const char *
number(char dst[24], uint64_t n)
{
	if (n == LAST_UNKNOWN)
		return "unknown";
	(void)snprintf(dst, 24, "%" PRIu64, n);
	return dst;
}

static void
say_number(struct ctl *c, const char *key, uint64_t n)
{
	char text[24];

	ctl_say(c, "%s\t%s\n", key, number(text, n));
}

static void
say_failed(struct ctl *c, const struct last_failed *f)
{
	char when[CLOCK_UTC_SIZE];

	if (f->time == 0)
		ctl_say(c, "failed\tnever\n");
	else
		ctl_say(c, "failed\t%s\nfailed_server\t%s\nfailed_peer\t%s\nfailed_result\t%s\n",
			clock_utc(when, f->time), f->server, f->peer, f->reason);
}

static void
say_user(struct ctl *c, const struct last *l)
{
	char user[LOG_QUOTED_SIZE], when[CLOCK_UTC_SIZE];

	ctl_say(c, "user\t%s\nlogin\t%s\nserver\t%s\npeer\t%s\nmech\t%s\ntls\t%s\n",
		quoted(user, l->user), clock_utc(when, l->login), l->server, l->peer, l->mech,
		l->tls);
	ctl_say(c, "end\t%s\nreason\t%s\n",
		l->end != 0    ? clock_utc(when, l->end)
		: l->conn != 0 ? "none"
			       : "unknown",
		l->end != 0 ? l->ended : "unknown");
	say_number(c, "messages", l->messages);
	say_number(c, "messages_retrieved", l->retrieved);
	say_number(c, "octets_retrieved", l->retrieved_octets);
	say_number(c, "messages_deleted", l->deleted);
	say_number(c, "messages_left", l->left);
	say_failed(c, &l->failed);
}

static void
say_row(struct ctl *c, const struct last *l)
{
	char user[LOG_QUOTED_SIZE], when[CLOCK_UTC_SIZE], n[3][24];

	ctl_say(c, "%s\t%s\t%s\t%s\t%s\t%s\n", quoted(user, l->user), clock_utc(when, l->login),
		l->peer, number(n[0], l->retrieved), number(n[1], l->deleted),
		number(n[2], l->left));
}

static void
say_one(struct ctl *c, const struct request *r)
{
	const struct last *l = last_find(r->user);
	char user[LOG_QUOTED_SIZE];
	bool is_late = l != NULL && is_since(l, r->since);

	if (!is_late) {
		ctl_fail(c, CONTROL_FAILED, "no login of %s%s%s is known", quoted(user, r->user),
			 r->since[0] != '\0' ? " since " : "", r->since);
		return;
	}
	ctl_answers(c, ANSWER_PAIRS);
	say_user(c, l);
	ctl_end(c, CONTROL_DONE);
}

void
command_last(struct master *m, struct ctl *c, size_t n, char *words[])
{
	struct request r;

	(void)m;
	if (!request_take(c, &r, n, words))
		return;
	if (r.user != NULL) {
		say_one(c, &r);
		return;
	}
	ctl_say(c, "user\tlogin\tpeer\tretrieved\tdeleted\tleft\n");
	for (const struct last *l = last_next(NULL); l != NULL; l = last_next(l))
		if (is_since(l, r.since))
			say_row(c, l);
	ctl_end(c, CONTROL_DONE);
}
