/*
 * pop3ctl box: whether a mailbox is there, and making, moving and removing it.
 * The directory that it stands in, its base, is reached only by the jobs that
 * need it, and no further than they need it.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker/session/job.h"
#include "worker/store/path.h"

#define OWN_FILES ".pop3d-" /* what a store keeps beside the messages */

/* Where a mailbox stands. */
struct place {
	char base[MSG_PATH_SIZE]; /* the directory */
	const char *name;	  /* and its name in it */
	int fd;			  /* of the base */
};

/* The mailbox, and where another name's would be. */
static struct place place, target;

/* Cut a path.  0, or -1: nothing can be made there. */
static int
place_cut(struct place *p, const char *path)
{
	size_t len = strlen(path);
	char *slash;

	while (len > 1 && path[len - 1] == '/')
		len--;
	if (len >= sizeof(p->base))
		return -1;
	memcpy(p->base, path, len);
	p->base[len] = '\0';
	slash = strrchr(p->base, '/');
	if (slash == NULL || slash[1] == '\0')
		return -1;
	p->name = path + (slash + 1 - p->base);
	slash[slash == p->base] = '\0';
	return 0;
}

/* Open the base and let it be reached so far.  To sync it afterwards needs the right to read it. */
static int
place_open(struct session *ss, struct place *p, const char *path, enum sandbox_access access)
{
	if (place_cut(p, path) == -1) {
		job_fail(ss, "%s: no mailbox can be made there", path);
		return JOB_FAILED;
	}
	p->fd = path_open(p->base, O_RDONLY);
	if (p->fd == -1 && errno == EACCES && access != SANDBOX_LOOK)
		p->fd = path_open(p->base, O_PATH);
	if (p->fd == -1) {
		job_fail(ss, "%s: %s", p->base, strerror(errno));
		return JOB_FAILED;
	}
	store_confine(&ss->store, p->fd, access);
	return JOB_DONE;
}

/* A base that its owner may not read cannot be synced. */
static void
place_sync(const struct place *p)
{
	(void)fsync(p->fd);
}

static bool
store_is(const struct session *ss, const struct store_backend *backend)
{
	return ss->store.backend == backend;
}

/* What only a store of directories can do. */
static int
need_directories(struct session *ss)
{
	if (store_is(ss, &store_dir))
		return JOB_DONE;
	job_fail(ss, "list, move and remove are for mailboxes of dir: storage, not of %s:",
		 ss->grant.storage);
	return JOB_FAILED;
}

/* What the owner cannot do in the base, root can: say how. */
static int
place_fail(struct session *ss, const struct place *p, const char *what, const char *command)
{
	int error = errno;

	if (error == EACCES || error == EPERM || error == EROFS)
		job_fail(ss, "cannot %s \"%s\": uid %u may not write %s; as root: %s", what,
			 ss->grant.account.user, ss->grant.account.uid, p->base, command);
	else
		job_fail(ss, "cannot %s \"%s\": %s", what, ss->grant.account.user, strerror(error));
	return JOB_FAILED;
}

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

/* Looked at, not had: a login at this moment would be refused. */
int
job_box_locked(struct session *ss, size_t argc, char *const argv[])
{
	enum store_result result;

	(void)argc, (void)argv;
	ss->store.lock_look = true;
	result = job_lock(ss);
	session_close(ss);
	if (result != STORE_OK && result != STORE_IN_USE) {
		job_fail(ss, "cannot lock the mailbox; the daemon's log says why");
		return JOB_FAILED;
	}
	job_say(ss, "%d", result == STORE_IN_USE);
	return JOB_DONE;
}

/* ---- list ---- */

int
job_box_list_prepare(struct session *ss, size_t argc, char *const argv[])
{
	int status = need_directories(ss);

	(void)argc, (void)argv;
	return status != JOB_DONE ? status
				  : place_open(ss, &place, ss->grant.mailbox, SANDBOX_LOOK);
}

