/*
 * Asking a program, of which what it prints is the answer.
 */
#ifndef POP3D_CTL_PROGRAM_H
#define POP3D_CTL_PROGRAM_H

#include <sys/types.h>

/* Start it as the caller, argv[0] being its path, with these descriptors as its standard output and
 * error.  0, or an errno. */
int program_start(char *const argv[], int output, int errors, pid_t *pid);

/* Tell `line` each line that comes from fd, without its end, until that returns not 0; fd is
 * closed. What it returned last, or -1. */
int program_listen(int fd, int (*line)(void *arg, char *text), void *arg);

/* Start it and listen to its standard output.  0 if all of that was good and it ended with status
 * 0, else -1; why it failed, or could not be run, is said on standard error. */
int program_lines(char *const argv[], int (*line)(void *arg, char *text), void *arg);

#endif
