#include "config.h"

#include <err.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/count.h"
#include "daemon/ctl/columns.h"
#include "daemon/ctl/print.h"

enum { SCHEMA = 1 /* another one if a member is renamed, removed, or gets another type */ };

enum type { TYPE_STRING, TYPE_NUMBER, TYPE_NUMBERS };

/* Members that are no strings; the same name may be of another type in another kind of answer. */
static const struct {
	enum answer_kind kind;
	enum type type;
	const char *name;
} members[] = {
    {ANSWER_PAIRS, TYPE_NUMBERS, "deleted"},
    {ANSWER_PAIRS, TYPE_NUMBER, "-port"},
    {ANSWER_PAIRS, TYPE_NUMBER, "bytes"},
    {ANSWER_PAIRS, TYPE_NUMBER, "connections"},
    {ANSWER_PAIRS, TYPE_NUMBER, "connections_accepted"},
    {ANSWER_PAIRS, TYPE_NUMBER, "connections_max"},
    {ANSWER_PAIRS, TYPE_NUMBER, "connections_refused"},
    {ANSWER_PAIRS, TYPE_NUMBER, "descriptors_max"},
    {ANSWER_PAIRS, TYPE_NUMBER, "fetched_again"},
    {ANSWER_PAIRS, TYPE_NUMBER, "generation"},
    {ANSWER_PAIRS, TYPE_NUMBER, "gid"},
    {ANSWER_PAIRS, TYPE_NUMBER, "landlock"},
    {ANSWER_PAIRS, TYPE_NUMBER, "log_lines_lost"},
    {ANSWER_PAIRS, TYPE_NUMBER, "logins"},
    {ANSWER_PAIRS, TYPE_NUMBER, "logins_failed"},
    {ANSWER_PAIRS, TYPE_NUMBER, "messages"},
    {ANSWER_PAIRS, TYPE_NUMBER, "messages_deleted"},
    {ANSWER_PAIRS, TYPE_NUMBER, "messages_left"},
    {ANSWER_PAIRS, TYPE_NUMBER, "messages_retrieved"},
    {ANSWER_PAIRS, TYPE_NUMBER, "msg"},
    {ANSWER_PAIRS, TYPE_NUMBER, "number"},
    {ANSWER_PAIRS, TYPE_NUMBER, "octets_retrieved"},
    {ANSWER_PAIRS, TYPE_NUMBER, "pid"},
    {ANSWER_PAIRS, TYPE_NUMBER, "processes_lost"},
    {ANSWER_PAIRS, TYPE_NUMBER, "remoteport"},
    {ANSWER_PAIRS, TYPE_NUMBER, "seccomp"},
    {ANSWER_PAIRS, TYPE_NUMBER, "session_crashes"},
    {ANSWER_PAIRS, TYPE_NUMBER, "session_landlock"},
    {ANSWER_PAIRS, TYPE_NUMBER, "sessions"},
    {ANSWER_PAIRS, TYPE_NUMBER, "sessions_ended"},
    {ANSWER_PAIRS, TYPE_NUMBER, "since"},
    {ANSWER_PAIRS, TYPE_NUMBER, "size"},
    {ANSWER_PAIRS, TYPE_NUMBER, "spares"},
    {ANSWER_PAIRS, TYPE_NUMBER, "uid"},
    {ANSWER_PAIRS, TYPE_NUMBER, "uids_vanished"},
    {ANSWER_PAIRS, TYPE_NUMBER, "undecided"},
    {ANSWER_PAIRS, TYPE_NUMBER, "uptime"},
    {ANSWER_TABLE, TYPE_NUMBERS, "port"},
    {ANSWER_TABLE, TYPE_NUMBER, "connections"},
    {ANSWER_TABLE, TYPE_NUMBER, "count"},
    {ANSWER_TABLE, TYPE_NUMBER, "deleted"},
    {ANSWER_TABLE, TYPE_NUMBER, "idle"},
    {ANSWER_TABLE, TYPE_NUMBER, "left"},
    {ANSWER_TABLE, TYPE_NUMBER, "messages"},
    {ANSWER_TABLE, TYPE_NUMBER, "octets"},
    {ANSWER_TABLE, TYPE_NUMBER, "of"},
    {ANSWER_TABLE, TYPE_NUMBER, "rate"},
    {ANSWER_TABLE, TYPE_NUMBER, "retrieved"}, /* of history: a time */
    {ANSWER_TABLE, TYPE_NUMBER, "seconds"},
};

/* Keys of two words, "worker 3", with facts as value: members of an array, and what the second word
 * is of each.  "spawner" alone is an object. */
static const struct {
	const char *word, *array, *second;
} groups[] = {
    {"certificate ", "certificates", "path"},
    {"worker ", "workers", "number"},
    {"keys ", "keys", "generation"},
    {"spawner", NULL, NULL},
};

/* Something was said that is not UTF-8, or that a terminal might obey. */
static bool unprintable;

/* An answer that lacks something would still be valid JSON. */
static void *
alloc_or_end(size_t octets)
{
	void *p = malloc(octets);

	if (p == NULL)
		err(EXIT_FAILURE, "the answer");
	return p;
}

/* Text that is no UTF-8 is told octet by octet, each as the character of its number, so that
 * nothing is lost (RFC 8259 section 8.1 wants UTF-8). */
