#include "config.h"

#include <fcntl.h>
#include <sys/time.h>

#include "tests/unit/box.h"
#include "worker/store/uids.h"
#include "worker/store/uids_import.h"

static int dir_fd;
static struct uids_import *import;
static struct uids_import_counts counts;
static char told[1024];

static void
start(void)
{
	static const char *const dirs[] = {"new", "cur", "tmp"};

	box_make();
	for (size_t i = 0; i < 3; i++)
		if (mkdir(box_path(dirs[i]), 0700) == -1)
			abort();
	dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	told[0] = '\0';
}

static void
end(void)
{
	uids_import_free(import);
	import = NULL;
	close(dir_fd);
	box_remove();
}

static void
read_names(void)
{
	import = uids_import_new(dir_fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(import);
}

static void
add(const char *base, uint64_t order, const char *uid)
{
	CU_ASSERT_EQUAL(uids_import_add(import, base, strlen(base), order, uid), 0);
}

static void
tell(void *arg, enum uids_import_refusal why, const char *base, const char *text)
{
	static const char *const names[] = {"invalid", "repeated"};
	size_t n = strlen(told);

	CU_ASSERT_PTR_EQUAL(arg, told);
	(void)snprintf(told + n, sizeof(told) - n, "%s %s %s;", names[why], base, text);
}

/* Settle and write; what "pop3d-uids" says behind its first line. */
static const char *
written(void)
{
	const char *text;

	CU_ASSERT_EQUAL(uids_import_settle(import, tell, told, &counts), 0);
	CU_ASSERT_EQUAL(uids_import_write(import, dir_fd), 0);
	text = box_text(UIDS_FILE);
	CU_ASSERT_PTR_NOT_NULL_FATAL(text);
	return strchr(text, '\n') + 1;
}

static void
test_order_and_matching(void)
{
	start();
	box_put("new/3.c", "x");
	box_put("cur/1.a:2,S", "x");
	box_put("cur/2.b%:2,", "x");
	box_put("cur/4.unknown:2,", "x");
	box_put("cur/.hidden", "x");
	box_put("cur/1.aa", "x");
	read_names();
	add("3.c", 7, "first");
	add("1.a", 9, "third");
	add("2.b%", 8, "second");
	add("5.gone", 1, "gone");
	add(".hidden", 1, "h");
	add("1.", 1, "gone");
	CU_ASSERT_STRING_EQUAL(written(), "first 3.c\nsecond 2.b%25\nthird 1.a\n");
	CU_ASSERT_EQUAL(counts.messages, 5);
	CU_ASSERT_EQUAL(counts.taken, 3);
	CU_ASSERT_EQUAL(counts.gone, 3);
	CU_ASSERT_EQUAL(counts.refused, 0);
	CU_ASSERT_STRING_EQUAL(told, "");
	CU_ASSERT_TRUE(uids_import_gives(import, "third"));
	CU_ASSERT_TRUE(uids_import_gives(import, "4.unknown"));
	CU_ASSERT_FALSE(uids_import_gives(import, "1.a"));
	CU_ASSERT_FALSE(uids_import_gives(import, "gone"));
	end();
}

static void
test_equal_orders_as_added(void)
{
	start();
	box_put("cur/1", "x");
	box_put("cur/2", "x");
	box_put("cur/3", "x");
	read_names();
	add("2", 0, "b");
	add("3", 0, "c");
	add("1", 0, "a");
	CU_ASSERT_STRING_EQUAL(written(), "b 2\nc 3\na 1\n");
	end();
}

static void
test_what_is_refused_is_told(void)
{
	start();
	box_put("cur/1", "x");
	box_put("cur/2", "x");
	box_put("cur/3", "x");
	read_names();
	add("1", 1, "same");
	add("2", 2, "same");
	add("3", 3, "a b");
	CU_ASSERT_STRING_EQUAL(written(), "same 1\n");
	CU_ASSERT_STRING_EQUAL(told, "invalid 3 a b;repeated 2 same;");
	CU_ASSERT_EQUAL(counts.taken, 1);
	CU_ASSERT_EQUAL(counts.refused, 2);
	end();
}

static void
test_the_later_entry_of_a_message_counts(void)
{
	start();
	box_put("cur/1", "x");
	box_put("cur/2", "x");
	box_put("cur/3", "x");
	read_names();
	add("1", 0, "a");
	add("2", 0, "b b");
	add("3", 0, "c");
	add("2", 0, "b");
	add("1", 0, "d");
	CU_ASSERT_STRING_EQUAL(written(), "c 3\nb 2\nd 1\n");
	CU_ASSERT_STRING_EQUAL(told, "");
	CU_ASSERT_EQUAL(counts.taken, 3);
	CU_ASSERT_EQUAL(counts.refused, 0);
	end();
}

static void
test_lengths(void)
{
	char longest[STORE_UID_SIZE + 1], line[STORE_UID_SIZE + 8];

	start();
	box_put("cur/1", "x");
	box_put("cur/2", "x");
	memset(longest, 'u', STORE_UID_SIZE);
	longest[STORE_UID_SIZE] = '\0';
	read_names();
	add("1", 1, longest);
	add("2", 2, longest + 1);
	(void)snprintf(line, sizeof(line), "%s 2\n", longest + 1);
	CU_ASSERT_STRING_EQUAL(written(), line);
	end();
}

static void
make_uid(const char *base, size_t len, char *out, size_t cap)
{
	(void)snprintf(out, cap, "<%.*s>", (int)len, base);
}

static void
put_at(const char *name, time_t when)
{
	const struct timeval times[2] = {{when, 0}, {when, 0}};

	box_put(name, "x");
	if (utimes(box_path(name), times) == -1)
		abort();
}

static void
test_all_by_time(void)
{
	start();
	put_at("cur/9.last:2,S", 300);
	put_at("new/10.b", 200);
	put_at("cur/10.a:2,", 200);
	put_at("cur/2.c:2,", 200);
	put_at("new/99.first", 100);
	read_names();
	CU_ASSERT_EQUAL(uids_import_all(import, dir_fd, make_uid), 0);
	CU_ASSERT_STRING_EQUAL(
	    written(),
	    "<99.first> 99.first\n<2.c> 2.c\n<10.a> 10.a\n<10.b> 10.b\n<9.last> 9.last\n");
	CU_ASSERT_EQUAL(counts.messages, 5);
	CU_ASSERT_EQUAL(counts.taken, 5);
	end();
}

static void
test_second_file_of_a_name(void)
{
	start();
	box_put("cur/1.a:2,S", "x");
	box_put("cur/1.a:2,", "y");
	box_put("new/1.a", "z");
	read_names();
	add("1.a", 1, "one");
	CU_ASSERT_STRING_EQUAL(written(), "one 1.a\n");
	CU_ASSERT_EQUAL(counts.messages, 1);
	end();
}

static void
test_no_maildir(void)
{
	start();
	if (rmdir(box_path("cur")) == -1)
		abort();
	CU_ASSERT_PTR_NULL(uids_import_new(dir_fd));
	end();
}

static const struct unit_test tests[] = {
    {"UID-02 messages are found by base name, in the other's order", test_order_and_matching},
    {"equal places are in the order of the file", test_equal_orders_as_added},
    {"UID-01 UID-05 what cannot be taken over is told", test_what_is_refused_is_told},
    {"UID-02 the later entry of a message counts", test_the_later_entry_of_a_message_counts},
    {"UID-01 70 octets and no more", test_lengths},
    {"all messages by time", test_all_by_time},
    {"a second file with a base name", test_second_file_of_a_name},
    {"no Maildir", test_no_maildir},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("uids_import", tests);
}
