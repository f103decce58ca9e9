/*
 * pop3d.conf: one pass over its words.  Each value is checked and stored where
 * it stands.  After a fault the rest of that line is passed over and reading goes
 * on, so that one run tells all faults.
 */
#include "config.h"

#include <bsd/string.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/conf/lex.h"

/* Everything about one load. */
struct load {
	struct conf_faults faults;
	struct conf *conf;
	bool may_include;
	bool broken; /* something could not be read: what belongs together is not looked at */
	size_t nfiles, depth;
	char *paths[CONF_FILES_MAX]; /* places point to them until the end */
	char *texts[CONF_FILES_MAX];

	uint64_t global_set; /* as in struct conf_given */
	struct conf_given given;
	struct conf_server excess;  /* takes the settings of a server too many */
	struct conf_server *server; /* the one being read, or NULL */
};

/* One file. */
struct reader {
	struct load *load;
	struct lexer lex;
	struct conf_place open; /* of the server that began in this file; line 0: none */
};

static void read_items(struct reader *r);

/* Pass over the rest of the line, and over braces that open there. */
static void
skip_line(struct reader *r, int line)
{
	size_t depth = 0;

	for (; r->lex.token.kind != TOKEN_END; lex_next(&r->lex)) {
		if (depth == 0 && (r->lex.token.line != line ||
				   (r->lex.token.kind == TOKEN_CLOSE && r->open.line != 0)))
			return;
		if (r->lex.token.kind == TOKEN_OPEN)
			depth++;
		else if (r->lex.token.kind == TOKEN_CLOSE && depth > 0)
			depth--;
	}
}

static struct conf_place
place(const struct reader *r)
{
	return (struct conf_place){r->lex.at.path, r->lex.token.line};
}

/* The current token is not what was expected.  What is wrong in a word was told by the lexer. */
static void
fault_token(struct reader *r, const char *expected)
{
	struct load *l = r->load;

	l->broken = true;
	if (r->lex.token.kind == TOKEN_END && r->open.line != 0)
		conf_fault(&l->faults, place(r),
			   "unexpected end of file: expected \"}\" for the \"{\" in line %d",
			   r->open.line);
	else if (r->lex.token.kind == TOKEN_END)
		conf_fault(&l->faults, place(r), "unexpected end of file: expected %s", expected);
	else if (r->lex.token.kind != TOKEN_BAD)
		conf_fault(&l->faults, place(r), "unexpected \"%.80s\": expected %s",
			   r->lex.token.text, expected);
}

static const char *
nearest_name(const struct load *l, const char *name)
{
	const struct conf_setting *s;
	const char *nearest = NULL;
	unsigned best = UINT_MAX;

	for (s = conf_server_settings; s->name != NULL; s++)
		if (l->server != NULL || s->shared)
			conf_nearest(name, s->name, &nearest, &best);
	for (s = conf_global_settings; s->name != NULL && l->server == NULL; s++)
		conf_nearest(name, s->name, &nearest, &best);
	conf_nearest(name, "include", &nearest, &best);
	if (l->server == NULL)
		conf_nearest(name, "server", &nearest, &best);
	return nearest;
}

static void
fault_unknown(struct load *l, struct conf_place at, const char *name)
{
	const struct conf_setting *elsewhere = conf_setting_find(
	    l->server == NULL ? conf_server_settings : conf_global_settings, name, &(size_t){0});
	const char *nearest = nearest_name(l, name);

	if (elsewhere != NULL)
		conf_fault(&l->faults, at, "%s: expected only %s server NAME { ... }", name,
			   l->server == NULL ? "within" : "outside of");
	else
		conf_fault(&l->faults, at,
			   "unknown setting \"%.80s\": expected one of those in pop3d.conf(5)"
			   "%s%s%s",
			   name, nearest != NULL ? ", did you mean \"" : "",
			   nearest != NULL ? nearest : "", nearest != NULL ? "\"?" : "");
}

