#include "config.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/wire.h"

#define LITERAL(s) (s), sizeof(s) - 1

/* The table of SIZ-09. */
static const struct fixture {
	const char *stored;
	size_t stored_len;
	const char *wire;
	size_t wire_len;
	uint64_t size;
} fixtures[] = {
    {LITERAL(""), LITERAL(""), 0},
    {LITERAL("\n"), LITERAL("\r\n"), 2},
    {LITERAL("."), LITERAL("..\r\n"), 3},
    {LITERAL("..\n"), LITERAL("...\r\n"), 4},
    {LITERAL("\n.\n"), LITERAL("\r\n..\r\n"), 5},
    {LITERAL("A: b\n\nx"), LITERAL("A: b\r\n\r\nx\r\n"), 11},
    {LITERAL("A: b\r\n\r\nx\r\n"), LITERAL("A: b\r\n\r\nx\r\n"), 11},
    {LITERAL("A: b\n\nx\r\ny\n"), LITERAL("A: b\r\n\r\nx\r\ny\r\n"), 14},
    {LITERAL("a\rb\n"), LITERAL("a\rb\r\n"), 5},
    {LITERAL("a\r.b\n"), LITERAL("a\r.b\r\n"), 6},
    {LITERAL("a\r"), LITERAL("a\r\r\n"), 4},
    {LITERAL("a\r\r\n"), LITERAL("a\r\r\n"), 4},
    {LITERAL("a\0b\n"), LITERAL("a\0b\r\n"), 5},
    {LITERAL("\xe9\n"), LITERAL("\xe9\r\n"), 3},
    {LITERAL("a\n\n\n"), LITERAL("a\r\n\r\n\r\n"), 7},
    {LITERAL("abc"), LITERAL("abc\r\n"), 5},
    {LITERAL("abc\n"), LITERAL("abc\r\n"), 5},
    {LITERAL("abc\r\n"), LITERAL("abc\r\n"), 5},
    {LITERAL("\r\n.\r\n"), LITERAL("\r\n..\r\n"), 5},
    {LITERAL("\r"), LITERAL("\r\r\n"), 3},
    {LITERAL("\r.\n"), LITERAL("\r.\r\n"), 4},
};

/* A message under conversion, with what came out. */
struct output {
	struct wire w;
	char *octets;
	size_t len;
};

static void
output_feed(struct output *o, const char *in, size_t len)
{
	o->octets = realloc(o->octets, o->len + WIRE_ROOM(len) + WIRE_FINISH_ROOM);
	if (o->octets == NULL)
		abort();
	o->len += wire_convert(&o->w, in, len, o->octets + o->len);
}

/* Convert in pieces of `block` octets (0: all at once). */
static void
output_all(struct output *o, const char *in, size_t len, size_t block)
{
	size_t n;

	o->octets = NULL;
	o->len = 0;
	output_feed(o, "", 0);
	for (; len > 0; in += n, len -= n) {
		n = block > 0 && block < len ? block : len;
		output_feed(o, in, n);
	}
	o->len += wire_finish(&o->w, o->octets + o->len);
}

static uint64_t
count_all(const char *in, size_t len, size_t block)
{
	struct wire w;
	size_t n;

	wire_begin(&w);
	for (; len > 0; in += n, len -= n) {
		n = block > 0 && block < len ? block : len;
		wire_count(&w, in, n);
	}
	return wire_count_total(&w);
}

/* Octet by octet, the slow and plain way: what the converter is compared with. */
struct model {
	char *octets;
	size_t len;
	uint64_t size;
};

static void
model_make(struct model *m, const char *in, size_t len)
{
	size_t i;

	m->octets = malloc(2 * len + 2);
	m->len = 0;
	m->size = 0;
	if (m->octets == NULL)
		abort();
	for (i = 0; i < len; i++) {
		bool begins = i == 0 || in[i - 1] == '\n';

		if (begins && in[i] == '.')
			m->octets[m->len++] = '.';
		if (in[i] == '\n' && (i == 0 || in[i - 1] != '\r')) {
			m->octets[m->len++] = '\r';
			m->size++;
		}
		m->octets[m->len++] = in[i];
		m->size++;
	}
	if (len > 0 && in[len - 1] != '\n') {
		m->octets[m->len++] = '\r';
		m->octets[m->len++] = '\n';
		m->size += 2;
	}
}

