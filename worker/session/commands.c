#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "common/pop3.h"
#include "worker/session/score.h"
#include "worker/session/commands.h"
#include "worker/session/receipt.h"
#include "worker/store/wire.h"

enum {
	READ_BLOCK = 65536,
	LOOK_MS = 1000, /* while messages are read for their sizes: how often client and master
			 * are looked at */
	LISTING_ROOM = 2 * 20 + 3 + STORE_UID_SIZE /* two numbers or number and uid, SP, CRLF */
};

static const char *const failures[STORE_RESULT_COUNT] = {
    [STORE_TEMP] = "-ERR [SYS/TEMP] the message cannot be read now",
    [STORE_PERM] = "-ERR [SYS/PERM] the message cannot be read; the server's log says why",
    [STORE_MISSING] = "-ERR [SYS/TEMP] the message has been removed by another program",
};

/* The message that the first argument names.  0; -1: there is none, and that was said. */
static int
message_find(struct session *ss, const struct pop3_command *c, size_t *i)
{
	uint64_t n;

	if (pop3_number(c->argv[0], c->arg_len[0], &n) == -1 || n == 0 || n > ss->store.count) {
		stream_reply(&ss->stream, "-ERR no such message");
		return -1;
	}
	*i = (size_t)(n - 1);
	if (store_is_marked(ss->marked, *i)) {
		stream_reply(&ss->stream, "-ERR no such message: it is marked as deleted");
		return -1;
	}
	return 0;
}

/* Is it in a file that cannot be sent, such as one compressed in a form that is not inflated? */
static bool
message_is_refused(struct session *ss, size_t i)
{
	const struct store_backend *backend = ss->store.backend;

	return backend->refused != NULL && backend->refused(&ss->store, i);
}

/* Sum of the sizes of all messages not marked; afterwards every one of them is known. */
static int
octets_find(struct session *ss)
{
	struct store *s = &ss->store;
	uint64_t sum = 0, octets, looked = clock_ms();
	enum store_result result;

	if (ss->octets_known)
		return 0;
	for (size_t i = 0; i < s->count; i++) {
		if (store_is_marked(ss->marked, i))
			continue;
		if ((result = s->backend->size(s, i, true, &octets)) != STORE_OK) {
			stream_reply(&ss->stream, "%s", failures[result]);
			return -1;
		}
		sum += octets;
		if (clock_ms() - looked < LOOK_MS)
			continue;
		/* the first reading of a large mailbox takes minutes */
		stream_look(&ss->stream);
		if (stream_is_over(&ss->stream))
			return -1;
		looked = clock_ms();
	}
	if (ss->marked_count == 0)
		s->octets = sum;
	ss->octets = sum;
	ss->octets_known = true;
	return 0;
}

static enum command_event
command_stat(struct session *ss, const struct pop3_command *c)
{
	(void)c;
	if (octets_find(ss) == 0)
		stream_reply(&ss->stream, "+OK %" PRIu64 " %" PRIu64,
			     ss->store.count - ss->marked_count, ss->octets);
	return COMMAND_GO_ON;
}

static char *
put_number(char *p, uint64_t n)
{
	char digits[20];
	size_t len = 0;

	do
		digits[len++] = (char)('0' + n % 10);
	while ((n /= 10) > 0);
	while (len > 0)
		*p++ = digits[--len];
	return p;
}

/* Writes what a listing says of message i behind its number. */
typedef char *listing(struct session *ss, size_t i, char *p);

static char *
listing_size(struct session *ss, size_t i, char *p)
{
	uint64_t octets;

	if (ss->store.backend->size(&ss->store, i, true, &octets) != STORE_OK)
		ss->store.lost = true;
	return put_number(p, octets);
}

static char *
listing_uid(struct session *ss, size_t i, char *p)
{
	ss->store.backend->uid(&ss->store, i, p);
	return p + strlen(p);
}

