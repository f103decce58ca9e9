/*
 * Reading command and SASL lines of a connection, octets behind them left where they are.
 */
#ifndef POP3D_LOGIN_INPUT_H
#define POP3D_LOGIN_INPUT_H

#include "worker/login/conn.h"

/* May this connection read lines now? */
bool input_wanted(const struct conn *c);
/* Read and handle the lines that are there (some of them: others get their turn). */
void input_readable(struct conn *c);

#endif