/* A setting of the section that is being read, and where its value goes. */
struct target {
	const struct conf_setting *setting;
	void *base;
	uint64_t *set;
	size_t index;
};

/* 0, or -1: no such setting here. */
static int
target_find(struct load *l, const char *name, struct target *t)
{
	if (l->server != NULL) {
		*t = (struct target){.base = l->server,
				     .set = &l->given.server_set[l->conf->nservers]};
		t->setting = conf_setting_find(conf_server_settings, name, &t->index);
		return t->setting != NULL ? 0 : -1;
	}
	*t = (struct target){.base = l->conf, .set = &l->global_set};
	t->setting = conf_setting_find(conf_global_settings, name, &t->index);
	if (t->setting != NULL)
		return 0;
	*t = (struct target){.base = &l->given.shared, .set = &l->given.shared_set};
	t->setting = conf_setting_find(conf_server_settings, name, &t->index);
	return t->setting != NULL && t->setting->shared ? 0 : -1;
}

/* A setting begins: it stands once in its place. */
static void
target_begin(struct load *l, const struct target *t, struct conf_place at)
{
	if ((*t->set & conf_bit(t->index)) != 0)
		conf_fault(&l->faults, at, "%s: expected once only", t->setting->name);
	if (conf_setting_is_list(t->setting))
		memset((char *)t->base + t->setting->offset, 0, t->setting->size);
	*t->set |= conf_bit(t->index);
	if (t->set == &l->given.shared_set)
		l->given.shared_at[t->index] = at;
}

/* Store a value where it belongs, or complain. */
static void
value_store(struct load *l, const struct target *t, struct conf_place at, const char *value)
{
	char expected[CONF_EXPECTED_SIZE];
	const struct conf_setting *s = t->setting;

	if (conf_setting_store(s, t->base, value, expected) < 0) {
		conf_fault(&l->faults, at, "%s: expected %s, not \"%.80s\"", s->name, expected,
			   value);
		/* So that what is checked later finds no second fault in the same value. */
		if (s->def != NULL && s->kind != CONF_ADDRESS)
			(void)conf_setting_store(s, t->base, s->def, expected);
	} else if (conf_setting_is_unwise(s, t->base))
		conf_warning(&l->faults, at, "%s: %s", s->name, s->advice);
}

/* The current token is a value.  0, or -1: it is not one. */
static int
read_value(struct reader *r, const struct target *t)
{
	if (r->lex.token.kind != TOKEN_WORD && r->lex.token.kind != TOKEN_BAD) {
		fault_token(r, conf_setting_is_list(t->setting) ? "a value or {VALUE, VALUE}"
								: "a value");
		return -1;
	}
	if (r->lex.token.kind == TOKEN_WORD)
		value_store(r->load, t, place(r), r->lex.token.text);
	else
		r->load->broken = true;
	lex_next(&r->lex);
	return 0;
}

/* Pass over the rest of the line, or of the list if that ends there. */
static void
skip_list(struct reader *r)
{
	int line = r->lex.token.line;

	while (r->lex.token.line == line && r->lex.token.kind != TOKEN_CLOSE &&
	       r->lex.token.kind != TOKEN_END)
		lex_next(&r->lex);
	if (r->lex.token.line == line && r->lex.token.kind == TOKEN_CLOSE)
		lex_next(&r->lex);
}

/* The current token opens a list. */
static void
read_list(struct reader *r, const struct target *t)
{
	struct conf_place at = place(r);
	size_t n = 0;

	lex_next(&r->lex);
	for (; r->lex.token.kind != TOKEN_CLOSE; n++) {
		if (read_value(r, t) == -1) {
			skip_list(r);
			return;
		}
		if (r->lex.token.kind == TOKEN_COMMA)
			lex_next(&r->lex);
		else if (r->lex.token.kind != TOKEN_CLOSE) {
			fault_token(r, "\",\" or \"}\" after a value of the list");
			skip_list(r);
			return;
		}
	}
	if (n == 0) {
		r->load->broken = true;
		conf_fault(&r->load->faults, at, "%s: expected at least one", t->setting->name);
	}
	lex_next(&r->lex);
}

