#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/resource.h>

#include "common/names.h"
#include "tests/unit/box.h"
#include "worker/store/history.h"

#define NAME "pop3d-history"
#define WHO  "conn=7b peer=192.0.2.1:110 tls=none mech=USER server=pop3 user=\"a b\""

static struct history h;
static int dir_fd;

static void
begin(void)
{
	box_make();
	dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_FATAL(dir_fd != -1);
}

static void
end(void)
{
	close(dir_fd);
	box_remove();
}

static const char *
text_now(void)
{
	const char *text = box_text(NAME);

	return text != NULL ? text : "";
}

/* What is read, a line an event. */
static char told[65536];

static void
add(const struct history_event *e, void *arg)
{
	size_t len, *count = arg, n = strlen(told);
	const char *uid = history_value(e->words, "uid", &len);

	++*count;
	if (n < sizeof(told) - 300)
		(void)snprintf(told + n, sizeof(told) - n, "%s %.*s\n", e->what,
			       uid != NULL ? (int)len : 1, uid != NULL ? uid : "-");
}

static size_t
read_all(void)
{
	size_t count = 0;

	told[0] = '\0';
	CU_ASSERT_EQUAL(history_read(dir_fd, NAME, add, &count), 0);
	return count;
}

/* An UPDATE of the messages named by the letters; those of `kept` are not removed. */
static void
update(const char *who, const char *asked, const char *kept)
{
	char uid[2] = "";

	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, who), 0);
	for (const char *p = asked; *p != '\0'; p++) {
		uid[0] = *p;
		history_deleting(&h, uid, 5, 0, false);
	}
	CU_ASSERT_EQUAL(history_sync(&h), 0);
	for (const char *p = kept; *p != '\0'; p++) {
		uid[0] = *p;
		history_kept(&h, uid);
	}
	CU_ASSERT_EQUAL(history_done(&h, strlen(asked) - strlen(kept), strlen(kept)), 0);
}

static void
test_form(void)
{
	static const char first[] =
	    " deleting uid=u1 octets=120 retrieved=never delivered=no conn=7b ";
	const char *text;

	begin();
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), 0);
	history_deleting(&h, "u1", 120, 0, false);
	history_deleting(&h, "a\"b=c", UINT64_MAX, 86400, true);
	history_deleting(&h, "u3", 1, -1, false);
	CU_ASSERT_EQUAL(history_sync(&h), 0);
	text = text_now();
	CU_ASSERT(strlen(text) > 20 && text[4] == '-' && text[10] == 'T' && text[19] == 'Z');
	CU_ASSERT_PTR_EQUAL(strstr(text, first), text + 20);
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, " deleting uid=\"a\\\"b=c\" octets=unknown retrieved=1970-01-02T00:00:00Z "
			 "delivered=yes " WHO "\n"));
	CU_ASSERT_PTR_NOT_NULL(
	    strstr(text, " deleting uid=u3 octets=1 retrieved=unknown delivered=no " WHO "\n"));
	history_kept(&h, "u3");
	CU_ASSERT_EQUAL(history_done(&h, 2, 1), 0);
	text = text_now();
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " kept uid=u3 " WHO "\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(text, " done deleted=2 kept=1 " WHO "\n"));
	CU_ASSERT_EQUAL(read_all(), 3);
	CU_ASSERT_STRING_EQUAL(told, "deleted u1\ndeleted \"a\\\"b=c\"\nkept u3\n");
	end();
}

static void
test_outcomes(void)
{
	begin();
	CU_ASSERT_EQUAL(read_all(), 0); /* no file */
	update("conn=1", "abcd", "bd");
	update("conn=2", "e", "");
	/* one that was cut off, then another of the same letters */
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, "conn=3"), 0);
	history_deleting(&h, "f", 5, 0, false);
	history_deleting(&h, "g", 5, 0, false);
	CU_ASSERT_EQUAL(history_sync(&h), 0);
	history_kept(&h, "g");
	close(h.fd);
	update("conn=4", "fg", "f");
	/* the same connection's id once more, after the clock went back */
	update("conn=4", "ff", "f");
	CU_ASSERT_EQUAL(read_all(), 11);
	CU_ASSERT_STRING_EQUAL(
	    told, "deleted a\nkept b\ndeleted c\nkept d\ndeleted e\nunknown f\nunknown g\n"
		  "kept f\ndeleted g\nkept f\ndeleted f\n");
	end();
}

static void
test_many(void)
{
	enum { MANY = 5000 };
	char uid[16];

	begin();
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), 0);
	for (int i = 0; i < MANY; i++) {
		(void)snprintf(uid, sizeof(uid), "u%d", i);
		history_deleting(&h, uid, 1, 0, false);
	}
	CU_ASSERT_EQUAL(history_sync(&h), 0);
	CU_ASSERT_EQUAL(history_done(&h, MANY, 0), 0);
	CU_ASSERT_EQUAL(read_all(), MANY);
	end();
}

