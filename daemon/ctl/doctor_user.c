/*
 * pop3ctl doctor with a user: the way to the first message.  His mailbox is looked at by a session
 * of his own (worker/session/job_doctor.c), whose lines are his word.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/count.h"
#include "daemon/auth/account.h"
#include "daemon/ctl/doctor.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/request.h"

/* What shadow(5) says, in the words of account_fault(), and the command that mends it. */
static const struct remedy {
	const char *fault, *action;
} remedies[] = {
    {"account expired", "chage -E -1 "},
    {"account locked", "usermod -U "},
    {"password expired", "passwd "},
    {"password must be changed", "passwd "},
};

static void
account_find(struct doctor *d, const char *fault)
{
	char action[256] = "";

	for (size_t i = 0; i < COUNT_OF(remedies); i++)
		if (strcmp(remedies[i].fault, fault) == 0)
			(void)snprintf(action, sizeof(action), "%s%s", remedies[i].action, d->user);
	doctor_find(d, DOCTOR_CRITICAL, action, "%s: %s", d->user, fault);
}

/* What pam_unix cannot take another module of the service may. */
static void
password_find(struct doctor *d)
{
	const char *fault = account_password_fault(d->user);
	char action[256];

	(void)snprintf(action, sizeof(action), "passwd %s; none, if another PAM module knows it",
		       d->user);
	if (fault != NULL)
		doctor_find(d, DOCTOR_WARNING, action, "%s: %s in shadow(5): pam_unix refuses all",
			    d->user, fault);
	else
		doctor_find(d, DOCTOR_OK, "", "shadow(5) has nothing against %s", d->user);
}

/* The daemon's servers, a space before each, or "". */
static void
servers_name(const struct doctor *d, char *dst, size_t cap)
{
	static char word[] = "list";
	char *words[] = {word}, *rest, *line;
	struct answer a;
	size_t n = 0;

	dst[0] = '\0';
	if (request_quietly(d->socket_path, 1, words, &a) == CTL_DONE) {
		rest = a.text;
		(void)strsep(&rest, "\n"); /* the heads of its columns */
		while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0' && n < cap)
			n += (size_t)snprintf(dst + n, cap - n, " %.*s", (int)strcspn(line, "\t"),
					      line);
	}
	free(a.text);
}

void
doctor_server(struct doctor *d)
{
	static char cget[] = "cget", option[] = "-state";
	char *words[] = {cget, d->server, option}, action[1024], names[1000];
	struct answer a;

	if (d->status == NULL)
		return;
	d->no_server = request_quietly(d->socket_path, 3, words, &a) != CTL_DONE;
	if (d->no_server) {
		servers_name(d, names, sizeof(names));
		(void)snprintf(action, sizeof(action), "name one of%s", names);
		doctor_find(d, DOCTOR_CRITICAL, names[0] != '\0' ? action : "", "%.*s",
			    a.text != NULL ? (int)strcspn(a.text, "\n") : 0, a.text);
	}
	free(a.text);
}

/* What the back end knows of the user without a password: of PAM, modules that look at him alone.
 */
static void
backend_find_user(struct doctor *d, char *auth)
{
	static char program[] = PKGLIBEXECDIR "/pop3d-auth", word[] = CHECK_USER_WORD;
	char *argv[] = {program, word, auth, d->user, NULL};

	auth[strcspn(auth, "\n")] = '\0';
	doctor_ask(d, argv);
}

/* PAM itself is not asked for the account: that changes what some modules count. */
static void
shadow_find(struct doctor *d)
{
	const char *fault;

	if (geteuid() != 0)
		doctor_find(d, DOCTOR_UNKNOWN, "ask as root", "shadow(5) can be read by root only");
	else if ((fault = account_fault(d->user)) != NULL)
		account_find(d, fault);
	else
		password_find(d);
}

void
doctor_account(struct doctor *d)
{
	static char cget[] = "cget", option[] = "-auth";
	char *words[] = {cget, d->server, option};
	struct answer a;

	if (d->status == NULL || d->no_server)
		return;
	if (request_quietly(d->socket_path, 3, words, &a) == CTL_DONE) {
		bool pam = strncmp(a.text, "pam:", 4) == 0;

		if (pam)
			shadow_find(d);
		if (!pam || geteuid() == 0)
			backend_find_user(d, a.text);
	}
	free(a.text);
}

/* level TAB what TAB action */
static void
line_find(struct doctor *d, char *line)
{
	const char *level = strsep(&line, "\t"), *what = strsep(&line, "\t");

	if (what != NULL)
		doctor_find(d, doctor_level_of(level), line != NULL ? line : "", "%s", what);
}

void
doctor_mailbox(struct doctor *d)
{
	static char job[] = "job", none[] = "", word[] = "doctor";
	char *words[] = {job, d->server, d->user, none, word}, *text = NULL, *rest, *line;
	size_t len = 0;
	FILE *to;

	if (d->status == NULL || d->no_server || (to = open_memstream(&text, &len)) == NULL)
		return;
	(void)job_gather(d->socket_path, 5, words, to, "critical\t");
	fclose(to);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0')
		line_find(d, line);
	free(text);
}
