/*
 * Runs as:  whoever calls it; owner and mode of the file decide.
 * Sees:     the user file, and the password that is given for an account.
 * May never: take a password from its arguments, or print one.
 */
#include "config.h"

#include "daemon/ctl/user.h"

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ctl_words.h"
#include "common/msg.h"
#include "daemon/auth/userfile.h"
#include "daemon/ctl/edit.h"
#include "daemon/ctl/password.h"
#include "daemon/ctl/request.h"

/* One call of the tool. */
struct call {
	const char *path;
	enum answer_form form;
	const char *mark; /* of a password that is kept as it is; NULL: hash it */
	char **words;	  /* behind the verb */
	int n;
};

static int
fail(const char *what)
{
	fprintf(stderr, "pop3ctl: %s\n", what);
	return CTL_FAILED;
}

static int
fail_user(const char *name, const char *what)
{
	fprintf(stderr, "pop3ctl: user \"%s\" %s\n", name, what);
	return CTL_FAILED;
}

/* ---- lines ---- */

/* Is it the line of an account of that name? */
static bool
line_is_of(const char *line, size_t len, const char *name)
{
	size_t n = strlen(name);

	return len > n && memcmp(line, name, n) == 0 && line[n] == ':' && line[0] != '#';
}

static size_t
line_length(const char *line, const char *end)
{
	const char *stop = memchr(line, '\n', (size_t)(end - line));

	return (size_t)((stop != NULL ? stop + 1 : end) - line);
}

/*
 * The text with `line` (terminated, without line end; NULL: nothing) in place of
 * the first line of `name` and without any other of that name; at the end if
 * there is none.  malloc'ed; NULL without memory.
 */
static char *
text_with(const struct edit *e, const char *name, const char *line, size_t *len)
{
	size_t extra = line != NULL ? strlen(line) : 0;
	char *text = malloc(e->len + extra + 3), *to = text;
	const char *end = e->text + e->len;

	if (text == NULL)
		return NULL;
	for (const char *at = e->text; at < end;) {
		size_t n = line_length(at, end);

		if (!line_is_of(at, n, name)) {
			to = mempcpy(to, at, n);
			if (to[-1] != '\n')
				*to++ = '\n';
		} else if (line != NULL) {
			to = mempcpy(to, line, extra);
			*to++ = '\n';
			line = NULL;
		}
		at += n;
	}
	if (line != NULL) {
		to = mempcpy(to, line, extra);
		*to++ = '\n';
	}
	*len = (size_t)(to - text);
	return text;
}

/* The line of a user, without its end, in a copy; NULL: none, or no memory. */
static char *
line_of(const struct edit *e, const char *name)
{
	const char *end = e->text + e->len;

	for (const char *at = e->text; at < end; at += line_length(at, end))
		if (line_is_of(at, line_length(at, end), name))
			return strndup(at, strcspn(at, "\r\n"));
	return NULL;
}

static void
line_free(char *line)
{
	if (line != NULL)
		explicit_bzero(line, strlen(line));
	free(line);
}

static int
file_change(const struct edit *e, const char *name, const char *line)
{
	size_t len;
	char *text = text_with(e, name, line, &len);
	int done;

	if (text == NULL)
		return edit_complain(e->path);
	done = edit_replace(e, text, len);
	explicit_bzero(text, len);
	free(text);
	return done;
}

/* ---- what the file means ---- */

static void
fault_say(size_t line, const char *what, void *arg)
{
	if (line > 0)
		fprintf(stderr, "pop3ctl: %s:%zu: %s\n", (const char *)arg, line, what);
	else
		fprintf(stderr, "pop3ctl: %s: %s\n", (const char *)arg, what);
}

struct faults {
	const char *path;
	size_t n;
};

static void
fault_count(size_t line, const char *what, void *arg)
{
	struct faults *f = arg;
	char path[MSG_PATH_SIZE];

	snprintf(path, sizeof(path), "%s", f->path);
	fault_say(line, what, path);
	f->n++;
}

/* Parse a copy; how many faults it has, each said.  -1 without memory. */
static int
text_parse(const char *text, size_t len, const char *path, struct userfile *u)
{
	struct faults f = {path, 0};
	char *copy = malloc(len + 1);

	if (copy == NULL)
		return edit_complain(path);
	memcpy(copy, text, len);
	copy[len] = '\0';
	if (userfile_parse(u, copy, len, geteuid() != 0, fault_count, &f) < 0)
		return edit_complain(path);
	return f.n > INT_MAX ? INT_MAX : (int)f.n;
}

/* ":allow=...:deny=..." of the account that is in force, not of a faulty line before it; malloc'ed,
 * empty if it has none.  NULL: no memory. */
static char *
networks_of(const struct edit *e, const char *name)
{
	char *text = malloc(e->len + 1), *networks = NULL;
	const struct userfile_entry *found;
	struct userfile u = {0};

	if (text == NULL)
		return NULL;
	memcpy(text, e->text, e->len);
	text[e->len] = '\0';
	if (userfile_parse(&u, text, e->len, geteuid() != 0, NULL, NULL) == 0) {
		const char *allow = NULL, *deny = NULL;

		if ((found = userfile_find(&u, name)) != NULL)
			allow = found->allow, deny = found->deny;
		if (asprintf(&networks, "%s%s%s%s", allow != NULL ? ":allow=" : "",
			     allow != NULL ? allow : "", deny != NULL ? ":deny=" : "",
			     deny != NULL ? deny : "") < 0)
			networks = NULL;
	}
	userfile_free(&u);
	return networks;
}

