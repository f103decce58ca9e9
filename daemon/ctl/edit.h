/*
 * Changing a user file: one writer at a time, and never half of it to be seen.
 */
#ifndef POP3D_CTL_EDIT_H
#define POP3D_CTL_EDIT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct edit {
	char path[PATH_MAX]; /* the file itself, symbolic links followed */
	int lock;
	bool exists;
	uid_t uid; /* owner and mode to keep */
	gid_t gid;
	mode_t mode;
	char *text; /* what it holds, terminated */
	size_t len;
};

/*
 * Lock the file (by PATH.lock, which stays) and read it; waits for another
 * writer.  It must be as userfile_read demands.  may_create: none yet is an
 * empty one.  0, or -1, told on standard error; edit_close is due in any case.
 */
int edit_open(struct edit *e, const char *path, bool may_create);

/* Put text in place of the file: a temporary file beside it, fsync(2),
 * rename(2).  0, or -1, told on standard error; the file is as before then. */
int edit_replace(const struct edit *e, const char *text, size_t len);

/* Write text to another file, or to the file itself, of mode 0600 unless it is the
 * latter, and keep what stood there as TO.old.  0, or -1, told on standard error. */
int edit_save(const struct edit *e, const char *to, const char *text, size_t len);

/* Let others in; wipes the text. */
void edit_close(struct edit *e);

/* Say on standard error what could not be done; errno says why.  -1. */
int edit_complain(const char *path);

#endif