static void
put_listing(struct session *ss, listing *say)
{
	char *start, *p;

	for (size_t i = 0; i < ss->store.count && !stream_is_over(&ss->stream); i++) {
		if (store_is_marked(ss->marked, i))
			continue;
		start = stream_room(&ss->stream, LISTING_ROOM);
		p = put_number(start, i + 1);
		*p++ = ' ';
		p = say(ss, i, p);
		if (ss->store.lost) /* the listing is cut off rather than wrong */
			return;
		*p++ = '\r';
		*p++ = '\n';
		stream_filled(&ss->stream, (size_t)(p - start));
	}
	stream_put_end(&ss->stream, "", 0);
}

static enum command_event
command_list(struct session *ss, const struct pop3_command *c)
{
	struct store *s = &ss->store;
	enum store_result result;
	uint64_t octets;
	size_t i;

	if (c->argc == 0) {
		if (octets_find(ss) == 0) {
			stream_reply(&ss->stream, "+OK %" PRIu64 " messages (%" PRIu64 " octets)",
				     s->count - ss->marked_count, ss->octets);
			put_listing(ss, listing_size);
		}
	} else if (message_find(ss, c, &i) == 0) {
		result = s->backend->size(s, i, true, &octets);
		if (result == STORE_OK)
			stream_reply(&ss->stream, "+OK %zu %" PRIu64, i + 1, octets);
		else
			stream_reply(&ss->stream, "%s", failures[result]);
	}
	return COMMAND_GO_ON;
}

static enum command_event
command_uidl(struct session *ss, const struct pop3_command *c)
{
	char uid[STORE_UID_SIZE];
	size_t i;

	if (c->argc == 0) {
		stream_reply(&ss->stream, "+OK unique-id listing follows");
		put_listing(ss, listing_uid);
	} else if (message_find(ss, c, &i) == 0) {
		ss->store.backend->uid(&ss->store, i, uid);
		if (ss->store.lost)
			stream_reply(&ss->stream, "%s", failures[STORE_TEMP]);
		else
			stream_reply(&ss->stream, "+OK %zu %s", i + 1, uid);
	}
	return COMMAND_GO_ON;
}

/* A message under way from the store to the stream. */
struct transfer {
	size_t i;
	struct store_reader reader;
	ssize_t len; /* of what is in the block */
	char *block;
};

/* A message was not read to its end. */
static void
transfer_failed(const struct session *ss, const struct transfer *t)
{
	log_error(ss->grant.id, "reading message %zu of %s failed: %s", t->i + 1, ss->store.path,
		  store_reader_why(&t->reader));
}

/* Read the first block.  A compressed message is known to be whole before any of it is sent. */
static enum store_result
transfer_first(struct session *ss, struct transfer *t)
{
	enum store_result result = STORE_OK;
	uint64_t octets;

	t->len = store_read(&t->reader, t->block, READ_BLOCK);
	if (t->len == -1) {
		result = store_judge(errno);
		transfer_failed(ss, t);
	} else if (t->reader.packed) {
		result = ss->store.backend->size(&ss->store, t->i, true, &octets);
		if (result == STORE_OK && message_is_refused(ss, t->i))
			result = STORE_PERM;
	}
	return result;
}

/* Open message t->i and read its first block, so that what is wrong shows before "+OK".
 * 0; -1: it cannot be had, and that was said. */
static int
transfer_begin(struct session *ss, struct transfer *t)
{
	static char block[READ_BLOCK];
	enum store_result result;

	t->block = block;
	result = ss->store.backend->get(&ss->store, t->i, &t->reader);
	if (result == STORE_OK && (result = transfer_first(ss, t)) != STORE_OK)
		store_reader_end(&t->reader);
	if (result == STORE_OK)
		return 0;
	stream_reply(&ss->stream, "%s", failures[result]);
	return -1;
}

