/*
 * What a child of the auth gate does; see child.c.
 */
#ifndef POP3D_AUTH_CHILD_H
#define POP3D_AUTH_CHILD_H

/* Serve login requests from CHANNEL_FD until it ends.  The exit status. */
int child_main(void);

#endif
