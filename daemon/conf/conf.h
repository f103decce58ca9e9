/*
 * pop3d.conf: every setting, its default, its range.  Read by the master
 * only; other roles get the few that they may know by message.
 */
#ifndef POP3D_CONF_H
#define POP3D_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "common/msg.h"
#include "common/network.h"
#include "common/sandbox.h"
#include "common/title.h"

enum conf_cleartext { CLEARTEXT_NEVER, CLEARTEXT_LOOPBACK, CLEARTEXT_ALWAYS };
enum conf_socket { SOCKET_PLAIN, SOCKET_STLS, SOCKET_TLS }; /* "plain", "plain+stls", "tls" */
enum conf_log { CONF_LOG_SYSLOG, CONF_LOG_STDERR };
enum conf_unknown_name { UNKNOWN_NAME_REFUSE, UNKNOWN_NAME_FIRST }; /* of several certificates */

enum {
	CONF_NAME_MAX = 64,
	CONF_ADDRESSES_MAX = 16,
	CONF_PORTS_MAX = 16,
	CONF_PATHS_MAX = 8,
	CONF_NETWORKS_MAX = 32,
	CONF_SERVERS_MAX = 64
};

struct conf_addresses {
	size_t n;
	char address[CONF_ADDRESSES_MAX][MSG_WORD_SIZE]; /* numeric; "*": all, IPv4 and IPv6 */
};

struct conf_ports {
	size_t n;
	uint32_t number[CONF_PORTS_MAX]; /* 0 alone: the kernel chooses one */
};

struct conf_networks {
	size_t n;
	struct network network[CONF_NETWORKS_MAX]; /* the first of family 0: none */
};

/* Is there any? */
static inline bool
conf_networks_given(const struct conf_networks *list)
{
	return list->n > 0 && list->network[0].address.family != 0;
}

struct conf_paths {
	size_t n;
	char path[CONF_PATHS_MAX][MSG_PATH_SIZE];
};

struct conf_server {
	char name[MSG_SERVER_SIZE];
	struct conf_addresses addresses;
	struct conf_ports port; /* each at each address */
	enum conf_socket socket;
	enum conf_cleartext cleartext_login;
	struct conf_networks allow, deny; /* who is served; no `allow`: everybody but `deny` */
	struct conf_networks proxy_from;  /* load balancers, which speak the PROXY protocol; none:
					   * clients come themselves */
	bool proxy_tls;			  /* believe them that a client uses TLS */
	bool proxy_loopback;		  /* they may be on this host */
	char auth[MSG_SPEC_SIZE];
	enum username_fold username_fold;
	char username_domain[MSG_NAME_SIZE];
	bool apop; /* offered where the back end can check it */
	char storage[MSG_SPEC_SIZE];
	uint32_t max_sessions_per_user; /* 0: no limit */
	enum mbox_format mbox_format;
	enum mbox_split mbox_split;
	char mbox_journal[MSG_PATH_SIZE]; /* a directory; empty: none */
	/* The server's own, or the global ones, each with the key of its number; none: no TLS.  The
	 * first serves clients that give no name. */
	struct conf_paths certificate, certificate_key;
	bool socket_names_certificate; /* they came with pop3ctl(8)'s -socket, and read back so */
};

/* One-user mode: an archive instead of mailboxes (pop3d --serve). */
struct conf_one_user {
	bool on;
	uint32_t trace;		  /* TRACE_… */
	char user[MSG_NAME_SIZE]; /* empty: any */
	struct secret password;	  /* empty: any */
	int archive[2];		  /* memfds: the table and the flags (archive.h) */
};

