/*
 * Going to the background.
 */
#ifndef POP3D_BACKGROUND_H
#define POP3D_BACKGROUND_H

/*
 * Fork; returns in the child, which leads a session of its own.  The parent ends when the child
 * serves, with status 0, or has ended, with status 1: by then whatever the child held is free for
 * another try.  Until then the child keeps the caller's standard error, and tells errors there,
 * too, where the log goes to syslog.  Ends the process if it cannot fork.
 */
void background_start(void);

/* This process serves: let the parent go, and give up standard error; a log that went there goes to
 * syslog from here on.  Nothing in a process that is in the foreground. */
void background_serves(void);

#endif
