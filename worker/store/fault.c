#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/fault.h"
#include "worker/store/path.h"

/*
 * The component of `path` that keeps this process out: the first that cannot or may not be passed,
 * or the last. False if none can be looked at.
 */
static bool
find_barrier(const char *path, char barrier[MSG_PATH_SIZE], struct stat *st)
{
	char at[MSG_PATH_SIZE];
	struct stat next;
	bool found = false;

	for (size_t len = 1; len < sizeof(at); len++) {
		if (len > 1 && path[len] != '/' && path[len] != '\0')
			continue;
		memcpy(at, path, len);
		at[len] = '\0';
		if (lstat(at, &next) == 0 && S_ISLNK(next.st_mode) && !path_may_follow(&next)) {
			memcpy(barrier, at, len + 1);
			*st = next;
			return true;
		}
		if (stat(at, &next) == -1)
			return found;
		memcpy(barrier, at, len + 1);
		*st = next;
		found = true;
		if (path[len] == '\0')
			return true;
	}
	return found;
}

/* ": /srv/mail has owner 0, group 8, mode 0750; this is uid 1000", or nothing. */
static void
explain(char *dst, size_t cap, const char *path)
{
	char barrier[MSG_PATH_SIZE];
	struct stat st;

	dst[0] = '\0';
	if (path[0] == '/' && find_barrier(path, barrier, &st))
		(void)snprintf(dst, cap, ": %s%s has owner %u, group %u, mode %04o; this is uid %u",
			       S_ISLNK(st.st_mode) ? "the link " : "", barrier, st.st_uid,
			       st.st_gid, st.st_mode & 07777U, geteuid());
}

/* ": it is a link to /elsewhere", or nothing. */
static void
explain_link(char *dst, size_t cap, const char *path)
{
	char target[MSG_PATH_SIZE];
	ssize_t n = readlinkat(AT_FDCWD, path, target, sizeof(target) - 1);

	dst[0] = '\0';
	if (n > 0)
		(void)snprintf(dst, cap, ": it is a link to %.*s", (int)n, target);
}

enum store_result
fault_log(const struct store *s, const char *name, const char *what)
{
	char path[MSG_PATH_SIZE], why[MSG_PATH_SIZE + 128] = "";
	int error = errno;

	(void)snprintf(path, sizeof(path), "%s%s%s", s->path, name != NULL ? "/" : "",
		       name != NULL ? name : "");
	if (error == EACCES)
		explain(why, sizeof(why), path);
	else if (error == ENOTDIR || error == ELOOP)
		explain_link(why, sizeof(why), path);
	log_error(s->id, "%s %s: %s: %s%s", s->backend->name, path, what,
		  error == EILSEQ   ? "does not begin with a From_ line"
		  : error == ENOMEM ? "no memory (session_memory)"
				    : strerror(error),
		  why);
	return store_judge(error);
}
