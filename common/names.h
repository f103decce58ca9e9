/*
 * How results and mechanisms are called in the log.
 */
#ifndef POP3D_NAMES_H
#define POP3D_NAMES_H

#include "common/msg.h"

/* "ok", "auth", "temp", "perm", "in-use". */
const char *login_result_name(enum login_result result);

/* "USER", "PLAIN", "LOGIN", "APOP". */
const char *login_mech_name(enum login_mech mech);

#endif