static int
name_compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* A directory that its owner may read and write, which is what a mailbox is. */
static bool
is_mailbox(const char *name)
{
	struct stat st;

	return name[0] != '.' && fstatat(place.fd, name, &st, 0) == 0 && S_ISDIR(st.st_mode) &&
	       faccessat(place.fd, name, R_OK | W_OK, 0) == 0;
}

/* The names of the mailboxes in the base; *count of them, or -1 with errno. */
static int
list_read(char ***names, size_t *count)
{
	DIR *dir = fdopendir(place.fd);
	const struct dirent *d;
	char **more;

	if (dir == NULL)
		return -1;
	errno = 0;
	while ((d = readdir(dir)) != NULL) {
		if (is_mailbox(d->d_name)) {
			if ((more = reallocarray(*names, *count + 1, sizeof(*more))) == NULL ||
			    (more[*count] = strdup(d->d_name)) == NULL)
				return -1;
			*names = more;
			(*count)++;
		}
		errno = 0;
	}
	return errno == 0 ? 0 : -1;
}

int
job_box_list(struct session *ss, size_t argc, char *const argv[])
{
	char **names = NULL;
	size_t count = 0;

	(void)argc, (void)argv;
	if (list_read(&names, &count) == -1) {
		job_fail(ss, "%s: %s", place.base, strerror(errno));
		return JOB_FAILED;
	}
	if (count > 0)
		qsort(names, count, sizeof(*names), name_compare);
	for (size_t i = 0; i < count && job_say(ss, "%s", names[i]); i++)
		free(names[i]);
	return JOB_DONE;
}

/* ---- add ---- */

int
job_box_add_prepare(struct session *ss, size_t argc, char *const argv[])
{
	(void)argc, (void)argv;
	if (!store_is(ss, &store_dir) && !store_is(ss, &store_maildir)) {
		job_fail(ss, "mailboxes of %s: storage are made at their first delivery",
			 ss->grant.storage);
		return JOB_FAILED;
	}
	return place_open(ss, &place, ss->grant.mailbox, SANDBOX_FOLDERS);
}

/* Make a directory, if it is not there: 1 if it was made, 0, or -1 with errno. */
static int
folder_make(const char *name)
{
	if (mkdirat(place.fd, name, 0700) == 0)
		return 1;
	return errno == EEXIST ? 0 : -1;
}

/* The mailbox and what belongs into it; the number of directories made, or -1 with errno. */
static int
mailbox_make(const struct session *ss)
{
	static const char *const folders[] = {"tmp", "new", "cur"};
	int made = folder_make(place.name), one;

	for (size_t i = 0; made != -1 && store_is(ss, &store_maildir) && i < 3; i++) {
		char path[MSG_PATH_SIZE + 8];

		(void)snprintf(path, sizeof(path), "%s/%s", place.name, folders[i]);
		one = folder_make(path);
		made = one == -1 ? -1 : made + one;
	}
	return made;
}

int
job_box_add(struct session *ss, size_t argc, char *const argv[])
{
	char command[MSG_PATH_SIZE + 80];
	int made = mailbox_make(ss);

	(void)argc, (void)argv;
	if (made > 0) {
		place_sync(&place);
		return JOB_DONE;
	}
	if (made == 0) {
		job_fail(ss, "cannot add \"%s\", mailbox already in existence",
			 ss->grant.account.user);
		return JOB_FAILED;
	}
	(void)snprintf(command, sizeof(command), "install -d -m 0700 -o %u -g %u %s",
		       ss->grant.account.uid, ss->grant.account.gid, ss->grant.mailbox);
	return place_fail(ss, &place, "add", command);
}

/* ---- remove ---- */

int
job_box_remove_prepare(struct session *ss, size_t argc, char *const argv[])
{
	int status = need_directories(ss);

	if (status != JOB_DONE)
		return status;
	if (argc > 0 && strcmp(argv[0], "--force") != 0) {
		job_fail(ss, "bad option \"%s\": must be --force", argv[0]);
		return JOB_USAGE;
	}
	return place_open(ss, &place, ss->grant.mailbox, SANDBOX_FOLDERS);
}

