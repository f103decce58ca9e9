/*
 * Asking a program of pop3d, of which what it prints is the answer.
 */
#ifndef POP3D_CTL_PROGRAM_H
#define POP3D_CTL_PROGRAM_H

/* Run it as the caller, argv[0] being its path, and tell `line` each line of its standard output
 * without the end, until that returns not 0.  0 if all of that was good and it ended with status 0,
 * else -1; why it failed, or could not be run, is said on standard error. */
int program_lines(char *const argv[], int (*line)(void *arg, char *text), void *arg);

#endif
