/* Process titles: see title.h. */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <errno.h>
#include <sys/prctl.h>
#include <bsd/unistd.h>

#include "common/escape.h"
#include "common/title.h"

enum { TITLE_MAX = 512 };

static enum ps_titles title_tells = PS_TITLES_FULL;

void
title_init(int argc, char *argv[], char *envp[])
{
	/* execveat(2) of a descriptor names the process by the descriptor's number */
	prctl(PR_SET_NAME, program_invocation_short_name);
	setproctitle_init(argc, argv, envp);
}

void
title_detail(enum ps_titles detail)
{
	title_tells = detail;
}

void
title_set(const char *role, const char *fmt, ...)
{
	char text[TITLE_MAX] = "", shown[TITLE_MAX];
	va_list ap;

	if (fmt != NULL && title_tells == PS_TITLES_FULL) {
		va_start(ap, fmt);
		(void)vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	/* names come from clients, and ps(1) runs on terminals */
	escape_text(shown, sizeof(shown), text);
	/* "-": the program's own name is not put in front */
	if (shown[0] == '\0')
		setproctitle("-pop3d-%s", role);
	else
		setproctitle("-pop3d-%s: %s", role, shown);
}
