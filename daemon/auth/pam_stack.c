#include "config.h"

#include "daemon/auth/pam_stack.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/count.h"
#include "common/log.h"

/* ---- the lines */

static void
line_free(struct pam_stack_line *l)
{
	free(l->where);
	free(l->control);
	free(l->module);
}

void
pam_stack_add(struct pam_stack *s, const char *where, const char *control, const char *module,
	      unsigned level)
{
	struct pam_stack_line l = {strdup(where), strdup(control), strdup(module), level,
				   PAM_SAYS_EITHER};

	if (s->n < PAM_STACK_MAX && l.where != NULL && l.control != NULL && l.module != NULL) {
		s->line[s->n++] = l;
		return;
	}
	line_free(&l);
	s->unknown = true;
}

void
pam_stack_free(struct pam_stack *s)
{
	for (size_t i = 0; i < s->n; i++)
		line_free(&s->line[i]);
	*s = (struct pam_stack){.n = 0};
}

const char *
pam_stack_module(const struct pam_stack_line *l, char *dst, size_t cap)
{
	size_t len = strcspn(l->module, " \t"), from = len;

	while (from > 0 && l->module[from - 1] != '/')
		from--;
	(void)snprintf(dst, cap, "%.*s", (int)(len - from), l->module + from);
	return dst;
}

/* ---- modules */

/* What its yes means in the phase that authenticates. */
enum kind {
	KIND_JUDGE,  /* it has looked at a password, or something as good */
	KIND_ASKS,   /* it has looked at something else */
	KIND_ALWAYS, /* nothing: it always says so, to a process of root's at least */
	KIND_NEVER   /* it never says so */
};

static const struct known {
	const char *module;
	enum kind kind;
} known[] = {
    {"pam_access.so", KIND_ASKS},     {"pam_cap.so", KIND_ALWAYS},
    {"pam_deny.so", KIND_NEVER},      {"pam_echo.so", KIND_ALWAYS},
    {"pam_env.so", KIND_ALWAYS},      {"pam_faildelay.so", KIND_ALWAYS},
    {"pam_faillock.so", KIND_ASKS},   {"pam_group.so", KIND_ALWAYS},
    {"pam_issue.so", KIND_ALWAYS},    {"pam_keyinit.so", KIND_ALWAYS},
    {"pam_lastlog.so", KIND_ALWAYS},  {"pam_limits.so", KIND_ALWAYS},
    {"pam_listfile.so", KIND_ASKS},   {"pam_localuser.so", KIND_ASKS},
    {"pam_loginuid.so", KIND_ALWAYS}, {"pam_mail.so", KIND_ALWAYS},
    {"pam_motd.so", KIND_ALWAYS},     {"pam_nologin.so", KIND_ASKS},
    {"pam_permit.so", KIND_ALWAYS},   {"pam_rhosts.so", KIND_ASKS},
    {"pam_rootok.so", KIND_ALWAYS},   {"pam_securetty.so", KIND_ASKS},
    {"pam_sepermit.so", KIND_ASKS},   {"pam_shells.so", KIND_ASKS},
    {"pam_succeed_if.so", KIND_ASKS}, {"pam_time.so", KIND_ASKS},
    {"pam_umask.so", KIND_ALWAYS},    {"pam_usertype.so", KIND_ASKS},
    {"pam_warn.so", KIND_ASKS},	      {"pam_wheel.so", KIND_ASKS},
};

static enum kind
kind_of(const struct pam_stack_line *l)
{
	char name[64];

	pam_stack_module(l, name, sizeof(name));
	for (size_t i = 0; i < COUNT_OF(known); i++)
		if (strcmp(known[i].module, name) == 0)
			return known[i].kind;
	return KIND_JUDGE;
}

const char *
pam_stack_judges(const struct pam_stack *s, char *dst, size_t cap)
{
	char name[64];
	size_t n = 0;

	dst[0] = '\0';
	for (size_t i = 0; i < s->n && n < cap; i++)
		if (s->line[i].control[0] != '\0' && kind_of(&s->line[i]) == KIND_JUDGE)
			n += (size_t)snprintf(dst + n, cap - n, " %s",
					      pam_stack_module(&s->line[i], name, sizeof(name)));
	return dst;
}

/* ---- what a line does with what its module says */

enum { ACTION_IGNORE = -6, ACTION_BAD, ACTION_DIE, ACTION_OK, ACTION_DONE, ACTION_RESET };

