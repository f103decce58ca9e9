#include "config.h"

#include "worker/tls/scheme.h"

#include <stddef.h>
#include <strings.h>

#include "common/count.h"

static const struct scheme schemes[] = {
    {0x0403, KEY_EC, "SHA256", false, false}, {0x0503, KEY_EC, "SHA384", false, false},
    {0x0603, KEY_EC, "SHA512", false, false}, {0x0804, KEY_RSA, "SHA256", true, false},
    {0x0805, KEY_RSA, "SHA384", true, false}, {0x0806, KEY_RSA, "SHA512", true, false},
    {0x0401, KEY_RSA, "SHA256", false, true}, {0x0501, KEY_RSA, "SHA384", false, true},
    {0x0601, KEY_RSA, "SHA512", false, true}, {0x0807, KEY_ED25519, NULL, false, false},
};

const char *
key_kind_name(enum key_kind kind)
{
	static const char *const names[KEY_KIND_COUNT] = {
	    [KEY_RSA] = "RSA", [KEY_EC] = "EC", [KEY_ED25519] = "ED25519"};

	return names[kind];
}

const struct scheme *
scheme_find(uint32_t code)
{
	for (size_t i = 0; i < COUNT_OF(schemes); i++)
		if (schemes[i].code == code)
			return &schemes[i];
	return NULL;
}

/* OpenSSL has two names for each: "SHA256" and "SHA2-256". */
static bool
is_digest(const char *ours, const char *name)
{
	if (ours == NULL || name == NULL)
		return ours == name;
	return strcasecmp(ours, name) == 0 ||
	       (strncasecmp(name, "SHA2-", 5) == 0 && strcasecmp(ours + 3, name + 5) == 0);
}

const struct scheme *
scheme_for(enum key_kind kind, const char *digest, bool pss)
{
	for (size_t i = 0; i < COUNT_OF(schemes); i++)
		if (schemes[i].kind == kind && is_digest(schemes[i].digest, digest) &&
		    (kind != KEY_RSA || schemes[i].pss == pss))
			return &schemes[i];
	return NULL;
}