/* Go through the mailbox: what is there that must not be removed?  With `forget` the files go. */
static int
files_look(int fd, bool force, bool forget, size_t *others)
{
	DIR *dir = fdopendir(fcntl(fd, F_DUPFD_CLOEXEC, 0));
	const struct dirent *d;
	struct stat st;
	int r = 0;

	if (dir == NULL)
		return -1;
	rewinddir(dir);
	while (r == 0 && (d = readdir(dir)) != NULL) {
		if (strcmp(d->d_name, ".") == 0 || strcmp(d->d_name, "..") == 0)
			continue;
		if (fstatat(fd, d->d_name, &st, AT_SYMLINK_NOFOLLOW) == -1 ||
		    !S_ISREG(st.st_mode) ||
		    (!force && strncmp(d->d_name, OWN_FILES, strlen(OWN_FILES)) != 0))
			(*others)++;
		else if (forget)
			r = unlinkat(fd, d->d_name, 0);
	}
	closedir(dir);
	return r;
}

/* Nothing goes before it is certain that all may. */
static int
mailbox_remove(struct session *ss, int fd, bool force)
{
	char command[MSG_PATH_SIZE + 16];
	size_t others = 0;

	(void)snprintf(command, sizeof(command), "rm -r %s", ss->grant.mailbox);
	if (faccessat(place.fd, "", W_OK | X_OK, AT_EMPTY_PATH) == -1)
		return place_fail(ss, &place, "remove", command);
	if (files_look(fd, force, false, &others) == 0 && others > 0) {
		job_fail(ss, "cannot remove \"%s\": %zu entries of %s are no messages",
			 ss->grant.account.user, others, ss->grant.mailbox);
		return JOB_FAILED;
	}
	if (files_look(fd, force, true, &others) == -1 ||
	    unlinkat(place.fd, place.name, AT_REMOVEDIR) == -1)
		return place_fail(ss, &place, "remove", command);
	place_sync(&place);
	return JOB_DONE;
}

int
job_box_remove(struct session *ss, size_t argc, char *const argv[])
{
	bool force = argc > 0;
	int fd, status;

	(void)argv;
	if (ss->store.count > 0 && !force) {
		job_fail(ss,
			 "cannot remove \"%s\": it holds %zu messages; --force removes them, too",
			 ss->grant.account.user, ss->store.count);
		return JOB_FAILED;
	}
	fd = openat(place.fd, place.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		job_fail(ss, "%s: %s", ss->grant.mailbox, strerror(errno));
		return JOB_FAILED;
	}
	status = mailbox_remove(ss, fd, force);
	close(fd);
	return status;
}

/* ---- move ---- */

int
job_box_move_prepare(struct session *ss, size_t argc, char *const argv[])
{
	int status = need_directories(ss);

	(void)argc, (void)argv;
	if (status == JOB_DONE)
		status = place_open(ss, &place, ss->grant.mailbox, SANDBOX_FOLDERS);
	if (status == JOB_DONE)
		status = place_open(ss, &target, ss->job.target, SANDBOX_FOLDERS);
	return status;
}

/* rename(2) that replaces nothing; not every file system has it in one call. */
static int
place_move(void)
{
	struct stat st;

	if (renameat2(place.fd, place.name, target.fd, target.name, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL)
		return -1;
	if (fstatat(target.fd, target.name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
		errno = EEXIST;
		return -1;
	}
	return renameat(place.fd, place.name, target.fd, target.name);
}

int
job_box_move(struct session *ss, size_t argc, char *const argv[])
{
	char command[2 * MSG_PATH_SIZE + 16];

	(void)argc;
	if (place_move() == 0) {
		place_sync(&place);
		place_sync(&target);
		return JOB_DONE;
	}
	if (errno == EEXIST) {
		job_fail(ss, "cannot move \"%s\", destination \"%s\" already exists",
			 ss->grant.account.user, argv[0]);
		return JOB_FAILED;
	}
	(void)snprintf(command, sizeof(command), "mv -n %s %s", ss->grant.mailbox, ss->job.target);
	return place_fail(ss, &target, "move", command);
}
