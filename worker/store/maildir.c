/*
 * Maildir: new/ and cur/ of one directory, maildir(5).  Every file is opened
 * relative to a directory descriptor, without following a link, and must be a
 * regular file.  The list of a session's messages is an index, which the next
 * session finds; sizes are found when they are first asked for, and kept there.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/absent.h"
#include "worker/store/fault.h"
#include "worker/store/lock.h"
#include "worker/store/maildir_follow.h"
#include "worker/store/maildir_name.h"
#include "worker/store/maildir_priv.h"
#include "worker/store/path.h"
#include "worker/store/unpack.h"

#define LOCK_FILE    "pop3d-lock"
#define HISTORY_FILE "pop3d-history"

static enum store_result
maildir_open(struct store *s, bool missing_is_empty)
{
	struct maildir *m = store_room(s, sizeof(*m));

	m->place = (struct maildir_place){-1, {-1, -1}};
	m->lock_fd = -1;
	m->index = INDEX_NONE;
	m->place.dir_fd = path_open_own(s->path);
	if (m->place.dir_fd == -1)
		return errno == ENOENT && missing_is_empty ? absent_judge(s)
							   : fault_log(s, NULL, "open");
	store_confine(s, m->place.dir_fd, SANDBOX_WRITE);
	store_keep_history(s, m->place.dir_fd, HISTORY_FILE);
	return STORE_OK;
}

static enum store_result
maildir_lock(struct store *s)
{
	struct maildir *m = s->data;

	return m->place.dir_fd == -1 ? STORE_OK
				     : lock_directory(s, m->place.dir_fd, LOCK_FILE, &m->lock_fd);
}

/* ---- the index ---- */

/* Make the index anew, with what the one that there is knows. */
static enum store_result
maildir_rebuild(struct store *s)
{
	struct maildir *m = s->data;
	struct maildir_index fresh;

	if (build_index(&m->place, &fresh, m->index.fd != -1 ? &m->index : NULL, s) == -1)
		return fault_log(s, NULL, "read");
	index_close(&m->index);
	m->index = fresh;
	return STORE_OK;
}

