/*
 * syslog without waiting: syslog(3) blocks while the log daemon does not read,
 * and a stuck log daemon must not stop the mail.
 */
#ifndef POP3D_SYSLOG_SOCKET_H
#define POP3D_SYSLOG_SOCKET_H

/* Name that lines go under; borrowed. */
void syslog_socket_open(const char *ident);

/*
 * Send one line of facility mail and priority `prio` to /dev/log (RFC 3164
 * form, as syslog(3) writes it).  0; -1: it was not taken, because nobody
 * listens or the log daemon is behind.
 */
int syslog_socket_send(int prio, const char *text);

#endif
