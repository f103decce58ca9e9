/*
 * The gate's event loop, and what master and dispatcher tell it.
 */
#ifndef POP3D_AUTH_GATE_H
#define POP3D_AUTH_GATE_H

/* Serve master on CHANNEL_FD until that ends.  The exit status. */
int gate_main(void);

#endif
