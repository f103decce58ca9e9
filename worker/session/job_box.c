/*
 * pop3ctl box: whether a mailbox is there, and making, moving and removing it.
 */
#include "config.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/session/job.h"

/* Looking at its name needs no right to what is in it. */
int
job_box_exists(struct session *ss, size_t argc, char *const argv[])
{
	struct stat st;

	(void)argc, (void)argv;
	if (stat(ss->grant.mailbox, &st) == 0) {
		job_say(ss, "1");
	} else if (errno == ENOENT || errno == ENOTDIR) {
		job_say(ss, "0");
	} else {
		job_fail(ss, "%s: %s", ss->grant.mailbox, strerror(errno));
		return JOB_FAILED;
	}
	return JOB_DONE;
}
