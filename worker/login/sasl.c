#include "config.h"

#include "worker/login/sasl.h"

#include <string.h>
#include <strings.h>

#include "worker/login/base64.h"

struct sasl_mechanism {
	const char *name;
	enum login_mech mech;
	bool client_first; /* takes an initial response (RFC 4422 section 5) */
	bool needs_tls;
	enum sasl_result (*step)(struct sasl *s, const char *octets, size_t len);
};

/* Copy one part of a response: not empty, without NUL, at most 255 octets. */
static int
sasl_take(char dst[MSG_NAME_SIZE], const char *octets, size_t len)
{
	if (len == 0 || len >= MSG_NAME_SIZE || memchr(octets, '\0', len) != NULL)
		return -1;
	memcpy(dst, octets, len);
	dst[len] = '\0';
	return 0;
}

/* RFC 4616 section 2: [authzid] NUL authcid NUL passwd. */
static enum sasl_result
sasl_step_plain(struct sasl *s, const char *octets, size_t len)
{
	if (len == 0)
		return SASL_MALFORMED;
	const char *end = octets + len;
	const char *user = memchr(octets, '\0', len);
	if (user == NULL)
		return SASL_MALFORMED;
	size_t authzid_len = (size_t)(user - octets);
	user++;
	const char *password = memchr(user, '\0', (size_t)(end - user));
	if (password == NULL)
		return SASL_MALFORMED;
	size_t user_len = (size_t)(password - user);
	password++;
	if ((authzid_len > 0 && sasl_take(s->ask->authzid, octets, authzid_len) == -1) ||
	    sasl_take(s->ask->user, user, user_len) == -1 ||
	    sasl_take(s->ask->password.octets, password, (size_t)(end - password)) == -1)
		return SASL_MALFORMED;
	return SASL_LOGIN;
}

/* draft-murchison-sasl-login: the server asks for name and password in turn. */
static enum sasl_result
sasl_step_login(struct sasl *s, const char *octets, size_t len)
{
	char *parts[] = {s->ask->user, s->ask->password.octets};
	static const char *const challenges[] = {"VXNlcm5hbWU6" /* Username: */,
						 "UGFzc3dvcmQ6" /* Password: */};

	if (s->step > 0 && sasl_take(parts[s->step - 1], octets, len) == -1)
		return SASL_MALFORMED;
	if (s->step == 2)
		return SASL_LOGIN;
	s->challenge = challenges[s->step];
	return SASL_CHALLENGE;
}

static const struct sasl_mechanism mechanisms[] = {
    {"PLAIN", MECH_PLAIN, true, true, sasl_step_plain},
    {"LOGIN", MECH_LOGIN, false, true, sasl_step_login},
};

const struct sasl_mechanism *
sasl_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(mechanisms) / sizeof(mechanisms[0]); i++)
		if (strlen(mechanisms[i].name) == len &&
		    strncasecmp(mechanisms[i].name, name, len) == 0)
			return &mechanisms[i];
	return NULL;
}

bool
sasl_needs_tls(const struct sasl_mechanism *m)
{
	return m->needs_tls;
}

/* Decode a response and give it to the mechanism. */
static enum sasl_result
sasl_respond(struct sasl *s, char *text, size_t len)
{
	size_t octets;
	if (base64_decode((unsigned char *)text, text, len, &octets) == -1)
		return SASL_MALFORMED;
	s->step++;
	return s->mechanism->step(s, text, octets);
}

enum sasl_result
sasl_begin(struct sasl *s, const struct sasl_mechanism *m, char *initial, size_t len,
	   struct msg_login_ask *ask)
{
	*s = (struct sasl){.mechanism = m, .ask = ask, .challenge = ""};
	ask->mech = m->mech;
	if (initial == NULL)
		return m->client_first ? SASL_CHALLENGE : m->step(s, NULL, 0);
	if (!m->client_first)
		return SASL_MALFORMED;
	if (len == 1 && initial[0] == '=')
		len = 0;
	return sasl_respond(s, initial, len);
}

enum sasl_result
sasl_continue(struct sasl *s, char *line, size_t len)
{
	if (len == 1 && line[0] == '*')
		return SASL_CANCELLED;
	return sasl_respond(s, line, len);
}
