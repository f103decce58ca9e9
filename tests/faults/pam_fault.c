/*
 * A PAM module that misbehaves as told, for tests.  Build it as pam_fault.so
 * and name it in a service file of the tests' own:
 *
 *   auth required /path/to/pam_fault.so [WHAT ...]
 *
 * WHAT, done in this order in each of the functions named by `in=` (default
 * auth; account, setcred, session, close), and only for the user of `user=`:
 *
 *   print     write to standard output and standard error
 *   say       send the client a text and an error by the conversation
 *   style     send a message of unknown style; must be answered PAM_CONV_ERR
 *   map=NAME  make PAM_USER that name
 *   sleep=N   sleep N seconds
 *   delay=N   ask for a delay of N seconds on failure (pam_fail_delay(3))
 *   fork      leave a process behind that sleeps for a minute
 *   note=FILE append the function's name and the pid to FILE
 *   crash     end by SIGSEGV
 *   exit      exit(3)
 *   fail=N    return the PAM code N
 *
 * Without a fail= it returns PAM_SUCCESS, so a stack of it alone accepts
 * everybody with any password.
 */
#include "config.h"

#include <security/pam_appl.h>
#include <security/pam_modules.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Octets behind "NAME=" if the argument is that, else NULL. */
static const char *
fault_value(const char *arg, const char *name)
{
	size_t len = strlen(name);

	return strncmp(arg, name, len) == 0 && arg[len] == '=' ? arg + len + 1 : NULL;
}

static const char *
fault_find(int argc, const char **argv, const char *name)
{
	for (int i = 0; i < argc; i++) {
		const char *value = fault_value(argv[i], name);

		if (value != NULL)
			return value;
		if (strcmp(argv[i], name) == 0)
			return "";
	}
	return NULL;
}

static int
fault_converse(pam_handle_t *h, int style, const char *text)
{
	const struct pam_message message = {.msg_style = style, .msg = text};
	const struct pam_message *messages[1] = {&message};
	struct pam_response *replies = NULL;
	const void *item = NULL;
	const struct pam_conv *conv;
	int result;

	if (pam_get_item(h, PAM_CONV, &item) != PAM_SUCCESS || item == NULL)
		return PAM_CONV_ERR;
	conv = item;
	result = conv->conv(1, messages, &replies, conv->appdata_ptr);
	if (result == PAM_SUCCESS && replies != NULL) {
		free(replies[0].resp);
		free(replies);
	}
	return result;
}

static void
fault_note(const char *path, const char *function)
{
	FILE *f = fopen(path, "a");

	if (f == NULL)
		return;
	fprintf(f, "%s %d\n", function, (int)getpid());
	fclose(f);
}

static void
fault_speak(pam_handle_t *h, int argc, const char **argv)
{
	if (fault_find(argc, argv, "print") != NULL) {
		printf("+OK printed by a module\r\n");
		fflush(stdout);
		fprintf(stderr, "printed by a module\n");
	}
	if (fault_find(argc, argv, "say") != NULL) {
		fault_converse(h, PAM_TEXT_INFO, "a text\nof two lines");
		fault_converse(h, PAM_ERROR_MSG, "an error");
	}
	if (fault_find(argc, argv, "style") != NULL &&
	    fault_converse(h, 77, "unknown") != PAM_CONV_ERR)
		abort();
}

static void
fault_end(int argc, const char **argv)
{
	const char *value;

	if ((value = fault_find(argc, argv, "sleep")) != NULL)
		sleep((unsigned)atoi(value));
	if (fault_find(argc, argv, "fork") != NULL && fork() == 0) {
		sleep(60);
		_exit(0);
	}
	if (fault_find(argc, argv, "crash") != NULL) {
		signal(SIGSEGV, SIG_DFL);
		raise(SIGSEGV);
	}
	if (fault_find(argc, argv, "exit") != NULL)
		exit(0);
}

static int
fault_do(pam_handle_t *h, const char *function, int argc, const char **argv)
{
	const char *in = fault_find(argc, argv, "in");
	const char *only = fault_find(argc, argv, "user");
	const char *user = NULL, *value;

	if (strcmp(in != NULL ? in : "auth", function) != 0)
		return PAM_SUCCESS;
	if (pam_get_user(h, &user, NULL) != PAM_SUCCESS)
		return PAM_CONV_ERR;
	if (only != NULL && strcmp(only, user) != 0)
		return PAM_SUCCESS;
	fault_speak(h, argc, argv);
	if ((value = fault_find(argc, argv, "note")) != NULL)
		fault_note(value, function);
	if ((value = fault_find(argc, argv, "map")) != NULL)
		pam_set_item(h, PAM_USER, value);
	if ((value = fault_find(argc, argv, "delay")) != NULL)
		pam_fail_delay(h, (unsigned)atoi(value) * 1000000);
	fault_end(argc, argv);
	value = fault_find(argc, argv, "fail");
	return value != NULL ? atoi(value) : PAM_SUCCESS;
}

int
pam_sm_authenticate(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	return fault_do(h, "auth", argc, argv);
}

int
pam_sm_setcred(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	return fault_do(h, "setcred", argc, argv);
}

int
pam_sm_acct_mgmt(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	return fault_do(h, "account", argc, argv);
}

int
pam_sm_open_session(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	return fault_do(h, "session", argc, argv);
}

int
pam_sm_close_session(pam_handle_t *h, int flags, int argc, const char **argv)
{
	(void)flags;
	return fault_do(h, "close", argc, argv);
}