struct conf {
	/* processes */
	uint32_t login_workers, worker_connections;
	uint32_t auth_children, session_spares;
	char login_user[MSG_WORD_SIZE], key_user[MSG_WORD_SIZE], auth_user[MSG_WORD_SIZE];
	char state_dir[MSG_PATH_SIZE]; /* "/var/lib/pop3d"; what is kept over restarts */
	char
	    runtime_dir[MSG_PATH_SIZE]; /* "/run/pop3d"; the workers' empty root is made below it */
	char control_group[MSG_WORD_SIZE]; /* may read at the control socket; empty: root only */
	char metrics_group[MSG_WORD_SIZE]; /* may read at the metrics socket; empty: root only */
	/* limits */
	uint32_t max_connections, max_connections_before_login;
	uint32_t max_connections_per_address, max_connections_per_network, max_connections_per_site;
	struct conf_networks trusted_networks; /* none of these three, nor auth_failures_per_source,
						* holds for them */
	uint32_t session_memory;	       /* MiB of each session; 0: no limit */
	uint32_t login_timeout, password_timeout; /* seconds, as those that follow */
	uint32_t handshake_timeout, idle_timeout, shutdown_timeout;
	/* logins */
	uint32_t max_auth_failures;
	uint32_t auth_deadline;	      /* seconds */
	uint32_t auth_failure_delay;  /* milliseconds */
	uint32_t auth_failure_window; /* seconds */
	uint32_t auth_failures_per_user, auth_failures_per_source;
	uint32_t auth_account_delay; /* milliseconds */
	uint32_t minimum_uid;
	bool pam_session;
	enum missing_maildir missing_maildir;
	uint32_t takeover; /* seconds that a session is silent before a login may end it; 0: off */
	uint32_t last_logins; /* seconds that each is kept; 0: off */
	/* TLS */
	char tls_ciphers[MSG_SPEC_SIZE];
	enum conf_unknown_name tls_unknown_name;
	/* confinement, log */
	enum sandbox_mode sandbox;
	uint32_t landlock_abi_max;
	enum ps_titles ps_titles;
	enum conf_log log;
	int log_level; /* syslog(3) priority */
	bool trace;
	/* servers */
	size_t nservers;
	struct conf_server servers[CONF_SERVERS_MAX];
	/* What a server made at run time begins with: the servers' settings at top level. */
	struct conf_server shared;
	struct conf_one_user one_user; /* set by the command line, never by a file */
};

/* What is traced, a set of TRACE_…. */
static inline uint32_t
conf_trace(const struct conf *c)
{
	return c->one_user.on ? c->one_user.trace : c->trace ? TRACE_LINES : 0;
}

/* Seconds that a login may take in all. */
static inline uint32_t
conf_login_limit(const struct conf *c)
{
	return 2 * (c->login_timeout + c->password_timeout);
}

/* Seconds in which master and helper decide a login: two checks and what they wait before, the
 * delay of a refusal, and the grant's way. */
static inline uint32_t
conf_decision_timeout(const struct conf *c)
{
	return 2 * (c->auth_deadline + c->auth_account_delay / 1000) +
	       c->auth_failure_delay / 1000 + 16;
}

/*
 * What is said of a file, a line each, without line end: of a fault "FILE:LINE: what was expected",
 * of a doubtful but lawful value "FILE:LINE: warning: ...", which is no fault.
 */
struct conf_hearer {
	void (*hear)(void *arg, bool is_fault, const char *line);
	void *arg;
};

/*
 * Read and check a file; `hearer` is told what is wrong.  0 and *c (large: keep it off the stack),
 * or -1, *c then undefined.  A missing file is a fault.  Equal files give equal octets of *c; every
 * string in it is zero-filled.  Not for threads.
 */
int conf_load(const char *path, struct conf *c, const struct conf_hearer *hearer);

/* Text for what a value should have been. */
enum { CONF_EXPECTED_SIZE = 512 };

/*
 * Set one setting of a server from its text, as the file would have it.  0, or
 * -1 with what was expected; nothing is changed then.
 */
int conf_server_set(struct conf_server *s, const char *name, const char *value,
		    char expected[CONF_EXPECTED_SIZE]);

/* A server's name: NULL, or what was expected. */
const char *conf_check_server_name(const char *name);

/* The built-in defaults, as an empty file gives them. */
void conf_defaults(struct conf *c);

/* Print every effective setting in the form conf_load reads. */
void conf_print(const struct conf *c, FILE *out);

/* The same of what differs from an empty file only. */
void conf_print_changed(const struct conf *c, FILE *out);

#endif
