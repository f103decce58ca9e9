/*
 * A run of this program that makes the table of an archive (pop3d --serve) and
 * ends: mail is read by a process that can open nothing else.
 */
#ifndef POP3D_SESSION_SCAN_H
#define POP3D_SESSION_SCAN_H

/*
 * argv as archive_order_exec() makes it, the archive open as ARCHIVE_SCAN_IN, the
 * table to be written as ARCHIVE_SCAN_OUT.  What is wrong goes to standard
 * error.  The exit status.
 */
int scan_run(int argc, char *argv[]);

#endif
