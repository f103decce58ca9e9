/*
 * pop3ctl adopt dovecot, adopt courier: a pop3d.conf that does what the other server does.
 *
 * Runs as:  whoever calls it.
 * Sees:     the other server's settings.
 * May never: change anything of the other server.
 */
#include "config.h"

#include "daemon/ctl/adopt.h"

#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "common/ctl_words.h"
#include "daemon/ctl/request.h"

enum { NOTE_WIDTH = 72 };

static const struct server {
	const char *name;
	int (*read)(struct adopt *a, const char *config);
	void (*write)(struct adopt *a);
} servers[] = {
    {"courier", adopt_courier_read, adopt_courier_write},
    {"dovecot", adopt_dovecot_read, adopt_dovecot_write},
};

/* ---- settings of theirs ---- */

int
adopt_add(struct adopt *a, const char *name, const char *value, size_t section)
{
	struct adopt_setting *s = reallocarray(a->settings, a->n + 1, sizeof(*s));

	if (s == NULL)
		return -1;
	a->settings = s;
	s += a->n;
	*s = (struct adopt_setting){strdup(name), strdup(value), section};
	if (s->name == NULL || s->value == NULL) {
		free(s->name);
		free(s->value);
		return -1;
	}
	a->n++;
	return 0;
}

void
adopt_free(struct adopt *a)
{
	for (size_t i = 0; i < a->n; i++) {
		free(a->settings[i].name);
		free(a->settings[i].value);
	}
	free(a->settings);
	free(a->title);
}

const char *
adopt_get(const struct adopt *a, const char *pattern)
{
	for (size_t i = 0; i < a->n; i++)
		if (fnmatch(pattern, a->settings[i].name, 0) == 0)
			return a->settings[i].value;
	return NULL;
}

const char *
adopt_get_in(const struct adopt *a, size_t section, const char *pattern)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->settings[i].section == section &&
		    fnmatch(pattern, a->settings[i].name, 0) == 0)
			return a->settings[i].value;
	return NULL;
}

bool
adopt_is_yes(const char *value)
{
	return value != NULL && (strcasecmp(value, "yes") == 0 || strcmp(value, "1") == 0);
}

int
adopt_lines(struct adopt *a, FILE *in, int (*line)(struct adopt *a, char *text, void *arg),
	    void *arg)
{
	char *text = NULL;
	size_t room = 0;
	ssize_t n;
	int r = 0;

	while (r == 0 && (n = getline(&text, &room, in)) > 0) {
		while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
			text[--n] = '\0';
		r = line(a, text + strspn(text, " \t"), arg);
	}
	free(text);
	return r;
}

/* ---- ours ---- */

bool
adopt_text(const char *value, char *out)
{
	bool good = strchr(value, '"') == NULL && strchr(value, '\\') == NULL;

	return good && snprintf(out, ADOPT_VALUE_SIZE, "\"%s\"", value) < ADOPT_VALUE_SIZE;
}

bool
adopt_number(const char *value, char *out)
{
	return value[0] != '\0' && strlen(value) <= 9 &&
	       value[strspn(value, "0123456789")] == '\0' &&
	       snprintf(out, ADOPT_VALUE_SIZE, "%s", value) > 0;
}

bool
adopt_path(const char *value, char *out)
{
	value += value[0] == '<';
	return value[0] == '/' && adopt_text(value, out);
}

void
adopt_set(struct adopt *a, const char *ours, const char *value, const char *of)
{
	if (of[0] != '\0')
		fprintf(a->set, "# %s\n", of);
	fprintf(a->set, "%s = %s\n\n", ours, value);
}

/* Words in lines of a comment. */
static void
note_words(FILE *to, const char *words)
{
	size_t column = 0, len;

	for (; *words != '\0'; words += len + strspn(words + len, " ")) {
		len = strcspn(words, " ");
		if (column > 0 && column + len >= NOTE_WIDTH)
			column = 0, putc('\n', to);
		fprintf(to, column == 0 ? "#     %.*s" : " %.*s", (int)len, words);
		column += len + 1;
	}
	putc('\n', to);
}

void
adopt_note(struct adopt *a, const char *what, const char *words)
{
	fprintf(a->notes, "# %s\n", what);
	note_words(a->notes, words);
}

static const struct adopt_rule *
rule_find(const struct adopt_rule *rules, const char *name)
{
	for (; rules->theirs != NULL; rules++)
		if (fnmatch(rules->theirs, name, 0) == 0)
			return rules;
	return NULL;
}

void
adopt_apply(struct adopt *a, const struct adopt_rule *rules)
{
	char value[ADOPT_VALUE_SIZE], of[2 * ADOPT_VALUE_SIZE];

	for (size_t i = 0; i < a->n; i++) {
		const struct adopt_setting *s = &a->settings[i];
		const struct adopt_rule *r = rule_find(rules, s->name);

		if (strcmp(s->value, "{") == 0)
			continue;
		(void)snprintf(of, sizeof(of), "%.600s = %.1200s", s->name, s->value);
		if (r == NULL)
			adopt_note(a, of, "not known here; pop3d goes without it");
		else if (r->ours != NULL && r->convert(s->value, value))
			adopt_set(a, r->ours, value, of);
		else if (r->words != NULL)
			adopt_note(a, of, r->words);
	}
}

