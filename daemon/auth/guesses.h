/*
 * How many wrong passwords the back ends are shown, whoever asks.  The
 * dispatcher's limits are finer; these hold when it was taken.  Over a limit
 * those sources alone are served that have guessed nothing wrong for a while, so
 * that a flood of guesses keeps nobody out who knows his password.
 */
#ifndef POP3D_AUTH_GUESSES_H
#define POP3D_AUTH_GUESSES_H

#include <stdbool.h>
#include <stdint.h>

#include "common/msg.h"

enum {
	GUESSES_WINDOW = 60, /* seconds over which they are counted */
	GUESSES_NAME = 300,  /* wrong passwords of one name */
	GUESSES_ALL = 6000   /* of all names */
};

/* Once.  0, or -1: no memory. */
int guesses_init(void);

/* May a password of this name be checked for a client of this connection? */
bool guesses_may(const char *user, const struct msg_conn *conn);

/* It was wrong. */
void guesses_wrong(const char *user, const struct msg_conn *conn);

#endif
