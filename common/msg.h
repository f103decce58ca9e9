/*
 * The messages between the processes: one struct per message, one row
 * of msg.def.  A message travels as one SOCK_SEQPACKET packet: struct msg_head,
 * then the struct named here.  The head tells whether both ends are of one build;
 * only then are they understood, so native byte order and layout serve.  What
 * arrives is checked all the same, since the other end may have been taken over.  DESIGN 4.2 lists
 * who sends what to whom.
 */
#ifndef POP3D_MSG_H
#define POP3D_MSG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/secret.h"

/* A connection's id: unique while the host's clock does not go back. 0: none. */
typedef uint64_t conn_id;

enum role {
	ROLE_MASTER,
	ROLE_LOGIN,	 /* pop3d-login */
	ROLE_KEY,	 /* pop3d-key */
	ROLE_DISPATCH,	 /* pop3d-dispatch */
	ROLE_AUTH,	 /* pop3d-auth, the gate */
	ROLE_AUTH_CHILD, /* pop3d-auth, one PAM or user-file child */
	ROLE_SPAWNER,	 /* pop3d-session, the spawner */
	ROLE_SESSION,	 /* pop3d-session, a spare or a session */
	ROLE_COUNT
};

enum {
	MSG_NAME_SIZE = 256,	   /* user name, SASL part: up to 255 octets and NUL */
	MSG_SPEC_SIZE = 512,	   /* "pam:SERVICE", "maildir:TEMPLATE" and NUL */
	MSG_PATH_SIZE = 1024,	   /* a path and NUL */
	MSG_UID_SIZE = 72,	   /* a unique-id (RFC 1939 section 7) and NUL */
	MSG_TLS_VERSION_SIZE = 16, /* "TLSv1.3" and NUL */
	MSG_WORD_SIZE = 64,	   /* cipher, mechanism, address and NUL */
	MSG_SERVER_SIZE = 72,	   /* server name, up to 64 octets, NUL; 8 more: no padding */
	MSG_GROUPS_MAX = 1024,	   /* supplementary groups of one account */
	MSG_TEXT_MAX = 4096,	   /* a log line or a traced line */
	MSG_JOB_SIZE = 2048,	   /* the words of a mailbox job, each with its NUL */
	MSG_FDS_MAX = 5,	   /* descriptors in one message */
	MSG_BODY_MAX = 12288,	   /* octets behind the head */
	MSG_DIGEST_SIZE = 32,	   /* SHA-256, and its key */
	MSG_KEY_ID_SIZE = 32,	   /* SHA-256 of a public key */
	MSG_RANDOM_SIZE = 32,	   /* ClientHello.random, ServerHello.random */
	MSG_SHARE_MAX = 72, /* a transcript hash (48), a point of P-256 (65); 7 more: no padding */
	MSG_SIGNATURE_MAX = 1024, /* RSA of 8192 bits */
	MSG_STAMP_SIZE = 168	  /* a timestamp (RFC 1939 section 7) and NUL */
};

enum msg_type {
	MSG_NONE,
#define MSG(type, ...) MSG_##type,
#include "common/msg.def"
#undef MSG
	MSG_TYPE_COUNT
};

struct msg_head {
	uint32_t type;	/* enum msg_type */
	uint32_t len;	/* octets of the body */
	uint64_t build; /* build_id (build.h) of the sender */
};

struct msg_addr {
	uint16_t family; /* AF_INET, AF_INET6; 0: none */
	uint16_t port;	 /* host byte order */
	uint8_t octets[16];
};

/* What the worker knows of a TLS connection; serves the log and pop3ctl only. */
struct msg_tls_facts {
	char version[MSG_TLS_VERSION_SIZE]; /* "TLSv1.3"; empty without TLS; letters, digits, ".",
					       "-", "_" */
	char cipher[MSG_WORD_SIZE];	    /* of the same characters */
	char sni[MSG_NAME_SIZE];
};

/* What OpenSSL's names of versions and ciphers are made of.  A worker tells them, and they are
 * shown to people. */
#define MSG_TLS_NAME "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_"