/* Put the line in; an account that is there already keeps the networks that it may be used from. */
static int
file_put(const struct edit *e, const char *name, const char *line)
{
	char *networks = networks_of(e, name), *new = NULL;
	int done = -1;

	if (networks == NULL || asprintf(&new, "%s%s", line, networks) < 0)
		new = NULL;
	if (new != NULL)
		done = file_change(e, name, new);
	else
		(void)edit_complain(name);
	line_free(new);
	free(networks);
	return done;
}

/* Does a line that we made say what was meant? */
static bool
line_is_right(const char *line, const char *const field[static 4])
{
	struct userfile u = {0};
	bool right = text_parse(line, strlen(line), "this account", &u) == 0;

	if (right && (u.n != 1 || strcmp(u.entries[0].name, field[0]) != 0 ||
		      strcmp(u.entries[0].password, field[1]) != 0 ||
		      strcmp(u.entries[0].home, field[2]) != 0 ||
		      strcmp(u.entries[0].mailbox, field[3]) != 0)) {
		fail("the name begins with \"#\", or something holds a colon or a line end");
		right = false;
	}
	userfile_free(&u);
	return right;
}

/* Read the accounts of the file.  0, or -1 and said. */
static int
accounts_read(const char *path, struct userfile *u)
{
	char why[MSG_PATH_SIZE + 128], *text;
	size_t len;

	if (userfile_read(path, &text, &len, why, sizeof(why)) < 0)
		return fail(why), -1;
	if (userfile_parse(u, text, len, geteuid() != 0, fault_say, (void *)(uintptr_t)path) < 0)
		return edit_complain(path);
	return 0;
}

/* ---- verbs ---- */

static int
verb_add(const struct call *c)
{
	const char *box = c->n > 4 ? c->words[4] : "";
	struct edit e = {.lock = -1};
	struct stored secret;
	char *line = NULL;
	int done = -1;

	if (c->words[0][0] == '\0')
		return fail("user specification missing");
	if (password_read(c->mark, &secret) < 0)
		return CTL_FAILED;
	const char *const fields[] = {c->words[0], secret.text, c->words[3], box};
	if (asprintf(&line, "%s:%s:%s:%s:%s%s%s", c->words[0], secret.text, c->words[1],
		     c->words[2], c->words[3], box[0] != '\0' ? ":" : "", box) < 0)
		line = NULL;
	if (line != NULL && line_is_right(line, fields) && edit_open(&e, c->path, true) == 0)
		done = file_put(&e, c->words[0], line);
	edit_close(&e);
	line_free(line);
	explicit_bzero(&secret, sizeof(secret));
	return done == 0 ? CTL_DONE : CTL_FAILED;
}

static int
verb_remove(const struct call *c)
{
	struct edit e;
	int status = CTL_FAILED;

	if (edit_open(&e, c->path, false) == 0) {
		char *line = line_of(&e, c->words[0]);

		if (line == NULL)
			fail_user(c->words[0], "not known");
		else if (file_change(&e, c->words[0], NULL) == 0)
			status = CTL_DONE;
		line_free(line);
	}
	edit_close(&e);
	return status;
}

/* The line for the user under another name; malloc'ed, NULL and said. */
static char *
line_renamed(const struct edit *e, const char *from, const char *to)
{
	char *line = line_of(e, from), *other = line_of(e, to), *new = NULL;
	struct userfile u = {0};

	if (line == NULL)
		fail_user(from, "not known");
	else if (other != NULL)
		fail_user(to, "is known");
	else if (asprintf(&new, "%s%s", to, line + strlen(from)) < 0)
		new = NULL;
	else if (text_parse(new, strlen(new), "this account", &u) < 0 || u.n != 1 ||
		 strcmp(u.entries[0].name, to) != 0) {
		fail_user(to, "cannot be a name");
		line_free(new);
		new = NULL;
	}
	userfile_free(&u);
	line_free(line);
	line_free(other);
	return new;
}

static int
verb_rename(const struct call *c)
{
	struct edit e;
	int done = -1;

	if (c->words[0][0] == '\0' || c->words[1][0] == '\0')
		return fail("user specification missing");
	if (edit_open(&e, c->path, false) == 0) {
		char *line = line_renamed(&e, c->words[0], c->words[1]);

		if (line != NULL)
			done = file_change(&e, c->words[0], line);
		line_free(line);
	}
	edit_close(&e);
	return done == 0 ? CTL_DONE : CTL_FAILED;
}

static const char *
secret_kind(const struct userfile_entry *e)
{
	if (userfile_plain(e) != NULL)
		return "plain";
	if (userfile_apop(e) != NULL)
		return "apop";
	return e->scheme == USERFILE_HASH ? "hash" : "other";
}

