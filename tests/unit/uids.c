#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>

#include "tests/unit/box.h"
#include "worker/store/uids.h"

enum { MANY = 20000 };

static int dir_fd;
static struct uids *uids;
static bool tables; /* look up so much that tables are made */

static void
start(void)
{
	box_make();
	dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd == -1)
		abort();
	store = (struct store){.path = box};
}

static void
load(void)
{
	uids = uids_load(dir_fd, &store);
	CU_ASSERT_PTR_NOT_NULL_FATAL(uids);
	for (int i = 0; tables && i < 100; i++)
		CU_ASSERT_FALSE(uids_taken(uids, "none"));
}

static void
load_text(const char *text)
{
	box_put(UIDS_FILE, text);
	load();
}

static void
end(void)
{
	uids_free(uids);
	uids = NULL;
	close(dir_fd);
	box_remove();
}

/* The unique-id of a base name, "" for none. */
static const char *
found(const char *base, uint32_t *rank)
{
	static char out[STORE_UID_SIZE];
	uint32_t unused;

	return uids_find(uids, base, strlen(base), rank != NULL ? rank : &unused, out) ? out : "";
}

static void
test_order_and_uids(void)
{
	uint32_t a, b, c;

	start();
	load_text("# what it is\nuid-1 zzz\n#2 aaa\n3 m%20%25%FFm,S=3\n");
	CU_ASSERT_STRING_EQUAL(found("zzz", &a), "uid-1");
	CU_ASSERT_STRING_EQUAL(found("aaa", &b), "#2");
	CU_ASSERT_STRING_EQUAL(found("m %\xffm,S=3", &c), "3");
	CU_ASSERT_TRUE(a < b && b < c);
	CU_ASSERT_STRING_EQUAL(found("zz", NULL), "");
	CU_ASSERT_STRING_EQUAL(found("", NULL), "");
	CU_ASSERT_STRING_EQUAL(found("uid-1", NULL), "");
	CU_ASSERT_TRUE(uids_taken(uids, "uid-1"));
	CU_ASSERT_TRUE(uids_taken(uids, "#2"));
	CU_ASSERT_FALSE(uids_taken(uids, "zzz"));
	CU_ASSERT_EQUAL(uids_error(uids), 0);
	end();
}

static void
test_none(void)
{
	start();
	CU_ASSERT_PTR_NULL(uids_load(dir_fd, &store));
	CU_ASSERT_EQUAL(errno, ENOENT);
	load_text("");
	CU_ASSERT_STRING_EQUAL(found("a", NULL), "");
	CU_ASSERT_FALSE(uids_taken(uids, "a"));
	end();
}

static void
test_not_a_file(void)
{
	start();
	if (symlink("other", box_path(UIDS_FILE)) == -1)
		abort();
	box_put("other", "1 a\n");
	CU_ASSERT_PTR_NULL(uids_load(dir_fd, &store));
	CU_ASSERT_EQUAL(errno, ELOOP);
	if (unlink(box_path(UIDS_FILE)) == -1 || mkfifo(box_path(UIDS_FILE), 0600) == -1)
		abort();
	CU_ASSERT_PTR_NULL(uids_load(dir_fd, &store));
	CU_ASSERT_EQUAL(errno, EINVAL);
	if (unlink(box_path(UIDS_FILE)) == -1 || mkdir(box_path(UIDS_FILE), 0700) == -1)
		abort();
	CU_ASSERT_PTR_NULL(uids_load(dir_fd, &store));
	CU_ASSERT_EQUAL(errno, EINVAL);
	end();
}

/* Two messages never get one unique-id, and one message never two. */
static void
test_first_one_counts(void)
{
	start();
	load_text("1 a\n1 b\n2 a\n3 c\n3 c\n4 b\n5 b\n");
	CU_ASSERT_STRING_EQUAL(found("a", NULL), "1");
	CU_ASSERT_STRING_EQUAL(found("c", NULL), "3");
	CU_ASSERT_STRING_EQUAL(found("b", NULL), "4");
	CU_ASSERT_TRUE(uids_taken(uids, "1"));
	end();
}

