/*
 * Which connection makes room when too many have not logged in.
 */
#ifndef POP3D_LOGIN_SHED_H
#define POP3D_LOGIN_SHED_H

#include "worker/login/conn.h"

/*
 * Of the network that has most of them (IPv4 /24, IPv6 /56): first one without
 * a finished handshake, then one without a command, then any that has no name
 * or exchange open, then any.  Where several networks have most, the one that
 * each would lose is of the kind that most of these are of: a crowd of one
 * connection from each network harms itself, and neither those who type nor
 * those who come.  Of equals one at random, so that nobody can tell who is next.
 * NULL: none; who is being decided, or is trusted, stays.
 */
struct conn *shed_choose(const struct worker *w);

#endif
