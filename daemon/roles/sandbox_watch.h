/*
 * sandbox = log: a confined process hands over the listener of its seccomp
 * filter, and each call outside the filter is logged by name
 * (seccomp_unotify(2)).
 */
#ifndef POP3D_SANDBOX_WATCH_H
#define POP3D_SANDBOX_WATCH_H

#include <event2/event.h>

/* Log what comes on the listener `fd`, which is taken over; -1, or none at all: nothing. */
void sandbox_watch(struct event_base *base, int fd);

#endif
