#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/msg.h"
#include "daemon/auth/userfile.h"
#include "daemon/ctl/edit.h"

/* What a new file is to be like. */
struct shape {
	uid_t uid;
	gid_t gid;
	mode_t mode;
};

int
edit_complain(const char *path)
{
	fprintf(stderr, "pop3ctl: %s: %s\n", path, strerror(errno));
	return -1;
}

/* PATH and a suffix.  0, or -1, told. */
static int
path_beside(char dst[PATH_MAX], const char *path, const char *suffix)
{
	if ((size_t)snprintf(dst, PATH_MAX, "%s%s", path, suffix) < PATH_MAX)
		return 0;
	errno = ENAMETOOLONG;
	return edit_complain(path);
}

static int
lock_take(struct edit *e)
{
	char path[PATH_MAX];

	if (path_beside(path, e->path, ".lock") < 0)
		return -1;
	e->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, S_IRUSR | S_IWUSR);
	if (e->lock < 0 || flock(e->lock, LOCK_EX) < 0)
		return edit_complain(path);
	return 0;
}

int
edit_open(struct edit *e, const char *path, bool may_create)
{
	char why[MSG_PATH_SIZE + 128];
	struct stat st;

	*e = (struct edit){
	    .lock = -1, .uid = geteuid(), .gid = getegid(), .mode = S_IRUSR | S_IWUSR};
	if (realpath(path, e->path) == NULL) {
		if (errno != ENOENT || !may_create)
			return edit_complain(path);
		if (path_beside(e->path, path, "") < 0)
			return -1;
	}
	if (lock_take(e) < 0)
		return -1;
	if (userfile_read(e->path, &e->text, &e->len, why, sizeof(why)) == 0) {
		if (stat(e->path, &st) < 0)
			return edit_complain(e->path);
		e->exists = true;
		e->uid = st.st_uid;
		e->gid = st.st_gid;
		e->mode = st.st_mode & (S_IRUSR | S_IWUSR | S_IRGRP);
		return 0;
	}
	if (errno != ENOENT || !may_create) {
		fprintf(stderr, "pop3ctl: %s\n", why);
		return -1;
	}
	e->text = calloc(1, 1);
	return e->text != NULL ? 0 : edit_complain(e->path);
}

static int
write_all(int fd, const char *text, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, text, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A whole file at a new name, on the disk.  0, or -1 with errno and nothing left. */
static int
temporary_write(char *path, const struct shape *s, const char *text, size_t len)
{
	int fd = mkostemp(path, O_CLOEXEC), saved;

	if (fd < 0)
		return -1;
	/* root keeps another's group, and so on; nobody else can give a file away */
	if (((s->uid == geteuid() && s->gid == getegid()) || fchown(fd, s->uid, s->gid) == 0) &&
	    fchmod(fd, s->mode) == 0 && write_all(fd, text, len) == 0 && fsync(fd) == 0 &&
	    close(fd) == 0)
		return 0;
	saved = errno;
	close(fd);
	unlink(path);
	errno = saved;
	return -1;
}

/* The change of names, too, must be on the disk. */
static int
folder_sync(const char *path)
{
	char copy[PATH_MAX];
	int fd, done;

	snprintf(copy, sizeof(copy), "%s", path);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	done = fd >= 0 && fsync(fd) == 0;
	if (fd >= 0)
		close(fd);
	return done ? 0 : -1;
}

/* Give what stands at `path` the name `old` as well. */
static int
former_keep(const char *path, const char *old)
{
	struct stat st;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : -1;
	if (!S_ISREG(st.st_mode)) {
		errno = EINVAL;
		return -1;
	}
	if (unlink(old) < 0 && errno != ENOENT)
		return -1;
	return link(path, old);
}

/* `old` NULL: nothing is kept. */
static int
file_put(const char *path, const char *old, const struct shape *s, const char *text, size_t len)
{
	char temporary[PATH_MAX];
	sigset_t all, before;
	int done = -1;

	if (path_beside(temporary, path, ".XXXXXX") < 0)
		return -1;
	/* no secret is left lying about by an interrupt from the terminal */
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	if (temporary_write(temporary, s, text, len) < 0)
		edit_complain(path);
	else if ((old != NULL && former_keep(path, old) < 0) || rename(temporary, path) < 0) {
		edit_complain(path);
		unlink(temporary);
	} else
		done = folder_sync(path) == 0 ? 0 : edit_complain(path);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return done;
}

int
edit_replace(const struct edit *e, const char *text, size_t len)
{
	const struct shape s = {e->uid, e->gid, e->mode};

	return file_put(e->path, NULL, &s, text, len);
}

int
edit_save(const struct edit *e, const char *to, const char *text, size_t len)
{
	const struct shape own = {e->uid, e->gid, e->mode},
			   other = {geteuid(), getegid(), S_IRUSR | S_IWUSR};
	char target[PATH_MAX], old[PATH_MAX];

	if (realpath(to, target) == NULL && path_beside(target, to, "") < 0)
		return -1;
	if (path_beside(old, target, ".old") < 0)
		return -1;
	return file_put(target, old, strcmp(target, e->path) == 0 ? &own : &other, text, len);
}

void
edit_close(struct edit *e)
{
	if (e->text != NULL)
		explicit_bzero(e->text, e->len);
	free(e->text);
	e->text = NULL;
	if (e->lock >= 0)
		close(e->lock);
	e->lock = -1;
}