/* What a load balancer says of TLS that ends there; serves the log and pop3ctl only. */
struct msg_balancer_tls {
	char version[MSG_TLS_VERSION_SIZE]; /* as in msg_tls_facts */
	char cipher[MSG_WORD_SIZE];
	char client[MSG_NAME_SIZE]; /* the name in the client's certificate, which was verified */
};

struct msg_ping {
	uint32_t seq;
};

struct msg_log {
	uint32_t prio; /* syslog(3) priority */
	uint32_t role; /* ROLE_AUTH_CHILD: of a child of the gate; else the sender's own */
	conn_id id;    /* 0: about the process itself */
	int32_t pid;   /* that child's */
	uint32_t unused;
	char text[MSG_TEXT_MAX];
};

/* What is traced, a set.  0: nothing. */
enum {
	TRACE_LINES = 1,  /* commands, and the first lines of responses */
	TRACE_ALL = 2,	  /* the lines of listings too, and how long a message was */
	TRACE_BODIES = 4, /* the lines of messages too */
	TRACE_SECRETS = 8 /* passwords as they came */
};

struct msg_trace {
	conn_id id;
	uint32_t from_client; /* 1: client to server */
	char text[MSG_TEXT_MAX];
};

struct msg_ready {
	uint32_t landlock_abi; /* in force; 0: none */
	uint32_t seccomp;      /* 1: filter attached */
};

/* A certificate that was loaded, before it is ready. */
struct msg_certificate {
	int64_t expires; /* time(2) */
	char path[MSG_PATH_SIZE];
};

struct msg_refused {
	char why[MSG_TEXT_MAX];
};

struct msg_conn_ref {
	conn_id id;
};

/* Is the peer a load balancer that says whose connection it is (the PROXY protocol)? */
enum conn_proxy {
	CONN_PROXY_NONE,
	CONN_PROXY_DUE,	  /* its header is still to come, and `peer` is the balancer */
	CONN_PROXY_TOLD,  /* it came */
	CONN_PROXY_FULL,  /* it came, and there are too many from that client's network */
	CONN_PROXY_BARRED /* it came, and that client's network is not served */
};

enum conn_tls { CONN_TLS_NONE, CONN_TLS_IMPLICIT, CONN_TLS_STLS };

/* A row of the connection table, as worker and auth helper may know it. */
struct msg_conn {
	conn_id id;
	uint32_t worker;  /* the worker's number */
	uint32_t server;  /* index of the server */
	uint8_t tls;	  /* enum conn_tls */
	uint8_t stls;	  /* 1: STLS is offered */
	uint8_t clear_ok; /* 1: logins without TLS are allowed from this peer */
	uint8_t trusted;  /* 1: from trusted_networks: no limit holds for its source */
	uint8_t proxy;	  /* enum conn_proxy */
	uint8_t unused[3];
	struct msg_addr peer;
	char stamp[MSG_STAMP_SIZE]; /* the timestamp of its greeting; empty: APOP is off */
};

/* What a PROXY header says. */
struct msg_proxied {
	conn_id id;
	uint32_t announced; /* 0: the balancer speaks for itself, and there is no address */
	uint32_t tls;	    /* 1: the client reached it over TLS */
	struct msg_addr peer;
	uint32_t unused;
	struct msg_balancer_tls facts; /* each may be empty */
};

struct msg_login_conf {
	char hostname[MSG_NAME_SIZE];	/* for the greeting */
	char chroot_dir[MSG_PATH_SIZE]; /* empty: none (rootless) */
	uint32_t uid, gid;		/* what to become; own ids: stay */
	uint32_t max_connections;	/* of this worker */
	uint32_t login_timeout;		/* seconds until the first command */
	uint32_t password_timeout;	/* seconds without a command after that, before login */
	uint32_t login_limit;		/* seconds from its beginning to its login */
	uint32_t handshake_timeout;	/* seconds */
	uint32_t decision_timeout;	/* seconds that master and helper have for anything asked */
	uint32_t sandbox;		/* enum sandbox_mode */
	uint32_t landlock_abi_max;	/* 0: no cap */
	uint32_t trace;			/* TRACE_… */
	uint32_t ps_titles;		/* enum ps_titles */
	uint32_t one_shot;		/* 1: serve one connection, then exit */
	uint32_t generation;		/* for the title */
};

