/*
 * Process titles, as ps(1) shows them: "pop3d-session: alice from 192.0.2.1 trans".
 */
#ifndef POP3D_TITLE_H
#define POP3D_TITLE_H

enum ps_titles { PS_TITLES_FULL, PS_TITLES_ROLE };

/* Name of the environment variable that master sets so that titles have room. */
#define TITLE_PADDING "POP3D_TITLE_ROOM"

/* First thing in main; keeps the room of argv and environ (setproctitle_init(3bsd)). */
void title_init(int argc, char *argv[], char *envp[]);

/* Set how much titles tell. */
void title_detail(enum ps_titles detail);

/*
 * Show "pop3d-ROLE: TEXT", or "pop3d-ROLE" if the text is empty, fmt is NULL or the detail is
 * PS_TITLES_ROLE.  Works in forked processes, too.  Octets of the text that are not printable ASCII
 * become \xNN; what the room of argv and environ does not hold is cut.
 */
void title_set(const char *role, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
