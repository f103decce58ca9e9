/*
 * As much of HTTP/1.1 (RFC 9112) as a page that is read needs: GET and HEAD, one request a
 * connection, no body, a Host that is known (who else could be asked, by a name of another's that
 * leads here, would be asked by a browser).  Eight connections at a time; one has ten seconds.
 */
#ifndef POP3D_EXPORTER_HTTP_H
#define POP3D_EXPORTER_HTTP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>

/* What is asked. */
struct http_request {
	const char *path; /* without a query */
	bool openmetrics; /* the client takes application/openmetrics-text */
};

/* Write the body to `out` and set its media type.  The status, such as 200. */
typedef int http_answer_fn(const struct http_request *r, FILE *out, const char **type);

enum { HTTP_HOSTS_MAX = 16 };

struct http {
	struct event_base *base;
	http_answer_fn *answer;
	const char *hosts[HTTP_HOSTS_MAX + 1]; /* names that a Host field may have, without port */
	unsigned connections;
};

/* Serve who connects to the listening socket `fd`, which is owned from now on.  `h` stays where it
 * is.  0 or -1. */
int http_serve(struct http *h, int fd);

/* Judge a request's head, which ends with an empty line and is cut up.  The status: 200 and *r, or
 * that of a refusal; *head: the method is HEAD. */
int http_judge(const struct http *h, char *text, struct http_request *r, bool *head);

#endif
