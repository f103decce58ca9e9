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

/* Send lines such as "READY=1\nSTATUS=...", up to 255 octets; nothing happens without a manager.
 * One that does not read is not waited for: the last eight are kept until it does. */
void notify_send(const char *lines);

/* Once a second: send what is kept.  0: nothing is any more; 1: the manager is behind. */
int notify_flush(void);

/* Send a sign of life.  It is not kept: another will follow. */
void notify_alive(void);

/* Milliseconds between two signs of life that the manager expects; 0: none. */
uint64_t notify_watchdog_ms(void);

/* Number of sockets passed to us from NOTIFY_FDS_START on, as notify_init found it. */
enum { NOTIFY_FDS_START = 3 };
int notify_listen_fds(void);

#endif
