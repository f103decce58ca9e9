#include "config.h"

#include <string.h>
#include <strings.h>

#include "daemon/auth/username.h"

/* The domain stands behind the last '@', as in an address (RFC 5321 section 4.1.2). */
static int
username_strip(const char *domain, char *name)
{
	char *at = strrchr(name, '@');

	if (strcmp(domain, USERNAME_DOMAIN_KEEP) == 0 || at == NULL)
		return 0;
	if (strcmp(domain, USERNAME_DOMAIN_STRIP) != 0 && strcasecmp(domain, at + 1) != 0)
		return -1;
	memset(at, 0, strlen(at));
	return 0;
}

/* ASCII letters only: the same in every locale and every character set. */
static void
username_lower(char *name)
{
	for (; *name != '\0'; name++)
		if (*name >= 'A' && *name <= 'Z')
			*name = (char)(*name - 'A' + 'a');
}

int
username_apply(const struct msg_auth_server *server, char name[MSG_NAME_SIZE])
{
	int rc = username_strip(server->username_domain, name);

	if (server->username_fold == USERNAME_LOWER)
		username_lower(name);
	return rc;
}

bool
username_is_clean(const char *name)
{
	for (; *name != '\0'; name++)
		if ((unsigned char)*name < ' ' || *name == 0x7f)
			return false;
	return true;
}
