/*
 * syslog without waiting: syslog(3) blocks while the log daemon does not read,
 * and a stuck log daemon must not stop the mail.  Some lines wait for a log
 * daemon that is behind; those beyond are lost, and a later line tells how many.
 */
#ifndef POP3D_SYSLOG_SOCKET_H
#define POP3D_SYSLOG_SOCKET_H

/* Name that lines go under; borrowed. */
void syslog_socket_open(const char *ident);

/* Send one line of facility mail and priority `prio` to /dev/log (RFC 3164 form, as syslog(3)
 * writes it), behind those that wait. */
void syslog_socket_send(int prio, const char *text);

/* Send what waits.  0: nothing waits any more; 1: the log daemon is behind. */
int syslog_socket_flush(void);

/* A descriptor that can be written to when the log daemon may take more; the caller's.  -1 with
 * errno. */
int syslog_socket_wait(void);

#endif
