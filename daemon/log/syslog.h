/*
 * syslog without waiting: syslog(3) blocks while the log daemon does not read,
 * and a stuck log daemon must not stop the mail.  Some lines wait for a log
 * daemon that is behind; those beyond are lost, and a later line tells how many.
 */
#ifndef POP3D_LOG_SYSLOG_H
#define POP3D_LOG_SYSLOG_H

/* Log lines go to /dev/log from now on (RFC 3164 form, as syslog(3) writes it), facility mail,
 * under this name, which is borrowed. */
void log_to_syslog(const char *ident);

/* Does a log daemon take lines?  0 or -1 with errno. */
int syslog_try(void);

#endif
