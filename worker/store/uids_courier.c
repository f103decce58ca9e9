/*
 * courierpop3dsizelist.
 */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "worker/store/uids_foreign.h"

enum { VERSION_MAX = 3 };

/* "/VERSION ...": the numbers behind it are of no use here. */
static enum foreign_result
first_line(struct foreign_reader *r, const char *line, size_t len)
{
	const char *space = memchr(line, ' ', len);
	uint64_t version;

	if (space == NULL || !foreign_number(line + 1, space, &version) || version == 0 ||
	    version > VERSION_MAX)
		return foreign_broken(r, "is of no version that is known (/1, /2 and /3 are)");
	r->version = (unsigned)version;
	return FOREIGN_PASSED;
}

/* Take the last word off the octets from p to *end.  NULL: there is no other before it. */
static const char *
last_word(const char *p, const char **end)
{
	const char *space = memrchr(p, ' ', (size_t)(*end - p));

	if (space != NULL)
		*end = space;
	return space != NULL ? space + 1 : NULL;
}

/* Read "UID", "UID:UIDVALIDITY" or "UID:UIDVALIDITY:UTF8", as the version has it. */
static bool
read_numbers(unsigned version, const char *p, const char *end, uint64_t *uid, uint64_t *validity)
{
	uint64_t out[VERSION_MAX] = {0};

	for (unsigned i = 0; i < version; i++) {
		const char *colon = memchr(p, ':', (size_t)(end - p));

		if ((colon == NULL) != (i + 1 == version))
			return false;
		if (!foreign_number(p, colon != NULL ? colon : end, &out[i]))
			return false;
		p = colon != NULL ? colon + 1 : end;
	}
	*uid = out[0];
	*validity = out[1];
	return true;
}

/* The unique-id that is the base name. */
static void
name_uid(struct foreign_entry *e)
{
	size_t n = 0;

	for (size_t i = 0; i < e->base_len && n + 4 < sizeof(e->uid); i++) {
		char c = e->base[i];

		if (c < 0x21 || c > 0x7e || c == '\'' || c == '"' || c == '+')
			n += (size_t)snprintf(e->uid + n, sizeof(e->uid) - n, "+%02X", (uint8_t)c);
		else
			e->uid[n++] = c;
	}
	e->uid[n] = '\0';
}

enum foreign_result
courier_line(struct foreign_reader *r, const char *line, size_t len, struct foreign_entry *e)
{
	const char *end = line + len, *word_end, *word, *colon;
	uint64_t size, uid = 0, validity = 0;

	if (memchr(line, '\0', len) != NULL)
		return foreign_broken(r, "has a NUL octet");
	if (!r->begun) {
		r->begun = true;
		if (len > 0 && line[0] == '/')
			return first_line(r, line, len);
	}
	if (r->version > 0) {
		word_end = end;
		word = last_word(line, &end);
		if (word == NULL || !read_numbers(r->version, word, word_end, &uid, &validity))
			return foreign_broken(r,
					      "has no number of a message as its version has them");
	}
	word_end = end;
	word = last_word(line, &end);
	if (word == NULL || !foreign_number(word, word_end, &size))
		return foreign_broken(r, "has no size");
	colon = memchr(line, ':', (size_t)(end - line));
	e->base = line;
	e->base_len = (size_t)((colon != NULL ? colon : end) - line);
	if (e->base_len == 0)
		return foreign_broken(r, "has no file name");
	e->order = 0;
	if (uid == 0)
		name_uid(e);
	else
		(void)snprintf(e->uid, sizeof(e->uid),
			       validity != 0 ? "UID%" PRIu64 "-%" PRIu64 : "UID%" PRIu64, uid,
			       validity);
	return FOREIGN_ENTRY;
}
