#include "config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/ctl/columns.h"
#include "daemon/ctl/top_table.h"

/* Of each fact: the daemon's name (NULL: it is worked out here), and whether it is a number. */
static const struct {
	const char *name;
	bool number;
} facts[TOP_FACTS] = {
    [TOP_USER] = {"user", false},	 [TOP_SERVER] = {"server", false},
    [TOP_FROM] = {"peer", false},	 [TOP_STATE] = {"state", false},
    [TOP_IDLE] = {"idle", true},	 [TOP_RATE] = {NULL, true},
    [TOP_LEFT] = {"left", true},	 [TOP_SENT] = {"octets", true},
    [TOP_WAITING] = {"waiting", false},	 [TOP_COMMAND] = {"command", false},
    [TOP_AGE] = {"seconds", true},	 [TOP_RETRIEVED] = {"retrieved", true},
    [TOP_MESSAGES] = {"messages", true}, [TOP_DELETED] = {"deleted", true},
    [TOP_MAILBOX] = {"of", true},	 [TOP_ID] = {"id", false},
};

void
top_rate_add(struct top_rate *r, uint64_t ms, uint64_t count)
{
	if (r->n > 0 && (count < r->sample[r->n - 1].count || ms <= r->sample[r->n - 1].ms))
		r->n = 0;
	if (r->n == TOP_SAMPLES)
		memmove(r->sample, r->sample + 1, --r->n * sizeof(r->sample[0]));
	r->sample[r->n].ms = ms;
	r->sample[r->n++].count = count;
}

double
top_rate_of(const struct top_rate *r)
{
	if (r->n < 2)
		return NAN;
	return (double)(r->sample[r->n - 1].count - r->sample[0].count) * 1000 /
	       (double)(r->sample[r->n - 1].ms - r->sample[0].ms);
}

/* NAN for "-", "unknown" and words. */
static double
number_of(const char *text)
{
	char *end;
	double number = strtod(text, &end);

	return end != text && *end == '\0' && number >= 0 && number < 1e18 ? number : NAN;
}

static void
row_make(struct top_row *row, char *line, const size_t place[TOP_FACTS], size_t columns)
{
	char *cells[COLUMNS_MAX];
	size_t n = columns_cut(line, cells);

	for (size_t f = 0; f < TOP_FACTS; f++) {
		bool known = place[f] < columns && place[f] < n;

		row->text[f] = known ? cells[place[f]] : "";
		row->number[f] = facts[f].number ? number_of(row->text[f]) : NAN;
	}
}

/* The same connection, from *from on: tables have one order, so that it is most often the next. */
static const struct top_row *
row_before(const struct top_table *before, const char *id, size_t *from)
{
	for (size_t i = 0; i < before->n; i++) {
		const struct top_row *row = &before->rows[(*from + i) % before->n];

		if (strcmp(row->text[TOP_ID], id) == 0) {
			*from = (*from + i + 1) % before->n;
			return row;
		}
	}
	return NULL;
}

static void
row_rate(struct top_row *row, uint64_t ms, const struct top_row *old)
{

	if (old != NULL)
		row->sent = old->sent;
	if (!isnan(row->number[TOP_SENT]))
		top_rate_add(&row->sent, ms, (uint64_t)row->number[TOP_SENT]);
	row->number[TOP_RATE] = top_rate_of(&row->sent);
}

/* In which column of the head each fact is; COLUMNS_MAX: in none. */
static size_t
places_find(char *head, size_t place[TOP_FACTS])
{
	char *cells[COLUMNS_MAX];
	size_t n = columns_cut(head, cells);

	for (size_t f = 0; f < TOP_FACTS; f++) {
		place[f] = COLUMNS_MAX;
		for (size_t i = 0; i < n; i++)
			if (facts[f].name != NULL && strcmp(cells[i], facts[f].name) == 0)
				place[f] = i;
	}
	return n;
}

static size_t
lines_count(const char *text)
{
	size_t n = 0;

	for (; (text = strchr(text, '\n')) != NULL; text++)
		n++;
	return n;
}

int
top_table_make(struct top_table *t, char *text, uint64_t ms, const struct top_table *before)
{
	size_t place[TOP_FACTS], columns, from = 0;
	char *rest = text, *line;

	*t = (struct top_table){.text = text};
	t->rows = calloc(lines_count(text) + 1, sizeof(t->rows[0]));
	if (t->rows == NULL) {
		top_table_free(t);
		return -1;
	}
	columns = places_find(strsep(&rest, "\n"), place);
	while ((line = strsep(&rest, "\n")) != NULL && line[0] != '\0') {
		struct top_row *row = &t->rows[t->n++];

		row_make(row, line, place, columns);
		row_rate(row, ms, row_before(before, row->text[TOP_ID], &from));
	}
	return 0;
}

void
top_table_free(struct top_table *t)
{
	free(t->text);
	free(t->rows);
	*t = (struct top_table){0};
}

const struct top_row *
top_table_find(const struct top_table *t, const char *id)
{
	size_t from = 0;

	return row_before(t, id, &from);
}

double
top_table_rate(const struct top_table *t)
{
	double sum = 0;

	for (size_t i = 0; i < t->n; i++)
		if (!isnan(t->rows[i].number[TOP_RATE]))
			sum += t->rows[i].number[TOP_RATE];
	return sum;
}

bool
top_row_fits(const struct top_row *row, const char *filter)
{
	static const enum top_fact looked_at[] = {TOP_USER,    TOP_SERVER,  TOP_FROM, TOP_STATE,
						  TOP_WAITING, TOP_COMMAND, TOP_ID};

	for (size_t i = 0; i < sizeof(looked_at) / sizeof(looked_at[0]); i++)
		if (strcasestr(row->text[looked_at[i]], filter) != NULL)
			return true;
	return false;
}

struct order {
	enum top_fact by;
	bool falling;
};

static int
compare_numbers(double a, double b, bool falling)
{
	if (isnan(a) || isnan(b))
		return (int)isnan(a) - (int)isnan(b);
	return falling ? (a < b) - (a > b) : (a > b) - (a < b);
}

/* As with numbers, what is not known is last. */
static int
compare_texts(const char *a, const char *b, bool falling)
{
	bool unknown_a = strcmp(a, "-") == 0, unknown_b = strcmp(b, "-") == 0;

	if (unknown_a || unknown_b)
		return (int)unknown_a - (int)unknown_b;
	return falling ? strcasecmp(b, a) : strcasecmp(a, b);
}

static int
row_compare(const void *va, const void *vb, void *arg)
{
	const struct top_row *a = *(const struct top_row *const *)va;
	const struct top_row *b = *(const struct top_row *const *)vb;
	const struct order *o = arg;
	int r = compare_numbers(a->number[o->by], b->number[o->by], o->falling);

	if (r == 0 && o->by != TOP_RATE)
		r = compare_texts(a->text[o->by], b->text[o->by], o->falling);
	if (r == 0)
		r = compare_texts(a->text[TOP_USER], b->text[TOP_USER], false);
	return r != 0 ? r : strcmp(a->text[TOP_ID], b->text[TOP_ID]);
}

size_t
top_table_order(const struct top_table *t, const char *filter, enum top_fact by, bool falling,
		const struct top_row **rows)
{
	struct order o = {by, falling};
	size_t n = 0;

	for (size_t i = 0; i < t->n; i++)
		if (top_row_fits(&t->rows[i], filter))
			rows[n++] = &t->rows[i];
	qsort_r(rows, n, sizeof(rows[0]), row_compare, &o);
	return n;
}
