/*
 * pop3ctl user: the user file, edited by its caller.  The daemon has no part in
 * it but that it takes up the change at the next login.
 */
#ifndef POP3D_CTL_USER_H
#define POP3D_CTL_USER_H

#include "daemon/ctl/print.h"

/* Run "user ...", argv[0] being that word.  The exit status. */
int user_run(enum answer_form form, int argc, char *argv[]);

#endif