/* NAME = VALUE or NAME = {VALUE, VALUE}; the current token is behind the name. */
static void
read_setting(struct reader *r, struct conf_place at, const char *name)
{
	struct target t;

	if (target_find(r->load, name, &t) == -1) {
		fault_unknown(r->load, at, name);
		skip_line(r, at.line);
		return;
	}
	if (r->lex.token.kind != TOKEN_EQUAL) {
		r->load->broken = true;
		conf_fault(&r->load->faults, at, "expected \"=\" after \"%s\"", name);
		skip_line(r, at.line);
		return;
	}
	lex_next(&r->lex);
	target_begin(r->load, &t, place(r));
	if (r->lex.token.kind == TOKEN_OPEN && conf_setting_is_list(t.setting))
		read_list(r, &t);
	else if (read_value(r, &t) == -1)
		skip_line(r, at.line);
}

/* A section of that name begins. */
static void
server_begin(struct load *l, const char *name, struct conf_place at)
{
	const char *expected = conf_check_server_name(name);
	struct conf *c = l->conf;

	if (c->nservers == CONF_SERVERS_MAX) {
		if (l->given.server_at[c->nservers].line == 0)
			conf_fault(&l->faults, at, "expected at most %d servers", CONF_SERVERS_MAX);
		memset(&l->excess, 0, sizeof(l->excess));
		l->given.server_set[c->nservers] = 0;
		l->given.server_at[c->nservers] = at;
		l->server = &l->excess;
		return;
	}
	l->given.server_at[c->nservers] = at;
	l->server = &c->servers[c->nservers];
	for (size_t i = 0; i < c->nservers; i++)
		if (strcmp(c->servers[i].name, name) == 0)
			conf_fault(&l->faults, at,
				   "server: expected another name than \"%s\", as in %s:%d", name,
				   l->given.server_at[i].path, l->given.server_at[i].line);
	if (expected != NULL)
		conf_fault(&l->faults, at, "server: expected %s, not \"%.80s\"", expected, name);
	else
		(void)strlcpy(l->server->name, name, sizeof(l->server->name));
}

static void
server_end(struct load *l)
{
	if (l->server != &l->excess)
		l->conf->nservers++;
	l->server = NULL;
}

/* server NAME { ... }; the current token is behind "server". */
static void
read_server(struct reader *r, struct conf_place at)
{
	const char *name = r->lex.token.text;

	if (r->lex.token.kind != TOKEN_WORD) {
		fault_token(r, "a name after \"server\"");
		skip_line(r, at.line);
		return;
	}
	lex_next(&r->lex);
	if (r->lex.token.kind != TOKEN_OPEN) {
		fault_token(r, "\"{\" after \"server\" and its name");
		skip_line(r, at.line);
		return;
	}
	r->open = place(r);
	server_begin(r->load, name, at);
	lex_next(&r->lex);
	read_items(r);
	if (r->lex.token.kind == TOKEN_CLOSE)
		lex_next(&r->lex);
	else if (r->lex.token.kind == TOKEN_END)
		fault_token(r, "\"}\"");
	r->open.line = 0;
	server_end(r->load);
}

