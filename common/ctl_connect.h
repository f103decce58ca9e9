/*
 * A connection to a control socket of the daemon, unix(7).
 */
#ifndef POP3D_CTL_CONNECT_H
#define POP3D_CTL_CONNECT_H

/* Connect to the socket of that path; each read and write waits `seconds` at most (0: without a
 * limit).  A descriptor, the caller's, or -1 with errno: ENAMETOOLONG, or that of connect(2). */
int ctl_connect(const char *path, unsigned seconds);

#endif
