#include "config.h"

#include "worker/session/scan.h"

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/privs.h"
#include "common/sandbox.h"
#include "worker/store/archive.h"

/* What the mbox store needs to finish an update that an earlier run was killed over. */
static bool
recover_mbox(const struct archive_order *o)
{
	const struct passwd *pw = getpwuid(geteuid());
	struct store box = {.path = o->path,
			    .home = pw != NULL ? pw->pw_dir : NULL,
			    .mbox_format = (uint16_t)o->mbox_format,
			    .mbox_split = (uint16_t)o->mbox_split,
			    .given = {-1, -1}};
	enum store_result result = archive_mbox_recover(&box);

	if (result == STORE_IN_USE)
		log_tell("pop3d: the mbox is in use");
	return result == STORE_OK;
}

static void
tell_unreadable(void)
{
	const char *why = "it does not begin with a From_ line", *form = NULL;

	if (errno == EILSEQ)
		form = archive_form(ARCHIVE_SCAN_IN);
	else
		why = strerror(errno);
	log_tell("pop3d: the archive cannot be read: %s%s%s", why, form != NULL ? "; " : "",
		 form != NULL ? form : "");
}

static int
scan(int argc, char *argv[])
{
	struct archive_order o;
	struct mbox_style style;
	int in = ARCHIVE_SCAN_IN;

	if (archive_order_read(&o, argc, argv) == -1) {
		log_tell("pop3d-session: started by pop3d only");
		return EXIT_FAILURE;
	}
	style = mbox_style_of(o.mbox_format, o.mbox_split);
	if (privs_harden(true) == -1 ||
	    (archive_is_rewritten(o.kind, o.options) && !recover_mbox(&o)))
		return EXIT_FAILURE;
	if (sandbox_landlock(o.kind == ARCHIVE_MBOX ? -1 : in, 0, SANDBOX_ON, 0) != -1 &&
	    archive_scan(in, o.kind, &style, o.options, ARCHIVE_SCAN_OUT) == 0)
		return EXIT_SUCCESS;
	tell_unreadable();
	return EXIT_FAILURE;
}

int
scan_run(int argc, char *argv[])
{
	int status;

	log_to_stderr();
	log_set_level(LOG_WARNING);
	status = scan(argc, argv);
	log_finish();
	return status;
}
