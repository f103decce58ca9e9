/*
 * What the parts of master share: one struct, one per process, passed along.
 * Each part keeps its own state behind a pointer that only it looks into.  The
 * folders are in layers, and each calls only those above it in this list:
 *
 *   log/      the lines of other processes, syslog
 *   conf/     the settings
 *   ports/    named servers, listening sockets, limits at the door
 *   roles/    the processes of the other roles and their channels
 *   table/    the connection table, and the way of a connection
 *   change.h  new settings and certificates
 *   serve/    one-user mode
 *   control/  the control socket
 *   steps.h   settling, the tick, stop
 *   master.h  start, signals, the end
 *
 * What a lower one has to tell goes through a table of functions that it is given
 * (role_calls, ports_calls, report_sink), a list of who waits (waiters.h), or is found
 * in its state when master settles (settle.h).
 */
#ifndef POP3D_BASE_H
#define POP3D_BASE_H

#include <event2/event.h>
#include <stdbool.h>

#include "daemon/conf/conf.h"
#include "daemon/settle.h"
#include "daemon/users.h"

struct change;
struct conns;
struct helper;
struct keys;
struct control;
struct listeners;
struct receipts;
struct role_calls;
struct role_trouble;
struct servers;
struct sessions;
struct waiters;
struct workers;

/* What was asked for; one that asks for more goes over one that asks for less. */
enum master_stop { MASTER_STOP_NOT, MASTER_STOP_DRAIN, MASTER_STOP_NOW };

enum master_state { MASTER_STARTING, MASTER_SERVING, MASTER_STOPPING };

/* The ids of the accounts and groups that the settings name. */
struct master {
	struct event_base *base;
	enum master_state state;
	enum master_stop stop, stop_done; /* asked for; begun */
	bool announced;			  /* that it serves */
	unsigned ticks;			  /* seconds since the start */
	uint64_t started;		  /* clock_ms() */
	const char *conf_path;
	int64_t conf_read; /* the time of time(2) before it was read last without a fault */
	struct conf *conf; /* in force */
	bool rootless;	   /* effective uid not 0 */
	const struct role_calls *calls;
	struct role_trouble *trouble; /* ROLE_COUNT of them */
	struct accounts accounts;
	struct change *change;
	struct conns *conns;
	struct control *control;
	struct helper *helper;
	struct keys *keys;
	struct listeners *listeners;
	struct receipts *receipts;
	struct servers *servers;
	struct sessions *sessions;
	struct settle *settle;
	struct waiters *waiters;
	struct workers *workers;
};

/* Ask master to stop: it lets connections end up to a limit, or ends them at once. */
static inline void
master_stop(struct master *m, bool at_once)
{
	enum master_stop how = at_once ? MASTER_STOP_NOW : MASTER_STOP_DRAIN;

	if (m->stop < how)
		m->stop = how;
	settle_soon(m->settle);
}

#endif
