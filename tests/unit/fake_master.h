/*
 * A master without processes: its real parts, and beside it, in the same
 * process, the other ends of its channels.  A test says what a role says and
 * sees what a role hears.  The clock stands still until the test moves it.
 */
#ifndef POP3D_TESTS_FAKE_MASTER_H
#define POP3D_TESTS_FAKE_MASTER_H

#include <bsd/sys/queue.h>

#include "common/channel_event.h"
#include "daemon/base.h"

struct server;

/* A message that master has sent. */
struct fake_msg {
	TAILQ_ENTRY(fake_msg) next;
	enum msg_type type;
	size_t len, nfds;
	union {
		struct msg_conn_ref ref; /* most bodies begin with an id */
		struct msg_conn conn;
		struct msg_login_failed login_failed;
		struct msg_spawn spawn;
		struct msg_lock_answer lock_answer;
		uint32_t number; /* of a worker or server */
	} u;			 /* as much of it as the message has */
};

TAILQ_HEAD(fake_msgs, fake_msg);

/* A process of a role: the other end of a channel. */
struct fake_peer {
	TAILQ_ENTRY(fake_peer) next;
	enum role role;
	pid_t pid;
	struct evchannel *ec; /* master's end; NULL: master has closed it */
	bool slow;	      /* it does not read: what it is sent waits in master's queue */
	bool killed;	      /* by master */
	bool ended;	      /* its process is gone */
	int pidfd;	      /* master's, of a session; -1: none */
	int gone;	      /* eventfd(2): readable when the process is gone; -1: nobody looks */
	struct fake_msgs got;
	/* for the test's own use */
	int state;
	conn_id conn;
};

TAILQ_HEAD(fake_peers, fake_peer);

struct fake {
	struct master m;
	uint64_t now;		 /* clock_ms() */
	struct fake_peers peers; /* oldest first */
	uint64_t sent;		 /* messages, in all */
	uint64_t unlawful;	 /* that break a rule of msg.h */
	bool over;		 /* master has left its loop for good */
	bool no_process;	 /* none can be started */
	bool slow;		 /* processes that are started do not read */
	bool no_pair;		 /* socketpair(2) has no descriptors */
	unsigned no_pair_at;	 /* nor has the so-manieth of them; 0: no more */
};

extern struct fake fake;

/* A master with these settings (text of a configuration file), starting.  Its log goes nowhere. */
void fake_begin(const char *settings);
/* The same, serving: all its roles are ready. */
void fake_begin_serving(const char *settings);
/* Everything goes; a test that leaves something open is at fault. */
void fake_end(void);

/* Let master handle what waits, until it rests. */
void fake_loop(void);

/* Time passes, with a tick a second. */
void fake_pass(uint32_t ms);

/* The n-th process of a role whose channel is open, oldest first; NULL. */
struct fake_peer *fake_peer(enum role role, unsigned n);
unsigned fake_count(enum role role);

/* It says this, and master handles it.  `len` of 0: no body. */
void fake_say(struct fake_peer *p, enum msg_type type, const void *body, size_t len);
/* The same with a message of fewer octets: only an id. */
void fake_say_ref(struct fake_peer *p, enum msg_type type, conn_id id);

/* A spawner says that it has made a spare, which has not spoken yet.  NULL: it is not heard. */
struct fake_peer *fake_spare(struct fake_peer *spawner);
/* The spare speaks. */
void fake_hello(struct fake_peer *p);

/* It reads what waits. */
void fake_read(struct fake_peer *p);

/* Its channel ends, with an errno as channel_event.h tells. */
void fake_lose(struct fake_peer *p, int error);

/* Its process ends, with a status of waitpid(2), and with it its channel. */
void fake_exit(struct fake_peer *p, int status);

/* Those end that master has killed or let go. */
void fake_bury(void);

/* It answers the heartbeats that it has got. */
void fake_pong(struct fake_peer *p);

/* How many messages of this type it has got (about `id`, unless 0); the last of them or NULL;
 * forget all. */
unsigned fake_got(const struct fake_peer *p, enum msg_type type, conn_id id);
const struct fake_msg *fake_last(const struct fake_peer *p, enum msg_type type);
void fake_forget(struct fake_peer *p);
/* Forget those of one type. */
void fake_drop(struct fake_peer *p, enum msg_type type);

/* All processes say that they are ready, and the spares that are ordered come. */
void fake_all_ready(void);

/* Who has a connection: the worker, the session that it was given to last; NULL. */
struct fake_peer *fake_worker_of(conn_id id);
struct fake_peer *fake_session_of(conn_id id);

/* The helper decides: this connection is the user's, with our own uid or another. */
void fake_grant(conn_id id, const char *user, uint32_t uid);

/* Its session has the grant, and has opened the mailbox or not (enum login_result). */
void fake_take(conn_id id);
void fake_open(conn_id id, enum login_result result);

/* Its worker is done with it; its session is, and its process ends. */
void fake_conn_end(conn_id id, enum conn_end why);
void fake_session_end(conn_id id, enum session_end why);

/* ---- ports (fake_ports.c) ---- */

/* Does master accept clients? */
bool fake_accepts(void);

/* A client comes to the server; its id, or 0: it waits in the backlog, or was refused. */
conn_id fake_connect(struct server *s);

/* The next sockets that are asked for cannot be had. */
extern bool fake_ports_busy;

/* Clients that were counted and not released. */
size_t fake_clients(void);

#endif
