/*
 * Every reply to a client that has not logged in yet, and to its login: said by
 * master (greeting), by the worker and by the session that opens the mailbox.
 * One table, because clients decide by the words what their user sees.
 */
#ifndef POP3D_REPLIES_H
#define POP3D_REPLIES_H

enum reply {
	REPLY_NONE, /* replied already, or the reply comes later */
	/* instead of the greeting */
	REPLY_FULL,
	REPLY_BARRED, /* its network is not served */
	/* to commands */
	REPLY_UNKNOWN,
	REPLY_MALFORMED,
	REPLY_TOO_LONG,
	REPLY_TOO_MANY, /* refused commands; the last line */
	REPLY_NO_HTTP,	/* the first octets are HTTP; the last line */
	REPLY_NO_HELLO, /* the first octets are a TLS handshake; the last line */
	REPLY_NOT_YET,	/* a command of the TRANSACTION state */
	REPLY_NEEDS_TLS,
	REPLY_NO_CLEARTEXT, /* the same where STLS is not offered */
	REPLY_NAME_TAKEN,
	REPLY_NEEDS_USER,
	REPLY_USER_CHOSEN,
	REPLY_NO_MECHANISM,
	REPLY_SASL_MALFORMED,
	REPLY_SASL_CANCELLED,
	REPLY_BEGIN_TLS,
	REPLY_TLS_ON,
	REPLY_NO_TLS,
	REPLY_QUIT,
	/* to a login: PASS, APOP, AUTH */
	REPLY_BAD,  /* the credentials, whatever is wrong with them */
	REPLY_TEMP, /* no decision now */
	REPLY_PERM, /* no decision until an administrator acts */
	REPLY_STORE_TEMP,
	REPLY_STORE_PERM,
	REPLY_SESSIONS,		/* more sessions of the user than max_sessions_per_user */
	REPLY_IN_USE,		/* lock_conflict.c adds since when, from where and how long idle */
	REPLY_IN_USE_OTHER,	/* by a session of another user name */
	REPLY_IN_USE_ELSEWHERE, /* by a program or host that this daemon does not know */
	REPLY_COUNT
};

/* The line without its CRLF; NULL for REPLY_NONE. */
const char *reply_text(enum reply reply);

#endif
