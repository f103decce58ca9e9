/*
 * libFuzzer: what a client and master send to a session: pieces, each with an
 * octet for its kind and one for its length.  A piece is octets of the client's,
 * or a message of master's whose type its first octet names.  The maildrop has the
 * messages of a table.  However the commands are made, what comes out is one
 * response to each of them, in order and whole.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/count.h"
#include "common/pop3.h"
#include "tests/fuzz/lawful.h"
#include "tests/fuzz/quiet.h"
#include "worker/session/commands.h"
#include "worker/session/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum {
	INPUT_MAX = 2048, /* so that the answers have room in the kernel */
	LINES_MAX = 256,
	PIECE_MESSAGE = 4 /* of 8 kinds one is a message */
};

/* ---- a maildrop in memory ---- */

static const char *const mails[] = {
    "A: b\n\nbody\n", "A: b\r\n\r\n.\r\n..\r\nno end", "", "\n", "no header", ".\n.\n\n.",
};

static int files[COUNT_OF(mails)];

static enum store_result
fake_list(struct store *s)
{
	s->count = COUNT_OF(mails);
	s->octets = STORE_NO_SIZE;
	return STORE_OK;
}

static void
fake_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	(void)s;
	(void)snprintf(out, STORE_UID_SIZE, "uid%zu", i);
}

static enum store_result
fake_get(struct store *s, size_t i, struct store_reader *r)
{
	(void)s;
	*r = (struct store_reader){.fd = dup(files[i]), .end = strlen(mails[i])};
	return r->fd != -1 ? STORE_OK : STORE_TEMP;
}

static enum store_result
fake_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	struct store_reader r;

	*octets = STORE_NO_SIZE;
	if (!look)
		return STORE_OK;
	if (fake_get(s, i, &r) != STORE_OK || store_measure(&r, octets, NULL) == -1)
		abort();
	store_reader_end(&r);
	return STORE_OK;
}

static void
fake_keep_size(struct store *s, size_t i, uint64_t octets)
{
	uint64_t told;

	if (fake_size(s, i, true, &told) != STORE_OK || told != octets)
		abort(); /* what was sent is as long as what is told */
}

static const struct store_backend fake_store = {
    .name = "fake",
    .list = fake_list,
    .uid = fake_uid,
    .size = fake_size,
    .get = fake_get,
    .keep_size = fake_keep_size,
};

static void
make_mails(void)
{
	for (size_t i = 0; i < COUNT_OF(mails); i++) {
		size_t len = strlen(mails[i]);

		files[i] = memfd_create("mail", MFD_CLOEXEC);
		if (files[i] == -1 || write(files[i], mails[i], len) != (ssize_t)len)
			abort();
	}
}

/* ---- what comes in ---- */

static struct session ss;
static struct channel masters;
static int client;
static char input[INPUT_MAX + 1];
static size_t input_len;

static void
begin(void)
{
	static uint64_t bits[3];
	int pair[2], fd[2];

	memset(&ss, 0, sizeof(ss));
	if (channel_pair(pair) == -1 || socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == -1)
		abort();
	channel_init(&ss.master, pair[0], ROLE_SESSION, ROLE_MASTER, 8);
	channel_init(&masters, pair[1], ROLE_MASTER, ROLE_SESSION, 64);
	stream_init(&ss.stream, fd[0], &ss.master, 7, 60);
	client = fd[1];
	ss.grant.id = 7;
	ss.store.backend = &fake_store;
	ss.store.history_fd = -1;
	memset(bits, 0, sizeof(bits));
	ss.marked = &bits[0];
	ss.fetched = &bits[1];
	ss.delivered = &bits[2];
	ss.octets_known = false;
	(void)fake_list(&ss.store);
	input_len = 0;
}

static void
say(const uint8_t *piece, size_t len)
{
	static struct msg m;

	if (lawful_make(&m, ROLE_MASTER, ROLE_SESSION, piece, len) && m.nfds == 0)
		(void)channel_send(&masters, m.type, m.u.octets, m.len, NULL, 0);
}