/* A further one for the same server brings a further certificate. */
struct msg_login_server {
	uint32_t server;   /* index */
	uint32_t any_name; /* 1: a name that none of several certificates has may be asked for */
	char name[MSG_SERVER_SIZE];
	char certificate[MSG_PATH_SIZE]; /* PEM chain; empty: no TLS */
	char tls_ciphers[MSG_SPEC_SIZE]; /* TLS 1.2 list; empty: built-in */
};

struct msg_key_conf {
	char chroot_dir[MSG_PATH_SIZE]; /* these as in msg_login_conf */
	uint32_t uid, gid;
	uint32_t sandbox;
	uint32_t landlock_abi_max;
	uint32_t ps_titles;
	uint32_t generation;
};

/* The private key of a certificate. */
struct msg_key_pair {
	char certificate[MSG_PATH_SIZE];
	char certificate_key[MSG_PATH_SIZE]; /* empty: it is in the certificate's file */
};

/* The two texts that the server signs in a handshake: worker/tls/signed_text.h. */
enum sign_form { SIGN_TLS13, SIGN_TLS12, SIGN_FORM_COUNT };

/* What a worker wants signed, in parts: the key process puts the text together. */
struct msg_sign_ask {
	conn_id id;
	uint8_t key[MSG_KEY_ID_SIZE];
	uint32_t scheme;			/* SignatureScheme (RFC 8446 section 4.2.3) */
	uint32_t form;				/* enum sign_form */
	uint32_t group;				/* TLS 1.2: NamedCurve (RFC 8422 section 5.1.1) */
	uint32_t len;				/* octets of `share` */
	uint8_t client_random[MSG_RANDOM_SIZE]; /* TLS 1.2 */
	uint8_t server_random[MSG_RANDOM_SIZE]; /* TLS 1.2 */
	uint8_t share[MSG_SHARE_MAX];		/* TLS 1.3: transcript hash; TLS 1.2: point */
};

struct msg_signed {
	conn_id id;
	uint32_t len; /* octets; 0: refused */
	uint32_t unused;
	uint8_t signature[MSG_SIGNATURE_MAX];
};

/* Why the worker is done with a connection. */
enum conn_end {
	CONN_END_QUIT,	   /* QUIT before login */
	CONN_END_CLIENT,   /* EOF or reset */
	CONN_END_TIMEOUT,  /* login_timeout */
	CONN_END_TLS,	   /* handshake failed or took too long */
	CONN_END_FAILURES, /* max_auth_failures */
	CONN_END_ABUSE,	   /* line without end, HTTP and the like */
	CONN_END_DROPPED,  /* MSG_CONN_DROP or shutting down */
	CONN_END_RELAY,	   /* relay of a session finished */
	CONN_END_CROWDED,  /* MSG_CONN_SHED */
	CONN_END_BARRED,   /* the announced client's network is not served */
	CONN_END_ERROR,	   /* own trouble */
	CONN_END_COUNT
};

/* Of a finished handshake; no other version is offered. */
enum conn_version { CONN_VERSION_NONE, CONN_VERSION_TLS_1_2, CONN_VERSION_TLS_1_3, CONN_VERSIONS };

struct msg_conn_end {
	conn_id id;
	uint32_t why;	   /* enum conn_end */
	uint32_t failures; /* failed logins on it */
	uint32_t version;  /* enum conn_version */
	uint32_t unused;
};

/* What conn state shows of a connection before login. */
enum conn_logon { LOGON_NONE, LOGON_USER, LOGON_APOP, LOGON_COUNT };

struct msg_conn_state {
	conn_id id;
	uint32_t logon; /* enum conn_logon: the mechanism under way */
	uint32_t unused;
	struct msg_tls_facts tls;
	char name[MSG_NAME_SIZE]; /* given last by USER or APOP; client's octets */
};

struct msg_login_failed {
	conn_id id;
	uint32_t result; /* enum login_result: LOGIN_TEMP, LOGIN_PERM or LOGIN_IN_USE */
	uint32_t unused;
};

