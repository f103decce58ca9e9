/*
 * The auth helper's dispatcher: its event loop and what master tells it.
 */
#ifndef POP3D_AUTH_DISPATCH_H
#define POP3D_AUTH_DISPATCH_H

/* Serve master on CHANNEL_FD until that ends.  The exit status. */
int dispatch_main(void);

#endif