static void
test_many_repeated(void)
{
	char base[64];
	size_t wrong = 0;

	start();
	box_put(UIDS_FILE, "");
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(base, sizeof(base), "u%d b%d\nu%d c%d\nv%d b%d\n", i, i, i, i, i, i);
		box_append(UIDS_FILE, base);
	}
	load();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(base, sizeof(base), "c%d", i);
		wrong += strcmp(found(base, NULL), "") != 0;
		base[0] = 'b';
		wrong += found(base, NULL)[0] != 'u';
		base[0] = 'v';
		wrong += !uids_taken(uids, base);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	end();
}

static void
test_broken_lines(void)
{
	static const char wrong[] = "1  a\n"
				    "1\n"
				    "\n"
				    " a\n"
				    "1 \n"
				    "1 a b\n"
				    "1\ta\n"
				    "1 a%2\n"
				    "1 a%2g\n"
				    "1 a%ff\n"
				    "1 a\x80\n"
				    "1\x7f a\n"
				    "# not the first line\n";
	char text[3 * UIDS_LINE_SIZE], name[NAME_MAX + 2];

	start();
	box_put(UIDS_FILE, wrong);
	/* 71 octets of unique-id, and 256 of name */
	(void)snprintf(text, sizeof(text), "%071d a\n", 7);
	box_append(UIDS_FILE, text);
	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	(void)snprintf(text, sizeof(text), "7 %s\n%070d %s\ncut a", name, 7, name + 1);
	box_append(UIDS_FILE, text);
	load();
	CU_ASSERT_STRING_EQUAL(found("a", NULL), "");
	CU_ASSERT_FALSE(uids_taken(uids, "1"));
	CU_ASSERT_FALSE(uids_taken(uids, "cut"));
	CU_ASSERT_STRING_EQUAL(found(name, NULL), "");
	CU_ASSERT_EQUAL(strlen(found(name + 1, NULL)), 70);
	end();
}

/* Lines that are longer than a block, and lines across the ends of blocks. */
static void
test_long_lines(void)
{
	static char long_line[200000];

	start();
	memset(long_line, 'x', sizeof(long_line) - 2);
	long_line[sizeof(long_line) - 2] = '\n';
	box_put(UIDS_FILE, "1 a\n");
	box_append(UIDS_FILE, long_line);
	box_append(UIDS_FILE, "2 b\n");
	load();
	CU_ASSERT_STRING_EQUAL(found("a", NULL), "1");
	CU_ASSERT_STRING_EQUAL(found("b", NULL), "2");
	end();
}

static void
test_many(void)
{
	char base[64], uid[STORE_UID_SIZE];
	struct uids_writer w;
	uint32_t rank, last = 0;
	size_t wrong = 0;

	start();
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir_fd), 0);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(base, sizeof(base), "%d.M%dP1 %%.host,S=%d", i, 7 * i % MANY, i);
		(void)snprintf(uid, sizeof(uid), "UID%d-1", MANY - i);
		if (uids_write_line(&w, uid, base, strlen(base)) == -1)
			abort();
	}
	CU_ASSERT_FALSE(box_has(UIDS_FILE));
	CU_ASSERT_EQUAL(uids_write_end(&w), 0);
	load();
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(base, sizeof(base), "%d.M%dP1 %%.host,S=%d", i, 7 * i % MANY, i);
		(void)snprintf(uid, sizeof(uid), "UID%d-1", MANY - i);
		wrong +=
		    strcmp(found(base, &rank), uid) != 0 || rank <= last || !uids_taken(uids, uid);
		last = rank;
		(void)snprintf(uid, sizeof(uid), "UID%d-2", MANY - i);
		wrong += uids_taken(uids, uid);
	}
	CU_ASSERT_EQUAL(wrong, 0);
	end();
}

/* The owner may do with it what he likes during the session. */
static void
test_truncated_later(void)
{
	start();
	load_text("1 a\n2 b\n3 c\n");
	box_put(UIDS_FILE, "1 a\n");
	CU_ASSERT_STRING_EQUAL(found("c", NULL), "");
	box_put(UIDS_FILE, "");
	CU_ASSERT_STRING_EQUAL(found("a", NULL), "");
	CU_ASSERT_FALSE(uids_taken(uids, "1"));
	CU_ASSERT_EQUAL(uids_error(uids), 0);
	end();
}

