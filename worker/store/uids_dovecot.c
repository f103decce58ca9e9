/*
 * dovecot-uidlist.
 */
#include "config.h"

#include <string.h>

#include "worker/store/uids_foreign.h"

/* Behind all messages that have the field O. */
#define NO_ORDER (UINT64_C(0xffffffff) << 32)

/* The octets up to the next space, or to the end; *p is moved behind the space. */
static const char *
next_word(const char **p, const char *end, size_t *len)
{
	const char *word = *p, *space = memchr(word, ' ', (size_t)(end - word));

	*len = (size_t)((space != NULL ? space : end) - word);
	*p = space != NULL ? space + 1 : end;
	return word;
}

static enum foreign_result
first_line(struct foreign_reader *r, const char *p, const char *end)
{
	bool known = false;
	const char *word;
	uint64_t version;
	size_t len;

	r->begun = true;
	word = next_word(&p, end, &len);
	if (!foreign_number(word, word + len, &version) || (version != 1 && version != 3))
		return foreign_broken(r, "is of no version that is known (1 and 3 are)");
	r->version = (unsigned)version;
	while (p < end && !known) {
		word = next_word(&p, end, &len);
		if (version == 1)
			known = foreign_number(word, word + len, &r->validity);
		else if (len > 1 && word[0] == 'V')
			known = foreign_number(word + 1, word + len, &r->validity);
		if (version == 1)
			break;
	}
	return known ? FOREIGN_PASSED : foreign_broken(r, "has no UIDVALIDITY");
}

/* What the fields of a line say. */
struct fields {
	const char *given; /* P; NULL: none */
	size_t given_len;
	const char *guid;
	size_t guid_len;
	uint64_t order;
};

/* Read the fields up to ":NAME"; *p is moved to the name.  False for a line without. */
static bool
read_fields(const char **p, const char *end, struct fields *f)
{
	const char *word;
	uint64_t order;
	size_t len;

	while (*p < end && **p != ':') {
		word = next_word(p, end, &len);
		if (len == 0 || word[0] < 'A' || word[0] > 'Z')
			return false;
		if (word[0] == 'P') {
			f->given = word + 1;
			f->given_len = len - 1;
		} else if (word[0] == 'G') {
			f->guid = word + 1;
			f->guid_len = len - 1;
		} else if (word[0] == 'O') {
			if (!foreign_number(word + 1, word + len, &order) || order > UINT32_MAX)
				return false;
			f->order = order << 32;
		}
	}
	if (*p == end)
		return false;
	(*p)++;
	return true;
}

/* The unique-id that Dovecot gave. */
static void
make_uid(const struct foreign_reader *r, const struct fields *f, uint64_t number,
	 struct foreign_entry *e)
{
	const struct uid_values v = {
	    .uid = number,
	    .validity = r->validity,
	    .name = e->base,
	    .name_len = e->base_len,
	    .guid = f->guid != NULL ? f->guid : e->base,
	    .guid_len = f->guid != NULL ? f->guid_len : e->base_len,
	};
	const char *given = f->given;
	size_t len = f->given_len;

	e->uid[0] = '\0';
	if (given == NULL) {
		if (!uid_format_expand(r->format, &v, e->uid, sizeof(e->uid)))
			e->uid[0] = '\0';
		return;
	}
	if (len == 0) {
		given = e->base;
		len = e->base_len;
	}
	if (len < sizeof(e->uid)) {
		memcpy(e->uid, given, len);
		e->uid[len] = '\0';
	}
}

enum foreign_result
dovecot_line(struct foreign_reader *r, const char *line, size_t len, struct foreign_entry *e)
{
	const char *p = line, *end = line + len, *word, *colon;
	struct fields f = {.order = NO_ORDER};
	uint64_t number;
	size_t word_len;

	if (memchr(line, '\0', len) != NULL)
		return foreign_broken(r, "has a NUL octet");
	if (!r->begun)
		return first_line(r, p, end);
	word = next_word(&p, end, &word_len);
	if (!foreign_number(word, word + word_len, &number) || number > UINT32_MAX)
		return foreign_broken(r, "does not begin with a UID");
	if (number <= r->last)
		return foreign_broken(r, "has a UID that is not above the one before");
	r->last = number;
	if (r->version == 3 && !read_fields(&p, end, &f))
		return foreign_broken(r, "has a field that is none, or no file name");
	colon = memchr(p, ':', (size_t)(end - p));
	e->base = p;
	e->base_len = (size_t)((colon != NULL ? colon : end) - p);
	if (e->base_len == 0)
		return foreign_broken(r, "has no file name");
	e->order = f.order | number;
	make_uid(r, &f, number, e);
	return FOREIGN_ENTRY;
}
