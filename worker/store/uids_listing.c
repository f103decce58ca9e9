#include "config.h"

#include "worker/store/uids_listing.h"

#include <stdlib.h>
#include <string.h>

#include "worker/store/grow.h"
#include "worker/store/uids.h"

enum listing_line
uids_listing_line(const char *line, size_t len, const char **uid, size_t *uid_len)
{
	const char *p = line, *end = line + len;

	if (len > 0 && end[-1] == '\r')
		end--;
	while (end > p && end[-1] == ' ')
		end--;
	if (p == end || (end - p == 1 && *p == '.') || (end - p >= 3 && memcmp(p, "+OK", 3) == 0))
		return LISTING_PASSED;
	while (p < end && *p >= '0' && *p <= '9')
		p++;
	if (p == line || p == end || *p != ' ')
		return LISTING_BROKEN;
	while (*p == ' ')
		p++;
	*uid = p;
	*uid_len = (size_t)(end - p);
	return uids_is_valid(p, *uid_len) ? LISTING_UID : LISTING_BROKEN;
}

int
uids_listing_add(struct uids_listing *l, const char *uid, size_t len)
{
	if (grow(&l->places, &l->places_room, l->count + 1, sizeof(*l->places)) == -1 ||
	    grow(&l->text, &l->room, l->len + len + 1, 1) == -1)
		return -1;
	l->places[l->count++] = l->len;
	memcpy(l->text + l->len, uid, len);
	l->text[l->len + len] = '\0';
	l->len += len + 1;
	return 0;
}

void
uids_listing_free(struct uids_listing *l)
{
	free(l->text);
	free(l->places);
	free(l->sorted);
	*l = (struct uids_listing){0};
}

static const char *
listing_uid(const struct uids_listing *l, size_t i)
{
	return l->text + l->places[i];
}

static int
number_compare(const void *a, const void *b, void *arg)
{
	size_t i = *(const size_t *)a, j = *(const size_t *)b;
	int order = strcmp(listing_uid(arg, i), listing_uid(arg, j));

	return order != 0 ? order : (i > j) - (i < j);
}

static int
listing_sort(struct uids_listing *l)
{
	free(l->sorted);
	if ((l->sorted = calloc(l->count + 1, sizeof(*l->sorted))) == NULL)
		return -1;
	for (size_t i = 0; i < l->count; i++)
		l->sorted[i] = i;
	qsort_r(l->sorted, l->count, sizeof(*l->sorted), number_compare, l);
	return 0;
}

/* Find it in the sorted listing: its number, or l->count. */
static size_t
listing_find(const struct uids_listing *l, const char *uid)
{
	size_t from = 0, to = l->count;

	while (from < to) {
		size_t at = from + (to - from) / 2;

		if (strcmp(listing_uid(l, l->sorted[at]), uid) < 0)
			from = at + 1;
		else
			to = at;
	}
	return from < l->count && strcmp(listing_uid(l, l->sorted[from]), uid) == 0
		   ? l->sorted[from]
		   : l->count;
}

/* Take new mail out of what would be fetched again: it comes behind the rest.  What is gone may be
 * among it with another unique-id. */
static void
difference_settle(struct uids_difference *d, size_t behind)
{
	size_t more = d->again > d->gone ? d->again - d->gone : 0;

	d->fresh = behind < more ? behind : more;
	d->again -= d->fresh;
}

int
uids_listing_compare(struct uids_listing *now, struct uids_listing *saved,
		     void (*tell)(void *arg, const char *uid, bool now), void *arg,
		     struct uids_difference *d)
{
	size_t last = 0;    /* the number behind that of the one before */
	size_t behind = 0;  /* not in the listing, since the last one that is */
	bool known = false; /* any that is */

	*d = (struct uids_difference){0};
	if (listing_sort(now) == -1 || listing_sort(saved) == -1)
		return -1;
	for (size_t i = 0; i < now->count; i++) {
		size_t at = listing_find(saved, listing_uid(now, i));

		if (at == saved->count) {
			d->again++;
			behind++;
			tell(arg, listing_uid(now, i), true);
			continue;
		}
		d->moved = d->moved || at < last;
		last = at + 1;
		behind = 0;
		known = true;
	}
	for (size_t i = 0; i < saved->count; i++) {
		if (listing_find(now, listing_uid(saved, i)) == now->count) {
			d->gone++;
			tell(arg, listing_uid(saved, i), false);
		}
	}
	difference_settle(d, known ? behind : 0);
	return 0;
}