/* Take added dots out, as a client does; the length that is left. */
static uint64_t
unstuffed_len(const char *octets, size_t len)
{
	uint64_t left = len;

	for (size_t i = 0; i < len; i++)
		if (octets[i] == '.' &&
		    (i == 0 || (octets[i - 1] == '\n' && octets[i - 2] == '\r')))
			left--;
	return left;
}

static void
check_against_model(const char *in, size_t len, size_t block)
{
	struct output o;
	struct model m;

	model_make(&m, in, len);
	wire_begin(&o.w);
	output_all(&o, in, len, block);
	CU_ASSERT_EQUAL_FATAL(o.len, m.len);
	CU_ASSERT_FATAL(memcmp(o.octets, m.octets, m.len) == 0);
	CU_ASSERT_EQUAL(o.w.octets, m.size);
	CU_ASSERT_EQUAL(count_all(in, len, block), m.size);
	CU_ASSERT_EQUAL(unstuffed_len(o.octets, o.len), m.size);
	free(o.octets);
	free(m.octets);
}

static void
test_fixtures(void)
{
	for (size_t i = 0; i < sizeof(fixtures) / sizeof(fixtures[0]); i++) {
		const struct fixture *f = &fixtures[i];

		for (size_t block = 0; block <= f->stored_len; block++) {
			struct output o;

			wire_begin(&o.w);
			output_all(&o, f->stored, f->stored_len, block);
			CU_ASSERT_EQUAL(o.len, f->wire_len);
			CU_ASSERT(o.len == f->wire_len && memcmp(o.octets, f->wire, o.len) == 0);
			CU_ASSERT_EQUAL(o.w.octets, f->size);
			CU_ASSERT_EQUAL(count_all(f->stored, f->stored_len, block), f->size);
			free(o.octets);
		}
	}
}

/* The same octets in every run. */
static uint32_t
next_random(uint32_t *state)
{
	*state = *state * UINT32_C(1664525) + UINT32_C(1013904223);
	return *state >> 8;
}

/* Octets that matter, close together. */
static void
fill_random(char *buf, size_t len, uint32_t *state)
{
	static const char hard[] = {'\r', '\n', '.', 'a', '\0', '\xe9', '\n', '.'};

	for (size_t i = 0; i < len; i++)
		buf[i] = hard[next_random(state) % sizeof(hard)];
}

static void
test_random_short(void)
{
	char buf[64];
	uint32_t state = 1;

	for (int round = 0; round < 20000; round++) {
		size_t len = next_random(&state) % sizeof(buf);

		fill_random(buf, len, &state);
		check_against_model(buf, len, next_random(&state) % 9);
	}
}

static void
test_block_edges(void)
{
	static const size_t edges[] = {4096, 16384, 65536};
	static const char *const across[] = {"\r\n.\r\n", "\n.\n", "\r", "\n", ".", "\n..", "\r\n"};
	static char buf[65536 + 64];
	uint32_t state = 7;

	for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
		for (size_t a = 0; a < sizeof(across) / sizeof(across[0]); a++)
			for (size_t shift = 0; shift < 6; shift++)
				for (size_t len = edges[e] - 1; len <= edges[e] + 1; len++) {
					fill_random(buf, sizeof(buf), &state);
					memcpy(buf + edges[e] - shift, across[a],
					       strlen(across[a]));
					check_against_model(buf, len, edges[e]);
					check_against_model(buf, len + 8, edges[e]);
				}
}

static void
test_long_line(void)
{
	enum { LEN = 1 << 20 };
	char *line = malloc(LEN);

	CU_ASSERT_FATAL(line != NULL);
	memset(line, '.', LEN);
	check_against_model(line, LEN, 65536);
	free(line);
}

/* The size of a message that nobody wants to store for a test. */
static void
test_size_64_bits(void)
{
	enum { BLOCK = 1 << 20 };
	char *block = malloc(BLOCK);
	struct wire w;

	CU_ASSERT_FATAL(block != NULL);
	memset(block, 'x', BLOCK);
	wire_begin(&w);
	for (int i = 0; i < 5 * 1024; i++)
		wire_count(&w, block, BLOCK);
	CU_ASSERT_EQUAL(wire_count_total(&w), UINT64_C(5) * 1024 * BLOCK + 2);
	free(block);
}

