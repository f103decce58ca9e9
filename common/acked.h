/*
 * How many octets of a session's output the client's TCP has acknowledged.  With
 * TLS only the worker can tell.  It writes that number to a counter that it shares
 * with the session, in a sealed memfd that master makes, and always before it
 * passes on what the client has sent; so a session that reads a command finds the
 * octets that were acknowledged when the command came.  The number serves the log,
 * the warnings and the history.
 */
#ifndef POP3D_ACKED_H
#define POP3D_ACKED_H

#include <stdint.h>

/* A new counter, 0; its descriptor, or -1 with errno. */
int acked_make(void);

/* Map the counter for the worker or for the session.  Takes the descriptor over.  NULL with errno.
 */
uint64_t *acked_map_to_tell(int fd);
const uint64_t *acked_map(int fd);

/* The worker has no more use for it (NULL: it has none). */
void acked_unmap(uint64_t *counter);

static inline void
acked_tell(uint64_t *counter, uint64_t octets)
{
	__atomic_store_n(counter, octets, __ATOMIC_RELEASE);
}

static inline uint64_t
acked_read(const uint64_t *counter)
{
	return __atomic_load_n(counter, __ATOMIC_ACQUIRE);
}

#endif
