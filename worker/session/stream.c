#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/acked.h"
#include "common/clock.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/peer.h"
#include "common/pop3.h"
#include "common/trace.h"
#include "worker/session/stream.h"

enum { LINGER_MS = 2000, LINGER_OCTETS = 65536, ACK_LOOK_MS = 10 };

enum { LINE_NONE = -1 };

/* Deadlines are reckoned with differences, so signed. */
static int64_t
now_ms(void)
{
	return (int64_t)clock_ms();
}

static void
stream_give_up(struct stream *s, enum stream_over why)
{
	if (s->over == STREAM_GOING)
		s->over = why;
}

void
stream_init(struct stream *s, int fd, struct channel *master, conn_id id, uint32_t idle_seconds)
{
	s->fd = fd;
	s->master = master;
	s->id = id;
	s->trace = 0;
	s->in_message = s->settled = false;
	s->over = STREAM_GOING;
	s->line_max = POP3_LINE_MAX;
	s->idle_ms = (int64_t)(idle_seconds > 0 ? idle_seconds : 1) * 1000;
	s->in_pos = s->in_len = s->seen = s->out_pos = s->out_len = 0;
	s->skipped = s->traced = s->received = s->sent = s->seen_before = 0;
	s->look_before = false;
	s->line_len = 0;
	s->scoreboard = NULL;
	s->acked = NULL;
	s->answer = NULL;
}

/* ---- from master ---- */

enum {
	STREAM_SERVES = 1,
	STREAM_ASKS = 2,   /* master, who has the lock, and waits for the answer */
	STREAM_SETTLED = 4 /* nothing can end it any more but its own work */
};

static int
stream_state(const void *who, const struct msg *m)
{
	const struct stream *s = who;

	(void)m;
	if (s->answer != NULL)
		return STREAM_ASKS;
	return s->settled ? STREAM_SETTLED : STREAM_SERVES;
}

static int
stream_state_asked(void *who, struct msg *m)
{
	struct stream *s = who;

	(void)m;
	s->is_asked = true;
	return 0;
}

static int
stream_takeover(void *who, struct msg *m)
{
	(void)m;
	stream_give_up(who, STREAM_TAKEN);
	return 0;
}

static int
stream_answered(void *who, struct msg *m)
{
	struct stream *s = who;

	*s->answer = m->u.lock_answer;
	s->answer = NULL;
	return 0;
}

static const struct inbox_row master_rows[] = {
    {MSG_STATE_ASK, INBOX_ALWAYS, 0, stream_state_asked},
    {MSG_TAKEOVER, STREAM_SERVES | STREAM_ASKS, STREAM_SETTLED, stream_takeover},
    /* late: nobody waits so long */
    {MSG_LOCK_ANSWER, STREAM_ASKS, STREAM_SERVES | STREAM_SETTLED, stream_answered},
};

static const struct inbox master_inbox = {master_rows, COUNT_OF(master_rows), stream_state};

int
stream_obey(struct stream *s, struct msg *m)
{
	int r = inbox_take(&master_inbox, s, m);

	if (r == -1)
		stream_give_up(s, STREAM_SHUTDOWN);
	msg_discard(m);
	return r;
}

/* Read what master has to say. */
static void
stream_hear_master(struct stream *s)
{
	struct msg m;
	int r;

	while ((r = channel_recv(s->master, &m)) == 1)
		if (stream_obey(s, &m) == -1)
			return;
	if (r == -1)
		stream_give_up(s, STREAM_SHUTDOWN);
}

/* A session that does not wait for its client is at work in the mailbox. */
static void
stream_show(const struct stream *s, enum scoreboard_wait wait)
{
	if (s->scoreboard != NULL)
		__atomic_store_n(&s->scoreboard->head.wait, (uint32_t)wait, __ATOMIC_RELAXED);
}

/* The client sent something, or took something. */
static void
stream_show_active(const struct stream *s)
{
	if (s->scoreboard == NULL)
		return;
	scoreboard_begin(s->scoreboard);
	s->scoreboard->head.active = clock_ms();
	scoreboard_end(s->scoreboard);
}

/*
 * Wait until the stream is ready for `events`, master's end of the channel
 * closes, or `deadline` (of now_ms) is past.  1: ready; 0: not.  A signal or
 * a word from master may end it early with 0.
 */