static void
test_write(void)
{
	struct uids_writer w = {.dir_fd = -1};

	start();
	uids_write_abort(&w);
	box_put(UIDS_FILE, "old a\n");
	box_put(UIDS_FILE ".new", "left over");
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir_fd), 0);
	CU_ASSERT_EQUAL(uids_write_line(&w, "", "a", 1), -1);
	CU_ASSERT_EQUAL(uids_write_line(&w, "a b", "a", 1), -1);
	CU_ASSERT_EQUAL(uids_write_line(&w, "a", "", 0), -1);
	uids_write_abort(&w);
	CU_ASSERT_STRING_EQUAL(box_text(UIDS_FILE), "old a\n");
	CU_ASSERT_FALSE(box_has(UIDS_FILE ".new"));
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir_fd), 0);
	CU_ASSERT_EQUAL(uids_write_line(&w, "new", "a\x01%:\0z", 6), 0);
	CU_ASSERT_EQUAL(uids_write_end(&w), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(box_text(UIDS_FILE), "\nnew a%01%25:%00z\n"));
	CU_ASSERT_FALSE(box_has(UIDS_FILE ".new"));
	load();
	CU_ASSERT_FALSE(uids_taken(uids, "old"));
	CU_ASSERT_TRUE(uids_taken(uids, "new"));
	end();
}

/* A full disk, as far as the process can tell: the old file stands, and nothing is left over. */
static void
test_write_fails(void)
{
	struct rlimit was, small;
	struct uids_writer w;
	int result = 0;

	start();
	box_put(UIDS_FILE, "old a\n");
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir_fd), 0);
	(void)getrlimit(RLIMIT_FSIZE, &was);
	small = (struct rlimit){16384, was.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	(void)setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < MANY && result == 0; i++)
		result = uids_write_line(&w, "uid", "1700000000.M1P1.host", 20);
	CU_ASSERT_EQUAL(result, -1);
	CU_ASSERT_EQUAL(uids_write_end(&w), -1);
	(void)setrlimit(RLIMIT_FSIZE, &was);
	CU_ASSERT_STRING_EQUAL(box_text(UIDS_FILE), "old a\n");
	CU_ASSERT_FALSE(box_has(UIDS_FILE ".new"));
	/* what only the last write finds out */
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir_fd), 0);
	small.rlim_cur = 10;
	(void)setrlimit(RLIMIT_FSIZE, &small);
	CU_ASSERT_EQUAL(uids_write_line(&w, "uid", "1700000000.M1P1.host", 20), 0);
	CU_ASSERT_EQUAL(uids_write_end(&w), -1);
	(void)setrlimit(RLIMIT_FSIZE, &was);
	CU_ASSERT_STRING_EQUAL(box_text(UIDS_FILE), "old a\n");
	CU_ASSERT_FALSE(box_has(UIDS_FILE ".new"));
	end();
}

static void
test_tables(void)
{
	static void (*const again[])(void) = {
	    test_order_and_uids, test_none,	  test_first_one_counts, test_many_repeated,
	    test_broken_lines,	 test_long_lines, test_truncated_later,
	};

	tables = true;
	for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++)
		again[i]();
	tables = false;
}

static const struct unit_test tests[] = {
    {"UID-02 unique-ids and order come from the file", test_order_and_uids},
    {"no file, and an empty one", test_none},
    {"what is no regular file is refused", test_not_a_file},
    {"UID-05 of two lines for one, the first counts", test_first_one_counts},
    {"UID-05 many such lines", test_many_repeated},
    {"UID-01 lines that make no sense are passed over", test_broken_lines},
    {"lines longer than a block", test_long_lines},
    {"many lines", test_many},
    {"a file truncated later", test_truncated_later},
    {"all that in tables, too", test_tables},
    {"the file is replaced as a whole", test_write},
    {"a full disk leaves the old one", test_write_fails},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("uids", tests);
}