static int
action_of(const char *word, size_t len)
{
	static const char *const words[] = {"ignore", "bad", "die", "ok", "done", "reset"};

	for (size_t i = 0; i < COUNT_OF(words); i++)
		if (strlen(words[i]) == len && strncasecmp(words[i], word, len) == 0)
			return ACTION_IGNORE + (int)i;
	return (int)strtol(word, NULL, 10); /* that many lines are passed over; 0: as ok */
}

/* The action for that value ("success"), in "[value=action ...]"; `other` if it names none. */
static int
value_action(const char *control, const char *value, int other)
{
	const char *p = control + 1;
	size_t len = strlen(value);

	while (*(p += strspn(p, " \t")) != '\0' && *p != ']') {
		size_t word = strcspn(p, " \t]"), name = strcspn(p, "=");

		if (name < word && name == len && strncasecmp(p, value, len) == 0)
			return action_of(p + name + 1, word - name - 1);
		p += word;
	}
	return other;
}

static int
line_action(const struct pam_stack_line *l, const char *value, bool success)
{
	static const struct {
		const char *word;
		int yes, no;
	} controls[] = {{"required", ACTION_OK, ACTION_BAD},
			{"requisite", ACTION_OK, ACTION_DIE},
			{"sufficient", ACTION_DONE, ACTION_IGNORE},
			{"optional", ACTION_OK, ACTION_IGNORE}};

	for (size_t i = 0; i < COUNT_OF(controls); i++)
		if (strcasecmp(controls[i].word, l->control) == 0)
			return success ? controls[i].yes : controls[i].no;
	return value_action(l->control, value, value_action(l->control, "default", ACTION_BAD));
}

/* ---- what the lines come to, as Linux-PAM's pam_dispatch.c goes through them */

enum mood { UNDECIDED, POSITIVE, NEGATIVE };

struct walk {
	const struct pam_stack *s;
	bool seen[PAM_STACK_MAX + 1][3][2];
	size_t refused; /* the line at which it went wrong last; PAM_STACK_MAX: at none */
};

static bool walk(struct walk *w, size_t at, enum mood mood, bool good);

/* Where it goes on behind line `at`, which has ended its substack, if it is in one. */
static size_t
walk_leave(const struct pam_stack *s, size_t at)
{
	unsigned level = s->line[at].level;

	if (level == 0)
		return s->n;
	while (at < s->n && s->line[at].level >= level)
		at++;
	return at;
}

/* Pass over `count` lines behind line `at`, a substack being one.  The next, or n + 1: there are
 * not so many. */
static size_t
walk_jump(const struct pam_stack *s, size_t at, int count)
{
	unsigned level = s->line[at].level;

	while (count > 0 && at + 1 < s->n && s->line[at + 1].level >= level) {
		do
			at++;
		while (at + 1 < s->n && s->line[at + 1].level > level);
		count--;
	}
	return count > 0 ? s->n + 1 : at + 1;
}

/* The line's module has answered; does it come to a yes? */
static bool
walk_act(struct walk *w, size_t at, enum mood mood, bool good, int action, bool success)
{
	size_t next = at + 1;

	if (action == ACTION_RESET)
		return walk(w, next, w->s->line[at].level == 0 ? UNDECIDED : mood, good);
	if (action > 0 && (next = walk_jump(w->s, at, action)) > w->s->n) {
		w->refused = at;
		return walk(w, w->s->n, NEGATIVE, false);
	}
	if ((action == ACTION_OK || action == ACTION_DONE || action == 0) &&
	    (mood == UNDECIDED || (mood == POSITIVE && good))) {
		mood = POSITIVE;
		good = success;
	}
	if ((action == ACTION_BAD || action == ACTION_DIE) && mood != NEGATIVE) {
		mood = NEGATIVE;
		w->refused = at;
	}
	if (action == ACTION_DIE || (action == ACTION_DONE && mood == POSITIVE))
		next = walk_leave(w->s, at);
	return walk(w, next, mood, good);
}

/* Can it come to a yes from line `at` on? */
static bool
walk(struct walk *w, size_t at, enum mood mood, bool good)
{
	static const char *const no[] = {"auth_err", "user_unknown", "perm_denied"};
	const struct pam_stack_line *l = &w->s->line[at];
	bool passes = false;

	if (at >= w->s->n)
		return mood == POSITIVE && good;
	if (w->seen[at][mood][good])
		return false;
	w->seen[at][mood][good] = true;
	if (l->control[0] == '\0') /* a substack begins */
		return walk(w, at + 1, mood, good);
	if (l->says != PAM_SAYS_NO)
		passes = walk_act(w, at, mood, good, line_action(l, "success", true), true);
	for (size_t i = 0; i < COUNT_OF(no) && !passes && l->says != PAM_SAYS_YES; i++)
		passes = walk_act(w, at, mood, good, line_action(l, no[i], false), false);
	return passes;
}

