/*
 * Which of the messages that were sent has the client got?  That the kernel has
 * taken their octets proves nothing: it keeps some hundred kilobytes for a client
 * that reads none.
 *
 * A message is delivered when the client's TCP has acknowledged its last octet.
 * It is confirmed when a command has come besides that was not there yet when
 * that octet was sent; one that was sent ahead (RFC 2449 section 6.6) proves
 * nothing.  What lies in the client's receive window cannot be told from what its
 * program has read.
 */
#ifndef POP3D_DELIVERY_H
#define POP3D_DELIVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct session;

/* One that was sent whole. */
struct delivery_item {
	size_t i;	 /* the message */
	uint64_t octets; /* on the wire */
	bool retrieved;	 /* by RETR; false: by TOP */
	uint64_t end;	 /* of the output, behind its last octet */
	uint64_t seen;	 /* octets of the input that were there before that was sent */
};

/* So many have room without malloc(3), of which the first in a session costs pages: its heap is
 * shared with the spawner (session/main.c). */
enum { DELIVERY_FEW = 32 };

struct delivery {
	struct delivery_item *items; /* sent and not confirmed, from `first` on, the oldest first */
	size_t first, left, count, room;	/* those before `left` have left for the client */
	struct delivery_item few[DELIVERY_FEW]; /* the room of most sessions */
};

/* Message i was put into the stream whole. */
void delivery_put(struct session *ss, size_t i, uint64_t octets, bool retrieved);

/* A command came: which messages does it confirm?  They are counted and told to the store. */
void delivery_look(struct session *ss);

/* QUIT came.  An acknowledgement that is on its way is waited for, up to a second; then it is
 * settled which of the others were delivered. */
void delivery_finish(struct session *ss);

/* Is message i delivered, as far as is known?  After delivery_finish(). */
bool delivery_is_done(const struct session *ss, size_t i);

#endif
