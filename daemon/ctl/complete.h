/*
 * What a shell offers for the word under the cursor of a command line of pop3ctl(8).  The files in
 * etc/completion ask it, so that each shell offers what the table of commands has.
 */
#ifndef POP3D_CTL_COMPLETE_H
#define POP3D_CTL_COMPLETE_H

/* Exit status: a file's name stands there; the shell knows how to complete those. */
enum { COMPLETE_FILE = 1 };

/* Run "complete word ...", argv[0] being that word; the others are those of the command line behind
 * "pop3ctl", up to the one under the cursor, which may be empty.  A line of output is a whole word
 * that begins with that one.  CTL_DONE or COMPLETE_FILE. */
int complete_run(const char *socket_path, int argc, char *argv[]);

#endif
