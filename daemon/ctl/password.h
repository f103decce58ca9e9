/*
 * The password of an account of the user file: asked for, and made what the
 * file holds.
 */
#ifndef POP3D_CTL_PASSWORD_H
#define POP3D_CTL_PASSWORD_H

#include <crypt.h>

#include "common/msg.h"

/* A secret as the user file has it. */
struct stored {
	char text[sizeof("{plain}") + MSG_NAME_SIZE + CRYPT_OUTPUT_SIZE];
};

/*
 * Read a password from the terminal, twice and unseen, or the first line of any
 * other standard input, and hash it, by the best that crypt(3) has; mark, if not
 * NULL: keep it as it is, behind "{plain}" or "{apop}".  The caller wipes *out.
 * 0, or -1, told on standard error.
 */
int password_read(const char *mark, struct stored *out);

#endif
