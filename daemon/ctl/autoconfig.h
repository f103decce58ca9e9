#ifndef POP3D_CTL_AUTOCONFIG_H
#define POP3D_CTL_AUTOCONFIG_H

/* Run "autoconfig ...", argv[0] being that word: print what lets mail programs find the servers of
 * the daemon's configuration, or of another file.  The exit status. */
int autoconfig_run(const char *socket_path, int argc, char *argv[]);

#endif
