#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/absent.h"
#include "worker/store/fault.h"

/* What the log says of a mailbox that is not there now. */
static enum store_result
not_there(const struct store *s, const char *why)
{
	log_error(s->id, "%s %s: missing, and not treated as empty: %s", s->backend->name, s->path,
		  why);
	return STORE_TEMP;
}

static bool
is_in_home(const struct store *s)
{
	size_t len = s->home != NULL ? strlen(s->home) : 0;

	return len > 1 && strncmp(s->path, s->home, len) == 0 && s->path[len] == '/';
}

/* Does the directory exist and have no entry? */
static bool
is_empty(const char *path)
{
	DIR *dir = opendir(path);
	const struct dirent *entry;
	bool empty = dir != NULL;

	while (empty && (entry = readdir(dir)) != NULL)
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (dir != NULL)
		(void)closedir(dir);
	return empty;
}

enum store_result
absent_judge_home(const struct store *s)
{
	struct stat st;

	if (!is_in_home(s))
		return STORE_OK;
	if (stat(s->home, &st) == -1)
		return not_there(s, errno == ENOENT
					? "its user's home does not exist; is it mounted?"
					: strerror(errno));
	if (st.st_uid != geteuid() && is_empty(s->home))
		return not_there(s, "its user's home is empty and another user's; is it mounted?");
	return STORE_OK;
}

/* Is there at least the directory that it would be in? */
static bool
parent_exists(const char *path)
{
	const char *slash = strrchr(path, '/');
	char parent[MSG_PATH_SIZE] = "/";
	struct stat st;

	if (slash == NULL || (size_t)(slash - path) >= sizeof(parent))
		return false;
	if (slash > path)
		memcpy(parent, path, (size_t)(slash - path));
	return stat(parent, &st) == 0 && S_ISDIR(st.st_mode);
}

enum store_result
absent_judge(const struct store *s)
{
	enum store_result result = absent_judge_home(s);
	struct stat st;

	if (result != STORE_OK)
		return result;
	if (s->had_mail)
		return not_there(s,
				 "it had mail at an earlier login; where it is meant to be gone, "
				 "make an empty one");
	if (lstat(s->path, &st) == 0)
		return not_there(s, "it is a symbolic link that leads nowhere");
	errno = ENOENT;
	return parent_exists(s->path) ? STORE_OK : fault_log(s, NULL, "open");
}
