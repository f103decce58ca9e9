/*
 * `pop3ctl top`: a live table of the connections.
 */
#ifndef POP3D_CTL_TOP_H
#define POP3D_CTL_TOP_H

/* Show it on the terminal until `q`.  Returns the exit status; CTL_FAILED, with the reason on
 * standard error, if there is no terminal that can show it. */
int top_run(const char *socket_path);

#endif
