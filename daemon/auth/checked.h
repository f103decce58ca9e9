/*
 * The program that a checkpassword program is given to run: it tells who it has
 * become.  It is pop3d-auth itself, called with one word.
 */
#ifndef POP3D_AUTH_CHECKED_H
#define POP3D_AUTH_CHECKED_H

#include "common/msg.h"

/* The word behind the program's name. */
#define CHECKED_WORD "checked"

#define CHECKED_MAGIC "pop3d checked 1"

/*
 * What it writes, in one packet, to the socket that is its standard output.
 * The ids are not in it: the kernel vouches for them, as another process of
 * that user could have changed what this one says.
 */
struct checked {
	char magic[sizeof(CHECKED_MAGIC)];
	char user[MSG_NAME_SIZE]; /* $USER; empty: not set */
	char home[MSG_PATH_SIZE]; /* $HOME, or else the directory */
};

/* Write it and wait until it was read.  The exit status: 0, 111 for trouble that
 * may pass, 2 for an environment that does not fit. */
int checked_main(void);

#endif