static bool
passes(const struct pam_stack *s, size_t *refused)
{
	struct walk w = {.s = s, .refused = PAM_STACK_MAX};
	bool result = s->unknown || walk(&w, 0, UNDECIDED, false);

	if (refused != NULL)
		*refused = w.refused;
	return result;
}

bool
pam_stack_may_pass(const struct pam_stack *s)
{
	return passes(s, NULL);
}

/* ---- judging */

/* Lines of each kind are to say this. */
static void
suppose(struct pam_stack *s, enum pam_says judges, enum pam_says asking)
{
	for (size_t i = 0; i < s->n; i++) {
		enum kind kind = kind_of(&s->line[i]);

		s->line[i].says = kind == KIND_ALWAYS  ? PAM_SAYS_YES
				  : kind == KIND_NEVER ? PAM_SAYS_NO
				  : kind == KIND_JUDGE ? judges
						       : asking;
	}
}

void
pam_stack_suppose(struct pam_stack *s)
{
	suppose(s, PAM_SAYS_EITHER, PAM_SAYS_EITHER);
}

static int
nobody(const struct pam_stack *s, const char *service, const char *phase, size_t refused)
{
	char module[64];

	if (refused < s->n)
		log_error(0,
			  "PAM service %s: its lines for %s let nobody in: even if its modules "
			  "agree, %s of %s refuses",
			  service, phase,
			  pam_stack_module(&s->line[refused], module, sizeof(module)),
			  s->line[refused].where);
	else
		log_error(0,
			  "PAM service %s: its lines for %s let nobody in: they end without a yes, "
			  "such as that of a line \"%s required pam_permit.so\" at their end",
			  service, phase, phase);
	return -1;
}

/* Is there a line whose yes is never the end's?  A number that passes over lines often leads to the
 * wrong one when a line was put in. */
static void
judge_lines(struct pam_stack *s, const char *service, const char *phase)
{
	char module[64], by[64];
	size_t refused;

	for (size_t i = 0; i < s->n; i++) {
		if (kind_of(&s->line[i]) != KIND_JUDGE || s->line[i].control[0] == '\0')
			continue;
		suppose(s, PAM_SAYS_NO, PAM_SAYS_YES);
		s->line[i].says = PAM_SAYS_YES;
		if (passes(s, &refused))
			continue;
		suppose(s, PAM_SAYS_EITHER, PAM_SAYS_EITHER);
		s->line[i].says = PAM_SAYS_YES;
		if (passes(s, NULL) && refused < s->n && kind_of(&s->line[refused]) == KIND_NEVER)
			log_warn(0,
				 "PAM service %s: %s: whom %s lets in for %s is refused by %s of "
				 "%s, unless another module lets him in, too",
				 service, s->line[i].where,
				 pam_stack_module(&s->line[i], module, sizeof(module)), phase,
				 pam_stack_module(&s->line[refused], by, sizeof(by)),
				 s->line[refused].where);
	}
}

/* Who gets in with a wrong password? */
static void
judge_open(struct pam_stack *s, const char *service)
{
	bool some, all;

	suppose(s, PAM_SAYS_NO, PAM_SAYS_EITHER);
	some = passes(s, NULL);
	suppose(s, PAM_SAYS_NO, PAM_SAYS_NO);
	all = passes(s, NULL);
	suppose(s, PAM_SAYS_NO, PAM_SAYS_YES);
	all = all && passes(s, NULL);
	if (all)
		log_error(0,
			  "PAM service %s: its lines for auth let anybody in without a password: "
			  "no module that looks at one decides",
			  service);
	else if (some)
		log_warn(
		    0,
		    "PAM service %s: its lines for auth let some people in without a password, "
		    "for what modules such as pam_succeed_if.so say",
		    service);
}

int
pam_stack_judge(struct pam_stack *s, const char *service, const char *phase, bool authenticates)
{
	size_t refused;

	if (s->unknown || s->n == 0)
		return 0;
	suppose(s, PAM_SAYS_EITHER, PAM_SAYS_EITHER);
	if (!passes(s, NULL)) {
		suppose(s, PAM_SAYS_YES, PAM_SAYS_YES);
		(void)passes(s, &refused);
		return nobody(s, service, phase, refused);
	}
	judge_lines(s, service, phase);
	if (authenticates)
		judge_open(s, service);
	return 0;
}
