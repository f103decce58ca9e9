#include "config.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/names.h"
#include "daemon/last.h"
#include "daemon/roles/child.h"
#include "daemon/table/report.h"
#include "daemon/ports/servers.h"
#include "daemon/totals.h"

enum { BALANCER_SIZE = LOG_QUOTED_SIZE + MSG_WORD_SIZE + 120 };

/* Who ended it. */
static const char *
session_ended_by(enum session_end why)
{
	return why <= SESSION_END_CLIENT ? "client" : "server";
}

/* A value of a line; empty: `none`. */
static const char *
value(char *dst, size_t cap, const char *text, const char *none)
{
	return text[0] != '\0' ? log_quote(dst, cap, text, strlen(text)) : none;
}

/* The part that every line begins with. */
struct common {
	char text[LOG_ID_SIZE + 2 * LOG_ADDR_SIZE + MSG_SERVER_SIZE + LOG_QUOTED_SIZE + 60];
	char tls[48];
};

static const struct common *
common_part(struct common *out, const struct conn *c)
{
	char id[LOG_ID_SIZE], peer[LOG_ADDR_SIZE], balancer[LOG_ADDR_SIZE], user[LOG_QUOTED_SIZE];
	const struct conn_login *l = c->login;
	bool balanced = c->balancer.family != 0;

	snprintf(out->text, sizeof(out->text), "conn=%s server=%s%s%s peer=%s%s%s",
		 log_conn(id, c->row.id), c->server->set.name, l != NULL ? " user=" : "",
		 l != NULL ? log_quote(user, sizeof(user), l->user, strlen(l->user)) : "",
		 log_addr(peer, &c->row.peer), balanced ? " balancer=" : "",
		 balanced ? log_addr(balancer, &c->balancer) : "");
	log_quote(out->tls, sizeof(out->tls), "none", 4);
	if (l != NULL && l->facts.version[0] != '\0')
		log_quote(out->tls, sizeof(out->tls), l->facts.version, strlen(l->facts.version));
	return out;
}

/* What a load balancer said of the client's TLS: fields behind all others, if it said anything. */
static const char *
balancer_part(char dst[BALANCER_SIZE], const struct conn *c)
{
	char client[LOG_QUOTED_SIZE], version[32], cipher[MSG_WORD_SIZE + 8];
	const struct msg_balancer_tls *b = c->balancer_tls;

	dst[0] = '\0';
	if (b != NULL)
		(void)snprintf(dst, BALANCER_SIZE,
			       " balancer_tls=%s balancer_cipher=%s client_name=%s",
			       value(version, sizeof(version), b->version, "none"),
			       value(cipher, sizeof(cipher), b->cipher, "none"),
			       value(client, sizeof(client), b->client, "none"));
	return dst;
}

static double
seconds_since(uint64_t ms)
{
	return (double)(clock_ms() - ms) / 1000;
}

static const struct report_sink *sink;

void
report_to(const struct report_sink *to)
{
	sink = to;
}

void
report_serving(struct master *m)
{
	if (sink != NULL)
		sink->serving(m);
}

void
report_tick(struct master *m)
{
	if (sink != NULL)
		sink->tick(m);
}

void
report_gone(const struct conn *c)
{
	if (sink != NULL)
		sink->gone(c);
}

void
report_session_over(struct master *m)
{
	if (sink != NULL)
		sink->session_over(m);
}

void
report_connect(const struct conn *c)
{
	struct common p;

	if (sink != NULL)
		sink->connected(c);

	totals_add(TOTAL_ACCEPTED, 0, 0, 1);
	log_debug(0, "connect %s", common_part(&p, c)->text);
}

void
report_disconnect(const struct conn *c, enum conn_end why, uint32_t failures)
{
	char balancer[BALANCER_SIZE];
	struct common p;

	totals_add(TOTAL_UNDECIDED_ENDS, why, 0, 1);
	log_info(0, "disconnect %s reason=%s failures=%u duration=%.3f%s", common_part(&p, c)->text,
		 conn_end_name(why), failures, seconds_since(c->accepted),
		 balancer_part(balancer, c));
}

