/*
 * What is odd about a Maildir and does not keep it from being served: for pop3ctl(8) doctor.
 */
#include "config.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "worker/store/fault.h"
#include "worker/store/maildir_name.h"
#include "worker/store/maildir_priv.h"
#include "worker/store/maildir_quota.h"
#include "worker/store/uids.h"

/* Messages that have something in common, and the name of the first. */
struct oddity {
	size_t count;
	char name[NAME_MAX + 1];
};

static void
note(struct oddity *o, const struct maildir_message *m)
{
	if (o->count++ == 0)
		memcpy(o->name, m->name, sizeof(o->name));
}

static bool
claims_another_size(const struct maildir *m, const struct maildir_message *message)
{
	uint64_t claimed = maildir_claimed_stored(message->name);
	struct stat st;

	return claimed != STORE_NO_SIZE &&
	       fstatat(m->place.dirs[maildir_dir(message)], message->name, &st,
		       AT_SYMLINK_NOFOLLOW) == 0 &&
	       (uint64_t)st.st_size != claimed;
}

static void
look_at_names(struct store *s)
{
	struct oddity same = {0}, sizes = {0};
	struct maildir_message message;

	for (size_t i = 0; i < s->count && maildir_message(s, i, &message); i++) {
		if ((message.flags & ENTRY_DUPLICATE) != 0)
			note(&same, &message);
		if (claims_another_size(s->data, &message))
			note(&sizes, &message);
	}
	if (same.count > 0)
		log_warn(s->id,
			 "maildir %s: %zu files have a base name that another has, %s first: what "
			 "delivers them must not give a name twice",
			 s->path, same.count, same.name);
	if (sizes.count > 0)
		log_warn(s->id,
			 "maildir %s: %zu files have not the size in their names (,S=), %s first: "
			 "it is ignored here, but quotas count by it",
			 s->path, sizes.count, sizes.name);
}

/* Whoever may not write there cannot delete. */
static void
look_at_folders(const struct store *s)
{
	static const char *const names[MAILDIR_DIRS] = {"new", "cur"};
	const struct maildir *m = s->data;

	for (int i = 0; i < MAILDIR_DIRS; i++)
		if (faccessat(m->place.dir_fd, names[i], W_OK | X_OK, 0) == -1)
			(void)fault_log(s, names[i], "messages cannot be deleted");
}

/* Only POP3 writes Courier's; Dovecot writes its own for IMAP, too. */
static const struct foreign {
	const char *file, *server, *source;
	int prio;
} foreign[] = {
    {"courierpop3dsizelist", "Courier", "courier", LOG_WARNING},
    {"dovecot-uidlist", "Dovecot", "dovecot", LOG_NOTICE},
};

/* Clients that keep mail on the server know it by these. */
static void
look_at_foreign_uids(const struct store *s, int dir_fd)
{
	if (faccessat(dir_fd, UIDS_FILE, F_OK, 0) == 0)
		return;
	for (size_t i = 0; i < COUNT_OF(foreign); i++)
		if (faccessat(dir_fd, foreign[i].file, F_OK, 0) == 0)
			log_line(foreign[i].prio, s->id,
				 "maildir %s: %s: unique-ids of %s, which were not taken over: "
				 "clients that know messages by them fetch all again (pop3ctl uidl "
				 "import --from %s)",
				 s->path, foreign[i].file, foreign[i].server, foreign[i].source);
}

void
maildir_examine(struct store *s)
{
	const struct maildir *m = s->data;
	struct maildir_quota q;

	if (m->place.dir_fd == -1)
		return;
	look_at_folders(s);
	look_at_names(s);
	uids_examine(m->place.dir_fd, s);
	look_at_foreign_uids(s, m->place.dir_fd);
	if (maildir_quota_read(m->place.dir_fd, &q) == 0 &&
	    ((q.octets_max > 0 && q.octets >= q.octets_max) ||
	     (q.count_max > 0 && q.count >= q.count_max)))
		log_warn(s->id,
			 "maildir %s: maildirsize: %" PRId64 " of %" PRId64 " octets, %" PRId64
			 " of %" PRId64 " messages (0: no limit): mail is refused until some is "
			 "deleted, or the quota raised",
			 s->path, q.octets, q.octets_max, q.count, q.count_max);
}
