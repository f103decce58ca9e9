/*
 * The service manager: sd_notify(3) and sd_listen_fds(3) as their pages
 * describe the protocol, without the library.
 */
#ifndef POP3D_NOTIFY_H
#define POP3D_NOTIFY_H

#include <stdint.h>

/* Read what the manager says in the environment, and unset it: no role process may speak there.
 * Close every other descriptor that was left open to us. */
void notify_init(void);

/* Send lines such as "READY=1\nSTATUS=..."; nothing happens without a manager. */
void notify_send(const char *lines);

/* Milliseconds between two signs of life that the manager expects; 0: none. */
uint64_t notify_watchdog_ms(void);

/* Number of sockets passed to us from NOTIFY_FDS_START on, as notify_init found it. */
enum { NOTIFY_FDS_START = 3 };
int notify_listen_fds(void);

#endif