static void
test_torn_line(void)
{
	begin();
	update("conn=1", "a", "");
	box_append(NAME, "2026-01-31T23:59:59Z deleting uid=to");
	CU_ASSERT_EQUAL(read_all(), 1); /* it has no end, so it was never on the disk whole */
	update("conn=2", "b", "");
	CU_ASSERT_EQUAL(read_all(), 3);
	CU_ASSERT_STRING_EQUAL(told, "deleted a\nunknown to\ndeleted b\n");
	end();
}

static void
test_hostile(void)
{
	static const char *const lines[] = {
	    "\n",
	    "\0\0\0\n",
	    "deleting uid=x conn=1\n",
	    "2026-01-31T23:59:59Z\n",
	    "2026-01-31T23:59:59Z \n",
	    "2026-01-31T23:59:59Zdeleting uid=x conn=1\n",
	    "2026-01-31T23:59:59Z deleting\n",
	    "2026-13-xxT23:59:59Z deleting uid=x conn=1\n",
	    "2026-01-31T23:59:59Z deleting uid=\x1b[2J conn=1\n",
	    "2026-01-31T23:59:59Z deleting uid=\xe9 conn=1\n",
	    "2026-01-31T23:59:59Z jumping uid=x conn=1\n",
	    "2026-01-31T23:59:59Z kept uid=x conn=1\n",
	};
	static char big[3 * HISTORY_LINE_MAX];

	begin();
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		box_write(NAME, "a", lines[i], lines[i][0] == '\0' ? 4 : strlen(lines[i]));
	CU_ASSERT_EQUAL(read_all(), 0);
	memset(big, 'x', sizeof(big) - 1);
	memcpy(big, "2026-01-31T23:59:59Z deleting uid=", 34);
	box_append(NAME, big);
	box_append(NAME, "\n");
	CU_ASSERT_EQUAL(read_all(), 0);
	/* no conn, no uid, a quote that does not end */
	box_append(NAME,
		   "2026-01-31T23:59:59Z deleting uid=x\n2026-01-31T23:59:59Z deleting conn=1\n"
		   "2026-01-31T23:59:59Z deleting uid=\"x conn=1\n2026-01-31T23:59:59Z deleting "
		   "uid=\"\\\n");
	CU_ASSERT_EQUAL(read_all(), 4);
	CU_ASSERT_EQUAL(strncmp(told, "unknown x\nunknown -\n", 20), 0);
	end();
}

static void
test_turn(void)
{
	static char block[1 << 16];
	struct stat st;

	begin();
	memset(block, '\n', sizeof(block));
	box_put(NAME, "");
	CU_ASSERT_EQUAL(truncate(box_path(NAME), HISTORY_MAX), 0);
	update("conn=1", "a", ""); /* not over the limit yet */
	CU_ASSERT(!box_has(NAME HISTORY_OLD));
	update("conn=2", "b", "");
	CU_ASSERT_EQUAL(stat(box_path(NAME HISTORY_OLD), &st), 0);
	CU_ASSERT(st.st_size > HISTORY_MAX);
	CU_ASSERT_EQUAL(read_all(), 1);
	CU_ASSERT_STRING_EQUAL(told, "deleted b\n");
	/* once more: one is kept */
	CU_ASSERT_EQUAL(truncate(box_path(NAME), HISTORY_MAX + 1), 0);
	update("conn=3", "c", "");
	CU_ASSERT_EQUAL(stat(box_path(NAME HISTORY_OLD), &st), 0);
	CU_ASSERT_EQUAL(st.st_size, HISTORY_MAX + 1);
	CU_ASSERT_EQUAL(stat(box_path(NAME), &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_EQUAL(read_all(), 1);
	end();
}

/* A file of holes is not read for days: its last part is. */
static void
test_holes(void)
{
	begin();
	update("conn=1", "a", "");
	CU_ASSERT_EQUAL(truncate(box_path(NAME), INT64_C(1) << 43), 0);
	box_append(NAME, "\n2026-01-31T23:59:59Z deleting uid=b conn=2\n");
	CU_ASSERT_EQUAL(read_all(), 1);
	CU_ASSERT_STRING_EQUAL(told, "unknown b\n");
	end();
}

/* What stands under the name and is no file of ours is neither written nor read. */
static void
test_not_a_file(void)
{
	size_t count = 0;

	begin();
	box_put("other", "precious");
	CU_ASSERT_EQUAL(symlink("other", box_path(NAME)), 0);
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), -1);
	history_deleting(&h, "a", 1, 0, false);
	CU_ASSERT_EQUAL(history_sync(&h), 0);
	CU_ASSERT_EQUAL(history_done(&h, 1, 0), 0);
	CU_ASSERT_STRING_EQUAL(box_text("other"), "precious");
	CU_ASSERT_EQUAL(history_read(dir_fd, NAME, add, &count), -1);
	CU_ASSERT_EQUAL(unlink(box_path(NAME)), 0);
	CU_ASSERT_EQUAL(mkfifo(box_path(NAME), 0600), 0);
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), -1);
	CU_ASSERT_EQUAL(history_read(dir_fd, NAME, add, &count), -1);
	CU_ASSERT_EQUAL(unlink(box_path(NAME)), 0);
	CU_ASSERT_EQUAL(mkdir(box_path(NAME), 0700), 0);
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), -1);
	CU_ASSERT_EQUAL(rmdir(box_path(NAME)), 0);
	if (geteuid() == 0) {
		box_put(NAME, "");
		CU_ASSERT_EQUAL(chown(box_path(NAME), 40001, 40001), 0);
		CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), -1);
		CU_ASSERT_EQUAL(errno, EPERM);
	}
	end();
}