static int
stream_wait(struct stream *s, short events, int64_t deadline)
{
	struct pollfd pfd[2] = {{s->fd, events, 0}, {s->master->fd, POLLIN, 0}};
	int64_t left = deadline - now_ms();
	struct timespec ts;
	int ready;

	if (left < 0)
		left = 0;
	ts = (struct timespec){left / 1000, left % 1000 * 1000000};
	if (s->master->queued > 0)
		pfd[1].events |= POLLOUT;
	stream_show(s, SCOREBOARD_WAIT_CLIENT);
	ready = ppoll(pfd, 2, &ts, NULL);
	stream_show(s, SCOREBOARD_WAIT_DISK);
	if (ready <= 0)
		return 0;
	if ((pfd[1].revents & POLLOUT) != 0 && channel_flush(s->master) == -1)
		stream_give_up(s, STREAM_SHUTDOWN);
	if ((pfd[1].revents & ~POLLOUT) != 0)
		stream_hear_master(s);
	return pfd[0].revents != 0;
}

/* Wait until master takes more.  0, or -1: it is gone. */
static int
stream_await_master(struct stream *s)
{
	struct pollfd pfd = {s->master->fd, POLLOUT, 0};

	(void)ppoll(&pfd, 1, NULL, NULL);
	return channel_flush(s->master) == -1 ? -1 : 0;
}

void
stream_look(struct stream *s)
{
	if (stream_wait(s, 0, now_ms()) != 0) /* reset, or shut down both ways */
		stream_give_up(s, STREAM_CLIENT);
}

void
stream_report(struct stream *s, enum msg_type type, const void *body, size_t len)
{
	while (channel_put(s->master, type, body, len) == -1 && errno == ENOBUFS)
		if (stream_await_master(s) == -1)
			return;
}

void
stream_report_all(struct stream *s)
{
	while (s->master->queued > 0 && stream_await_master(s) == 0)
		;
}

/* Trace one line. */
static void
stream_trace(struct stream *s, bool from_client, const char *text, size_t len)
{
	struct msg_trace m = {.id = s->id, .from_client = from_client};

	if (len >= sizeof(m.text))
		len = sizeof(m.text) - 1;
	for (size_t i = 0; i < len; i++)
		m.text[i] = text[i] != '\0' ? text[i] : '?';
	m.text[len] = '\0';
	stream_report(s, MSG_TRACE, &m, offsetof(struct msg_trace, text) + len + 1);
}

/* Trace a command, or what may be shown of it. */
static void
stream_trace_line(struct stream *s, const char *line, size_t len)
{
	char text[TRACE_TEXT_SIZE];

	if ((s->trace & TRACE_SECRETS) == 0) {
		len = trace_mask(text, line, len, false);
		line = text;
	}
	stream_trace(s, true, line, len);
}

/* Trace what a response holds behind its first line: by lines, or, of a message, its length only.
 */
static void
stream_trace_more(struct stream *s, const char *octets, size_t len)
{
	if ((s->trace & TRACE_ALL) == 0)
		return;
	s->traced += len;
	if (s->in_message && (s->trace & TRACE_BODIES) == 0)
		return;
	for (const char *p = octets; p < octets + len; p++) {
		if (*p != '\n')
			s->line_text[s->line_len++] = *p;
		if (*p != '\n' && s->line_len < sizeof(s->line_text))
			continue;
		if (*p == '\n' && s->line_len > 0 && s->line_text[s->line_len - 1] == '\r')
			s->line_len--;
		stream_trace(s, false, s->line_text, s->line_len);
		s->line_len = 0;
	}
}

/* The last octets of a response have been put. */
static void
stream_trace_end(struct stream *s)
{
	char text[64];
	int n;

	if (s->in_message && (s->trace & (TRACE_ALL | TRACE_BODIES)) == TRACE_ALL) {
		n = snprintf(text, sizeof(text), "(%" PRIu64 " octets)", s->traced);
		stream_trace(s, false, text, (size_t)n);
	}
	s->in_message = false;
	s->traced = 0;
}

