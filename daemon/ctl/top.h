/*
 * `pop3ctl top`: a live table of the connections.
 */
#ifndef POP3D_CTL_TOP_H
#define POP3D_CTL_TOP_H

#include <stdbool.h>

/* Show it until `q`, or once.  Returns the exit status. */
int top_run(const char *socket_path, bool once);

#endif
