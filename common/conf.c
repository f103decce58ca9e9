/*
 * pop3d.conf by libconfuse.  Each value is checked and stored while it is
 * parsed, since only then its line is known; a fault does not stop the parser,
 * so that one run tells all of them.  An unknown name would stop it: a first,
 * silent pass collects those and makes them options that are only complained
 * about.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include <confuse.h>

#include "common/conf_priv.h"

enum { UNKNOWN_MAX = 32, OPTIONS_MAX = 64 + UNKNOWN_MAX };
enum scope { SCOPE_TOP, SCOPE_SERVER, SCOPES };

/* Everything about one load. */
struct load {
	struct conf_faults faults;
	struct conf *conf;
	cfg_t *root;
	cfg_opt_t options[SCOPES][OPTIONS_MAX];
	char *unknown[SCOPES][UNKNOWN_MAX];
	size_t nunknown[SCOPES];
	bool found; /* this pass met an unknown name that is not in the list yet */

	uint64_t global_set; /* as in struct conf_given */
	struct conf_given given;
	struct conf_server excess;  /* takes what belongs to a server too many */
	struct conf_server *server; /* the one being read, or NULL */
};

/* libconfuse's callbacks take no argument of ours. */
static struct load *loading;

static void
fault_unknown(struct load *l, enum scope scope, int line, const char *name)
{
	size_t index;

	if (scope == SCOPE_TOP && conf_setting_find(conf_server_settings, name, &index) != NULL)
		conf_fault(&l->faults, line, "%s: expected only within server NAME { ... }", name);
	else if (scope == SCOPE_SERVER &&
		 conf_setting_find(conf_global_settings, name, &index) != NULL)
		conf_fault(&l->faults, line, "%s: expected only outside of server NAME { ... }",
			   name);
	else if (scope == SCOPE_SERVER && strcmp(name, "server") == 0)
		conf_fault(&l->faults, line, "expected \"}\" before the next server");
	else
		conf_fault(&l->faults, line,
			   "unknown setting \"%.80s\": expected one of those in pop3d.conf(5)",
			   name);
}

static bool
unknown_has(const struct load *l, enum scope scope, const char *name)
{
	size_t i;

	for (i = 0; i < l->nunknown[scope]; i++)
		if (strcmp(l->unknown[scope][i], name) == 0)
			return true;
	return false;
}

static void
unknown_add(struct load *l, enum scope scope, const char *name)
{
	size_t n = l->nunknown[scope];

	if (n == UNKNOWN_MAX || unknown_has(l, scope, name))
		return;
	l->unknown[scope][n] = strdup(name);
	if (l->unknown[scope][n] == NULL)
		return;
	l->nunknown[scope]++;
	l->found = true;
}

/* What libconfuse says, and what we say: text before and behind its argument; no `behind`: it has
 * none. */
static const struct {
	const char *theirs, *before, *behind;
} parse_errors[] = {
    {"unexpected token '%s'", "unexpected \"",
     "\": expected NAME = VALUE, NAME = {VALUE, VALUE} or server NAME { ... }"},
    {"premature end of file", "unexpected end of file: expected a value", NULL},
    {"unexpected closing brace", "unexpected \"}\": expected no more than were opened", NULL},
    {"missing equal sign after option '%s'", "expected \"=\" after \"", "\""},
    {"missing title for section '%s'", "expected a name after \"", "\""},
    {"missing opening brace for section '%s'", "expected \"{\" after \"", "\" and its name"},
    {"no sub-section title/index for '%s'", "unknown setting \"", "|...\""},
};

static void __attribute__((format(printf, 3, 0)))
fault_parse(struct load *l, int line, const char *fmt, va_list ap)
{
	char text[CONF_EXPECTED_SIZE];
	size_t i;

	for (i = 0; i < sizeof(parse_errors) / sizeof(parse_errors[0]); i++) {
		if (strcmp(parse_errors[i].theirs, fmt) != 0)
			continue;
		if (parse_errors[i].behind == NULL)
			conf_fault(&l->faults, line, "%s", parse_errors[i].before);
		else
			conf_fault(&l->faults, line, "%s%.80s%s", parse_errors[i].before,
				   va_arg(ap, const char *), parse_errors[i].behind);
		return;
	}
	vsnprintf(text, sizeof(text), fmt, ap);
	conf_fault(&l->faults, line, "%s", text);
}

/* libconfuse: the parser stops here. */
static void __attribute__((format(printf, 2, 0)))
parse_failed(cfg_t *cfg, const char *fmt, va_list ap)
{
	struct load *l = loading;
	enum scope scope = cfg == l->root ? SCOPE_TOP : SCOPE_SERVER;
	bool no_option = strcmp(fmt, "no such option '%s'") == 0;
	bool no_equal = strcmp(fmt, "missing equal sign after option '%s'") == 0;
	const char *name = "";
	va_list again;

	va_copy(again, ap);
	if (no_option || no_equal)
		name = va_arg(again, const char *);
	if (no_option && l->faults.quiet)
		unknown_add(l, scope, name);
	if (no_option || (no_equal && unknown_has(l, scope, name)))
		fault_unknown(l, scope, cfg->line, name);
	else
		fault_parse(l, cfg->line, fmt, ap);
	va_end(again);
}

