/*
 * libFuzzer: any octets as a user file.  Each account that comes out is found by
 * its name, has ids and paths that may be used, and keeps them when passwords are
 * forgotten.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/auth/userfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct userfile
parse(const uint8_t *data, size_t size, bool own)
{
	struct userfile u;
	char *text = malloc(size + 1);

	if (text == NULL)
		abort();
	memcpy(text, data, size);
	text[size] = '\0';
	if (userfile_parse(&u, text, size, own, NULL, NULL) == -1)
		abort();
	return u;
}

static void
check_entry(const struct userfile *u, const struct userfile_entry *e, bool own)
{
	if (userfile_find(u, e->name) != e || e->name[0] == '\0' || e->home[0] != '/' ||
	    (e->mailbox[0] != '\0' && e->mailbox[0] != '/'))
		abort();
	if (!own && (e->uid == 0 || e->gid == 0))
		abort();
	if (e->allow == NULL && e->deny == NULL && userfile_barred(e, "192.0.2.1") != NULL)
		abort();
	if (e->allow != NULL && userfile_barred(e, "") == NULL)
		abort();
	if (e->scheme == USERFILE_LOCKED && (userfile_plain(e) != NULL || userfile_apop(e) != NULL))
		abort();
}

/* Another reading of the same text is the same but for the passwords that were forgotten. */
static void
check_forgotten(const struct userfile *all, const struct userfile *u)
{
	if (all->n != u->n)
		abort();
	for (size_t i = 0; i < u->n; i++) {
		const struct userfile_entry *a = &all->entries[i], *b = &u->entries[i];

		if (strcmp(a->name, b->name) != 0 || strcmp(a->home, b->home) != 0 ||
		    strcmp(a->mailbox, b->mailbox) != 0 || a->uid != b->uid || a->gid != b->gid ||
		    b->password[0] != '\0' || b->secret[0] != '\0' || b->allow != NULL ||
		    b->deny != NULL)
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	bool own = size > 0 && data[0] % 2 == 1; /* as in rootless mode */
	struct userfile all, u;

	if (size == 0)
		return 0;
	all = parse(data + 1, size - 1, own);
	u = parse(data + 1, size - 1, own);
	for (size_t i = 0; i < all.n; i++)
		check_entry(&all, &all.entries[i], own);
	(void)userfile_any_hash(&all);
	if (userfile_forget_passwords(&u) == -1)
		abort();
	check_forgotten(&all, &u);
	userfile_free(&u);
	userfile_free(&all);
	return 0;
}