/* The size of the message, found without reading a small one twice. */
static enum store_result
transfer_size(struct session *ss, const struct transfer *t, uint64_t *octets)
{
	const struct store_backend *backend = ss->store.backend;
	struct wire w;

	if (backend->size(&ss->store, t->i, false, octets) == STORE_OK && *octets != STORE_NO_SIZE)
		return STORE_OK;
	if (t->reader.pos < t->reader.end)
		return backend->size(&ss->store, t->i, true, octets);
	wire_begin(&w);
	wire_count(&w, t->block, (size_t)t->len);
	*octets = wire_count_total(&w);
	backend->keep_size(&ss->store, t->i, *octets);
	return STORE_OK;
}

/* Send the message as `w` says, and end the response. */
static enum command_event
transfer_send(struct session *ss, struct transfer *t, struct wire *w)
{
	struct stream *s = &ss->stream;
	char tail[WIRE_FINISH_ROOM];

	s->in_message = true;
	while (t->len > 0 && !w->done && !stream_is_over(s)) {
		char *out = stream_room(s, WIRE_ROOM(t->len));

		stream_filled(s, wire_convert(w, t->block, (size_t)t->len, out));
		if (!w->done)
			t->len = store_read(&t->reader, t->block, READ_BLOCK);
	}
	if (t->len == -1)
		transfer_failed(ss, t);
	store_reader_end(&t->reader);
	if (t->len == -1)
		return COMMAND_BROKEN;
	stream_put_end(s, tail, wire_finish(w, tail));
	return COMMAND_GO_ON;
}

/* The message that was sent has another size than LIST said. */
static void
message_missized(struct session *ss, size_t i, uint64_t octets, uint64_t told)
{
	log_warn(ss->grant.id, "message %zu of %s has %" PRIu64 " octets, but LIST said %" PRIu64,
		 i + 1, ss->store.path, octets, told);
	if (ss->store.backend->forget_size != NULL)
		ss->store.backend->forget_size(&ss->store, i);
}

static enum command_event
command_retr(struct session *ss, const struct pop3_command *c)
{
	enum command_event event;
	enum store_result result;
	struct transfer t;
	struct wire w;
	uint64_t octets;

	if (message_find(ss, c, &t.i) == -1 || transfer_begin(ss, &t) == -1)
		return COMMAND_GO_ON;
	if ((result = transfer_size(ss, &t, &octets)) != STORE_OK) {
		store_reader_end(&t.reader);
		stream_reply(&ss->stream, "%s", failures[result]);
		return COMMAND_GO_ON;
	}
	stream_reply(&ss->stream, "+OK %" PRIu64 " octets", octets);
	wire_begin(&w);
	event = transfer_send(ss, &t, &w);
	if (event != COMMAND_GO_ON || stream_is_over(&ss->stream))
		return event;
	if (w.octets != octets)
		message_missized(ss, t.i, w.octets, octets);
	delivery_put(ss, t.i, w.octets, true);
	ss->sent++;
	ss->sent_octets += w.octets;
	return event;
}

static enum command_event
command_top(struct session *ss, const struct pop3_command *c)
{
	enum command_event event;
	struct transfer t;
	struct wire w;
	uint64_t lines;

	if (pop3_number(c->argv[1], c->arg_len[1], &lines) == -1) {
		stream_reply(&ss->stream, "-ERR not a number of lines");
		return COMMAND_GO_ON;
	}
	if (message_find(ss, c, &t.i) == -1 || transfer_begin(ss, &t) == -1)
		return COMMAND_GO_ON;
	stream_reply(&ss->stream, "+OK top of the message follows");
	wire_begin_top(&w, lines);
	event = transfer_send(ss, &t, &w);
	if (event == COMMAND_GO_ON && !stream_is_over(&ss->stream)) {
		ss->end.topped++;
		/* Some clients fetch whole messages by TOP with a very large number. */
		if (!w.done)
			delivery_put(ss, t.i, w.octets, false);
	}
	return event;
}