/* The disk is full: nothing is left of what could not be written whole. */
static void
test_full_disk(void)
{
	static const struct rlimit small = {20000, RLIM_INFINITY};
	struct rlimit before;
	struct stat st;

	begin();
	update("conn=1", "a", "");
	CU_ASSERT_EQUAL(stat(box_path(NAME), &st), 0);
	(void)signal(SIGXFSZ, SIG_IGN);
	CU_ASSERT_EQUAL(getrlimit(RLIMIT_FSIZE, &before), 0);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &small), 0);
	CU_ASSERT_EQUAL(history_begin(&h, dir_fd, NAME, WHO), 0);
	for (int i = 0; i < 1000; i++)
		history_deleting(&h, "b", 1, 0, false);
	CU_ASSERT_EQUAL(history_sync(&h), -1);
	CU_ASSERT_EQUAL(errno, EFBIG);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_FSIZE, &before), 0);
	history_kept(&h, "b");
	CU_ASSERT_EQUAL(history_done(&h, 1, 1), 0);
	CU_ASSERT_EQUAL(read_all(), 1);
	CU_ASSERT_EQUAL(strlen(text_now()), (size_t)st.st_size);
	end();
}

static void
test_values(void)
{
	static const char words[] = "uid=\"a conn=2 \\\" b\" octets=5 conn=1 empty= last=x";
	size_t len;

	CU_ASSERT_EQUAL(strncmp(history_value(words, "conn", &len), "1 ", 2), 0);
	CU_ASSERT_EQUAL(len, 1);
	CU_ASSERT_EQUAL(history_value(words, "uid", &len), words + 4);
	CU_ASSERT_EQUAL(len, 15);
	CU_ASSERT_PTR_NOT_NULL(history_value(words, "empty", &len));
	CU_ASSERT_EQUAL(len, 0);
	CU_ASSERT_PTR_NOT_NULL(history_value(words, "last", &len));
	CU_ASSERT_EQUAL(len, 1);
	CU_ASSERT_PTR_NULL(history_value(words, "con", &len));
	CU_ASSERT_PTR_NULL(history_value("", "conn", &len));
}

static void
test_times(void)
{
	char text[CLOCK_UTC_SIZE];

	CU_ASSERT_STRING_EQUAL(retrieved_text(text, 0), "never");
	CU_ASSERT_STRING_EQUAL(retrieved_text(text, -1), "unknown");
	CU_ASSERT_STRING_EQUAL(retrieved_text(text, 1), "1970-01-01T00:00:01Z");
	CU_ASSERT_STRING_EQUAL(retrieved_text(text, 253402300799), "9999-12-31T23:59:59Z");
	CU_ASSERT_STRING_EQUAL(retrieved_text(text, INT64_MAX), "unknown");
	CU_ASSERT_STRING_EQUAL(retrieved_text(text, INT64_MIN), "unknown");
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"the form of the lines", test_form},
	    {"what became of the messages of an UPDATE", test_outcomes},
	    {"a long UPDATE", test_many},
	    {"a line that was cut off", test_torn_line},
	    {"lines of another form are passed over", test_hostile},
	    {"a file over the limit is renamed, and one is kept", test_turn},
	    {"a file of holes", test_holes},
	    {"no link, pipe, directory or file of others is used", test_not_a_file},
	    {"a full disk leaves the file as it was", test_full_disk},
	    {"the value of a key", test_values},
	    {"times", test_times},
	    {NULL, NULL},
	};

	return unit_run("history", tests);
}
