/*
 * Starting the process of a role, and how to say how it ended.
 */
#ifndef POP3D_PROCESS_H
#define POP3D_PROCESS_H

#include <stddef.h>
#include <sys/types.h>

/*
 * Fork and exec a program, which is given as to execveat(2): AT_FDCWD and its
 * absolute path, or a descriptor of the file (borrowed, O_PATH will do, not
 * CHANNEL_FD) and "".  It gets `argv`, `channel` (borrowed) as its CHANNEL_FD, 0
 * to 2 on /dev/null (a sanitizer keeps standard error), nothing else open, a
 * process group of its own, HUP, INT and TERM ignored, a small environment with
 * room for titles.  `before` (may be NULL) runs first in the new process; it may
 * do only what is safe there (signal-safety(7)).  The pid, or -1 with errno; what
 * fails in the new process ends it with status 127.
 */
pid_t process_start(int program, const char *path, char *const argv[], int channel,
		    void (*before)(void));

/* "exited with status 1", "killed by signal 11 (Segmentation fault)"; into dst. Returns dst. */
const char *process_status_text(char *dst, size_t cap, int status);

#endif