/* Open a regular file.  NULL and why not in `why`. */
static FILE *
file_open(const char *path, char why[CONF_EXPECTED_SIZE])
{
	struct stat st;
	/* A FIFO or a device must not hold up a daemon that reloads. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	bool found = fd != -1 && fstat(fd, &st) == 0;
	FILE *f = found && S_ISREG(st.st_mode) ? fdopen(fd, "r") : NULL;

	if (f != NULL)
		return f;
	if (found && !S_ISREG(st.st_mode))
		snprintf(why, CONF_EXPECTED_SIZE, "expected a regular file");
	else
		snprintf(why, CONF_EXPECTED_SIZE, "cannot open the configuration file: %s",
			 strerror(errno));
	if (fd != -1)
		close(fd);
	return NULL;
}

/* Read a whole regular file, with room for a NUL behind it.  Returns it (free(3) it), *len its
 * length; NULL and why not in `why`. */
static char *
file_read(const char *path, size_t *len, char why[CONF_EXPECTED_SIZE])
{
	FILE *f = file_open(path, why);
	char *text = malloc(CONF_FILE_MAX + 2);

	*len = f != NULL && text != NULL ? fread(text, 1, CONF_FILE_MAX + 1, f) : 0;
	if (f != NULL && text != NULL && ferror(f) == 0 && *len <= CONF_FILE_MAX) {
		fclose(f);
		return text;
	}
	if (*len > CONF_FILE_MAX)
		snprintf(why, CONF_EXPECTED_SIZE, "expected a file of at most %d octets",
			 CONF_FILE_MAX);
	else if (f != NULL)
		snprintf(why, CONF_EXPECTED_SIZE, "cannot read the configuration file: %s",
			 strerror(errno));
	if (f != NULL)
		fclose(f);
	free(text);
	return NULL;
}

/* A path of the load's own, and a text, which becomes its. */
static void
read_text(struct load *l, const char *path, char *text, size_t len)
{
	struct reader r = {.load = l};

	if (lex_begin(&r.lex, &l->faults, path, text, len) == -1)
		l->broken = true;
	else
		read_items(&r);
}

/* Take over a copy of the path.  NULL: told. */
static const char *
path_keep(struct load *l, struct conf_place at, const char *path)
{
	char *copy;

	if (l->nfiles == CONF_FILES_MAX) {
		conf_fault(&l->faults, at, "include: expected at most %d files", CONF_FILES_MAX);
		return NULL;
	}
	if ((copy = strdup(path)) == NULL) {
		conf_fault(&l->faults, at, "out of memory");
		return NULL;
	}
	l->paths[l->nfiles++] = copy;
	return copy;
}

/* Read a file that is named at this place; line 0: the configuration file itself. */
static void
read_file(struct load *l, struct conf_place at, const char *path)
{
	const char *kept = path_keep(l, at, path);
	char why[CONF_EXPECTED_SIZE], *text;
	size_t len;

	if (kept != NULL && (text = file_read(kept, &len, why)) != NULL) {
		l->texts[l->nfiles - 1] = text;
		read_text(l, kept, text, len);
		return;
	}
	l->broken = true;
	if (kept != NULL && at.line == 0)
		conf_fault(&l->faults, at, "%s", why);
	else if (kept != NULL)
		conf_fault(&l->faults, at, "include \"%s\": %s", kept, why);
}

/* The pattern as it is for the folder of the file that includes it (free(3) it). */
static char *
include_pattern(const char *path, const char *pattern)
{
	const char *slash = strrchr(path, '/');
	char *whole;
	int folder = pattern[0] == '/' || slash == NULL ? 0 : (int)(slash + 1 - path);

	return asprintf(&whole, "%.*s%s", folder, path, pattern) == -1 ? NULL : whole;
}

/* All files that fit, in the order of their names.  A name that is no pattern has to be there. */
static void
include_files(struct load *l, struct conf_place at, const char *pattern)
{
	char *whole = include_pattern(at.path, pattern);
	glob_t found = {.gl_pathc = 0};
	int result;

	if (whole == NULL)
		conf_fault(&l->faults, at, "out of memory");
	else if (strpbrk(pattern, "*?[") == NULL)
		read_file(l, at, whole);
	else if ((result = glob(whole, 0, NULL, &found)) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(l, at, found.gl_pathv[i]);
	else if (result != GLOB_NOMATCH)
		conf_fault(&l->faults, at, "include: cannot look for \"%.200s\"", whole);
	globfree(&found);
	free(whole);
}

/* include "FILE-OR-GLOB"; the current token is behind "include". */
static void
read_include(struct reader *r, struct conf_place at)
{
	struct load *l = r->load;
	const char *pattern = r->lex.token.text;

	if (r->lex.token.kind != TOKEN_WORD || pattern[0] == '\0') {
		fault_token(r, "a file or a pattern after \"include\"");
		skip_line(r, at.line);
		return;
	}
	lex_next(&r->lex);
	if (!l->may_include)
		conf_fault(&l->faults, at, "include: expected only in a file");
	else if (l->depth == CONF_DEPTH_MAX) {
		conf_fault(&l->faults, at, "include: expected files at most %d deep",
			   CONF_DEPTH_MAX);
	} else {
		l->depth++;
		include_files(l, at, pattern);
		l->depth--;
	}
}

/* One setting, section or include; the current token is a word. */
static void
read_item(struct reader *r)
{
	const char *name = r->lex.token.text;
	struct conf_place at = place(r);

	lex_next(&r->lex);
	if (strcmp(name, "server") == 0)
		read_server(r, at);
	else if (strcmp(name, "include") == 0)
		read_include(r, at);
	else
		read_setting(r, at, name);
}

/* Up to the end of the file, or of the server that began in it. */
static void
read_items(struct reader *r)
{
	static const char item_form[] =
	    "NAME = VALUE, NAME = {VALUE, VALUE} or server NAME { ... }";

	for (;;) {
		const struct token *t = &r->lex.token;

		if (t->kind == TOKEN_END || (t->kind == TOKEN_CLOSE && r->open.line != 0))
			return;
		if (t->kind == TOKEN_WORD && r->load->server != NULL &&
		    strcmp(t->text, "server") == 0) {
			r->load->broken = true;
			conf_fault(&r->load->faults, place(r),
				   "expected \"}\" before the next server");
			return;
		}
		if (t->kind == TOKEN_WORD) {
			read_item(r);
			continue;
		}
		fault_token(r, t->kind == TOKEN_CLOSE ? "no more than were opened" : item_form);
		if (t->kind == TOKEN_CLOSE)
			lex_next(&r->lex);
		else
			skip_line(r, t->line);
	}
}

/* A load, with the settings as no file gives them; NULL: told. */
static struct load *
load_new(const char *path, struct conf *c, const struct conf_hearer *hearer)
{
	struct load *l = calloc(1, sizeof(*l));

	if (l == NULL) {
		conf_fault(&(struct conf_faults){.hearer = hearer}, (struct conf_place){path, 0},
			   "out of memory");
		return NULL;
	}
	l->faults.hearer = hearer;
	l->conf = c;
	conf_begin(c, &l->given);
	l->given.path = path;
	return l;
}

/* Everything was read: 0, or -1. */
static int
load_end(struct load *l, const char *path)
{
	int result;

	if (!l->broken)
		conf_finish(l->conf, &l->given, &l->faults);
	conf_faults_end(&l->faults, path);
	result = l->faults.count == 0 ? 0 : -1;
	for (size_t i = 0; i < l->nfiles; i++) {
		free(l->paths[i]);
		free(l->texts[i]);
	}
	free(l);
	return result;
}

int
conf_load_text(const char *path, char *text, size_t len, struct conf *c,
	       const struct conf_hearer *hearer)
{
	struct load *l = load_new(path, c, hearer);

	if (l == NULL)
		return -1;
	read_text(l, path, text, len);
	return load_end(l, path);
}

int
conf_load(const char *path, struct conf *c, const struct conf_hearer *hearer)
{
	struct load *l = load_new(path, c, hearer);

	if (l == NULL)
		return -1;
	l->may_include = true;
	read_file(l, (struct conf_place){path, 0}, path);
	return load_end(l, path);
}