static void
feed(const uint8_t *data, size_t size)
{
	while (size >= 2) {
		size_t len = data[1] < size - 2 ? data[1] : size - 2;

		if (data[0] % 8 == PIECE_MESSAGE)
			say(data + 2, len);
		else if (input_len + len <= INPUT_MAX) {
			memcpy(input + input_len, data + 2, len);
			input_len += len;
		}
		data += 2 + len;
		size -= 2 + len;
	}
	if (send(client, input, input_len, MSG_NOSIGNAL) != (ssize_t)input_len)
		abort();
	(void)shutdown(client, SHUT_WR);
}

/* ---- what comes out ---- */

/* The line at *p, moving *p behind its CRLF.  NULL: there is none that is whole. */
static const char *
line_next(const char **p, const char *end)
{
	const char *line = *p, *lf = memchr(line, '\n', (size_t)(end - line));

	if (lf == NULL)
		return NULL;
	if (lf == line || lf[-1] != '\r')
		abort();
	*p = lf + 1;
	return line;
}

/* All is responses, each multi-line one with its end.  Their number. */
static size_t
count_responses(const char *text, size_t len, const bool *multi, size_t asked)
{
	const char *p = text, *end = text + len, *line;
	size_t n = 0;

	while (p < end) {
		if ((line = line_next(&p, end)) == NULL || n >= asked)
			abort();
		if (strncmp(line, "+OK", 3) != 0 && strncmp(line, "-ERR", 4) != 0)
			abort();
		if (multi[n++] && line[0] == '+')
			do
				if ((line = line_next(&p, end)) == NULL)
					abort();
			while (strncmp(line, ".\r\n", 3) != 0);
	}
	return n;
}

/* What the command loop was given, as the stream cuts it: is the answer to it of several lines? */
static bool
is_multi(const char *line, size_t len)
{
	static const char *const always[] = {"RETR", "TOP", "CAPA"}, *const bare[] = {"LIST",
										      "UIDL"};
	struct pop3_command c;

	if (pop3_parse(line, len, &c) == -1)
		return false;
	for (size_t i = 0; i < COUNT_OF(always); i++)
		if (strcmp(c.keyword, always[i]) == 0)
			return true;
	for (size_t i = 0; i < COUNT_OF(bare); i++)
		if (strcmp(c.keyword, bare[i]) == 0)
			return c.argc == 0;
	return false;
}

static void
serve(void)
{
	static bool multi[INPUT_MAX + 1];
	static char out[1 << 20];
	enum command_event event = COMMAND_GO_ON;
	enum stream_event got;
	const char *line;
	size_t len, asked = 0;
	ssize_t n;

	while (event == COMMAND_GO_ON &&
	       (got = stream_line(&ss.stream, &line, &len)) != STREAM_END) {
		delivery_look(&ss);
		multi[asked++] = got == STREAM_LINE && is_multi(line, len);
		if (got == STREAM_LONG)
			stream_reply(&ss.stream, "-ERR line too long");
		else
			event = command_run(&ss, line, len);
	}
	if (event == COMMAND_BROKEN)
		abort(); /* every message can be read */
	if (event == COMMAND_QUIT)
		stream_reply(&ss.stream, "+OK bye");
	if (!stream_is_over(&ss.stream))
		stream_flush(&ss.stream);
	n = recv(client, out, sizeof(out), MSG_DONTWAIT);
	if (count_responses(out, n > 0 ? (size_t)n : 0, multi, asked) != asked &&
	    !stream_is_over(&ss.stream))
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static bool made;

	quiet();
	if (!made)
		make_mails();
	made = true;
	begin();
	feed(data, size);
	serve();
	if (ss.delivery.items != ss.delivery.few)
		free(ss.delivery.items);
	(void)close(client);
	(void)close(ss.stream.fd);
	channel_close(&ss.master);
	channel_close(&masters);
	return 0;
}