/* A server section begins. */
static void
server_begin(struct load *l, const char *title, int line)
{
	const char *expected = conf_check_server_name(title);
	struct conf *c = l->conf;
	size_t i;

	l->given.server_line[c->nservers] = line;
	if (c->nservers == CONF_SERVERS_MAX) {
		l->server = &l->excess;
		conf_fault(&l->faults, line, "expected at most %d servers", CONF_SERVERS_MAX);
		return;
	}
	l->server = &c->servers[c->nservers];
	for (i = 0; i < c->nservers; i++)
		if (strcmp(c->servers[i].name, title) == 0)
			conf_fault(&l->faults, line,
				   "server: expected another name than \"%s\", as in line %d",
				   title, l->given.server_line[i]);
	if (expected != NULL)
		conf_fault(&l->faults, line, "server: expected %s, not \"%.80s\"", expected, title);
	else
		strcpy(l->server->name, title);
}

/* The section that ends in this line; libconfuse does not say which of them it is. */
static cfg_t *
server_section(cfg_opt_t *opt, int line)
{
	cfg_t *section = NULL, *s;
	unsigned i;

	for (i = 0; i < cfg_opt_size(opt); i++) {
		s = cfg_opt_getnsec(opt, i);
		if (s->line == line || section == NULL)
			section = s;
	}
	return section;
}

/* A list that is given is not empty. */
static void
lists_check(struct load *l, cfg_t *section, int line)
{
	const struct conf_setting *s;

	for (s = conf_server_settings; s->name != NULL; s++) {
		const cfg_opt_t *o;

		if (!conf_setting_is_list(s) || (section == l->root && !s->shared))
			continue;
		o = cfg_getopt(section, s->name);
		if ((o->flags & CFGF_MODIFIED) != 0 && o->nvalues == 0)
			conf_fault(&l->faults, line, "%s: expected at least one", s->name);
	}
}

/* libconfuse: a server section ended.  Not 0 stops the parser: there are too many, and its time
 * grows with their square. */
static int
server_parsed(cfg_t *cfg, cfg_opt_t *opt)
{
	struct load *l = loading;
	cfg_t *section = server_section(opt, cfg->line);

	if (l->faults.quiet)
		return cfg_opt_size(opt) > CONF_SERVERS_MAX ? -1 : 0;
	if (l->server == NULL)
		server_begin(l, cfg_title(section), cfg->line);
	lists_check(l, section, cfg->line);
	if (l->server == &l->excess)
		return -1;
	l->conf->nservers++;
	l->server = NULL;
	return 0;
}

/* A place for the value of a setting in this section. */
struct place {
	const struct conf_setting *setting;
	void *base;
	uint64_t *set;
	size_t index;
};

/* 0, or -1: no such setting here. */
static int
place_find(struct load *l, enum scope scope, const char *name, struct place *p)
{
	if (scope == SCOPE_SERVER) {
		p->setting = conf_setting_find(conf_server_settings, name, &p->index);
		p->base = l->server;
		p->set = &l->given.server_set[l->conf->nservers];
		return p->setting != NULL ? 0 : -1;
	}
	p->setting = conf_setting_find(conf_global_settings, name, &p->index);
	p->base = l->conf;
	p->set = &l->global_set;
	if (p->setting != NULL)
		return 0;
	p->setting = conf_setting_find(conf_server_settings, name, &p->index);
	p->base = &l->given.shared;
	p->set = &l->given.shared_set;
	return p->setting != NULL && p->setting->shared ? 0 : -1;
}

/* Store a value where it belongs, or complain. */
static void
value_store(struct load *l, const struct place *p, int line, const char *value)
{
	char expected[CONF_EXPECTED_SIZE];
	const struct conf_setting *s = p->setting;

	if (conf_setting_store(s, p->base, value, expected) < 0) {
		conf_fault(&l->faults, line, "%s: expected %s, not \"%.80s\"", s->name, expected,
			   value);
		/* So that what is checked later finds no second fault in the same value. */
		if (s->def != NULL && (!conf_setting_is_list(s) || s->kind == CONF_PATHS))
			(void)conf_setting_store(s, p->base, s->def, expected);
	} else if (strcmp(s->name, "idle_timeout") == 0 && l->conf->idle_timeout < 600) {
		conf_warning(&l->faults, line,
			     "idle_timeout: RFC 1939 expects at least 600 seconds");
	}
}