/* For "pop3ctl last". */
static void
login_keep(const struct conn *c, const struct msg_session_open *open)
{
	const struct conn_login *login = c->login;
	struct last l = {.conn = c->row.id, .login = time(NULL), .messages = open->messages};

	snprintf(l.user, sizeof(l.user), "%s", login->user);
	snprintf(l.server, sizeof(l.server), "%s", c->server->set.name);
	snprintf(l.mech, sizeof(l.mech), "%s", login_mech_name(login->mech));
	snprintf(l.tls, sizeof(l.tls), "%s",
		 login->facts.version[0] != '\0' ? login->facts.version : "none");
	log_host(l.peer, &c->row.peer);
	last_login(&l);
}

/* Whose password was right, and whose client had gone, has not failed. */
static void
failure_keep(const struct msg_auth_failed *f)
{
	struct last_failed failed = {.time = time(NULL)};

	if (f->result == LOGIN_OK)
		return;
	snprintf(failed.server, sizeof(failed.server), "%s", f->server);
	snprintf(failed.reason, sizeof(failed.reason), "%s",
		 login_result_name((enum login_result)f->result));
	log_host(failed.peer, &f->peer);
	last_failed(f->user, &failed);
}

void
report_login(const struct conn *c, const struct msg_session_open *open)
{
	char cipher[MSG_WORD_SIZE + 8], sni[LOG_QUOTED_SIZE], octets[24] = "unknown";
	char balancer[BALANCER_SIZE];
	struct common p;

	if (open->octets != UINT64_MAX)
		snprintf(octets, sizeof(octets), "%" PRIu64, open->octets);
	totals_add(TOTAL_LOGINS, LOGIN_OK, c->login->mech, 1);
	login_keep(c, open);
	if (open->index != INDEX_FOUND_NONE)
		totals_add(TOTAL_INDEX, open->index - 1, 0, 1);
	common_part(&p, c);
	log_info(
	    0, "login %s uid=%u mech=%s tls=%s cipher=%s messages=%" PRIu64 " octets=%s sni=%s%s",
	    p.text, c->login->uid, login_mech_name(c->login->mech), p.tls,
	    value(cipher, sizeof(cipher), c->login->facts.cipher, "none"), open->messages, octets,
	    value(sni, sizeof(sni), c->login->facts.sni, "none"), balancer_part(balancer, c));
}

void
report_count_failed(const struct msg_auth_failed *f)
{
	totals_add(TOTAL_LOGINS, f->result == LOGIN_OK ? TOTALS_LOGIN_GONE : f->result, f->mech, 1);
	if (f->result == LOGIN_BAD && strcmp(f->why, "too-many-failures") == 0)
		totals_add(TOTAL_THROTTLED, 0, 0, 1);
	if (f->check_ms > 0)
		totals_time(TOTAL_WRONG_TIME, f->check_ms - 1);
	failure_keep(f);
}

void
report_auth_failed(const struct msg_auth_failed *f)
{
	char id[LOG_ID_SIZE], peer[LOG_ADDR_SIZE], server[LOG_QUOTED_SIZE], user[LOG_QUOTED_SIZE];
	char tls[LOG_QUOTED_SIZE], why[LOG_QUOTED_SIZE];

	log_conn(id, f->id);
	log_info(
	    0, "login-failed conn=%s server=%s user=%s peer=%s mech=%s tls=%s result=%s reason=%s",
	    id, value(server, sizeof(server), f->server, "\"\""),
	    value(user, sizeof(user), f->user, "unknown"), log_addr(peer, &f->peer),
	    login_mech_name(f->mech), value(tls, sizeof(tls), f->facts.version, "none"),
	    f->result == LOGIN_OK ? "gone" : login_result_name(f->result),
	    value(why, sizeof(why), f->why, "\"\""));
	if (f->given[0] != '\0')
		log_debug(0, "login-name conn=%s user=%s", id,
			  value(user, sizeof(user), f->given, ""));
}

void
report_login_failed(const struct conn *c, enum login_result result, const char *reason)
{
	const struct conn_login *l = c->login;
	struct msg_auth_failed f = {.id = c->row.id, .result = result, .peer = c->row.peer};

	if (l != NULL) { /* there was memory for it */
		f.mech = l->mech;
		f.facts = l->facts;
		snprintf(f.user, sizeof(f.user), "%s", l->user);
	}
	snprintf(f.server, sizeof(f.server), "%s", c->server->set.name);
	snprintf(f.why, sizeof(f.why), "%s", reason);
	report_count_failed(&f);
	report_auth_failed(&f);
}

