/*
 * One request to the daemon over its control socket, and its answer.
 */
#ifndef POP3D_CTL_REQUEST_H
#define POP3D_CTL_REQUEST_H

#include <stddef.h>

#include "common/answer.h"

/* Exit status of pop3ctl. */
enum { CTL_DONE = 0, CTL_FAILED = 1, CTL_USAGE = 2, CTL_UNREACHABLE = 3 };

struct answer {
	int status;
	enum answer_kind kind;
	char *text; /* terminated; malloc'ed, the caller's */
	size_t len;
	int fd; /* that came with it, the caller's; -1: none */
};

/* Send the words and read the whole answer.  CTL_UNREACHABLE, with the reason on standard error,
 * if the daemon cannot be reached; else the status in *a, which is also returned. */
int request(const char *socket_path, size_t n, char *const words[], struct answer *a);

/* The same, but the reason is the answer's text (NULL: no memory) and nothing is printed. */
int request_quietly(const char *socket_path, size_t n, char *const words[], struct answer *a);

/* The same; CTL_UNREACHABLE too if a step of it takes longer than `seconds` (0: without a limit).
 */
int request_within(const char *socket_path, unsigned seconds, size_t n, char *const words[],
		   struct answer *a);

#endif