/* libconfuse: a setting has a value, or a list one more. */
static int
value_parsed(cfg_t *cfg, cfg_opt_t *opt, const char *value, void *result)
{
	struct load *l = loading;
	enum scope scope = cfg == l->root ? SCOPE_TOP : SCOPE_SERVER;
	bool first = cfg_opt_size(opt) == 1;
	struct place p;

	*(const char **)result = value;
	if (l->faults.quiet)
		return 0;
	if (scope == SCOPE_SERVER && l->server == NULL)
		server_begin(l, cfg_title(cfg), l->root->line);
	if (place_find(l, scope, cfg_opt_name(opt), &p) < 0) {
		if (first)
			fault_unknown(l, scope, cfg->line, cfg_opt_name(opt));
		return 0;
	}
	if (first && (*p.set & conf_bit(p.index)) != 0)
		conf_fault(&l->faults, cfg->line, "%s: expected once only", p.setting->name);
	if (first && conf_setting_is_list(p.setting))
		conf_setting_clear(p.setting, p.base);
	*p.set |= conf_bit(p.index);
	if (p.set == &l->given.shared_set)
		l->given.shared_line[p.index] = cfg->line;
	value_store(l, &p, cfg->line, value);
	return 0;
}

static void
option_add(cfg_opt_t *options, size_t *n, const char *name, bool list)
{
	options[*n] = (cfg_opt_t){.name = name,
				  .type = CFGT_STR,
				  .flags = CFGF_NODEFAULT | (list ? CFGF_LIST : CFGF_NONE),
				  .parsecb = value_parsed};
	++*n;
}

static void
options_build(struct load *l)
{
	size_t n[SCOPES] = {0, 0}, i;
	const struct conf_setting *s;
	int scope;

	memset(l->options, 0, sizeof(l->options));
	for (s = conf_global_settings; s->name != NULL; s++)
		option_add(l->options[SCOPE_TOP], &n[SCOPE_TOP], s->name, false);
	for (s = conf_server_settings; s->name != NULL; s++) {
		option_add(l->options[SCOPE_SERVER], &n[SCOPE_SERVER], s->name,
			   conf_setting_is_list(s));
		if (s->shared)
			option_add(l->options[SCOPE_TOP], &n[SCOPE_TOP], s->name,
				   conf_setting_is_list(s));
	}
	for (scope = 0; scope < SCOPES; scope++)
		for (i = 0; i < l->nunknown[scope]; i++)
			option_add(l->options[scope], &n[scope], l->unknown[scope][i], true);
	l->options[SCOPE_TOP][n[SCOPE_TOP]] = (cfg_opt_t){.name = "server",
							  .type = CFGT_SEC,
							  .flags = CFGF_MULTI | CFGF_TITLE,
							  .subopts = l->options[SCOPE_SERVER],
							  .validcb = server_parsed};
}

/* Let libconfuse read the text once.  0, or -1: it stopped early. */
static int
parse_pass(struct load *l, char *text, size_t len)
{
	unsigned before = l->faults.count;
	FILE *in = NULL;
	int result = -1;

	l->found = false;
	options_build(l);
	l->root = cfg_init(l->options[SCOPE_TOP], CFGF_NONE);
	if (l->root != NULL)
		in = fmemopen(text, len, "r");
	if (in == NULL) {
		conf_fault(&l->faults, 0, "out of memory");
		goto out;
	}
	cfg_set_error_function(l->root, parse_failed);
	if (cfg_parse_fp(l->root, in) == CFG_SUCCESS) {
		lists_check(l, l->root, l->root->line);
		result = 0;
	} else if (l->faults.count == before)
		conf_fault(&l->faults, l->root->line,
			   "expected NAME = VALUE or server NAME { ... }");
out:
	if (in != NULL)
		fclose(in);
	if (l->root != NULL)
		cfg_free(l->root);
	l->root = NULL;
	return result;
}

int
conf_load_text(const char *path, char *text, size_t len, struct conf *c, FILE *errors)
{
	struct load *l = calloc(1, sizeof(*l));
	struct conf_faults faults = {.path = path, .out = errors};
	size_t i;
	int scope, result = -1;

	if (l == NULL) {
		conf_fault(&faults, 0, "out of memory");
		return -1;
	}
	l->faults = faults;
	loading = l;
	l->conf = c;
	conf_begin(c, &l->given);
	if (conf_scan(&l->faults, text, len) < 0)
		goto out;
	l->faults.quiet = true;
	do
		(void)parse_pass(l, text, len);
	while (l->found);
	l->faults.quiet = false;
	l->faults.count = 0;
	if (parse_pass(l, text, len) == 0)
		conf_finish(c, &l->given, &l->faults);
	result = l->faults.count == 0 ? 0 : -1;
out:
	for (scope = 0; scope < SCOPES; scope++)
		for (i = 0; i < l->nunknown[scope]; i++)
			free(l->unknown[scope][i]);
	loading = NULL;
	free(l);
	return result;
}

int
conf_load(const char *path, struct conf *c, FILE *errors)
{
	struct conf_faults faults = {.path = path, .out = errors};
	size_t len;
	char *text = conf_read_file(&faults, path, &len);
	int result;

	if (text == NULL)
		return -1;
	result = conf_load_text(path, text, len, c, errors);
	free(text);
	return result;
}