struct msg_worker {
	uint32_t worker;
	uint32_t error; /* MSG_WORKER_BAD: errno, see channel_end_text(); else 0 */
};

/* What failed logins are counted by. */
enum failure_kind {
	FAILURE_USER,	/* a name from one source */
	FAILURE_SOURCE, /* a source (source.h) */
	FAILURE_NAME,	/* a name, from all sources */
	FAILURE_KINDS
};

/* A digest, or the octets of a source. */
struct failure_key {
	uint8_t octets[MSG_DIGEST_SIZE];
};

struct msg_failure {
	uint32_t kind;	/* enum failure_kind */
	uint32_t count; /* 0: none any more */
	uint32_t known; /* 1: the name is an account's */
	uint32_t unused;
	uint64_t first; /* seconds of clock_ms(): when its count began */
	struct failure_key key;
};

struct msg_failures {
	uint32_t count;
	uint32_t unused;
	struct msg_failure rows[200];
};

struct msg_auth_conf {
	uint8_t key[MSG_DIGEST_SIZE]; /* of digests: as long as master lives */
	uint32_t children;	      /* PAM children kept ready */
	uint32_t deadline;	      /* seconds a check may take */
	uint32_t max_failures;	      /* of one connection, whose last refusal says so */
	uint32_t failure_delay;	      /* milliseconds from request to refusal */
	uint32_t failure_window;      /* seconds over which failures are counted */
	uint32_t failures_per_user;   /* in the window; 0: no limit */
	uint32_t failures_per_source; /* in the window; 0: no limit */
	uint32_t account_delay;	      /* milliseconds at most from request to check */
	uint32_t minimum_uid;
	uint32_t pam_session;	     /* 1: open and close PAM sessions */
	uint32_t rootless;	     /* 1: only the own uid is ever granted */
	uint32_t auth_uid, auth_gid; /* of the dispatcher and of user-file children */
	uint32_t ps_titles;
	uint32_t sandbox, landlock_abi_max; /* of the dispatcher, */
	char chroot_dir[MSG_PATH_SIZE];	    /* as in msg_key_conf; it runs as auth_uid */
	char user[MSG_NAME_SIZE];	    /* one-user mode: who may log in; empty: any name */
	struct secret password;		    /* and his password; empty: any */
};

/* How a server reads the names that clients send, daemon/auth/username.h. */
enum username_fold { USERNAME_AS_IS, USERNAME_LOWER, USERNAME_FOLDS };
#define USERNAME_DOMAIN_KEEP  "keep"
#define USERNAME_DOMAIN_STRIP "strip"

struct msg_auth_server {
	uint32_t server;		     /* index */
	uint32_t username_fold;		     /* enum username_fold */
	char username_domain[MSG_NAME_SIZE]; /* one of the two words, or a domain */
	char name[MSG_SERVER_SIZE];
	char auth[MSG_SPEC_SIZE];    /* "pam:SERVICE", "file:PATH" */
	char storage[MSG_SPEC_SIZE]; /* "maildir:TEMPLATE" */
};

enum login_result {
	LOGIN_OK,
	LOGIN_BAD,   /* [AUTH] */
	LOGIN_TEMP,  /* [SYS/TEMP] */
	LOGIN_PERM,  /* [SYS/PERM] */
	LOGIN_IN_USE /* [IN-USE]; said by sessions and master only */
};

enum login_mech { MECH_USER, MECH_PLAIN, MECH_LOGIN, MECH_APOP, MECH_COUNT };

struct msg_login_ask {
	conn_id id;
	uint32_t mech; /* enum login_mech */
	uint32_t unused;
	char authzid[MSG_NAME_SIZE]; /* empty: none */
	char user[MSG_NAME_SIZE];
	struct secret password; /* MECH_APOP: the digest */
	struct msg_tls_facts tls;
};

