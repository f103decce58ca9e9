#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "daemon/auth/template.h"

struct span {
	const char *at;
	size_t len;
};

static struct span
value_user(const char *user, const char *home)
{
	(void)home;
	return (struct span){user, strlen(user)};
}

static struct span
value_domain(const char *user, const char *home)
{
	const char *at = strrchr(user, '@');

	(void)home;
	return at == NULL ? (struct span){"", 0} : (struct span){at + 1, strlen(at + 1)};
}

static struct span
value_name(const char *user, const char *home)
{
	const char *at = strrchr(user, '@');

	(void)home;
	return (struct span){user, at == NULL ? strlen(user) : (size_t)(at - user)};
}

static struct span
value_home(const char *user, const char *home)
{
	(void)user;
	return (struct span){home, strlen(home)};
}

static struct span
value_percent(const char *user, const char *home)
{
	(void)user;
	(void)home;
	return (struct span){"%", 1};
}

/* `part`: the value is what the client typed and must be one part of a path. */
static const struct value {
	char letter;
	bool part;
	struct span (*get)(const char *user, const char *home);
} values[] = {
    {'u', true, value_user},  {'d', true, value_domain},   {'n', true, value_name},
    {'h', false, value_home}, {'%', false, value_percent},
};

static const struct value *
value_find(char letter)
{
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++)
		if (values[i].letter == letter)
			return &values[i];
	return NULL;
}

static bool
span_is_part(struct span s)
{
	if (s.len == 0 || memchr(s.at, '/', s.len) != NULL)
		return false;
	return !(s.at[0] == '.' && (s.len == 1 || (s.len == 2 && s.at[1] == '.')));
}

/* The next piece of the template at *p, moving *p behind it.  False: not allowed. */
static bool
template_next(const char **p, const char *user, const char *home, struct span *piece)
{
	const struct value *v;

	if (**p != '%') {
		*piece = (struct span){*p, strcspn(*p, "%")};
		*p += piece->len;
		return true;
	}
	v = value_find((*p)[1]);
	if (v == NULL)
		return false;
	*p += 2;
	*piece = v->get(user, home);
	return !v->part || span_is_part(*piece);
}

int
template_expand(const char *template, const char *user, const char *home, char *dst, size_t cap)
{
	size_t len = 0;
	struct span piece;

	for (const char *p = template; *p != '\0';) {
		if (!template_next(&p, user, home, &piece)) {
			errno = EINVAL;
			return -1;
		}
		if (piece.len >= cap - len) {
			errno = ENAMETOOLONG;
			return -1;
		}
		memcpy(dst + len, piece.at, piece.len);
		len += piece.len;
	}
	dst[len] = '\0';
	if (dst[0] != '/') {
		errno = EINVAL;
		return -1;
	}
	return 0;
}