static const struct top_case {
	const char *stored;
	uint64_t lines;
	const char *wire;
} top_cases[] = {
    {"A: b\n\nx\ny\n", 0, "A: b\r\n\r\n"},
    {"A: b\n\nx\ny\n", 1, "A: b\r\n\r\nx\r\n"},
    {"A: b\n\nx\ny\n", 2, "A: b\r\n\r\nx\r\ny\r\n"},
    {"A: b\n\nx\ny\n", 3, "A: b\r\n\r\nx\r\ny\r\n"},
    {"A: b\n\nx\ny\n", UINT64_MAX, "A: b\r\n\r\nx\r\ny\r\n"},
    {"A: b\n\nx\ny\n", INT64_MAX, "A: b\r\n\r\nx\r\ny\r\n"},
    {"A: b\r\n\r\nx\r\ny\r\n", 0, "A: b\r\n\r\n"},
    {"A: b\r\n\r\nx\r\ny\r\n", 1, "A: b\r\n\r\nx\r\n"},
    {"A: b\r\n\nx\n", 0, "A: b\r\n\r\n"},
    {"A: b\n\r\nx\n", 0, "A: b\r\n\r\n"},
    {"A: b\n\r\r\nx\n", 0, "A: b\r\n\r\r\nx\r\n"}, /* two CRs are no blank line */
    {"A: b\n \n\nx\n", 0, "A: b\r\n \r\n\r\n"},
    {"A: b\nC: d", 0, "A: b\r\nC: d\r\n"},
    {"\nx\ny\n", 0, "\r\n"},
    {"\nx\ny\n", 1, "\r\nx\r\n"},
    {"A: b\n\n\n\nx\n", 2, "A: b\r\n\r\n\r\n\r\n"},
    {"A: b\n\n.x\n.y\n", 1, "A: b\r\n\r\n..x\r\n"},
    {"A: b\n\nx", 1, "A: b\r\n\r\nx\r\n"},
    {"A: b\n\nx", 5, "A: b\r\n\r\nx\r\n"},
    {"", 0, ""},
    {"", 7, ""},
};

static void
test_top(void)
{
	for (size_t i = 0; i < sizeof(top_cases) / sizeof(top_cases[0]); i++) {
		const struct top_case *t = &top_cases[i];
		size_t len = strlen(t->stored);

		for (size_t block = 0; block <= len; block++) {
			struct output o;

			wire_begin_top(&o.w, t->lines);
			output_all(&o, t->stored, len, block);
			CU_ASSERT_EQUAL(o.len, strlen(t->wire));
			CU_ASSERT(o.len == strlen(t->wire) &&
				  memcmp(o.octets, t->wire, o.len) == 0);
			free(o.octets);
		}
	}
}

static bool
ends_line(const struct output *o)
{
	return o->len == 0 || o->octets[o->len - 1] == '\n';
}

static void
test_top_is_prefix(void)
{
	char buf[200];
	uint32_t state = 99;

	for (int round = 0; round < 5000; round++) {
		size_t len = next_random(&state) % sizeof(buf);
		struct output whole, top;

		fill_random(buf, len, &state);
		wire_begin(&whole.w);
		output_all(&whole, buf, len, 0);
		wire_begin_top(&top.w, next_random(&state) % 20);
		output_all(&top, buf, len, next_random(&state) % 16);
		CU_ASSERT_FATAL(top.len <= whole.len);
		CU_ASSERT(top.len == 0 || memcmp(top.octets, whole.octets, top.len) == 0);
		CU_ASSERT(ends_line(&top));
		free(whole.octets);
		free(top.octets);
	}
}

static const struct unit_test tests[] = {
    {"SIZ-09 SIZ-02 SIZ-03 MLT-01 fixture table, whole and in pieces", test_fixtures},
    {"SIZ-08 random messages against a plain model", test_random_short},
    {"MLT-06 block edges", test_block_edges},
    {"MLT-08 a line of 1 MiB", test_long_line},
    {"SIZ-07 a message of 5 GiB", test_size_64_bits},
    {"TOP-01 TOP-03 TOP-04 cases", test_top},
    {"TOP-03 always a prefix of RETR that ends at a line end", test_top_is_prefix},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("wire", tests);
}
