/*
 * pop3ctl doctor with a user: the way to the first message.  His mailbox is looked at by a session
 * of his own (worker/session/job_doctor.c), whose lines are his word.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/doctor.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/request.h"

/* level TAB what TAB action */
static void
line_find(struct doctor *d, char *line)
{
	const char *level = strsep(&line, "\t"), *what = strsep(&line, "\t");

	if (what != NULL)
		doctor_find(d, doctor_level_of(level), line != NULL ? line : "", "%s", what);
}

void
doctor_mailbox(struct doctor *d)
{
	static char job[] = "job", none[] = "", word[] = "doctor";
	char *words[] = {job, d->server, d->user, none, word}, *text = NULL, *rest, *line;
	size_t len = 0;
	FILE *to;

	if (d->status == NULL || (to = open_memstream(&text, &len)) == NULL)
		return;
	(void)job_gather(d->socket_path, 5, words, to, "critical\t");
	fclose(to);
	rest = text;
	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0')
		line_find(d, line);
	free(text);
}
