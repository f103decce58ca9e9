#include "config.h"

#include "daemon/auth/pam_service.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "daemon/auth/account.h"
#include "daemon/auth/pam_probe.h"
#include "daemon/auth/pam_stack.h"

enum { DEPTH_MAX = 16 /* of files that include each other */ };

enum phase { PHASE_AUTH, PHASE_ACCOUNT, PHASE_PASSWORD, PHASE_SESSION, PHASES };

static const char *const phases[PHASES] = {
    [PHASE_AUTH] = "auth",
    [PHASE_ACCOUNT] = "account",
    [PHASE_PASSWORD] = "password",
    [PHASE_SESSION] = "session",
};

struct look {
	const char *const *folders;
	size_t nfolders;
	char modules[MSG_PATH_SIZE]; /* the folder of the modules; empty: not known */
	int depth;
	unsigned level; /* of substacks */
	bool has[PHASES];
	bool quiet; /* faults are not logged */
	int result;
	struct pam_stack stack[PHASE_ACCOUNT + 1]; /* of the phases that a login has */
};

/* Where a look is in a file. */
struct spot {
	const char *path;
	unsigned line;
};

static void fault(struct look *l, const struct spot *s, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

static void
fault(struct look *l, const struct spot *s, const char *fmt, ...)
{
	char what[MSG_TEXT_MAX / 2];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	if (!l->quiet)
		log_error(0, "%s:%u: %s", s->path, s->line, what);
	l->result = -1;
}

/* The library looks for modules in the folder "security" beside itself. */
static void
modules_find(struct look *l)
{
	void *symbol = dlsym(RTLD_DEFAULT, "pam_start");
	const char *slash;
	Dl_info library;

	if (symbol == NULL || dladdr(symbol, &library) == 0 ||
	    (slash = strrchr(library.dli_fname, '/')) == NULL)
		return;
	(void)snprintf(l->modules, sizeof(l->modules), "%.*s/security",
		       (int)(slash - library.dli_fname), library.dli_fname);
	if (access(l->modules, F_OK) == -1)
		l->modules[0] = '\0';
}

static int file_look(struct look *l, const char *name, int only);

/* `only`: the phase that is included; PHASES: all. */
static void
include_look(struct look *l, const struct spot *s, const char *name, int only)
{
	if (name == NULL)
		fault(l, s, "what is included has no name");
	else if (l->depth >= DEPTH_MAX)
		fault(l, s, "files include each other");
	else if (file_look(l, name, only) == -1)
		fault(l, s, "cannot include %s: %s", name, strerror(errno));
}

/* Without a module that is optional, or of a phase that decides no login, people get in. */
static void
module_look(struct look *l, const struct spot *s, const char *module, bool decides)
{
	char path[2 * MSG_PATH_SIZE];

	if (module == NULL) {
		fault(l, s, "no module is named");
		return;
	}
	if (strchr(module, '$') != NULL || (module[0] != '/' && l->modules[0] == '\0'))
		return;
	(void)snprintf(path, sizeof(path), "%s%s%s", module[0] == '/' ? "" : l->modules,
		       module[0] == '/' ? "" : "/", module);
	if (access(path, R_OK) == 0)
		return;
	if (decides)
		fault(l, s, "module %s: %s", path, strerror(errno));
	else if (!l->quiet)
		log_warn(0, "%s:%u: module %s: %s", s->path, s->line, path, strerror(errno));
}

/* For what all its lines come to. */
static void
stack_put(struct look *l, const struct spot *s, int phase, const char *control, const char *module)
{
	char where[2 * MSG_PATH_SIZE + 16];

	(void)snprintf(where, sizeof(where), "%s:%u", s->path, s->line);
	if (phase <= PHASE_ACCOUNT)
		pam_stack_add(&l->stack[phase], where, control, module, l->level);
}

/* The next word, or all of "[...]"; *rest goes on behind it.  NULL: there is none. */
static char *
word_cut(char **rest)
{
	char *word = *rest + strspn(*rest, " \t"), *end;

	end = word + (word[0] == '[' ? strcspn(word, "]") : strcspn(word, " \t"));
	*rest = end + (*end != '\0');
	*end = '\0';
	return word[0] != '\0' ? word : NULL;
}

static int
phase_of(const char *word)
{
	int i = 0;

	while (i < PHASES && strcasecmp(phases[i], word) != 0)
		i++;
	return i;
}

static bool
is_control(const char *word)
{
	static const char *const controls[] = {"required", "requisite", "sufficient", "optional"};

	for (size_t i = 0; i < COUNT_OF(controls); i++)
		if (strcasecmp(controls[i], word) == 0)
			return true;
	return word[0] == '[';
}

/* TYPE CONTROL MODULE ARGUMENT ... */
static void
line_look(struct look *l, const struct spot *s, char *line, int only)
{
	char *type = word_cut(&line), *control;
	bool quiet = type != NULL && type[0] == '-'; /* if the module is not there */
	int phase;

	if (type == NULL)
		return;
	if (strcmp(type, "@include") == 0) {
		include_look(l, s, word_cut(&line), only);
		return;
	}
	phase = phase_of(type + quiet);
	control = word_cut(&line);
	if (only != PHASES && phase != only && phase != PHASES)
		return;
	if (phase == PHASES)
		fault(l, s, "%s is none of auth, account, password, session", type);
	else if (control == NULL)
		fault(l, s, "no control is named");
	else if (strcasecmp(control, "include") == 0)
		include_look(l, s, word_cut(&line), phase);
	else if (strcasecmp(control, "substack") == 0) {
		stack_put(l, s, phase, "", "");
		l->level++;
		include_look(l, s, word_cut(&line), phase);
		l->level--;
	} else if (!is_control(control))
		fault(l, s,
		      "%s is none of required, requisite, sufficient, optional, include, substack",
		      control);
	else {
		stack_put(l, s, phase, control, line + strspn(line, " \t"));
		if (!quiet)
			module_look(l, s, word_cut(&line),
				    phase <= PHASE_ACCOUNT && strcasecmp(control, "optional") != 0);
	}
	l->has[phase < PHASES ? phase : PHASE_SESSION] = true;
}

/* A line without its comment.  True: the next one belongs to it. */
static bool
line_trim(char *line)
{
	size_t n;

	line[strcspn(line, "#\n")] = '\0';
	for (n = strlen(line); n > 0 && isspace((unsigned char)line[n - 1]);)
		line[--n] = '\0';
	if (n == 0 || line[n - 1] != '\\')
		return false;
	line[n - 1] = ' ';
	return true;
}

static void
lines_look(struct look *l, const char *path, FILE *in, int only)
{
	struct spot s = {path, 0};
	char *line = NULL, whole[MSG_PATH_SIZE] = "";
	size_t room = 0, n;
	bool more;

	while (getline(&line, &room, in) > 0) {
		s.line++;
		more = line_trim(line);
		n = strlen(whole);
		(void)snprintf(whole + n, sizeof(whole) - n, "%s", line);
		if (more)
			continue;
		line_look(l, &s, whole, only);
		whole[0] = '\0';
	}
	free(line);
}

/* 0; -1 with errno: it cannot be opened. */
static int
file_look(struct look *l, const char *name, int only)
{
	char path[2 * MSG_PATH_SIZE];
	FILE *in = NULL;

	for (size_t i = 0; in == NULL && i < l->nfolders; i++) {
		(void)snprintf(path, sizeof(path), "%s%s%s", name[0] == '/' ? "" : l->folders[i],
			       name[0] == '/' ? "" : "/", name);
		in = fopen(path, "re");
	}
	if (in == NULL)
		return -1;
	l->depth++;
	lines_look(l, path, in, only);
	l->depth--;
	fclose(in);
	return 0;
}

static void
look_end(struct look *l)
{
	for (int i = PHASE_AUTH; i <= PHASE_ACCOUNT; i++)
		pam_stack_free(&l->stack[i]);
}

int
pam_service_look(const char *const folders[], size_t n, const char *service)
{
	struct look l = {.folders = folders, .nfolders = n};

	modules_find(&l);
	if (file_look(&l, service, PHASES) == -1) {
		log_error(0, "PAM service %s: %s", service, strerror(errno));
		return -1;
	}
	for (int i = PHASE_AUTH; i <= PHASE_ACCOUNT && l.result == 0; i++)
		l.result = pam_stack_judge(&l.stack[i], service, phases[i], i == PHASE_AUTH);
	look_end(&l);
	for (int i = PHASE_AUTH; i <= PHASE_ACCOUNT; i++)
		if (!l.has[i])
			log_warn(0,
				 "PAM service %s: no line for %s: PAM takes those of the service "
				 "\"other\"",
				 service, phases[i]);
	return l.result;
}

/* An account of this host's own whose password no module of the service looks at. */
static void
shadow_look(const struct pam_stack *s, const char *service, const char *user)
{
	char judges[512];

	pam_stack_judges(s, judges, sizeof(judges));
	if (!s->unknown && account_has_password(user) && strstr(judges, " pam_unix.so") == NULL)
		log_warn(0,
			 "PAM service %s: shadow(5) has the password of %s, and pam_unix.so, which "
			 "looks there, is not among its lines for auth; they ask%s",
			 service, user, judges[0] != '\0' ? judges : " nothing that looks at one");
}

int
pam_service_ask(const char *const folders[], size_t n, const char *service, const char *user)
{
	struct look l = {.folders = folders, .nfolders = n, .quiet = true};
	int result = 0;

	if (file_look(&l, service, PHASES) == 0) {
		shadow_look(&l.stack[PHASE_AUTH], service, user);
		for (int i = PHASE_AUTH; i <= PHASE_ACCOUNT; i++)
			if (pam_probe(&l.stack[i], service, phases[i], user) == -1)
				result = -1;
	}
	look_end(&l);
	return result;
}
