/*
 * SASL exchanges as RFC 5034 frames them in POP3, and the mechanisms.  Pure:
 * lines in, challenges or a login request out.  A new mechanism is a row in the
 * table of sasl.c and its step function.
 */
#ifndef POP3D_LOGIN_SASL_H
#define POP3D_LOGIN_SASL_H

#include <stdbool.h>
#include <stddef.h>

#include "common/msg.h"

struct sasl_mechanism;

/* An exchange under way.  Zeroed: none. */
struct sasl {
	const struct sasl_mechanism *mechanism;
	unsigned step;		   /* responses received so far */
	const char *challenge;	   /* SASL_CHALLENGE: base64 text to send behind "+ " */
	struct msg_login_ask *ask; /* filled as the responses come; borrowed */
};

enum sasl_result {
	SASL_CHALLENGE, /* send the challenge, wait for a line */
	SASL_LOGIN,	/* the request is complete */
	SASL_MALFORMED, /* bad base64, or nothing that the mechanism takes */
	SASL_CANCELLED	/* the client sent "*" */
};

/* Look a mechanism up, whatever its case.  NULL: there is none (or no valid name, RFC 4422
 * section 3.1). */
const struct sasl_mechanism *sasl_find(const char *name, size_t len);

/* Does it send the password itself, so that it needs TLS as USER and PASS do? */
bool sasl_needs_tls(const struct sasl_mechanism *m);

/*
 * Begin an exchange.  `initial`: the initial response as it stood in the AUTH
 * line ("=" is an empty one), NULL if there was none; it is decoded in place.
 * `ask` (zeroed, id set) is filled.  Any result but SASL_CHALLENGE ends it.
 */
enum sasl_result sasl_begin(struct sasl *s, const struct sasl_mechanism *m, char *initial,
			    size_t len, struct msg_login_ask *ask);

/* The next line from the client, decoded in place. */
enum sasl_result sasl_continue(struct sasl *s, char *line, size_t len);

#endif
