/*
 * Stored octets to octets on the wire, piece by piece: LF becomes CRLF, CRLF
 * stays, a bare CR is an ordinary octet, a dot that begins a line is doubled,
 * a last line without end gets one (RFC 1939 sections 3 and 11).
 * Pure: no input or output; all state between pieces is in struct wire.
 */
#ifndef POP3D_WIRE_H
#define POP3D_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wire {
	uint64_t octets;     /* of the message so far as LIST counts them: without added dots */
	uint64_t line_len;   /* stored octets of the line under way */
	uint64_t lines_left; /* TOP: body lines still to come */
	bool cr;	     /* the last octet was CR */
	bool top;	     /* stop after the headers, the blank line and lines_left lines */
	bool body;	     /* TOP: the blank line has passed */
	bool done;	     /* TOP: all is sent that was asked for */
};

/* Room that `len` stored octets may need on the wire. */
#define WIRE_ROOM(len) (2 * (size_t)(len))

/* What wire_finish may add. */
enum { WIRE_FINISH_ROOM = 2 };

/* Begin a whole message (RETR). */
void wire_begin(struct wire *w);

/* Begin headers, blank line and the first `lines` lines of the body (TOP, RFC 1939 section 7). */
void wire_begin_top(struct wire *w, uint64_t lines);

/* Convert the next `len` stored octets into `out` of WIRE_ROOM(len) octets.
 * Returns the octets written; nothing more once w->done. */
size_t wire_convert(struct wire *w, const char *in, size_t len, char *out);

/* End the message: closes an open last line.  Returns the octets written to out. */
size_t wire_finish(struct wire *w, char out[WIRE_FINISH_ROOM]);

/* Count the next `len` stored octets without converting them. */
void wire_count(struct wire *w, const char *in, size_t len);

/* The size that LIST tells, once all octets were counted. */
uint64_t wire_count_total(const struct wire *w);

#endif
