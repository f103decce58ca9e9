/*
 * libFuzzer: a template, a user and a home, each ended by a NUL, as the place of a
 * mailbox.  What the client typed adds no part to the path, and is never "..".
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/auth/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { ROOM = 256 };

static size_t
slashes(const char *path)
{
	size_t n = 0;

	for (; *path != '\0'; path++)
		n += *path == '/';
	return n;
}

static size_t
parents(const char *path)
{
	size_t n = 0;

	for (const char *p = path; (p = strstr(p, "/..")) != NULL; p += 3)
		n += p[3] == '/' || p[3] == '\0';
	return n;
}

/* With an honest user the same template has the same shape. */
static void
check_shape(const char *template, const char *home, const char *path)
{
	char honest[8 * ROOM], whole[8 * ROOM];

	if (template_expand(template, "a@b", home, honest, sizeof(honest)) == -1 ||
	    slashes(path) != slashes(honest) || parents(path) > parents(honest))
		abort();
	if (template_expand(template, "aa@b", home, whole, sizeof(whole)) == -1)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[ROOM + 3] = {0}, path[ROOM];
	const char *user, *home;
	size_t cap = size > 0 ? 1 + data[0] % ROOM : 1;

	if (size == 0 || size - 1 > ROOM)
		return 0;
	memcpy(text, data + 1, size - 1);
	user = text + strlen(text) + 1;
	home = user < text + size ? user + strlen(user) + 1 : text + ROOM + 1;
	if (user >= text + size)
		user = text + ROOM + 1;
	if (home > text + size)
		home = text + ROOM + 1;
	if (template_expand(text, user, home, path, cap) == -1)
		return 0;
	if (path[0] != '/' || strlen(path) >= cap)
		abort();
	check_shape(text, home, path);
	return 0;
}
