#include "config.h"

#include "daemon/ctl/password.h"

#include <bsd/readpassphrase.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/secret.h"
#include "daemon/ctl/edit.h"

static int
fail(const char *what)
{
	fprintf(stderr, "pop3ctl: %s\n", what);
	return -1;
}

/* From the terminal, twice, unseen.  0, or -1 and said. */
static int
password_type(struct secret *s)
{
	char first[SECRET_SIZE], again[SECRET_SIZE];
	const int flags = RPP_ECHO_OFF | RPP_REQUIRE_TTY;
	int done = -1;

	if (readpassphrase("Password: ", first, sizeof(first), flags) == NULL ||
	    readpassphrase("Again: ", again, sizeof(again), flags) == NULL)
		fail("no password was read from the terminal");
	else if (strcmp(first, again) != 0)
		fail("the passwords differ");
	else
		done = secret_set(s, first, strlen(first));
	explicit_bzero(first, sizeof(first));
	explicit_bzero(again, sizeof(again));
	return done;
}

/* The first line of standard input, octet by octet: the rest is not ours.  0, or -1 and said. */
static int
password_pipe(struct secret *s)
{
	size_t len = 0;
	ssize_t n;
	char c;

	while ((n = read(STDIN_FILENO, &c, 1)) == 1 && c != '\n') {
		if (c == '\0' || c == '\r')
			return fail("the password holds a control character");
		if (len == sizeof(s->octets) - 1)
			return fail("the password is longer than 255 octets");
		s->octets[len++] = c;
	}
	return n < 0 ? edit_complain("standard input") : 0;
}

/* What the file is to hold for the password.  0, or -1 and said. */
static int
password_store(const struct secret *s, const char *mark, struct stored *out)
{
	static struct crypt_data data;
	char setting[CRYPT_GENSALT_OUTPUT_SIZE];
	const char *hash = NULL;

	if (mark != NULL) {
		if (strchr(s->octets, ':') != NULL)
			return fail("a password that is kept as it is cannot hold a colon");
		snprintf(out->text, sizeof(out->text), "%s%s", mark, s->octets);
		return 0;
	}
	if (crypt_gensalt_rn("$y$", 0, NULL, 0, setting, sizeof(setting)) != NULL ||
	    crypt_gensalt_rn("$6$", 0, NULL, 0, setting, sizeof(setting)) != NULL)
		hash = crypt_r(s->octets, setting, &data);
	if (hash == NULL || hash[0] == '*')
		return fail("crypt(3) cannot hash this password");
	snprintf(out->text, sizeof(out->text), "%s", hash);
	explicit_bzero(&data, sizeof(data));
	return 0;
}

int
password_read(const char *mark, struct stored *out)
{
	struct secret s = {0};
	int done = isatty(STDIN_FILENO) ? password_type(&s) : password_pipe(&s);

	if (done == 0 && secret_is_empty(&s))
		done = fail("password not specified");
	if (done == 0)
		done = password_store(&s, mark, out);
	secret_wipe(&s);
	return done;
}
