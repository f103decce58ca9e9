/*
 * The programs of the roles, opened before the first of them is started.  Whatever a package puts
 * in their place later, the processes of one master are of its own build.
 */
#ifndef POP3D_PROGRAMS_H
#define POP3D_PROGRAMS_H

#include <stddef.h>

#include "common/msg.h"

/*
 * Open all of them anew.  A program that this user may run and not read is taken unseen the first
 * time, and stays as it is open later.  0; -1: one cannot be opened or is not of this build, `why`
 * (of `cap` octets) says which, and those that are open stay.
 */
int programs_open(char *why, size_t cap);

/* The descriptor of a role's program (borrowed); -1: not open. */
int programs_descriptor(enum role role);

#endif
