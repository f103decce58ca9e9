#include "config.h"

#include "worker/session/elsewhere.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"

enum { PLACES_MAX = 1000 /* entries of a folder that are looked at */ };

struct search {
	const struct store *store;
	char *found; /* MSG_PATH_SIZE */
};

/* Does an entry that is no hidden one lie in the directory of that name? */
static bool
has_entry(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;
	const struct dirent *e = NULL;

	if (d == NULL) {
		if (fd != -1)
			close(fd);
		return false;
	}
	while ((e = readdir(d)) != NULL && e->d_name[0] == '.')
		continue;
	closedir(d);
	return e != NULL;
}

/* Is it an mbox with a message? */
static bool
begins_an_mbox(const char *path)
{
	static const char from[] = "From ";
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char begin[sizeof(from) - 1];
	bool found;

	if (fd == -1)
		return false;
	found = read(fd, begin, sizeof(begin)) == (ssize_t)sizeof(begin) &&
		memcmp(begin, from, sizeof(begin)) == 0;
	close(fd);
	return found;
}

/* An mbox or a Maildir with something in it. */
static bool
has_mail(const char *path)
{
	struct stat st;
	bool found;
	int fd;

	if (stat(path, &st) == 0 && S_ISREG(st.st_mode))
		return begins_an_mbox(path);
	if ((fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		return false;
	found = has_entry(fd, "new") || has_entry(fd, "cur");
	close(fd);
	return found;
}

static bool
is_the_mailbox(const struct store *s, const char *path)
{
	struct stat own, other;

	return strcmp(path, s->path) == 0 ||
	       (stat(s->path, &own) == 0 && stat(path, &other) == 0 && own.st_ino == other.st_ino &&
		own.st_dev == other.st_dev);
}

/* Keep the first other place that has mail. */
static void
try_place(struct search *w, const char *folder, const char *name)
{
	char path[MSG_PATH_SIZE];
	int n = snprintf(path, sizeof(path), "%s/%s", folder, name);

	if (w->found[0] == '\0' && n < (int)sizeof(path) && !is_the_mailbox(w->store, path) &&
	    has_mail(path))
		memcpy(w->found, path, (size_t)n + 1);
}

/* Each of its entries, as far as there are not too many. */
static void
try_folder(struct search *w, const char *folder)
{
	const struct dirent *e;
	DIR *d = opendir(folder);

	for (size_t i = 0; d != NULL && i < PLACES_MAX && (e = readdir(d)) != NULL; i++)
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			try_place(w, folder, e->d_name);
	if (d != NULL)
		closedir(d);
}

void
elsewhere_find(const struct store *s, const char *user, char found[MSG_PATH_SIZE])
{
	static const char *const spools[] = {"/var/mail", "/var/spool/mail"}, *const folders[] = {
										  "mail", "Mail"};
	struct search w = {s, found};
	char path[MSG_PATH_SIZE];

	found[0] = '\0';
	for (size_t i = 0; i < COUNT_OF(spools); i++)
		try_place(&w, spools[i], user);
	try_folder(&w, s->home);
	for (size_t i = 0; i < COUNT_OF(folders); i++)
		if (snprintf(path, sizeof(path), "%s/%s", s->home, folders[i]) < (int)sizeof(path))
			try_folder(&w, path);
}