static int
verb_lookup(const struct call *c)
{
	const struct userfile_entry *found = NULL;
	struct userfile u = {0};
	char *text = NULL;

	if (accounts_read(c->path, &u) < 0)
		return CTL_FAILED;
	found = userfile_find(&u, c->words[0]);
	if (found == NULL)
		fail_user(c->words[0], "not known");
	else if (asprintf(&text,
			  "name\t%s\npassword\t%s\nuid\t%u\ngid\t%u\nhome\t%s\nmailbox\t%s\n"
			  "allow\t%s\ndeny\t%s\n",
			  found->name, secret_kind(found), found->uid, found->gid, found->home,
			  found->mailbox, found->allow != NULL ? found->allow : "",
			  found->deny != NULL ? found->deny : "") >= 0) {
		answer_print(text, ANSWER_PAIRS, c->form);
		free(text);
	}
	userfile_free(&u);
	return found != NULL ? CTL_DONE : CTL_FAILED;
}

static int
verb_exists(const struct call *c)
{
	struct userfile u = {0};
	char text[] = "0\n";

	if (accounts_read(c->path, &u) < 0)
		return CTL_FAILED;
	if (userfile_find(&u, c->words[0]) != NULL)
		text[0] = '1';
	userfile_free(&u);
	answer_print(text, ANSWER_TRUTH, c->form);
	return CTL_DONE;
}

static int
verb_who(const struct call *c)
{
	struct userfile u = {0};
	char *text = NULL;
	size_t len = 0;
	FILE *out;

	if (accounts_read(c->path, &u) < 0)
		return CTL_FAILED;
	out = open_memstream(&text, &len);
	for (size_t i = 0; i < u.n && out != NULL; i++)
		fprintf(out, "%s\n", u.entries[i].name);
	userfile_free(&u);
	if (out == NULL || fclose(out) != 0)
		return fail("no memory");
	answer_print(text, ANSWER_LIST, c->form);
	free(text);
	return CTL_DONE;
}

static int
verb_save(const struct call *c)
{
	struct edit e;
	int done = -1;

	if (edit_open(&e, c->path, false) == 0)
		done = edit_save(&e, c->n > 0 ? c->words[0] : e.path, e.text, e.len);
	edit_close(&e);
	return done == 0 ? CTL_DONE : CTL_FAILED;
}

static int
verb_read(const struct call *c)
{
	char why[MSG_PATH_SIZE + 128], *text;
	struct edit e = {.lock = -1};
	struct userfile u = {0};
	int done = -1;
	size_t len;

	if (userfile_read(c->words[0], &text, &len, why, sizeof(why)) < 0)
		return fail(why);
	if (text_parse(text, len, c->words[0], &u) != 0)
		fail("nothing was changed");
	else if (edit_open(&e, c->path, true) == 0)
		done = edit_replace(&e, text, len);
	edit_close(&e);
	userfile_free(&u);
	explicit_bzero(text, len);
	free(text);
	return done == 0 ? CTL_DONE : CTL_FAILED;
}

static const struct verb {
	const char *word;
	int min, max; /* words behind it */
	int (*run)(const struct call *c);
} verbs[] = {
    {"add", 4, 5, verb_add},	   {"remove", 1, 1, verb_remove}, {"rename", 2, 2, verb_rename},
    {"lookup", 1, 1, verb_lookup}, {"exists", 1, 1, verb_exists}, {"who", 0, 0, verb_who},
    {"save", 0, 1, verb_save},	   {"read", 1, 1, verb_read},
};

static int
wrong_usage(const char *verb, const char *arguments)
{
	fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl user ?-f file? %s%s%s\"\n",
		verb, arguments[0] != '\0' ? " " : "", arguments);
	return CTL_USAGE;
}

/* The mark that an option stands for, or NULL. */
static const char *
mark_of(const char *option)
{
	if (strcmp(option, "--plain") == 0)
		return "{plain}";
	return strcmp(option, "--apop") == 0 ? "{apop}" : NULL;
}

int
user_run(enum answer_form form, int argc, char *argv[])
{
	struct call c = {.path = SYSCONFDIR "/pop3d/users", .form = form};
	char choices[CTL_TEXT_SIZE];
	const char *word;

	argc--, argv++;
	if (argc > 1 && strcmp(argv[0], "-f") == 0) {
		c.path = argv[1];
		argc -= 2, argv += 2;
	}
	if (argc == 0)
		return wrong_usage("option", "?arg ...?");
	word = *argv++;
	c.n = argc - 1;
	if (c.n > 0 && strcmp(word, "add") == 0 && (c.mark = mark_of(argv[0])) != NULL)
		c.n--, argv++;
	c.words = argv;
	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++) {
		const struct verb *v = &verbs[i];

		if (strcmp(v->word, word) != 0)
			continue;
		return c.n < v->min || c.n > v->max
			   ? wrong_usage(word, ctl_find("user", word)->arguments)
			   : v->run(&c);
	}
	fprintf(stderr, "pop3ctl: bad option \"%s\": must be %s\n", word,
		ctl_choices(choices, "user"));
	return CTL_USAGE;
}