/* Take a line out of what was received: an event, or LINE_NONE. */
static int
line_take(struct stream *s, const char **line, size_t *len)
{
	const char *start = s->in + s->in_pos;
	size_t have = s->in_len - s->in_pos, n;
	const char *lf = memchr(start + s->seen, '\n', have - s->seen);
	uint64_t total;

	n = lf != NULL ? (size_t)(lf - start) : have;
	total = s->skipped + n;
	if (total > POP3_JUNK_MAX && total > s->line_max) {
		stream_give_up(s, STREAM_ABUSE);
		return STREAM_END;
	}
	if (lf == NULL) {
		s->seen = have;
		return LINE_NONE;
	}
	s->in_pos += n + 1;
	s->seen = 0;
	s->skipped = 0;
	if (total + 1 > s->line_max)
		return STREAM_LONG;
	if (n > 0 && start[n - 1] == '\r')
		n--;
	*line = start;
	*len = n;
	return STREAM_LINE;
}

/* Make room for input, once all complete lines were taken. */
static void
line_compact(struct stream *s)
{
	size_t have = s->in_len - s->in_pos;

	if (have >= s->line_max) {
		s->skipped += have;
		have = s->seen = 0;
	} else if (have > 0 && s->in_pos > 0) {
		memmove(s->in, s->in + s->in_pos, have);
	}
	s->in_pos = 0;
	s->in_len = have;
}

/* Receive what is there. */
static void
stream_receive(struct stream *s)
{
	ssize_t n;

	line_compact(s);
	n = recv(s->fd, s->in + s->in_len, sizeof(s->in) - s->in_len, MSG_DONTWAIT);
	if (n > 0) {
		s->in_len += (size_t)n;
		s->received += (uint64_t)n;
		stream_show_active(s);
	} else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR))
		stream_give_up(s, STREAM_CLIENT);
}

/*
 * Octets sent that the client has not got yet.  While they get fewer the
 * client is not idle, though we have nothing left to send.
 */
static int
stream_unread_output(const struct stream *s)
{
	int octets = 0;

	return ioctl(s->fd, SIOCOUTQ, &octets) == 0 ? octets : 0;
}

uint64_t
stream_acked(const struct stream *s)
{
	uint64_t unread, told;

	if (s->acked != NULL) {
		told = acked_read(s->acked);
		return told < s->sent ? told : s->sent;
	}
	unread = (uint64_t)stream_unread_output(s);
	return unread < s->sent ? s->sent - unread : 0;
}

void
stream_await_acked(struct stream *s, uint64_t octets, int ms)
{
	int64_t now = now_ms(), deadline = now + ms;

	for (; s->acked == NULL && stream_acked(s) < octets && now < deadline; now = now_ms())
		if (stream_wait(s, 0, now + ACK_LOOK_MS) != 0)
			return;
}

/* Wait for input until the idle limit. */
static void
stream_await_input(struct stream *s, int64_t *deadline, int *unread)
{
	int64_t now = now_ms(), tick = s->idle_ms / 4, until = *deadline;
	int left;

	if (tick > PEER_LOOK_MS)
		tick = PEER_LOOK_MS;
	if (*unread != 0 && until > now + tick)
		until = now + tick;
	if (stream_wait(s, POLLIN, until) == 1) {
		stream_receive(s);
		return;
	}
	if (s->is_asked && s->asked != NULL) {
		s->is_asked = false;
		s->asked(s->asked_arg);
	}
	if ((now = now_ms()) < until)
		return;
	left = *unread != 0 ? stream_unread_output(s) : 0;
	if (left > 0 ? left != *unread : *unread > 0) {
		*deadline = now + s->idle_ms;
		if (*unread > 0) /* not at the first look */
			stream_show_active(s);
	} else if (now >= *deadline) {
		stream_give_up(s, STREAM_TIMEOUT);
	} else if (left > 0 && peer_is_dead(s->fd) == 1) {
		stream_give_up(s, STREAM_DEAD);
	}
	*unread = left;
}

enum stream_event
stream_line(struct stream *s, const char **line, size_t *len)
{
	int64_t deadline = 0;
	int unread = -1, event;

	while (!stream_is_over(s)) {
		if ((event = line_take(s, line, len)) != LINE_NONE) {
			if (s->trace != 0 && event == STREAM_LINE)
				stream_trace_line(s, *line, *len);
			return (enum stream_event)event;
		}
		stream_flush(s);
		if (stream_is_over(s))
			break;
		if (deadline == 0)
			deadline = now_ms() + s->idle_ms;
		stream_await_input(s, &deadline, &unread);
	}
	return STREAM_END;
}

