/*
 * How a mailbox job and who asked for it speak, over a stream: lines that end
 * with LF and begin with one octet that says what they are.  Neither end
 * believes the other.
 */
#ifndef POP3D_COMMON_JOB_H
#define POP3D_COMMON_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum {
	JOB_TEXT = ':',	    /* a line of output; the other way, of input */
	JOB_ERROR = '!',    /* a line of what went wrong */
	JOB_ASK = '<',	    /* nothing behind it: send the input */
	JOB_END = '=',	    /* last: the exit status, a digit; the other way, the end of input */
	JOB_LINE_MAX = 8192 /* octets of a line of input, the first and the LF included */
};

/* Exit status of a job, and of pop3ctl(8). */
enum { JOB_DONE = 0, JOB_FAILED = 1, JOB_USAGE = 2 };

/* ---- the end that asked ---- */

/* What an octet of a job's stream is. */
enum job_octet {
	JOB_OCTET_NONE,	    /* of the frame */
	JOB_OCTET_TEXT,	    /* to be shown, by job_escape() */
	JOB_OCTET_TEXT_END, /* the end of such a line */
	JOB_OCTET_ERROR,    /* the same of what went wrong */
	JOB_OCTET_ERROR_END,
	JOB_OCTET_ASK,	 /* it wants its input */
	JOB_OCTET_END,	 /* the end: r->status is known */
	JOB_OCTET_BROKEN /* no job says such a thing: give it up */
};

/* Begins zeroed. */
struct job_reader {
	int kind;   /* of the line under way; 0: at a line's beginning */
	int status; /* the exit status, once it has ended */
	bool digit; /* and it was there */
};

enum job_octet job_read(struct job_reader *r, unsigned char octet);

/* Write an octet of a line so that it does nothing to a terminal: what is not printable ASCII (or a
 * TAB) as \xNN, the backslash as two. */
void job_escape(FILE *out, unsigned char octet);

/*
 * Make lines of input of `len` octets; *begun: a line is under way (begins false).  `out` has room
 * for JOB_ROOM(len).  The octets written.  job_input_end() writes at most JOB_ROOM(0).
 */
#define JOB_ROOM(len) (2 * (size_t)(len) + 3)
size_t job_input(const char *octets, size_t len, bool *begun, char *out);
size_t job_input_end(bool begun, char *out);

#endif
