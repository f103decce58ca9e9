/*
 * pop3ctl doctor: what is wrong with the host, or on the way to one user's first message, and what
 * to do.  A check is a row of the table in doctor.c; its function says what it found.
 */
#ifndef POP3D_CTL_DOCTOR_H
#define POP3D_CTL_DOCTOR_H

#include <stdbool.h>
#include <stddef.h>

#include "daemon/ctl/print.h"

/* The exit status of a monitoring plugin. */
enum doctor_level { DOCTOR_OK, DOCTOR_WARNING, DOCTOR_CRITICAL, DOCTOR_UNKNOWN, DOCTOR_LEVELS };

struct doctor_check;

struct finding {
	enum doctor_level level;
	const char *check; /* the name of its row */
	char *what, *action;
};

struct doctor {
	const char *socket_path, *conf_path; /* conf_path: NULL: that of the daemon, or the usual */
	char *server, *user;		     /* NULL: it is about the host */
	const struct doctor_check *check;    /* the row that runs now */
	char *status;			     /* the daemon's, pairs; NULL: none answers */
	bool no_server;			     /* there is none of that name */
	struct finding *findings;
	size_t count;
};

/* Note what the check that runs now has found, and what to do ("": what its row says). */
void doctor_find(struct doctor *d, enum doctor_level level, const char *action, const char *fmt,
		 ...) __attribute__((format(printf, 4, 5)));

/* The level of that name; DOCTOR_UNKNOWN, if it is none. */
enum doctor_level doctor_level_of(const char *word);

/* Run "doctor ...", argv[0] being that word.  The exit status. */
int doctor_run(const char *socket_path, enum answer_form form, int argc, char *argv[]);

/* doctor_program.c: run a program (argv[0] is its path) and note each line that it writes: by its
 * priority, if one stands in front, else as what is well. */
void doctor_ask(struct doctor *d, char *const argv[]);

/* ---- the checks */

/* doctor_host.c: what the daemon says of itself and its confinement; what pop3d -t says of the
 * configuration, and pop3d-login of the certificates that are served. */
void doctor_daemon(struct doctor *d);
void doctor_sandbox(struct doctor *d);
void doctor_configuration(struct doctor *d);
void doctor_certificate(struct doctor *d);

/* doctor_user.c: is there that server; what the host has against the account; what the user's own
 * session finds. */
void doctor_server(struct doctor *d);
void doctor_account(struct doctor *d);
void doctor_mailbox(struct doctor *d);

#endif