/* What became of a check. */
struct msg_checked {
	conn_id id;
	uint32_t result;	   /* enum login_result */
	uint32_t judged;	   /* 1: by a back end, so that LOGIN_BAD is a failure */
	uint32_t granted;	   /* 1: master has a grant; 0 with LOGIN_OK: the client has gone */
	uint32_t check_ms;	   /* of the check, by the gate */
	char known[MSG_NAME_SIZE]; /* the account, if there is one and it was not granted */
	char why[MSG_NAME_SIZE];   /* for the log */
};

struct msg_login_refused {
	conn_id id;
	uint32_t result; /* enum login_result, not LOGIN_OK */
	uint32_t last;	 /* 1: of too many: the worker says so and closes */
};

/* A login that failed, as the log tells of it. */
struct msg_auth_failed {
	conn_id id;
	uint32_t result; /* enum login_result; LOGIN_OK: right, but its client had gone */
	uint32_t mech;	 /* enum login_mech */
	struct msg_addr peer;
	uint32_t check_ms; /* of the check that found it wrong, and one; 0: none did */
	struct msg_tls_facts facts;
	char server[MSG_SERVER_SIZE];
	char user[MSG_NAME_SIZE];  /* an account's name; empty: not known to be one */
	char given[MSG_NAME_SIZE]; /* the name as the client gave it */
	char why[MSG_NAME_SIZE];
};

struct msg_child_conf {
	char auth[MSG_SPEC_SIZE]; /* the back end it serves */
	uint32_t minimum_uid;
	uint32_t pam_session;
	uint32_t rootless;
	uint32_t ps_titles;
	uint32_t uid, gid;	  /* what a child that needs no root becomes */
	char user[MSG_NAME_SIZE]; /* as in msg_auth_conf */
	struct secret password;
};

struct msg_child_ask {
	conn_id id;
	uint32_t mech;	 /* enum login_mech */
	uint32_t lookup; /* 1: no password is asked; who is the user? */
	char user[MSG_NAME_SIZE];
	struct secret password;	       /* MECH_APOP: the digest */
	char challenge[MSG_NAME_SIZE]; /* MECH_APOP: the timestamp that it is of */
	char rhost[MSG_WORD_SIZE];     /* numeric */
};

struct msg_account {
	char user[MSG_NAME_SIZE]; /* as the back end has it */
	char home[MSG_PATH_SIZE];
	uint32_t uid, gid;
	uint32_t ngroups;
	uint32_t groups[MSG_GROUPS_MAX];
};

struct msg_child_answer {
	conn_id id;
	uint32_t result; /* enum login_result */
	uint32_t unused;
	char why[MSG_NAME_SIZE];     /* for the log: "password", "account expired" */
	char mailbox[MSG_PATH_SIZE]; /* the account's own, absolute; empty: by the server's template
				      */
	struct msg_account account;
};

/*
 * A mailbox job is asked for by an administrator over the control socket: who
 * the user is comes from a look-up alone, without a password.
 */
struct msg_lookup {
	conn_id id;
	uint32_t server; /* index */
	uint32_t unused;
	char user[MSG_NAME_SIZE];
	char other[MSG_NAME_SIZE]; /* a second name, whose mailbox's place is asked; empty: none */
};

struct msg_found {
	conn_id id;
	uint32_t result; /* enum login_result */
	uint32_t unused;
	char why[MSG_NAME_SIZE];     /* not LOGIN_OK: for the administrator */
	char storage[MSG_WORD_SIZE]; /* as in msg_grant */
	char mailbox[MSG_PATH_SIZE];
	char target[MSG_PATH_SIZE]; /* where the other name's mailbox would be; empty: not asked */
	struct msg_account account;
};

struct msg_job {
	conn_id id;
	uint32_t argc;		    /* words */
	uint32_t len;		    /* octets of them */
	char target[MSG_PATH_SIZE]; /* as in msg_found */
	char words[MSG_JOB_SIZE];   /* each with its NUL */
};

struct msg_job_end {
	conn_id id;
	uint32_t status; /* exit status of pop3ctl */
	uint32_t unused;
};

enum missing_maildir { MISSING_EMPTY, MISSING_ERROR };

/* How an mbox is read, see worker/store/mbox_text.h. */
enum mbox_format { MBOX_RD, MBOX_O, MBOX_RFC4155, MBOX_CL, MBOX_CL2, MBOX_FORMATS };
enum mbox_split { MBOX_STRICT, MBOX_LAX };