static enum command_event
command_dele(struct session *ss, const struct pop3_command *c)
{
	uint64_t octets;
	size_t i;

	if (message_find(ss, c, &i) == -1)
		return COMMAND_GO_ON;
	if (message_is_refused(ss, i)) {
		stream_reply(&ss->stream,
			     "-ERR [SYS/PERM] not deleted: the message cannot be read, and so "
			     "nobody has seen it");
		return COMMAND_GO_ON;
	}
	store_mark(ss->marked, i);
	ss->marked_count++;
	score_marked(ss, i);
	(void)ss->store.backend->size(&ss->store, i, false, &octets);
	ss->octets_known = ss->octets_known && octets != STORE_NO_SIZE;
	ss->octets -= octets;
	stream_reply(&ss->stream, "+OK marked to be deleted");
	return COMMAND_GO_ON;
}

static enum command_event
command_rset(struct session *ss, const struct pop3_command *c)
{
	(void)c;
	memset(ss->marked, 0, (ss->store.count / 64 + 1) * sizeof(ss->marked[0]));
	ss->octets = ss->store.octets;
	ss->octets_known = ss->octets != STORE_NO_SIZE;
	ss->marked_count = 0;
	score_unmarked(ss);
	stream_reply(&ss->stream, "+OK %zu messages", ss->store.count);
	return COMMAND_GO_ON;
}

static enum command_event
command_noop(struct session *ss, const struct pop3_command *c)
{
	(void)c;
	stream_reply(&ss->stream, "+OK nothing done");
	return COMMAND_GO_ON;
}

static enum command_event
command_quit(struct session *ss, const struct pop3_command *c)
{
	(void)ss;
	(void)c;
	return COMMAND_QUIT;
}

static enum command_event
command_capa(struct session *ss, const struct pop3_command *c)
{
	/* What let this client in is still announced: RFC 2449 section 5. */
	const struct pop3_capa capa = {.login_allowed = true, .after_login = true};
	char text[POP3_CAPA_MAX];
	size_t len = pop3_capa(&capa, text), first;

	(void)c;
	first = (size_t)((char *)memchr(text, '\r', len) - text);
	stream_reply(&ss->stream, "%.*s", (int)first, text);
	stream_put(&ss->stream, text + first + 2, len - first - 2);
	return COMMAND_GO_ON;
}

static enum command_event
command_too_late(struct session *ss, const struct pop3_command *c)
{
	(void)c;
	stream_reply(&ss->stream, "-ERR client already authenticated");
	return COMMAND_GO_ON;
}

/* Arguments as pop3_parse counts them: 3 stands for any number above 2. */
static const struct command {
	char keyword[5];
	unsigned min, max;
	enum command_event (*run)(struct session *ss, const struct pop3_command *c);
} commands[] = {
    {"RETR", 1, 1, command_retr},     {"DELE", 1, 1, command_dele},
    {"TOP", 2, 2, command_top},	      {"LIST", 0, 1, command_list},
    {"UIDL", 0, 1, command_uidl},     {"STAT", 0, 0, command_stat},
    {"NOOP", 0, 0, command_noop},     {"RSET", 0, 0, command_rset},
    {"QUIT", 0, 0, command_quit},     {"CAPA", 0, 0, command_capa},
    {"USER", 0, 3, command_too_late}, {"PASS", 0, 3, command_too_late},
    {"APOP", 0, 3, command_too_late}, {"AUTH", 0, 3, command_too_late},
    {"STLS", 0, 3, command_too_late},
};

enum command_event
command_run(struct session *ss, const char *line, size_t len)
{
	enum command_event event;
	struct pop3_command c;

	if (pop3_parse(line, len, &c) == -1) {
		stream_reply(&ss->stream, "-ERR malformed command");
		return COMMAND_GO_ON;
	}
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *known = &commands[i];

		if (strcmp(known->keyword, c.keyword) != 0)
			continue;
		if (c.argc >= known->min && c.argc <= known->max) {
			event = known->run(ss, &c);
			if (ss->store.lost)
				event = COMMAND_BROKEN;
			score_command(ss, known->keyword);
			return event;
		}
		stream_reply(&ss->stream, "-ERR wrong number of arguments");
		return COMMAND_GO_ON;
	}
	stream_reply(&ss->stream, "-ERR unknown command");
	return COMMAND_GO_ON;
}
