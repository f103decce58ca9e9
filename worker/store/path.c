#include "config.h"

#include "worker/store/path.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/store.h"

enum { LINKS_MAX = 16 };

/* How far the path has been followed. */
struct walk {
	int fd; /* of the directory that has been reached, O_PATH */
	int links;
	char rest[PATH_MAX]; /* still to be followed, from there; without "/" at its start */
};

bool
path_may_follow(const struct stat *link)
{
	return link->st_uid == 0 || link->st_uid == geteuid();
}

static int
fail(int error)
{
	errno = error;
	return -1;
}

/* Go on from another directory.  -1 for the result of an open that failed. */
static int
walk_enter(struct walk *w, int fd)
{
	if (fd == -1)
		return -1;
	store_close_fd(w->fd);
	w->fd = fd;
	return 0;
}

/* Put a link's target in front of the rest. */
static int
walk_follow(struct walk *w, int link)
{
	char target[PATH_MAX], whole[PATH_MAX];
	ssize_t n = readlinkat(link, "", target, sizeof(target) - 1);

	if (n == -1)
		return -1;
	target[n] = '\0';
	if (++w->links > LINKS_MAX)
		return fail(ELOOP);
	if (snprintf(whole, sizeof(whole), "%s%s%s", target, w->rest[0] != '\0' ? "/" : "",
		     w->rest) >= (int)sizeof(whole))
		return fail(ENAMETOOLONG);
	if (target[0] == '/' && walk_enter(w, open("/", O_PATH | O_DIRECTORY | O_CLOEXEC)) == -1)
		return -1;
	(void)snprintf(w->rest, sizeof(w->rest), "%s", whole + strspn(whole, "/"));
	return 0;
}

/* Cut the next part off the rest; "." stands for no part, as behind a slash at the end. */
static int
walk_next(struct walk *w, char name[NAME_MAX + 1])
{
	size_t len = strcspn(w->rest, "/"), skip = len + strspn(w->rest + len, "/");

	if (len > NAME_MAX)
		return fail(ENAMETOOLONG);
	(void)snprintf(name, NAME_MAX + 1, "%.*s", len > 0 ? (int)len : 1, len > 0 ? w->rest : ".");
	if (w->rest[skip] == '\0' && skip > len)
		w->rest[--skip] = '.';
	memmove(w->rest, w->rest + skip, strlen(w->rest + skip) + 1);
	return 0;
}

/* Pass one part.  1: it is the last, and no link; 0: go on; -1 with errno. */
static int
walk_step(struct walk *w, char name[NAME_MAX + 1])
{
	struct stat st;
	int fd, result = 1, error;

	if (walk_next(w, name) == -1)
		return -1;
	fd = openat(w->fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd == -1)
		return errno == ENOENT && w->rest[0] == '\0' ? 1 : -1;
	if (fstat(fd, &st) == -1)
		result = -1;
	else if (S_ISLNK(st.st_mode))
		result = path_may_follow(&st) ? walk_follow(w, fd) : fail(EACCES);
	else if (w->rest[0] != '\0') /* what is no directory fails the next open */
		return walk_enter(w, fd);
	error = errno;
	close(fd);
	errno = error;
	return result;
}

int
path_find(const char *path, char name[NAME_MAX + 1])
{
	struct walk w = {.fd = -1};
	size_t skip = strspn(path, "/");
	int result = 0, error;

	if (skip == 0)
		return fail(EINVAL);
	if (strlen(path + skip) >= sizeof(w.rest))
		return fail(ENAMETOOLONG);
	memcpy(w.rest, path + skip, strlen(path + skip) + 1);
	w.fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (w.fd == -1)
		return -1;
	while (result == 0)
		result = walk_step(&w, name);
	if (result == 1)
		return w.fd;
	error = errno;
	close(w.fd);
	return fail(error);
}

int
path_check_owner(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == -1)
		return -1;
	return st.st_uid == geteuid() ? 0 : fail(EACCES);
}

int
path_open(const char *path, int flags)
{
	char name[NAME_MAX + 1];
	int dir = path_find(path, name), fd, error;

	if (dir == -1)
		return -1;
	fd = openat(dir, name, flags | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	error = errno;
	close(dir);
	errno = error;
	return fd;
}

int
path_open_own(const char *path)
{
	int fd = path_open(path, O_RDONLY);

	if (fd == -1 || path_check_owner(fd) == 0)
		return fd;
	close(fd);
	return fail(EACCES);
}
