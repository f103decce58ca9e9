/*
 * A client's stream after login: command lines in, replies out, and the watch
 * on master's channel while waiting for either.
 *
 * The stream's blocking flag belongs to several processes, so nothing here
 * looks at it: every call says MSG_DONTWAIT and waits with ppoll(2).
 * Output is gathered and leaves only when no further complete command is
 * there, or when it must make room.  After the stream is over, output is
 * dropped, so that only loops have to look at stream_is_over().
 */
#ifndef POP3D_STREAM_H
#define POP3D_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/channel.h"
#include "common/scoreboard.h"

enum {
	STREAM_IN_SIZE = 16384,
	STREAM_OUT_SIZE = 2 * 65536 + 4096, /* holds a stored block at its longest */
	STREAM_LINE_SIZE = 1024,	    /* longer lines are traced in pieces */
	STREAM_RESERVE = 8		    /* kept for the end of a message and its terminator */
};

/* Why there is nothing more to come.  STREAM_GOING: there may be. */
enum stream_over {
	STREAM_GOING,
	STREAM_CLIENT,	 /* end of file or reset by the client */
	STREAM_DEAD,	 /* the client vanished silently: nothing more is sent */
	STREAM_TIMEOUT,	 /* no command, or no progress in sending, for the idle limit */
	STREAM_ABUSE,	 /* a line without end */
	STREAM_SHUTDOWN, /* master went away or said so */
	STREAM_TAKEN,	 /* another login takes the mailbox over */
	STREAM_OVER_COUNT
};

enum stream_event {
	STREAM_LINE, /* a command line */
	STREAM_LONG, /* one that was too long has been thrown away */
	STREAM_END   /* see s->over */
};

struct stream {
	int fd; /* -1: closed */
	struct channel *master;
	conn_id id;
	uint32_t trace;		  /* report lines to master: TRACE_… */
	bool in_message;	  /* what is put now is a message, until its end */
	bool is_asked;		  /* MSG_STATE_ASK came; answered while waiting for a command */
	void (*asked)(void *arg); /* how; NULL: not at all */
	void *asked_arg;
	struct msg_lock_answer
	    *answer;  /* MSG_LOCK_ASK was sent: where the answer goes, then NULL */
	bool settled; /* how the session ends is settled: MSG_TAKEOVER comes too late */
	struct scoreboard *scoreboard; /* where it shows what it waits for, and when the client last
					* sent or took anything; NULL: nowhere */
	enum stream_over over;
	int64_t idle_ms;
	size_t line_max;       /* octets of a line with its end; below STREAM_IN_SIZE */
	size_t in_pos, in_len; /* what was received and not yet taken */
	size_t seen;	       /* octets from in_pos on that hold no line end */
	uint64_t received;     /* octets in all */
	uint64_t sent;	       /* octets in all that the kernel has taken */
	const uint64_t *acked; /* of these, with TLS (common/acked.h); NULL: the socket tells */
	bool look_before;      /* set: note before the next octets are sent ... */
	uint64_t seen_before;  /* ... how many octets of input had come */
	uint64_t skipped;      /* octets thrown away of a line that is too long; 0: none */
	size_t out_pos, out_len;
	uint64_t traced; /* octets of the response's lines behind the first so far */
	size_t line_len; /* of the line of them that has not ended yet, in line_text */
	char line_text[STREAM_LINE_SIZE];
	char in[STREAM_IN_SIZE];
	char out[STREAM_OUT_SIZE];
};

/* Take ownership of fd.  `master` is borrowed; idle_seconds of 0 counts as 1. */
void stream_init(struct stream *s, int fd, struct channel *master, conn_id id,
		 uint32_t idle_seconds);

/*
 * The next command line, without its line end (CRLF or a bare LF); it points
 * into the stream and is good until the next call.  Sends what waits before it
 * waits itself.  RFC 1939 section 3, RFC 2449 section 4.
 */
enum stream_event stream_line(struct stream *s, const char **line, size_t *len);

/* Put octets as they are; sends when there is no room. */
void stream_put(struct stream *s, const char *octets, size_t len);

/* Put the first line of a response: CRLF is added, and it is traced. */
void stream_reply(struct stream *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* End a multi-line response with `len` octets (up to 5) that still belong to it and the terminator.
 * Room for these is kept always, so that the terminator leaves with what was put before it. */
void stream_put_end(struct stream *s, const char *tail, size_t len);

/* Room for `need` octets (at most STREAM_OUT_SIZE - STREAM_RESERVE), to be filled by the caller
 * and told with stream_filled(). */
char *stream_room(struct stream *s, size_t need);
void stream_filled(struct stream *s, size_t len);

/* Octets of the input up to the end of the line that was taken last. */
static inline uint64_t
stream_taken(const struct stream *s)
{
	return s->received - (s->in_len - s->in_pos);
}

/* Octets of the output up to the end of what was put last. */
static inline uint64_t
stream_put_so_far(const struct stream *s)
{
	return s->sent + (s->out_len - s->out_pos);
}

/* Octets of the output that the client's TCP has acknowledged, as far as is certain; with TLS,
 * when the client's last octets came at least. */
uint64_t stream_acked(const struct stream *s);

/* Wait until so many are acknowledged, no longer than `ms` milliseconds, and with TLS not at all.
 */
void stream_await_acked(struct stream *s, uint64_t octets, int ms);

/* In the midst of long work: have client or master gone?  Then the stream is over. */
void stream_look(struct stream *s);

/* Send all that waits.  Gives up as s->over says. */
void stream_flush(struct stream *s);

static inline bool
stream_is_over(const struct stream *s)
{
	return s->over != STREAM_GOING;
}

/*
 * End the stream: send what waits, shut down, read and discard until the
 * client's end, 64 KB or two seconds (closing with unread input resets a
 * connection and can lose its last line), close.
 */
void stream_finish(struct stream *s);

/* Do as a message from master says, and discard it.  0, or -1: it breaks a rule, and the stream is
 * over. */
int stream_obey(struct stream *s, struct msg *m);

/* Send a message to master, waiting for room as long as there is a master: nothing that is reported
 * gets lost. */
void stream_report(struct stream *s, enum msg_type type, const void *body, size_t len);

/* Wait until master has all that was reported. */
void stream_report_all(struct stream *s);

#endif