const char *
report_deleted(char *dst, const struct conn *c, const struct msg_receipt *r)
{
	char uid[4 * MSG_UID_SIZE + 8], when[CLOCK_UTC_SIZE], octets[24] = "unknown";
	struct common p;

	if (r->octets != UINT64_MAX)
		snprintf(octets, sizeof(octets), "%" PRIu64, r->octets);
	snprintf(dst, REPORT_SIZE, "deleted %s uid=%s octets=%s retrieved=%s",
		 common_part(&p, c)->text, log_quote(uid, sizeof(uid), r->uid, strlen(r->uid)),
		 octets, retrieved_text(when, r->retrieved));
	return dst;
}

void
report_deleted_more(const struct conn *c, uint64_t messages)
{
	struct common p;

	log_info(0, "deleted-more %s messages=%" PRIu64 " see=\"pop3ctl history\"",
		 common_part(&p, c)->text, messages);
}

void
report_exposed(const struct conn *c, enum exposed what)
{
	static const char *const words[EXPOSED_COUNT] = {
	    [EXPOSED_HOME] = "home", [EXPOSED_MAILBOX] = "mailbox"};
	struct common p;

	log_warn(0, "exposed %s what=%s", common_part(&p, c)->text, words[what]);
}

void
report_vanished(const struct conn *c, uint64_t vanished, uint64_t known)
{
	struct common p;

	log_warn(0, "uids-vanished %s vanished=%" PRIu64 " of=%" PRIu64, common_part(&p, c)->text,
		 vanished, known);
}

void
report_fetched_again(const struct conn *c, uint64_t again, uint64_t messages)
{
	struct common p;

	log_warn(0, "fetched-again %s fetched=%" PRIu64 " of=%" PRIu64, common_part(&p, c)->text,
		 again, messages);
}

void
report_takeover(const struct conn *c, const struct conn *holder)
{
	char id[LOG_ID_SIZE];
	struct common p;

	log_info(0, "takeover %s from=%s", common_part(&p, c)->text, log_conn(id, holder->row.id));
}

/* A number that only the session knows: it may have been killed without telling. */
static const char *
count_text(char dst[24], uint64_t value)
{
	if (value == UINT64_MAX)
		return "unknown";
	snprintf(dst, 24, "%" PRIu64, value);
	return dst;
}

void
report_session_end(const struct conn *c, const struct msg_session_end *end)
{
	char n[6][24];
	struct common p;

	totals_add(TOTAL_SESSION_ENDS, end->why, 0, 1);
	if (end->update_ms > 0)
		totals_time(TOTAL_UPDATE_TIME, end->update_ms);
	if (end->kept != UINT64_MAX)
		totals_add(TOTAL_KEPT, 0, 0, end->kept);
	if (end->undone != UINT64_MAX)
		totals_add(TOTAL_UNDONE, 0, 0, end->undone);
	if (end->retrieved != UINT64_MAX) {
		totals_add(TOTAL_RETRIEVED, 0, 0, end->retrieved);
		totals_add(TOTAL_RETRIEVED_OCTETS, 0, 0, end->retrieved_octets);
	}
	if (c->login != NULL)
		last_end(c->login->user, end, time(NULL));
	common_part(&p, c);
	log_info(
	    0,
	    "session-end %s reason=%s by=%s retrieved=%s retrieved_octets=%s topped=%s deleted=%s "
	    "left=%s duration=%.3f tls=%s fetched_again=%s",
	    p.text, session_end_name(end->why), session_ended_by(end->why),
	    count_text(n[0], end->retrieved), count_text(n[1], end->retrieved_octets),
	    count_text(n[2], end->topped), count_text(n[3], end->deleted),
	    count_text(n[4], end->left), seconds_since(c->since), p.tls,
	    count_text(n[5], end->again));
}

void
report_job(const struct conn *c, const char *words, uint32_t status, const char *why)
{
	char id[LOG_ID_SIZE], user[LOG_QUOTED_SIZE], job[LOG_QUOTED_SIZE], reason[LOG_QUOTED_SIZE];

	log_info(0, "job conn=%s server=%s user=%s job=%s status=%u%s%s duration=%.3f",
		 log_conn(id, c->row.id), c->server->set.name,
		 log_quote(user, sizeof(user), c->login->user, strlen(c->login->user)),
		 log_quote(job, sizeof(job), words, strlen(words)), status,
		 why[0] != '\0' ? " reason=" : "", value(reason, sizeof(reason), why, ""),
		 seconds_since(c->accepted));
}