/* All that a session knows.  The gate fills in the account and the mailbox,
 * master what its settings say. */
struct msg_grant {
	conn_id id;
	uint32_t mech; /* enum login_mech */
	uint32_t tls;  /* enum conn_tls */
	struct msg_tls_facts facts;
	char storage[MSG_WORD_SIZE]; /* store back end: "maildir" */
	char mailbox[MSG_PATH_SIZE]; /* absolute path */
	/* from master */
	char server[MSG_SERVER_SIZE];
	struct msg_addr peer;
	uint32_t idle_timeout;	  /* seconds */
	uint32_t missing_maildir; /* enum missing_maildir */
	uint32_t trace;		  /* TRACE_… */
	uint32_t ps_titles;
	uint16_t rootless;
	uint16_t had_mail;		  /* 1: an earlier login has found messages there */
	uint32_t job;			  /* 1: no client; msg_job follows */
	uint16_t mbox_format;		  /* enum mbox_format */
	uint16_t mbox_split;		  /* enum mbox_split */
	char mbox_journal[MSG_PATH_SIZE]; /* a directory; empty: none */
	uint32_t memory;		  /* MiB that the session may use; 0: no limit */
	uint32_t check_ms;		  /* of the check, by the gate */
	uint32_t unused;
	struct msg_account account;
};

struct msg_spawn_conf {
	uint32_t sandbox;
	uint32_t landlock_abi_max;
	uint32_t ps_titles;
	uint32_t rootless;
};

struct msg_spawn {
	uint32_t count;
};

struct msg_spare {
	int32_t pid;
};

struct msg_exited {
	int32_t pid;
	int32_t status; /* as of waitpid(2) */
};

/* What carries the lock of a mailbox: device and inode, stat(2).  Inode 0: nothing. */
struct msg_lock_place {
	uint64_t dev, ino;
};

/* Why a session asks. */
enum lock_purpose {
	LOCK_LOOK,	/* to know who has it: nobody is ended */
	LOCK_TAKE_OVER, /* to have it: who may be ended, is */
	LOCK_CLAIM,	/* the same, and if no other session has it, the asker has from now on */
	LOCK_PURPOSE_COUNT
};

struct msg_lock_ask {
	conn_id id;
	struct msg_lock_place place; /* found locked */
	uint32_t purpose;	     /* enum lock_purpose */
	uint32_t unused;
};

/* Who has it. */
enum lock_holder {
	LOCK_HOLDER_UNKNOWN, /* no session that the asker may know of */
	LOCK_HOLDER_OTHER,   /* a session of the same uid and another user name */
	LOCK_HOLDER_OWN,     /* a session of the same user */
	LOCK_HOLDER_ENDED, /* it was a session of the same user: taken over, its process is gone */
	LOCK_HOLDER_COUNT
};

struct msg_lock_answer {
	conn_id id;
	uint32_t holder; /* enum lock_holder; the rest is of LOCK_HOLDER_OWN only */
	uint32_t idle;	 /* seconds since its client did anything */
	int64_t since;	 /* its login, time(2) */
	struct msg_addr peer;
	uint32_t unused;
};

/* What of the user's every user of the host can write into. */
enum exposed { EXPOSED_NOTHING, EXPOSED_HOME, EXPOSED_MAILBOX, EXPOSED_COUNT };

/* How the index of a Maildir was found, if the mailbox has one. */
enum index_found { INDEX_FOUND_NONE, INDEX_FOUND_CURRENT, INDEX_FOUND_OTHER, INDEX_FOUND_COUNT };

struct msg_session_open {
	conn_id id;
	uint32_t result; /* enum login_result */
	uint32_t landlock_abi;
	uint64_t messages, octets;
	struct msg_lock_place lock; /* what this session has locked */
	uint64_t known,
	    vanished;	  /* unique-ids at the end of the session before; of these, gone now */
	uint32_t exposed; /* enum exposed */
	uint32_t index;	  /* enum index_found */
};

