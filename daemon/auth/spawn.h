/*
 * Starting a child: this program once more, with clean memory.
 */
#ifndef POP3D_AUTH_SPAWN_H
#define POP3D_AUTH_SPAWN_H

#include <sys/types.h>

/* This program's path. */
#define SPAWN_PROGRAM PKGLIBEXECDIR "/pop3d-auth"

/* Open the program, so that children are of the same build as their parent however long that runs.
 * Once, before the first spawn_child().  0 or -1 with errno. */
int spawn_init(void);

/*
 * Fork and exec "pop3d-auth child" with `fd` (borrowed) as its CHANNEL_FD, 0 to
 * 2 on /dev/null, nothing else open, a process group of its own, and SIGKILL
 * when this process ends.  Its pid, or -1 with errno.
 */
pid_t spawn_child(int fd);

/* The word behind the program's name that makes a child of it. */
#define SPAWN_CHILD_WORD "child"

#endif
