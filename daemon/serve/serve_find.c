#include "config.h"

#include "daemon/serve/serve_find.h"

#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <fts.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"

enum { LEVELS_MAX = 3, TOLD_MAX = 5, SIGN_NAMES = 2 };

/* By which names a program's folder is known, as fnmatch(3) has them; the first line that fits
 * counts. */
static const struct sign {
	const char *names[SIGN_NAMES]; /* all of them are there; NULL: one is enough */
	const char *suffix;	       /* of the folder's own name; NULL: any */
	struct serve_found found;
} signs[] = {
    {{"cur", "new"}, NULL, {ARCHIVE_MAILDIR, NULL, NULL}},
    /* what Apple Mail exports */
    {{"mbox", "table_of_contents"}, NULL, {ARCHIVE_MBOX, "mbox", NULL}},
    {{"mbox", NULL}, ".mbox", {ARCHIVE_MBOX, "mbox", NULL}},
    {{"*.emlx", NULL},
     NULL,
     {ARCHIVE_DIRECTORY, NULL,
      "a folder of Apple Mail, whose .emlx files are not read; export it there, and serve that"}},
    {{"cyrus.header", NULL}, NULL, {ARCHIVE_CYRUS, NULL, NULL}},
    {{"cyrus.index", NULL}, NULL, {ARCHIVE_CYRUS, NULL, NULL}},
    /* MH, and what programs leave in its folders: removed messages, sequences, caches */
    {{".mh_sequences", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{",[0-9]*", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{"#[0-9]*", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{".xmhcache", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{".sylpheed_*", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{".claws_*", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{".overview", NULL}, NULL, {ARCHIVE_MH, NULL, NULL}},
    {{"*.msf", NULL},
     NULL,
     {ARCHIVE_DIRECTORY, NULL,
      "a directory of Thunderbird's with several mailboxes; serve the mbox beside one of the .msf "
      "files"}},
    {{"dbox-Mails", NULL},
     NULL,
     {ARCHIVE_DIRECTORY, NULL, "a dbox of Dovecot, which is not read; doveadm can convert it"}},
    {{"dovecot.index*", "u.[0-9]*"},
     NULL,
     {ARCHIVE_DIRECTORY, NULL, "a dbox of Dovecot, which is not read; doveadm can convert it"}},
    {{"dovecot.map.index*", "m.[0-9]*"},
     NULL,
     {ARCHIVE_DIRECTORY, NULL, "an mdbox of Dovecot, which is not read; doveadm can convert it"}},
    {{"mailboxes", "storage"},
     NULL,
     {ARCHIVE_DIRECTORY, NULL, "an mdbox of Dovecot, which is not read; doveadm can convert it"}},
};

static DIR *
list_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd != -1 ? fdopendir(fd) : NULL;

	if (d == NULL && fd != -1)
		close(fd);
	return d;
}

/* Which names of which signs are there: a bit each. */
static void
find_names(DIR *d, unsigned there[COUNT_OF(signs)])
{
	const struct dirent *e;

	while ((e = readdir(d)) != NULL)
		for (size_t i = 0; i < COUNT_OF(signs); i++)
			for (size_t k = 0; k < SIGN_NAMES && signs[i].names[k] != NULL; k++)
				if (fnmatch(signs[i].names[k], e->d_name, 0) == 0)
					there[i] |= 1u << k;
}

static bool
sign_fits(const struct sign *s, unsigned there, const char *path)
{
	size_t len = strlen(path), end = s->suffix != NULL ? strlen(s->suffix) : 0;
	unsigned all = s->names[1] != NULL ? 3 : 1;

	return there == all && end <= len && (end == 0 || strcmp(path + len - end, s->suffix) == 0);
}

struct serve_found
serve_find(int in, const char *path)
{
	struct serve_found found = {ARCHIVE_DIRECTORY, NULL, NULL};
	unsigned there[COUNT_OF(signs)] = {0};
	struct stat st;
	DIR *d;

	if (fstat(in, &st) == 0 && !S_ISDIR(st.st_mode))
		found.kind = ARCHIVE_MBOX;
	if ((d = list_open(in, ".")) == NULL)
		return found;
	find_names(d, there);
	closedir(d);
	for (size_t i = 0; i < COUNT_OF(signs); i++)
		if (sign_fits(&signs[i], there[i], path))
			return signs[i].found;
	return found;
}

/* ---- below ---- */

struct below {
	char *out;
	size_t len, count;
};

/* Files of a directory that are not hidden; 0 for what is none. */
static size_t
count_files(const char *path, const char *name)
{
	char where[SERVE_BELOW_SIZE * 4];
	const struct dirent *e;
	size_t n = 0;
	DIR *d;

	(void)snprintf(where, sizeof(where), "%s/%s", path, name);
	if ((d = list_open(AT_FDCWD, where)) == NULL)
		return 0;
	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.' && (e->d_type == DT_REG || e->d_type == DT_UNKNOWN);
	closedir(d);
	return n;
}

static bool
is_maildir(const char *path)
{
	int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	bool is =
	    fd != -1 && faccessat(fd, "cur", F_OK, 0) == 0 && faccessat(fd, "new", F_OK, 0) == 0;

	if (fd != -1)
		close(fd);
	return is;
}

static void __attribute__((format(printf, 2, 3))) below_add(struct below *b, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(b->out + b->len, SERVE_BELOW_SIZE - b->len, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	if (b->len >= SERVE_BELOW_SIZE)
		b->len = SERVE_BELOW_SIZE - 1;
}

static void
below_folder(struct below *b, const char *name, const char *path, bool maildir)
{
	size_t n =
	    maildir ? count_files(path, "cur") + count_files(path, "new") : count_files(path, ".");

	if (n == 0 || b->count++ >= TOLD_MAX)
		return;
	below_add(b, "%s%.100s (%s, %zu %s%s)", b->count > 1 ? ", " : "", name,
		  maildir ? "Maildir" : "directory", n, maildir ? "message" : "file",
		  n == 1 ? "" : "s");
}

/* The directories of a Maildir are no folders of their own. */
static bool
is_part(const FTSENT *e)
{
	return e->fts_parent->fts_number != 0 &&
	       (strcmp(e->fts_name, "cur") == 0 || strcmp(e->fts_name, "new") == 0 ||
		strcmp(e->fts_name, "tmp") == 0);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

void
serve_find_below(const char *path, char out[SERVE_BELOW_SIZE])
{
	char *const roots[] = {(char *)(uintptr_t)path, NULL};
	struct below b = {.out = out};
	FTS *tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR, by_name);
	FTSENT *e;

	out[0] = '\0';
	while (tree != NULL && (e = fts_read(tree)) != NULL) {
		if (e->fts_info != FTS_D)
			continue;
		if (e->fts_level > 0 && is_part(e)) {
			(void)fts_set(tree, e, FTS_SKIP);
			continue;
		}
		e->fts_number = is_maildir(e->fts_path);
		if (e->fts_level > 0)
			below_folder(&b, e->fts_path + strlen(path) + 1, e->fts_path,
				     e->fts_number != 0);
		if (e->fts_level == LEVELS_MAX)
			(void)fts_set(tree, e, FTS_SKIP);
	}
	if (tree != NULL)
		(void)fts_close(tree);
	if (b.count > TOLD_MAX)
		below_add(&b, ", and %zu more", b.count - TOLD_MAX);
}
