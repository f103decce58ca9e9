/*
 * libFuzzer: two names of files in a Maildir, with a NUL between them: unique-ids
 * are 1 to 70 octets of 0x21..0x7E that flags do not change, different base names
 * have different ones, and the order of names is an order.
 */
#include "config.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "worker/store/maildir_name.h"
#include "worker/store/natural.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Take a name off the front; what is left of it is no more than a file may have. */
static void
take(const uint8_t **data, size_t *size, char name[NAME_MAX + 1])
{
	size_t len = strnlen((const char *)*data, *size), kept = len < NAME_MAX ? len : NAME_MAX;

	memcpy(name, *data, kept);
	name[kept] = '\0';
	len += len < *size;
	*data += len;
	*size -= len;
}

static void
check_uid(const char *uid)
{
	size_t len = strlen(uid);

	if (len == 0 || len >= STORE_UID_SIZE)
		abort();
	for (size_t i = 0; i < len; i++)
		if (uid[i] < 0x21 || uid[i] > 0x7e)
			abort();
}

static size_t
look(const char *name, char uid[STORE_UID_SIZE])
{
	char other[STORE_UID_SIZE], flagged[NAME_MAX + 8];
	size_t base = maildir_base_len(name);

	maildir_uid(name, base, uid);
	check_uid(uid);
	memcpy(flagged, name, base);
	memcpy(flagged + base, ":2,FS", sizeof(":2,FS"));
	if (maildir_base_len(flagged) != base ||
	    maildir_seconds(flagged) != maildir_seconds(name) ||
	    (maildir_name_counts(name) && base > 0 && !maildir_name_counts(flagged)))
		abort();
	maildir_uid(flagged, base, other);
	if (strcmp(uid, other) != 0)
		abort();
	maildir_digest_uid(name, base, other);
	check_uid(other);
	maildir_duplicate_uid(name, base, base, other);
	check_uid(other);
	(void)maildir_claimed_size(name);
	return base;
}

/* Is the base name its own unique-id, and not digested? */
static bool
is_its_uid(const char *name, size_t len, const char *uid)
{
	return strlen(uid) == len && memcmp(name, uid, len) == 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char a[NAME_MAX + 1], b[NAME_MAX + 1], uid_a[STORE_UID_SIZE], uid_b[STORE_UID_SIZE];
	size_t len_a, len_b;
	bool same;
	int order;

	take(&data, &size, a);
	take(&data, &size, b);
	len_a = look(a, uid_a);
	len_b = look(b, uid_b);
	same = len_a == len_b && memcmp(a, b, len_a) == 0;
	/* an owner may name a file by another name's digest; two of one kind never meet */
	if ((strcmp(uid_a, uid_b) == 0) != same &&
	    is_its_uid(a, len_a, uid_a) == is_its_uid(b, len_b, uid_b))
		abort();
	order = natural_compare(a, len_a, b, len_b);
	if ((order == 0) != same || (order < 0) != (natural_compare(b, len_b, a, len_a) > 0) ||
	    natural_compare(a, len_a, a, len_a) != 0)
		abort();
	return 0;
}