/* ---- the file ---- */

/* Whether to overwrite it, asked on a terminal. */
static bool
may_overwrite(const char *path)
{
	char answer[8];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) {
		fprintf(stderr, "pop3ctl: %s is there already; --force overwrites it\n", path);
		return false;
	}
	fprintf(stderr, "Overwrite %s? [y/N] ", path);
	return fgets(answer, sizeof(answer), stdin) != NULL &&
	       (answer[0] == 'y' || answer[0] == 'Y');
}

static int
file_write(const char *path, bool force, const char *text, size_t len)
{
	int flags = O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, fd;
	ssize_t n;

	fd = open(path, flags | (force ? O_TRUNC : O_EXCL), 0644);
	if (fd == -1 && errno == EEXIST) {
		if (!may_overwrite(path))
			return CTL_FAILED;
		fd = open(path, flags | O_TRUNC, 0644);
	}
	n = fd != -1 ? write(fd, text, len) : -1;
	if (n == (ssize_t)len && close(fd) == 0)
		return CTL_DONE;
	fprintf(stderr, "pop3ctl: %s: %s\n", path, n >= 0 ? "not written whole" : strerror(errno));
	return CTL_FAILED;
}

static void
file_compose(FILE *to, const struct adopt *a, const char *set, const char *own, const char *notes)
{
	fprintf(
	    to,
	    "# pop3d.conf, made of the configuration of %s by pop3ctl adopt.\n"
	    "# Above each setting stands what it was made of; what is not here has the default\n"
	    "# of pop3d.conf(5).  Read it, then: pop3d -t -c FILE\n\n%s%s",
	    a->title, set, own);
	if (notes[0] != '\0')
		fprintf(to, "\n# Not carried over:\n#\n%s", notes);
}

/* Write ours and show what was not carried over.  The exit status. */
static int
file_make(const struct server *s, struct adopt *a, const char *path, bool force)
{
	char *part[4] = {NULL};
	size_t len[4];
	FILE *whole;
	int status = CTL_DONE;

	a->set = open_memstream(&part[0], &len[0]);
	a->servers = open_memstream(&part[1], &len[1]);
	a->notes = open_memstream(&part[2], &len[2]);
	whole = open_memstream(&part[3], &len[3]);
	if (a->set == NULL || a->servers == NULL || a->notes == NULL || whole == NULL)
		abort(); /* no memory, and nothing was changed */
	s->write(a);
	fclose(a->set);
	fclose(a->servers);
	fclose(a->notes);
	file_compose(whole, a, part[0], part[1], part[2]);
	fclose(whole);
	if (path == NULL)
		status = fwrite(part[3], 1, len[3], stdout) == len[3] ? CTL_DONE : CTL_FAILED;
	else
		status = file_write(path, force, part[3], len[3]);
	for (size_t i = 0; i < COUNT_OF(part); i++)
		free(part[i]);
	if (a->unmoved > 0)
		fprintf(stderr, "pop3ctl: pop3d cannot serve this mail as it is: see the end of "
				"the file\n");
	return a->unmoved > 0 ? CTL_FAILED : status;
}

static int
usage(const char *second)
{
	char text[CTL_TEXT_SIZE];

	if (second != NULL)
		fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
			ctl_synopsis(text, "adopt", second));
	else
		fprintf(stderr, "pop3ctl: bad option: adopt must be followed by %s\n",
			ctl_choices(text, "adopt"));
	return CTL_USAGE;
}

/* What the options say.  False: they are none of its. */
static bool
options_take(int argc, char *argv[], const char **config, const char **path, bool *force)
{
	int i = 0;

	for (; i < argc; i++)
		if (strcmp(argv[i], "--force") == 0)
			*force = true;
		else if (i + 1 < argc && strcmp(argv[i], "--config") == 0)
			*config = argv[++i];
		else if (i + 1 < argc && strcmp(argv[i], "-o") == 0)
			*path = argv[++i];
		else
			return false;
	return true;
}

int
adopt_run(const char *socket_path, int argc, char *argv[])
{
	const char *config = NULL, *path = NULL;
	const struct server *s = NULL;
	struct adopt a = {0};
	bool force = false;
	int status = CTL_FAILED;

	if (argc > 1 && strcmp(argv[1], "uids") == 0)
		return adopt_uids(socket_path, argc - 1, argv + 1);
	for (size_t i = 0; argc > 1 && i < COUNT_OF(servers); i++)
		if (strcmp(servers[i].name, argv[1]) == 0)
			s = &servers[i];
	if (s == NULL)
		return usage(NULL);
	if (!options_take(argc - 2, argv + 2, &config, &path, &force))
		return usage(s->name);
	if (s->read(&a, config) == 0)
		status = file_make(s, &a, path, force);
	adopt_free(&a);
	return status;
}
