/*
 * Named servers: what listens where, with which
 * back ends, and whether it is up.  They come from the configuration or are
 * made at run time.  A server keeps its slot, its number in rows and at the
 * other roles, until its last connection has gone.
 */
#ifndef POP3D_SERVERS_H
#define POP3D_SERVERS_H

#include <bsd/sys/queue.h>

#include "daemon/conf/conf.h"
#include "daemon/base.h"

enum { SERVERS_MAX = 1024 };

enum server_state { SERVER_DOWN, SERVER_UP, SERVER_EXITING };

/* What workers were told to load for a server; empty: nothing. */
struct server_told {
	struct conf_paths certificate, key;
};

struct server {
	TAILQ_ENTRY(server) next;
	uint32_t slot;
	enum server_state state;
	struct conf_server set;		  /* as asked for; port 0: the kernel chooses at `up` */
	const struct conf_server *coming; /* of a configuration that is being taken up; else NULL */
	bool configured;		  /* stands in the configuration */
	bool fresh;			  /* made for the configuration that is being taken up */
	bool wanted_up;			  /* bound; goes up when the workers have its certificate */
	bool joined;			  /* ... which those of the change under way get */
	uint16_t port;			  /* while up: the first one that it listens on */
	struct conf_server active;	  /* while up: what it was brought up with */
	size_t connections;		  /* in whatever state */
	struct server_told told, known;	  /* to the newest workers; to those that serve */
};

TAILQ_HEAD(server_list, server);

struct servers *servers_new(struct master *m); /* NULL: no memory */
/* When no socket of theirs is open any more, nor a connection; NULL: nothing. */
void servers_free(struct servers *ss);

/* In the order in which they were made. */
struct server_list *servers_all(struct master *m);
struct server *servers_find(struct master *m, const char *name);
struct server *servers_at(struct master *m, uint32_t slot);

/*
 * Take up the servers of a configuration.  First prepare: make those that are
 * new, bind what is not bound yet; 0, or -1 (`why`, undone).  Then, when the
 * workers that know their certificates are ready, adopt; or abandon.  Servers
 * made at run time stay.
 */
int servers_prepare(struct master *m, const struct conf *conf, char why[MSG_PATH_SIZE]);
/* `settings`: it comes with a configuration, and servers that this does not have are to go. */
void servers_adopt(struct master *m, bool settings);
/* What was asked to go up since servers_join() stays so. */
void servers_abandon(struct master *m);

/* A change begins: those that are asked to go up do so with it, or are refused with it. */
void servers_join(struct master *m);

/* The settings by which its logins are judged, those of a configuration under way included. */
const struct conf_server *server_coming(const struct server *s);

/* The settings whose certificate the newest workers are to have; NULL: it needs none now. */
const struct conf_server *server_with_certificate(const struct server *s);

/* A number that changes with what the auth helper is told of servers. */
uint64_t servers_version(const struct master *m);
void servers_changed(struct master *m);

/* Make one, down, with both back ends empty.  NULL with errno EUSERS (too many) or ENOMEM. */
struct server *server_make(struct master *m, const char *name);

/* The next automatic name, never given before in this run. */
void servers_auto_name(struct master *m, char name[MSG_SERVER_SIZE]);

/*
 * Bind what it is to listen on; idempotent.  0: it is up, or goes up when the workers have its
 * certificate; -1: `why` says why not, and nothing changed.
 */
int server_up(struct master *m, struct server *s, char why[MSG_PATH_SIZE]);

/* The workers have its certificate: from here on clients are accepted. */
void server_serve(struct master *m, struct server *s);

/* Stop listening; idempotent, its sessions go on.  0, or -1 with `why`. */
int server_down(struct master *m, struct server *s, char why[MSG_PATH_SIZE]);

/* Destroy it when the last of its connections has ended. */
void server_destroy(struct master *m, struct server *s);

/* Free those that are exiting and whose last connection has ended. */
void servers_settle(struct master *m);

/* The (first) port as it reads: the real one while it is up, else as asked for. */
uint32_t server_port(const struct server *s);

/* "down", "up", "exiting". */
const char *server_state_name(enum server_state state);

#endif
