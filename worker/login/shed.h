/*
 * Which connection makes room when too many have not logged in.
 */
#ifndef POP3D_LOGIN_SHED_H
#define POP3D_LOGIN_SHED_H

#include "worker/login/conn.h"

/*
 * Of the network that has most of them (IPv4 /24, IPv6 /56): first one without
 * a finished handshake, then one without a command, then any that has no name
 * or exchange open, then one whose login is not asked for, then any.  Where
 * several networks have most, each names the connection that it would lose by
 * these rules, and one of the commonest kind among these goes.  So a flood with
 * one connection from each network loses its own, not those who type or have
 * just come.  Of equals one at random, so that nobody can tell who is next; but
 * of logins that are being decided the one that has waited longest: a guess at
 * an account that is slowed down, or a refusal that has its delay.  NULL: none;
 * who has logged in, or is trusted, stays.
 */
struct conn *shed_choose(const struct worker *w);

#endif