/* A message was deleted for good. */
struct msg_receipt {
	conn_id id;
	uint64_t octets;   /* on the wire; UINT64_MAX: not known */
	int64_t retrieved; /* when first sent whole, time(2); 0: never; -1: not known */
	char uid[MSG_UID_SIZE];
};

/* Why a session ended; the words stand in the log. */
enum session_end {
	SESSION_END_QUIT,     /* QUIT, UPDATE done */
	SESSION_END_UPDATE,   /* QUIT, UPDATE failed in part or whole */
	SESSION_END_CLIENT,   /* EOF or reset by the client */
	SESSION_END_TIMEOUT,  /* idle or no progress */
	SESSION_END_STORE,    /* reading the mailbox failed after +OK */
	SESSION_END_SHUTDOWN, /* master went away or said so */
	SESSION_END_ABUSE,    /* line without end */
	SESSION_END_REFUSED,  /* mailbox not opened */
	SESSION_END_TAKEOVER, /* another login of the user took the mailbox over */
	SESSION_END_KILLED,   /* set by master: it ended without a report */
	SESSION_END_WORKER,   /* set by master: the worker that carried its TLS ended */
	SESSION_END_COUNT
};

struct msg_session_end {
	conn_id id;
	uint32_t why;	    /* enum session_end */
	uint32_t update_ms; /* of UPDATE, and one; 0: nothing was deleted */
	uint64_t retrieved, retrieved_octets, topped, deleted, left;
	uint64_t again;	 /* messages retrieved that an earlier session had retrieved */
	uint64_t kept;	 /* that were to be deleted and could not be */
	uint64_t undone; /* that were marked as deleted, and no QUIT came */
};

/* A message as received. */
struct msg {
	enum msg_type type;
	size_t len; /* octets of the body */
	union {
		uint8_t octets[MSG_BODY_MAX];
		struct msg_ping ping;
		struct msg_log log;
		struct msg_trace trace;
		struct msg_ready ready;
		struct msg_certificate certificate;
		struct msg_refused refused;
		struct msg_conn_ref ref;
		struct msg_conn conn;
		struct msg_login_conf login_conf;
		struct msg_login_server login_server;
		struct msg_key_conf key_conf;
		struct msg_key_pair key_pair;
		struct msg_sign_ask sign_ask;
		struct msg_signed signed_text;
		struct msg_proxied proxied;
		struct msg_conn_end conn_end;
		struct msg_conn_state conn_state;
		struct msg_login_failed login_failed;
		struct msg_worker worker;
		struct msg_auth_conf auth_conf;
		struct msg_auth_server auth_server;
		struct msg_failures failures;
		struct msg_login_ask login_ask;
		struct msg_checked checked;
		struct msg_login_refused login_refused;
		struct msg_auth_failed auth_failed;
		struct msg_child_conf child_conf;
		struct msg_child_ask child_ask;
		struct msg_child_answer child_answer;
		struct msg_lookup lookup;
		struct msg_found found;
		struct msg_grant grant;
		struct msg_job job;
		struct msg_job_end job_end;
		struct msg_spawn_conf spawn_conf;
		struct msg_spawn spawn;
		struct msg_spare spare;
		struct msg_exited exited;
		struct msg_lock_ask lock_ask;
		struct msg_lock_answer lock_answer;
		struct msg_session_open session_open;
		struct msg_receipt receipt;
		struct msg_session_end session_end;
	} u;
	int fds[MSG_FDS_MAX]; /* owned by the receiver; -1: none */
	size_t nfds;
	bool fd_lost; /* a descriptor was due and did not arrive (MSG_CTRUNC) */
	int32_t pid;  /* SCM_CREDENTIALS, or 0 */
};

/*
 * May ROLE `from` send a message of this type, length and number of
 * descriptors to ROLE `to`?  Also: is every string in it terminated, and every
 * enum within its range?  Returns 0, or -1 with errno EBADMSG.
 */
int msg_check(enum role from, enum role to, const struct msg *m);

/* Name of a message type for the debug log; "?" for an unknown one. */
const char *msg_name(uint32_t type);

/* Name of a role as it stands in log lines and titles. */
const char *role_name(enum role role);

#endif