static enum store_result
maildir_list(struct store *s)
{
	static const char *const names[MAILDIR_DIRS] = {"new", "cur"};
	struct maildir *m = s->data;
	enum store_result result;

	s->count = s->known = s->vanished = 0;
	s->octets = 0;
	if (m->place.dir_fd == -1)
		return STORE_OK;
	for (int i = 0; i < MAILDIR_DIRS; i++) {
		m->place.dirs[i] = openat(m->place.dir_fd, names[i],
					  O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (m->place.dirs[i] == -1 || path_check_owner(m->place.dirs[i]) == -1)
			return fault_log(s, names[i], "open");
	}
	s->index_found = INDEX_FOUND_CURRENT;
	if (index_open(&m->index, m->place.dir_fd) == -1 ||
	    !build_is_current(&m->place, &m->index)) {
		s->index_found = INDEX_FOUND_OTHER;
		if ((result = maildir_rebuild(s)) != STORE_OK)
			return result;
	}
	s->count = (size_t)m->index.head.count;
	s->octets = m->index.head.octets;
	s->known = m->index.former;
	s->vanished = m->index.vanished;
	return STORE_OK;
}

/* Look at all of the index.  False: it is damaged. */
static bool
maildir_verify(struct maildir *m)
{
	struct maildir_message message;
	uint64_t octets;

	m->unknown = m->octets = 0;
	for (size_t i = 0; i < m->index.head.count; i++) {
		if (index_message(&m->index, i, &message) == -1)
			return false;
		octets = index_kept_size(&m->index, i);
		if (octets == STORE_NO_SIZE)
			m->unknown++;
		else
			m->octets += octets;
	}
	return true;
}

/* The listing that the client has is no longer valid. */
static void
maildir_lose(struct store *s, const char *why)
{
	if (!s->lost)
		log_error(s->id, "maildir %s: %s: %s", s->path, INDEX_FILE, why);
	s->lost = true;
}

/*
 * Before the first look at a message: is all of the index sound?  Else it is made
 * anew, which goes unnoticed if there are as many messages as was said.
 */
static bool
maildir_ready(struct store *s)
{
	struct maildir *m = s->data;

	if (m->verified || s->lost)
		return !s->lost;
	if (!maildir_verify(m)) {
		log_warn(s->id, "maildir %s: %s is damaged: it is built again", s->path,
			 INDEX_FILE);
		if (maildir_rebuild(s) != STORE_OK || m->index.head.count != s->count ||
		    !maildir_verify(m))
			maildir_lose(s, "the messages are not any more those of the login");
	}
	m->verified = true;
	return !s->lost;
}

bool
maildir_message(struct store *s, size_t i, struct maildir_message *message)
{
	const struct maildir *m = s->data;

	if (maildir_ready(s) && index_message(&m->index, i, message) == -1)
		maildir_lose(s, "has been damaged");
	return !s->lost;
}

static void
maildir_tell_uid(struct store *s, size_t i, char out[STORE_UID_SIZE])
{
	struct maildir_message m;
	size_t len;

	out[0] = '\0';
	if (!maildir_message(s, i, &m))
		return;
	len = maildir_base_len(m.name);
	if (m.uid[0] != '\0')
		memcpy(out, m.uid, sizeof(m.uid));
	else if ((m.flags & ENTRY_MADE_UID) != 0)
		maildir_duplicate_uid(m.name, len, m.inode, out);
	else if ((m.flags & ENTRY_DIGEST_UID) != 0)
		maildir_digest_uid(m.name, len, out);
	else
		maildir_uid(m.name, len, out);
}

enum store_result
maildir_look_again(struct store *s, size_t i, struct maildir_message *message)
{
	struct maildir *m = s->data;

	if ((message->flags & ENTRY_GONE) != 0)
		return STORE_MISSING;
	if (follow_names(&m->place, &m->index, s) == -1)
		return store_judge(errno);
	m->is_unsettled = true;
	if (!maildir_message(s, i, message))
		return STORE_TEMP;
	return (message->flags & ENTRY_GONE) != 0 ? STORE_MISSING : STORE_OK;
}

static enum store_result
maildir_get(struct store *s, size_t i, struct store_reader *r)
{
	struct maildir *m = s->data;
	struct maildir_message message;
	enum store_result result;

	if (!maildir_message(s, i, &message))
		return STORE_TEMP;
	for (int try = 0; try < FIND_TRIES; try++) {
		result = store_open_file(m->place.dirs[maildir_dir(&message)], message.name, r);
		unpack_watch(r);
		if (result != STORE_MISSING ||
		    (result = maildir_look_again(s, i, &message)) != STORE_OK)
			return result;
	}
	return STORE_TEMP; /* it is renamed faster than we can look */
}

/* ---- sizes ---- */

/* Sizes in names are often wrong, so they are ignored. */
static void
maildir_check_claim(struct store *s, size_t i, uint64_t octets)
{
	struct maildir *m = s->data;
	struct maildir_message message;
	uint64_t claimed;

	if (m->told_claim || !maildir_message(s, i, &message))
		return;
	claimed = maildir_claimed_size(message.name);
	if (claimed == STORE_NO_SIZE || claimed == octets)
		return;
	log_warn(s->id, "maildir %s: %s has %" PRIu64 " octets: the size in its name is ignored",
		 s->path, message.name, octets);
	m->told_claim = true;
}

/* Note a size, for later sessions too if `keep`.  The last one completes the sum. */
static enum store_result
maildir_note_size(struct store *s, size_t i, uint64_t octets, bool keep)
{
	struct maildir *m = s->data;
	bool is_new = keep && index_kept_size(&m->index, i) == STORE_NO_SIZE;

	if (index_set_size(&m->index, i, octets, keep) == -1)
		return fault_log(s, INDEX_FILE, "write");
	if (!is_new)
		return STORE_OK;
	m->octets += octets;
	if (--m->unknown == 0)
		(void)index_set_octets(&m->index, m->octets);
	return STORE_OK;
}

/* A message that cannot be read now has this size in this session only. */
static enum store_result
maildir_guess(struct store *s, size_t i, uint64_t octets, const char *why)
{
	struct maildir_message message;

	if (!maildir_message(s, i, &message))
		return STORE_TEMP;
	log_warn(s->id, "maildir %s: %s: %s: its size is told as %" PRIu64, s->path, message.name,
		 why, octets);
	return maildir_note_size(s, i, octets, false);
}

/* Measure a message that is open.  One that cannot be inflated counts what is stored. */
static enum store_result
maildir_measure_open(struct store *s, size_t i, struct store_reader *r, uint64_t *octets)
{
	if (store_measure(r, octets, NULL) == 0) {
		maildir_check_claim(s, i, *octets);
		return maildir_note_size(s, i, *octets, true);
	}
	if (store_judge(errno) == STORE_TEMP)
		return STORE_TEMP;
	*octets = r->end;
	return maildir_guess(s, i, *octets, store_reader_why(r));
}

/* Read the message for its size. */
static enum store_result
maildir_measure(struct store *s, size_t i, uint64_t *octets)
{
	enum store_result result;
	struct store_reader r;

	*octets = 0;
	result = maildir_get(s, i, &r);
	if (result == STORE_TEMP)
		return STORE_TEMP;
	if (result != STORE_OK)
		return maildir_guess(s, i, 0,
				     result == STORE_MISSING ? "vanished" : "cannot be read");
	result = maildir_measure_open(s, i, &r, octets);
	store_reader_end(&r);
	return result;
}

/* A size that is kept says that all of the message was read. */
static bool
maildir_refused(struct store *s, size_t i)
{
	const struct maildir *m = s->data;
	struct store_reader r;
	bool refused;

	if (!maildir_ready(s) || index_kept_size(&m->index, i) != STORE_NO_SIZE ||
	    maildir_get(s, i, &r) != STORE_OK)
		return false;
	refused = unpack_refuses(&r);
	store_reader_end(&r);
	return refused;
}

static enum store_result
maildir_size(struct store *s, size_t i, bool look, uint64_t *octets)
{
	struct maildir *m = s->data;

	*octets = STORE_NO_SIZE;
	if (!maildir_ready(s))
		return STORE_TEMP;
	*octets = index_size(&m->index, i);
	return *octets != STORE_NO_SIZE || !look ? STORE_OK : maildir_measure(s, i, octets);
}

static void
maildir_keep_size(struct store *s, size_t i, uint64_t octets)
{
	if (!maildir_ready(s))
		return;
	maildir_check_claim(s, i, octets);
	(void)maildir_note_size(s, i, octets, true);
}

/* The index was wrong, or the message has been changed. */
static void
maildir_forget_size(struct store *s, size_t i)
{
	struct maildir *m = s->data;
	uint64_t octets;

	if (maildir_size(s, i, false, &octets) != STORE_OK ||
	    index_kept_size(&m->index, i) == STORE_NO_SIZE)
		return;
	(void)index_set_size(&m->index, i, octets, false);
	(void)index_set_octets(&m->index, STORE_NO_SIZE);
	m->octets -= octets;
	m->unknown++;
}

static void
maildir_fetched(struct store *s, size_t i)
{
	struct maildir *m = s->data;

	if (maildir_ready(s) && index_fetched(&m->index, i) == 0)
		(void)index_set_fetched(&m->index, i, (uint32_t)time(NULL));
}

static int64_t
maildir_fetched_at(struct store *s, size_t i)
{
	const struct maildir *m = s->data;

	return maildir_ready(s) ? index_fetched(&m->index, i) : 0;
}

static void
maildir_close(struct store *s)
{
	struct maildir *m = s->data;

	if (m == NULL)
		return;
	index_close(&m->index);
	for (int i = 0; i < MAILDIR_DIRS; i++)
		store_close_fd(m->place.dirs[i]);
	store_close_fd(m->lock_fd);
	store_close_fd(m->place.dir_fd);
	s->data = NULL;
	s->confine_count = 0;
}

const struct store_backend store_maildir = {
    .name = "maildir",
    .open = maildir_open,
    .lock = maildir_lock,
    .list = maildir_list,
    .uid = maildir_tell_uid,
    .size = maildir_size,
    .get = maildir_get,
    .keep_size = maildir_keep_size,
    .forget_size = maildir_forget_size,
    .refused = maildir_refused,
    .fetched = maildir_fetched,
    .fetched_at = maildir_fetched_at,
    .remove = maildir_remove,
    .examine = maildir_examine,
    .close = maildir_close,
};
