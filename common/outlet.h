/*
 * Writing to a descriptor that came from whoever started us (standard error, standard output, a
 * file named on the command line) without ever waiting for its reader.  Some lines wait in memory
 * for a reader that is behind; those beyond are lost and counted.  A reader gets whole lines.
 */
#ifndef POP3D_OUTLET_H
#define POP3D_OUTLET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { OUTLET_SIZE = 65536 }; /* octets that can wait */

/* How one write can be kept from waiting. */
enum outlet_way {
	OUTLET_WRITE, /* it never waits: a file, or a descriptor of our own with O_NONBLOCK */
	OUTLET_SEND,  /* a socket: MSG_DONTWAIT */
	OUTLET_POLL   /* O_NONBLOCK is not ours to set: poll(2) before each write */
};

/* Zeroed: not open. */
struct outlet {
	bool open;
	enum outlet_way way;
	int fd;
	bool own;	    /* fd was opened here */
	bool cut;	    /* the first line that waits is written in part */
	bool failing;	    /* the last write failed, other than by a reader that is behind */
	unsigned long lost; /* lines */
	size_t len;	    /* of the octets that wait */
	char octets[OUTLET_SIZE];
};

/*
 * Write to `fd` from now on, which is borrowed.  A pipe or terminal is opened anew through /proc,
 * since O_NONBLOCK on `fd` would hold for every process that shares it; this needs the rights of
 * whoever made the pipe, so it comes before privs_become().  Where it is refused poll(2) is asked
 * before each write of at most PIPE_BUF octets, which then does not wait (pipe(7)).
 * SIGPIPE is ignored from here on.
 */
void outlet_open(struct outlet *o, int fd);

/* What waits is dropped. */
void outlet_close(struct outlet *o);

/* Write `len` octets, whole lines, behind those that wait. */
void outlet_put(struct outlet *o, const char *octets, size_t len);

/* Write what waits.  0: nothing waits any more; 1: the reader is behind. */
int outlet_flush(struct outlet *o);

/* The same, waiting for the reader until clock_ms() is `deadline`. */
void outlet_finish(struct outlet *o, uint64_t deadline);

/* Can a line be written at once, or is nobody there any more? */
bool outlet_is_ready(struct outlet *o);

/* The lines that were lost, once nothing waits and writing works; until then 0.  The caller tells
 * of them, and until it has asked all further lines are lost, too. */
unsigned long outlet_lost(struct outlet *o);

#endif