/* What has come by now is no answer to what is sent next. */
static void
stream_note_input(struct stream *s)
{
	int octets = 0;

	if (s->look_before && ioctl(s->fd, FIONREAD, &octets) == 0)
		s->seen_before = s->received + (uint64_t)octets;
}

void
stream_flush(struct stream *s)
{
	int64_t deadline = 0, look;
	ssize_t n;

	while (s->out_pos < s->out_len && !stream_is_over(s)) {
		size_t want = s->out_len - s->out_pos;

		stream_note_input(s);
		n = send(s->fd, s->out + s->out_pos, want, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			s->out_pos += (size_t)n;
			s->sent += (uint64_t)n;
			stream_show_active(s);
			if ((size_t)n == want)
				break;
			deadline = now_ms() + s->idle_ms;
		} else if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
			stream_give_up(s, STREAM_CLIENT);
			break;
		}
		if (deadline == 0)
			deadline = now_ms() + s->idle_ms;
		look = now_ms() + PEER_LOOK_MS;
		if (stream_wait(s, POLLOUT, look < deadline ? look : deadline) != 0)
			continue;
		if (now_ms() >= deadline)
			stream_give_up(s, STREAM_TIMEOUT);
		else if (now_ms() >= look && peer_is_dead(s->fd) == 1)
			stream_give_up(s, STREAM_DEAD);
	}
	s->out_pos = s->out_len = 0;
	s->look_before = false;
}

char *
stream_room(struct stream *s, size_t need)
{
	if (s->out_len + need > STREAM_OUT_SIZE - STREAM_RESERVE)
		stream_flush(s);
	return s->out + s->out_len;
}

void
stream_filled(struct stream *s, size_t len)
{
	stream_trace_more(s, s->out + s->out_len, len);
	s->out_len += len;
}

void
stream_put(struct stream *s, const char *octets, size_t len)
{
	memcpy(stream_room(s, len), octets, len);
	stream_filled(s, len);
}

void
stream_put_end(struct stream *s, const char *tail, size_t len)
{
	static const char terminator[3] = {'.', '\r', '\n'};

	memcpy(s->out + s->out_len, tail, len);
	memcpy(s->out + s->out_len + len, terminator, sizeof(terminator));
	stream_filled(s, len + sizeof(terminator));
	stream_trace_end(s);
}

void
stream_reply(struct stream *s, const char *fmt, ...)
{
	char *line = stream_room(s, POP3_RESPONSE_MAX);
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, POP3_RESPONSE_MAX - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		n = 0;
	if (n > POP3_RESPONSE_MAX - 2)
		n = POP3_RESPONSE_MAX - 2;
	if (s->trace != 0)
		stream_trace(s, false, line, (size_t)n);
	line[n++] = '\r';
	line[n++] = '\n';
	s->out_len += (size_t)n;
}

/* Somebody may still read what was sent. */
static const bool lingers[STREAM_OVER_COUNT] = {
    [STREAM_GOING] = true, [STREAM_TIMEOUT] = true, [STREAM_ABUSE] = true};

/* Read until the client has seen our end. */
static void
stream_linger(struct stream *s)
{
	int64_t deadline = now_ms() + LINGER_MS;
	size_t taken = 0;
	ssize_t n;

	while (taken < LINGER_OCTETS && now_ms() < deadline && lingers[s->over]) {
		if (stream_wait(s, POLLIN, deadline) == 0)
			continue;
		n = recv(s->fd, s->in, sizeof(s->in), MSG_DONTWAIT);
		if (n == 0 || (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK))
			break;
		taken += n > 0 ? (size_t)n : 0;
	}
}

void
stream_finish(struct stream *s)
{
	enum stream_over over = s->over;

	/* A client that has only closed its own side gets the answers still due. */
	if (over == STREAM_CLIENT || over == STREAM_ABUSE || over == STREAM_GOING) {
		s->over = STREAM_GOING;
		stream_flush(s);
	}
	(void)shutdown(s->fd, SHUT_WR);
	if (lingers[over])
		stream_linger(s);
	(void)close(s->fd);
	s->fd = -1;
	s->over = over != STREAM_GOING ? over : s->over;
}