static json_t *
string_of(const char *s)
{
	json_t *whole = json_string(s);
	char *wide, *w;

	for (const char *p = s; *p != '\0' && !unprintable; p++)
		unprintable = p[0] == '\xc2' && (unsigned char)p[1] < 0xa0;
	if (whole != NULL)
		return whole;
	w = wide = alloc_or_end(2 * strlen(s) + 1);
	unprintable = true;
	for (; *s != '\0'; s++) {
		unsigned char c = (unsigned char)*s;

		if (c >= 0x80)
			*w++ = (char)(0xc0 | c >> 6);
		*w++ = (char)(c < 0x80 ? c : 0x80 | (c & 0x3f));
	}
	whole = json_stringn(wide, (size_t)(w - wide));
	free(wide);
	return whole;
}

/* What is no number: null if nothing is known, else text. */
static json_t *
number_of(const char *s)
{
	char *end;
	long long whole = strtoll(s, &end, 10);
	double real;

	if (s[0] == '\0' || strcmp(s, "-") == 0 || strcmp(s, "unknown") == 0)
		return json_null();
	if (*end == '\0')
		return json_integer(whole);
	real = strtod(s, &end);
	return *end == '\0' ? json_real(real) : string_of(s);
}

static json_t *
numbers_of(char *s)
{
	json_t *array = json_array();
	char *one;

	while ((one = strsep(&s, " ,")) != NULL)
		if (one[0] != '\0')
			json_array_append_new(array, number_of(one));
	return array;
}

static json_t *
member_of(enum answer_kind kind, const char *name, char *text)
{
	for (size_t i = 0; i < COUNT_OF(members); i++)
		if (members[i].kind == kind && strcmp(members[i].name, name) == 0)
			return members[i].type == TYPE_NUMBER ? number_of(text) : numbers_of(text);
	return string_of(text);
}

/* "pid=12 draining": a word without a value is true. */
static void
facts_add(json_t *object, char *text)
{
	char *fact;

	while ((fact = strsep(&text, " ")) != NULL) {
		const char *name = strsep(&fact, "=");

		json_object_set_new(
		    object, name, fact != NULL ? member_of(ANSWER_PAIRS, name, fact) : json_true());
	}
}

/* Is the key one of a group?  Then it is added to it. */
static bool
group_add(json_t *answer, const char *key, char *value)
{
	for (size_t i = 0; i < COUNT_OF(groups); i++) {
		size_t len = strlen(groups[i].word);
		json_t *object, *array;
		char second[4096];

		if (strncmp(key, groups[i].word, len) != 0)
			continue;
		object = json_object();
		if (groups[i].array == NULL)
			json_object_set_new(answer, key, object);
		else {
			(void)snprintf(second, sizeof(second), "%s", key + len);
			json_object_set_new(object, groups[i].second,
					    member_of(ANSWER_PAIRS, groups[i].second, second));
			if ((array = json_object_get(answer, groups[i].array)) == NULL)
				json_object_set_new(answer, groups[i].array, array = json_array());
			json_array_append_new(array, object);
		}
		facts_add(object, value);
		return true;
	}
	return false;
}

static json_t *
value_of(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	return string_of(text);
}

static json_t *
one_number_of(char *text)
{
	text[strcspn(text, "\n")] = '\0';
	return number_of(text);
}

static json_t *
truth_of(char *text)
{
	return json_boolean(text[0] == '1');
}

static json_t *
list_of(char *text)
{
	json_t *array = json_array();
	const char *line;

	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0')
		json_array_append_new(array, string_of(line));
	return array;
}

static json_t *
pairs_of(char *text)
{
	json_t *object = json_object();
	static char none[] = "";
	char *line;

	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		const char *key = strsep(&line, "\t");
		char *value = line != NULL ? line : none;

		if (!group_add(object, key, value))
			json_object_set_new(object, key, member_of(ANSWER_PAIRS, key, value));
	}
	return object;
}

static json_t *
table_of(char *text)
{
	json_t *array = json_array();
	char *names[COLUMNS_MAX], *cells[COLUMNS_MAX], *line = strsep(&text, "\n");
	size_t n = columns_cut(line, names);

	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0') {
		json_t *object = json_object();

		if (columns_cut(line, cells) == n)
			for (size_t i = 0; i < n; i++)
				json_object_set_new(object, names[i],
						    member_of(ANSWER_TABLE, names[i], cells[i]));
		json_array_append_new(array, object);
	}
	return array;
}

void
json_print(char *text, enum answer_kind kind)
{
	static const struct {
		enum answer_kind kind;
		json_t *(*make)(char *text);
	} kinds[] = {
	    {ANSWER_VALUE, value_of}, {ANSWER_NUMBER, one_number_of}, {ANSWER_TRUTH, truth_of},
	    {ANSWER_LIST, list_of},   {ANSWER_PAIRS, pairs_of},	      {ANSWER_TABLE, table_of},
	};
	json_t *whole;
	char *out;

	json_set_alloc_funcs(alloc_or_end, free);
	whole = json_object();
	json_object_set_new(whole, "schema", json_integer(SCHEMA));
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		if (kinds[i].kind == kind)
			json_object_set_new(whole, "answer", kinds[i].make(text));
	out = json_dumps(whole, JSON_COMPACT | JSON_REAL_PRECISION(15) |
				    (unprintable ? JSON_ENSURE_ASCII : 0));
	/* Of ASCII's control characters jansson leaves DEL as it is. */
	for (const char *p = out; *p != '\0'; p++)
		if (*p == '\x7f')
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	putchar('\n');
	free(out);
	json_decref(whole);
}
