#include "config.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <bsd/string.h>

#include "common/clock.h"
#include "common/count.h"
#include "common/escape.h"
#include "common/hash.h"
#include "common/log.h"
#include "daemon/log/foreign.h"

enum {
	PREFIX_MAX = 96,   /* "role=... pid=... conn=... " */
	REPEAT_SLOTS = 16, /* different repeated lines watched at a time */
	REPEAT_HEAD = 160, /* octets kept of a repeated line */
	REPEAT_MS = 10000
};

/* A line from another process that came lately. */
static struct repeat {
	bool used;
	enum role role;
	uint64_t hash; /* of the whole text */
	uint64_t since;
	unsigned long count;	/* of lines held back */
	char head[REPEAT_HEAD]; /* of the text, for the report */
} repeats[REPEAT_SLOTS];

/* Words that only the reader of a line may put into it. */
static const char *const own_keys[] = {"role=", "pid=", "conn="};

/* Length of the own key that begins here, 0 if none does. */
static size_t
log_own_key(const char *at)
{
	for (size_t i = 0; i < COUNT_OF(own_keys); i++)
		if (strncmp(at, own_keys[i], strlen(own_keys[i])) == 0)
			return strlen(own_keys[i]);
	return 0;
}

/* Length of the quoted value that begins here, with its "="; 0 if there is none, or no end of it.
 */
static size_t
log_quoted_value(const char *at)
{
	const char *p = at;

	if (*p++ != '=' || *p++ != '"')
		return 0;
	for (; *p != '"'; p++)
		if (*p == '\0' || (*p == '\\' && *++p == '\0'))
			return 0;
	return (size_t)(p + 1 - at);
}

/* The text of a process that is not believed: it cannot name a role, process or connection, since
 * the "=" of such a word is escaped.  In a quoted value it is no word, and stays as people look for
 * it. */
static void
log_escape_foreign(char *dst, size_t cap, const char *src)
{
	char neutral[LOG_OUT_MAX];
	const char *unquoted = src;
	size_t n = 0;

	while (*src != '\0' && n + sizeof("role=") + ESCAPE_SIZE < sizeof(neutral)) {
		size_t key;

		if (src >= unquoted)
			unquoted = src + log_quoted_value(src);
		key = src < unquoted ? 0 : log_own_key(src);
		if (key == 0) {
			neutral[n++] = *src++;
			continue;
		}
		memcpy(neutral + n, src, key - 1);
		n += key - 1;
		n += escape_octet(neutral + n, '=');
		src += key;
	}
	neutral[n] = '\0';
	escape_text(dst, cap, neutral);
}

static void
repeat_report(struct repeat *r)
{
	char line[REPEAT_HEAD + PREFIX_MAX];

	r->used = false;
	if (r->count == 0)
		return;
	(void)snprintf(line, sizeof(line), "role=%s repeated %lu times: %s", role_name(r->role),
		       r->count, r->head);
	log_put(LOG_WARNING, 0, line);
}

/* Report and forget the lines whose time is over. */
static void
repeat_expire(uint64_t now)
{
	for (size_t i = 0; i < COUNT_OF(repeats); i++)
		if (repeats[i].used && now - repeats[i].since >= REPEAT_MS)
			repeat_report(&repeats[i]);
}

/* Is this line to be counted only?  `text` is escaped. */
static bool
repeat_held(enum role role, const char *text)
{
	uint64_t hash = hash_add(HASH_START, text, strlen(text));
	struct repeat *slot = &repeats[0];
	uint64_t now = clock_ms();

	repeat_expire(now);
	for (size_t i = 0; i < COUNT_OF(repeats); i++) {
		struct repeat *r = &repeats[i];

		if (r->used && r->role == role && r->hash == hash) {
			r->count++;
			return true;
		}
		if (slot->used && (!r->used || r->since < slot->since))
			slot = r;
	}
	if (slot->used)
		repeat_report(slot);
	*slot = (struct repeat){.used = true, .role = role, .hash = hash, .since = now};
	(void)strlcpy(slot->head, text, sizeof(slot->head));
	return false;
}

void
log_foreign_tick(void)
{
	repeat_expire(clock_ms());
}

void
log_foreign(enum role role, long pid, const struct msg_log *line)
{
	char text[LOG_OUT_MAX], whole[LOG_OUT_MAX + PREFIX_MAX], conn[LOG_ID_SIZE];
	int prio = (int)(line->prio & LOG_PRIMASK), n;

	if (prio < LOG_ERR) /* alarms that interrupt people are master's alone */
		prio = LOG_ERR;

	if (!log_is_wanted(prio))
		return;
	if (role == ROLE_AUTH && line->role == ROLE_AUTH_CHILD) {
		role = ROLE_AUTH_CHILD;
		pid = line->pid;
	}
	log_escape_foreign(text, sizeof(text), line->text);
	if (prio <= LOG_WARNING && repeat_held(role, text))
		return;
	n = snprintf(whole, sizeof(whole), "role=%s pid=%ld ", role_name(role), pid);
	if (line->id != 0)
		n += snprintf(whole + n, sizeof(whole) - (size_t)n, "conn=%s ",
			      log_conn(conn, line->id));
	(void)snprintf(whole + n, sizeof(whole) - (size_t)n, "%s", text);
	log_put(prio, 0, whole);
}

static void (*trace_sink)(const struct msg_trace *);

void
log_trace_to(void (*sink)(const struct msg_trace *))
{
	trace_sink = sink;
}

void
log_trace(const struct msg_trace *line)
{
	char quoted[LOG_OUT_MAX / 2], whole[LOG_OUT_MAX], conn[LOG_ID_SIZE];

	if (trace_sink != NULL) {
		trace_sink(line);
		return;
	}
	log_quote(quoted, sizeof(quoted), line->text, strnlen(line->text, sizeof(line->text)));
	(void)snprintf(whole, sizeof(whole), "trace conn=%s %s %s", log_conn(conn, line->id),
		       line->from_client != 0 ? "<" : ">", quoted);
	log_put(LOG_INFO, 0, whole);
}
