/*
 * The settings that a configuration file amounts to, defaults among them, as pop3d -T prints them.
 */
#ifndef POP3D_CTL_EFFECTIVE_H
#define POP3D_CTL_EFFECTIVE_H

#include <stdbool.h>
#include <stddef.h>

struct effective_setting {
	size_t server; /* the number of its server, from 1 on; 0: it stands outside of servers */
	char *name,
	    *rest; /* the value as it is printed: quotes, a list's braces, a unit behind it */
};

struct effective {
	char *path; /* of the file */
	char **servers;
	size_t nservers;
	struct effective_setting *settings;
	size_t n;
	bool inside; /* of a server, while they are read */
};

/* Read those of the file `conf_path`; NULL: the one that the daemon at the socket runs with, else
 * the usual one.  pop3d(8) runs as the caller.  0, or -1: said.  effective_free() it either way. */
int effective_read(struct effective *e, const char *socket_path, const char *conf_path);
void effective_free(struct effective *e);

/* The `n`th word (from 0 on) of the setting's value, without quotes and escapes, in `out` (cap
 * octets; empty if there is none).  Returns `out`, or NULL: it has not so many words. */
char *effective_word(const struct effective *e, size_t server, const char *name, size_t n,
		     char *out, size_t cap);

#endif
