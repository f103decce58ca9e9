#include "config.h"

#include "daemon/ctl/doctor.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "common/ctl_words.h"
#include "daemon/ctl/request.h"

static const struct doctor_check {
	const char *name;
	void (*run)(struct doctor *d);
	bool host, user;    /* what it applies to */
	const char *action; /* where a finding is not well and names none */
} checks[] = {
    {"daemon", doctor_daemon, true, true, "look into its log"},
    {"configuration", doctor_configuration, true, false,
     "mend it; pop3d -t tells whether it is good; then pop3ctl reload"},
    {"certificate", doctor_certificate, true, false, "renew it, or load it by pop3ctl reload"},
    {"sandbox", doctor_sandbox, true, false, "see SECURITY; a newer kernel confines more"},
    {"server", doctor_server, false, true, "make it by pop3ctl new and up, or in pop3d.conf"},
    {"account", doctor_account, false, true,
     "see passwd(5), shadow(5), the user file, or the manual page of the PAM module that is "
     "named"},
    {"mailbox", doctor_mailbox, false, true, "mend it, then ask the doctor again"},
};

static const char *const levels[DOCTOR_LEVELS] = {
    [DOCTOR_OK] = "ok",
    [DOCTOR_WARNING] = "warning",
    [DOCTOR_CRITICAL] = "critical",
    [DOCTOR_UNKNOWN] = "unknown",
};

/* The worst first: a monitoring system shows the first line. */
static const enum doctor_level order[DOCTOR_LEVELS] = {DOCTOR_CRITICAL, DOCTOR_WARNING,
						       DOCTOR_UNKNOWN, DOCTOR_OK};

static void *
must(void *memory)
{
	if (memory != NULL)
		return memory;
	perror("pop3ctl");
	exit(DOCTOR_UNKNOWN);
}

enum doctor_level
doctor_level_of(const char *word)
{
	for (size_t i = 0; i < DOCTOR_LEVELS; i++)
		if (strcmp(levels[i], word) == 0)
			return (enum doctor_level)i;
	return DOCTOR_UNKNOWN;
}

/* As a cell of a table, in which TAB and line end part cells and rows. */
static char *
cell(char *text)
{
	for (char *p = must(text); (p = strpbrk(p, "\t\n")) != NULL; p++)
		*p = ' ';
	return text;
}

void
doctor_find(struct doctor *d, enum doctor_level level, const char *action, const char *fmt, ...)
{
	char *what = NULL;
	va_list ap;

	va_start(ap, fmt);
	if (vasprintf(&what, fmt, ap) == -1)
		what = NULL;
	va_end(ap);
	d->findings = must(reallocarray(d->findings, d->count + 1, sizeof(*d->findings)));
	if (level != DOCTOR_OK && action[0] == '\0')
		action = d->check->action;
	d->findings[d->count++] =
	    (struct finding){level, d->check->name, cell(what), cell(strdup(action))};
}

static void
print_people(const struct finding *f)
{
	printf("%-8s %s: ", levels[f->level], f->check);
	text_print(stdout, f->what);
	fputs(f->action[0] != '\0' ? "; to do: " : "", stdout);
	text_print(stdout, f->action);
	putchar('\n');
}

/* Print the findings.  The level of the worst. */
static enum doctor_level
report(const struct doctor *d, enum answer_form form)
{
	enum doctor_level worst = DOCTOR_OK;
	char *text = NULL;
	size_t len;
	FILE *table = must(open_memstream(&text, &len));

	fputs("level\tcheck\twhat\taction\n", table);
	for (size_t k = DOCTOR_LEVELS; k-- > 0;)
		for (size_t i = 0; i < d->count; i++)
			if (d->findings[i].level == order[k])
				worst = order[k];
	for (size_t k = 0; k < DOCTOR_LEVELS; k++)
		for (size_t i = 0; i < d->count; i++) {
			const struct finding *f = &d->findings[i];

			if (f->level != order[k])
				continue;
			fprintf(table, "%s\t%s\t%s\t%s\n", levels[f->level], f->check, f->what,
				f->action);
			if (form == FORM_TEXT)
				print_people(f);
		}
	fclose(table);
	if (form != FORM_TEXT)
		answer_print(must(text), ANSWER_TABLE, form);
	free(text);
	return worst;
}

static int
usage(void)
{
	char text[CTL_TEXT_SIZE];

	fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
		ctl_synopsis(text, "doctor", NULL));
	return DOCTOR_UNKNOWN;
}

int
doctor_run(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	struct doctor d = {.socket_path = socket_path};
	enum doctor_level worst;

	argc--, argv++;
	if (argc > 1 && strcmp(argv[0], "--conf") == 0) {
		d.conf_path = argv[1];
		argc -= 2, argv += 2;
	}
	if (argc != 0 && (argc != 2 || d.conf_path != NULL))
		return usage();
	d.server = argc > 0 ? argv[0] : NULL;
	d.user = argc > 0 ? argv[1] : NULL;
	for (size_t i = 0; i < COUNT_OF(checks); i++) {
		d.check = &checks[i];
		if (d.user != NULL ? checks[i].user : checks[i].host)
			checks[i].run(&d);
	}
	worst = report(&d, form);
	for (size_t i = 0; i < d.count; i++) {
		free(d.findings[i].what);
		free(d.findings[i].action);
	}
	free(d.findings);
	free(d.status);
	return (int)worst;
}
