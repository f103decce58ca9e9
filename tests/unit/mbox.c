#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <time.h>
#include <utime.h>

#include "common/log.h"
#include "tests/unit/box.h"
#include "worker/store/mbox_anew.h"
#include "worker/store/mbox_lines.h"
#include "worker/store/mbox_text.h"
#include "worker/store/rows.h"

/* ---- other file systems ---- */

static int fallocate_error, pwrite_error; /* 0: the call is done */
static bool fuse;			  /* files are on a shared file system */
static bool no_memory;			  /* for arrays */
static unsigned waits;			  /* for what this host remembers to grow old */

int
fallocate(int fd, int mode, off_t from, off_t len)
{
	if (fallocate_error == 0)
		return (int)syscall(SYS_fallocate, fd, mode, from, len);
	errno = fallocate_error;
	return -1;
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	if (pwrite_error == 0)
		return syscall(SYS_pwrite64, fd, octets, len, at);
	errno = pwrite_error;
	return -1;
}

void *
reallocarray(void *array, size_t count, size_t size)
{
	errno = ENOMEM;
	return no_memory || (size != 0 && count > SIZE_MAX / size) ? NULL
								   : realloc(array, count * size);
}

int
fstatfs(int fd, struct statfs *fs)
{
	int result = (int)syscall(SYS_fstatfs, fd, fs);

	if (fuse)
		fs->f_type = FUSE_SUPER_MAGIC;
	return result;
}

int
nanosleep(const struct timespec *time, struct timespec *rest)
{
	(void)rest;
	waits += time->tv_sec == 1;
	return 0;
}

/* ---- the tests ---- */

#define FROM	"From a@example.org Mon Jan  2 10:00:00 2023\n"
#define MAIL(n) FROM "N: " n "\n\nbody " n "\n\n"

static void
start(void)
{
	static char path[sizeof(box) + 8];

	(void)snprintf(path, sizeof(path), "%s/mbox", box);
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "mbox", path), STORE_OK);
}

/* The texts of the messages of an mbox, up to NULL. */
static void
check_split(const char *octets, size_t len, const char *const *texts)
{
	size_t n = 0;

	box_make();
	box_write("mbox", "w", octets, len);
	start();
	for (; texts[n] != NULL && n < store.count; n++) {
		CU_ASSERT_STRING_EQUAL(text(n), texts[n]);
		CU_ASSERT_STRING_EQUAL(text_by(n, 1), texts[n]);
		CU_ASSERT_STRING_EQUAL(text_by(n, 7), texts[n]);
	}
	CU_ASSERT_PTR_NULL(texts[n]);
	CU_ASSERT_EQUAL(n, store.count);
	store_end();
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), octets);
	CU_ASSERT_FALSE(box_has("mbox.lock"));
	CU_ASSERT_FALSE(box_has(".mbox.pop3d-lock"));
	box_remove();
}

#define CHECK_SPLIT(octets, ...)                                                                   \
	check_split(octets, strlen(octets), (const char *const[]){__VA_ARGS__})

static void
test_split(void)
{
	CHECK_SPLIT("", NULL);
	CHECK_SPLIT(MAIL("1") MAIL("2"), "N: 1\n\nbody 1\n", "N: 2\n\nbody 2\n", NULL);
	/* no blank line, no line end at the end of the file */
	CHECK_SPLIT(MAIL("1") FROM "A: b\n\nx\n", "N: 1\n\nbody 1\n", "A: b\n\nx\n", NULL);
	CHECK_SPLIT(MAIL("1") FROM "A: b\n\nx", "N: 1\n\nbody 1\n", "A: b\n\nx", NULL);
	/* one blank line belongs to the mbox, the others to the message */
	CHECK_SPLIT(FROM "A: b\n\nx\n\n\n\n" FROM "\n", "A: b\n\nx\n\n\n", "", NULL);
	CHECK_SPLIT(FROM FROM "\n" FROM, FROM, "", NULL);
	CHECK_SPLIT(FROM "A: b\n", "A: b\n", NULL);
	CHECK_SPLIT(FROM "A: b\n\n" FROM "A: c\n\n\n", "A: b\n", "A: c\n\n", NULL);
	/* what looks like a From_ line: no blank line before, no date */
	CHECK_SPLIT(FROM "A: b\n\nx\n" FROM "y\n\nFrom here on\n\n",
		    "A: b\n\nx\n" FROM "y\n\nFrom here on\n", NULL);
	/* quotes and metadata */
	CHECK_SPLIT(FROM "Status: O\nA: b\n\n>" FROM ">>" FROM "\n", "A: b\n\n" FROM ">" FROM,
		    NULL);
	/* CRLF */
	CHECK_SPLIT("From a Mon Jan  2 10:00:00 2023\r\nA: b\r\nX-UID: 1\r\n\r\nx\r\n\r\n"
		    "From a Mon Jan  2 10:00:00 2023\r\nA: c\r\n\r\ny\r\n\r\n",
		    "A: b\r\n\r\nx\r\n", "A: c\r\n\r\ny\r\n", NULL);
}

/* The same in another format, with both ways to split where that makes no difference. */
#define CHECK_FORMAT(format, split, octets, ...)                                                   \
	do {                                                                                       \
		box_format = (format);                                                             \
		box_split = (split);                                                               \
		CHECK_SPLIT(octets, __VA_ARGS__);                                                  \
		box_format = MBOX_RD;                                                              \
		box_split = MBOX_STRICT;                                                           \
	} while (0)

static void
test_lax(void)
{
	CHECK_FORMAT(MBOX_RD, MBOX_LAX, FROM "A: b\n\nx\nFrom y\n\nFrom here on\n>From z",
		     "A: b\n\nx\n", "", "From z", NULL);
	CHECK_FORMAT(MBOX_RD, MBOX_LAX, "From nowhere\nA: b\n\n\nFrom \n\n", "A: b\n\n", "", NULL);
	CHECK_FORMAT(MBOX_RD, MBOX_LAX, MAIL("1") MAIL("2"), "N: 1\n\nbody 1\n", "N: 2\n\nbody 2\n",
		     NULL);
}

static void
test_quotes(void)
{
	static const char octets[] = FROM "\n>From x\n>>From y\n\n";

	CHECK_FORMAT(MBOX_RD, MBOX_STRICT, octets, "\nFrom x\n>From y\n", NULL);
	CHECK_FORMAT(MBOX_O, MBOX_STRICT, octets, "\nFrom x\n>>From y\n", NULL);
	CHECK_FORMAT(MBOX_RFC4155, MBOX_STRICT, octets, "\n>From x\n>>From y\n", NULL);
	CHECK_FORMAT(MBOX_CL, MBOX_STRICT, octets, "\nFrom x\n>From y\n", NULL);
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT, octets, "\n>From x\n>>From y\n", NULL);
}

#define LENGTH(n) "Content-Length: " n "\n"

static void
test_content_length(void)
{
	static const char inner[] = "x\n\n" FROM "y\n";

	CU_ASSERT_EQUAL_FATAL(strlen(inner), 3 + strlen(FROM) + 2);
	/* believed: up to a From_ line, a blank line before one, the end, a blank line before it */
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT,
		     FROM LENGTH("49") "A: b\n\nx\n\n" FROM "y\n" FROM "C: d\n\nz\n",
		     "A: b\n\nx\n\n" FROM "y\n", "C: d\n\nz\n", NULL);
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT,
		     FROM "A: b\n" LENGTH("49") "\nx\n\n" FROM
						"y\n\n" FROM LENGTH("49") "\nx\n\n" FROM "y\n",
		     "A: b\n\nx\n\n" FROM "y\n", "\nx\n\n" FROM "y\n", NULL);
	CHECK_FORMAT(MBOX_CL, MBOX_LAX,
		     FROM LENGTH("14") "\nFrom x\n>From \n\nFrom y\n" LENGTH("1") "\nx\n",
		     "\nFrom x\nFrom \n", "\nx", NULL);
	/* a body that does not end its last line, an empty one */
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT,
		     FROM LENGTH("1") "\nx\n" FROM LENGTH("0") "\n" FROM "\n", "\nx", "\n", "",
		     NULL);
	/* not believed: in the middle of a line, of the text, behind the end; not asked for */
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT, FROM LENGTH("2") "\nxx" FROM "y\n\n" MAIL("1"),
		     "\nxx" FROM "y\n", "N: 1\n\nbody 1\n", NULL);
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT, FROM LENGTH("2") "\nx\ny\n\n" MAIL("1"), "\nx\ny\n",
		     "N: 1\n\nbody 1\n", NULL);
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT, FROM LENGTH("18446744073709551615") "\nx\n\n" MAIL("1"),
		     "\nx\n", "N: 1\n\nbody 1\n", NULL);
	CHECK_FORMAT(MBOX_CL2, MBOX_STRICT, FROM LENGTH("49") "\nx\n\n" FROM "y\nz\n", "\nx\n",
		     "y\nz\n", NULL);
	CHECK_FORMAT(MBOX_RD, MBOX_STRICT, FROM LENGTH("49") "\nx\n\n" FROM "y\n", "\nx\n", "y\n",
		     NULL);
}

/* A body whose last line, without an end, is longer than a block. */
static void
test_long_last_line(void)
{
	static char octets[4 * MBOX_BLOCK], want[4 * MBOX_BLOCK];
	const char *const texts[] = {want, "A: b\n", NULL};

	/* with the header it ends around the end of a block */
	for (int i = 0; i < 60; i++) {
		int len = MBOX_BLOCK * (1 + i / 30) - 80 + i % 30;

		(void)snprintf(octets, sizeof(octets),
			       FROM "Content-Length: %d\n\n%0*d\n" FROM "A: b\n\n", len, len, 1);
		(void)snprintf(want, sizeof(want), "\n%0*d", len, 1);
		box_format = MBOX_CL2;
		check_split(octets, strlen(octets), texts);
		box_format = MBOX_RD;
	}
}

/* Removal goes by the same choice, and mail that comes in the session is known by it. */
static void
test_remove_in_style(void)
{
	uint64_t removed;

	box_make();
	box_format = MBOX_CL2;
	box_split = MBOX_LAX;
	box_put("mbox", "From 1\n" LENGTH("7") "\nFrom x\n\nFrom 2\n\nFrom 3\nA: b\n");
	start();
	CU_ASSERT_EQUAL(store.count, 3);
	box_append("mbox", "From 4\n\n");
	CU_ASSERT_EQUAL(remove_marked(2, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 1);
	store_end();
	box_format = MBOX_RD;
	box_split = MBOX_STRICT;
	CU_ASSERT_STRING_EQUAL(box_text("mbox"),
			       "From 1\n" LENGTH("7") "\nFrom x\n\nFrom 3\nA: b\nFrom 4\n\n");
	box_remove();
}

static void
test_internal(void)
{
	uint64_t removed;
	static const char data[] = "From MAILER-DAEMON Mon Jan  2 10:00:00 2023\nSubject: DON'T "
				   "DELETE THIS MESSAGE -- FOLDER "
				   "INTERNAL DATA\nX-IMAP: 1672653600 0000000001\nStatus: "
				   "RO\n\nThis text is part of it.\n\n";
	char all[sizeof(data) + 256];

	(void)snprintf(all, sizeof(all), "%s%s%s", data, MAIL("1"), MAIL("2"));
	check_split(all, strlen(all),
		    (const char *const[]){"N: 1\n\nbody 1\n", "N: 2\n\nbody 2\n", NULL});
	box_make();
	box_put("mbox", all);
	start();
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	(void)snprintf(all, sizeof(all), "%s%s", data, MAIL("2"));
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), all);
	box_remove();
}

static void
test_refused(void)
{
	static const char *const texts[] = {"text\n", "From here on\n", "\n\ntext\n" FROM "\n",
					    " \n" FROM "\n", "Fro"};
	static char path[sizeof(box) + 8];

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		box_make();
		(void)snprintf(path, sizeof(path), "%s/mbox", box);
		box_put("mbox", texts[i]);
		CU_ASSERT_EQUAL(box_open(&store, "mbox", path), STORE_PERM);
		store_end();
		CU_ASSERT_STRING_EQUAL(box_text("mbox"), texts[i]);
		CU_ASSERT_FALSE(box_has("mbox.lock"));
		box_remove();
	}
	box_make();
	(void)snprintf(path, sizeof(path), "%s/mbox", box);
	CU_ASSERT_EQUAL(box_open(&store, "mbox", path), STORE_OK);
	CU_ASSERT_EQUAL(store.count, 0);
	store_end();
	CU_ASSERT_FALSE(box_has(".pop3d"));
	if (mkfifo(path, 0600) == -1)
		abort();
	CU_ASSERT_EQUAL(box_open(&store, "mbox", path), STORE_PERM);
	store_end();
	(void)snprintf(path, sizeof(path), "%s/no/ne", box);
	CU_ASSERT_EQUAL(box_open(&store, "mbox", path), STORE_PERM);
	store_end();
	box_remove();
}

/* Blank lines at the start belong to the first message, and go with it. */
static void
test_leading_blanks(void)
{
	static char path[sizeof(box) + 8];
	uint64_t removed;

	box_make();
	(void)snprintf(path, sizeof(path), "%s/mbox", box);
	box_put("mbox", "\n\r\n" MAIL("1") MAIL("2"));
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "mbox", path), STORE_OK);
	CU_ASSERT_EQUAL_FATAL(store.count, 2);
	CU_ASSERT_EQUAL(remove_marked(2, &removed), STORE_OK);
	store_end();
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), "\n\r\n" MAIL("1"));
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "mbox", path), STORE_OK);
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), "");
	box_put("mbox", "\n\n");
	CU_ASSERT_EQUAL(box_open(&store, "mbox", path), STORE_OK);
	CU_ASSERT_EQUAL(store.count, 0);
	store_end();
	box_remove();
}

static void
test_sizes(void)
{
	box_make();
	box_put("mbox", FROM "Status: RO\nA: b\n\n>" FROM "x\n\n" FROM "A: b\r\n\r\nx");
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 2);
	CU_ASSERT_EQUAL(size(0), strlen("A: b\r\n\r\n" FROM "\rx\r\n"));
	CU_ASSERT_EQUAL(size(1), strlen("A: b\r\n\r\nx\r\n"));
	store_end();
	box_remove();
}

/* Lines and quotes at the edges of blocks. */
static void
test_edges(void)
{
	static char octets[4 * MBOX_BLOCK], want[4 * MBOX_BLOCK];
	const char *const texts[] = {want, "A: b\n", NULL};
	const int bases[] = {MBOX_LOOK, MBOX_BLOCK, 2 * MBOX_BLOCK};

	for (size_t b = 0; b < sizeof(bases) / sizeof(bases[0]); b++)
		for (int shift = -70; shift < 10; shift++) {
			int fill = bases[b] + shift - (int)strlen(FROM "\n");

			(void)snprintf(octets, sizeof(octets),
				       FROM "\n%0*d\n>From x\n\n" FROM "A: b\n\n", fill, 1);
			(void)snprintf(want, sizeof(want), "\n%0*d\nFrom x\n", fill, 1);
			check_split(octets, strlen(octets), texts);
		}
}

static void
test_uids(void)
{
	char first[STORE_UID_SIZE], second[STORE_UID_SIZE], third[STORE_UID_SIZE];
	uint64_t removed;

	box_make();
	box_put("mbox", MAIL("1") MAIL("2") MAIL("3") MAIL("2"));
	start();
	strcpy(first, uid(0));
	strcpy(second, uid(1));
	strcpy(third, uid(2));
	CU_ASSERT_EQUAL(strlen(uid(3)), 66);
	CU_ASSERT_EQUAL(strncmp(uid(3), second, 64), 0);
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), second);
	CU_ASSERT_STRING_EQUAL(uid(1), third);
	CU_ASSERT_EQUAL(strlen(uid(2)), 66);
	store_end();
	/* equal ones keep their numbers when one is removed, and new ones go on behind them */
	box_put("mbox", MAIL("2") MAIL("2") MAIL("3") MAIL("2"));
	start();
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	box_append("mbox", MAIL("2"));
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 4);
	CU_ASSERT_STRING_EQUAL(uid(0) + 64, "-2");
	CU_ASSERT_STRING_EQUAL(uid(1), third);
	CU_ASSERT_STRING_EQUAL(uid(2) + 64, "-3");
	CU_ASSERT_STRING_EQUAL(uid(3) + 64, "-4");
	CU_ASSERT_EQUAL(remove_marked(4, &removed), STORE_OK);
	store_end();
	start();
	CU_ASSERT_STRING_EQUAL(uid(0) + 64, "-2");
	CU_ASSERT_STRING_EQUAL(uid(2) + 64, "-4");
	CU_ASSERT_EQUAL(remove_marked(5, &removed), STORE_OK);
	store_end();
	/* notes of a mail reader change nothing */
	box_put("mbox", FROM "Status: RO\nN: 1\nX-Status: F\n\nbody 1\n\n");
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), first);
	store_end();
	box_remove();
}

/* Every choice of five messages, with and without mail that comes in the session. */
static void
test_remove(void)
{
	static const char *const mails[] = {MAIL("1"), MAIL("22"), FROM "\n", MAIL("4"),
					    FROM "A: b\n\nx\n"};
	char old[1024], want[1024];
	struct stat before, after;
	uint64_t removed;

	for (uint64_t marked = 1; marked < 64; marked++) {
		uint64_t bits = marked & 31;

		if (bits == 0)
			continue;
		old[0] = want[0] = '\0';
		for (int i = 0; i < 5; i++) {
			strcat(old, mails[i]);
			if ((bits >> i & 1) == 0)
				strcat(want, mails[i]);
		}
		box_make();
		box_put("mbox", old);
		start();
		if (marked > 31) {
			box_append("mbox", "\n" MAIL("late"));
			strcat(want, (bits >> 4 & 1) == 0 ? "\n" MAIL("late") : MAIL("late"));
		}
		if (stat(box_path("mbox"), &before) == -1)
			abort();
		CU_ASSERT_EQUAL(remove_marked(bits, &removed), STORE_OK);
		CU_ASSERT_EQUAL(removed, (uint64_t)__builtin_popcountll(bits));
		store_end();
		if (stat(box_path("mbox"), &after) == -1)
			abort();
		CU_ASSERT_STRING_EQUAL(box_text("mbox"), want);
		CU_ASSERT_EQUAL(before.st_ino, after.st_ino);
		CU_ASSERT_FALSE(box_has("mbox.lock"));
		box_remove();
	}
}

static void
check_changed(const char *old, const char *now)
{
	uint64_t removed;

	box_make();
	box_put("mbox", old);
	start();
	box_put("mbox", now); /* in place */
	CU_ASSERT_EQUAL(remove_marked(2, &removed), STORE_TEMP);
	CU_ASSERT_EQUAL(removed, 0);
	store_end();
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), now);
	box_remove();
}

static void
test_changed(void)
{
	struct store_reader r;
	uint64_t removed;

	check_changed(MAIL("1") MAIL("2") MAIL("3"), MAIL("1"));
	check_changed(MAIL("1") MAIL("2") MAIL("3"), MAIL("2") MAIL("1") MAIL("3"));
	check_changed(MAIL("1") MAIL("2") MAIL("3"), MAIL("1") MAIL("2") MAIL("3") "no mail");
	/* no blank line before what came */
	check_changed(MAIL("1") MAIL("2") FROM "\nx\n", MAIL("1") MAIL("2") FROM "\nx\n" FROM "\n");
	/* reading notices it, too; sizes stay */
	box_make();
	box_put("mbox", MAIL("1") MAIL("2") MAIL("3"));
	start();
	box_append("mbox", MAIL("4"));
	CU_ASSERT_STRING_EQUAL(text(1), "N: 2\n\nbody 2\n");
	box_put("mbox", MAIL("2") MAIL("3"));
	CU_ASSERT_EQUAL(store.backend->get(&store, 0, &r), STORE_MISSING);
	CU_ASSERT_EQUAL(size(0), strlen("N: 1\r\n\r\nbody 1\r\n"));
	/* another file in its place */
	box_put("other", MAIL("1") MAIL("2") MAIL("3"));
	if (rename(box_path("other"), box_path("mbox")) == -1)
		abort();
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_TEMP);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("2") MAIL("3"));
	store_end();
	box_remove();
}

static void
test_session_lock(void)
{
	static char other[sizeof(box) + 16];
	struct store second;

	box_make();
	box_put("mbox", MAIL("1"));
	(void)snprintf(other, sizeof(other), "%s/alias", box);
	if (symlink("mbox", other) == -1)
		abort();
	start();
	CU_ASSERT_EQUAL(box_open(&second, "mbox", other), STORE_IN_USE);
	second.backend->close(&second);
	/* delivery can go on */
	CU_ASSERT_FALSE(box_has("mbox.lock"));
	store_end();
	CU_ASSERT_EQUAL(box_open(&second, "mbox", other), STORE_OK);
	second.backend->close(&second);
	box_remove();
}

static void
age(const char *name, time_t seconds)
{
	struct utimbuf times = {time(NULL) - seconds, time(NULL) - seconds};

	if (utime(box_path(name), &times) == -1)
		abort();
}

static void
test_dot_lock(void)
{
	box_make();
	box_put("mbox", MAIL("1"));
	/* stale after five minutes */
	box_put("mbox.lock", "");
	age("mbox.lock", 301);
	start();
	store_end();
	CU_ASSERT_FALSE(box_has("mbox.lock"));
	/* left behind by a session of ours: at once */
	box_put("mbox.lock", "");
	if (link(box_path("mbox.lock"), box_path(".mbox.pop3d-lock")) == -1)
		abort();
	start();
	store_end();
	CU_ASSERT_FALSE(box_has("mbox.lock"));
	CU_ASSERT_FALSE(box_has(".mbox.pop3d-lock"));
	box_remove();
}

/* Asking the server anew changes no octet, whether or not the file may be written to. */
static void
test_read_anew(void)
{
	const int flags[] = {O_RDWR, O_RDONLY};

	box_make();
	box_put("mbox", MAIL("1") MAIL("2"));
	for (size_t i = 0; i < 2; i++) {
		int fd = open(box_path("mbox"), flags[i] | O_CLOEXEC);

		CU_ASSERT_NOT_EQUAL_FATAL(fd, -1);
		CU_ASSERT_EQUAL(mbox_read_anew(fd), 0);
		(void)close(fd);
		CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("2"));
	}
	CU_ASSERT_TRUE(mbox_is_shared(-1));
	box_remove();
}

/* What a file system without the call, or a full one, says: time does the same. */
static void
test_read_anew_without_fallocate(void)
{
	static const int refusals[] = {EOPNOTSUPP, ENOSYS, ENOSPC, EDQUOT};
	int fd;

	box_make();
	box_put("mbox", MAIL("1"));
	CU_ASSERT_NOT_EQUAL_FATAL(fd = open(box_path("mbox"), O_RDWR | O_CLOEXEC), -1);
	for (unsigned i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		waits = 0;
		fallocate_error = refusals[i];
		CU_ASSERT_EQUAL(mbox_read_anew(fd), 0);
		CU_ASSERT_EQUAL(waits, 1);
	}
	fallocate_error = EIO;
	CU_ASSERT_EQUAL(mbox_read_anew(fd), -1);
	CU_ASSERT_EQUAL(errno, EIO);
	CU_ASSERT_EQUAL(waits, 1);
	(void)close(fd);
	/* a session does so before it lists and before it removes */
	fuse = true;
	waits = 0;
	fallocate_error = EOPNOTSUPP;
	start();
	CU_ASSERT_EQUAL(waits, 1);
	CU_ASSERT_EQUAL(remove_marked(1, &(uint64_t){0}), STORE_OK);
	CU_ASSERT_EQUAL(waits, 2);
	store_end();
	fuse = false;
	fallocate_error = 0;
	box_remove();
}

/* What another host has written may be seen in part, and whole a moment later. */
static void
test_garbled(void)
{
	char path[sizeof(box) + 8];

	box_make();
	box_put("mbox", "N: 1\n\nbody 1\n\n" MAIL("2"));
	(void)snprintf(path, sizeof(path), "%s/mbox", box);
	for (int shared = 0; shared < 2; shared++) {
		fuse = shared != 0;
		CU_ASSERT_EQUAL(box_open(&store, "mbox", path), fuse ? STORE_TEMP : STORE_PERM);
		store_end();
	}
	fuse = false;
	box_remove();
}

static void
test_over_quota(void)
{
	uint64_t removed;

	box_make();
	box_put("mbox", MAIL("1") MAIL("2") MAIL("3") MAIL("4"));
	pwrite_error = EDQUOT;
	start();
	CU_ASSERT_EQUAL(remove_marked(2, &removed), STORE_FULL);
	CU_ASSERT_EQUAL(removed, 0);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("2") MAIL("3") MAIL("4"));
	CU_ASSERT_EQUAL(remove_marked(2 | 8, &removed), STORE_FULL);
	CU_ASSERT_EQUAL(removed, 1);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("2") MAIL("3"));
	store_end();
	start();
	CU_ASSERT_EQUAL(remove_marked(2 | 4, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1"));
	store_end();
	pwrite_error = 0;
	box_remove();
}

/* No memory for the table that is made anew: nothing is removed. */
static void
test_no_memory(void)
{
	uint64_t removed;

	box_make();
	box_put("mbox", MAIL("1") MAIL("2") MAIL("3"));
	start();
	no_memory = true;
	CU_ASSERT_NOT_EQUAL(remove_marked(2, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 0);
	no_memory = false;
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("2") MAIL("3"));
	CU_ASSERT_EQUAL(remove_marked(2, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 1);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), MAIL("1") MAIL("3"));
	store_end();
	box_remove();
}

/* A table of several pages, in a file and without one: equal messages, the first ones, the last
 * ones, and every other removed. */
static void
test_many(void)
{
	enum { MANY = 2 * ROWS_PAGE + 100, LEN = sizeof(FROM "\n\n") - 1 + 4 };
	static uint64_t marked[(MANY + 63) / 64];
	static char text[MANY * LEN + 1];
	char uid[STORE_UID_SIZE], kept[STORE_UID_SIZE];
	uint64_t removed, octets;
	size_t len = 0;

	for (size_t i = 0; i < MANY; i++)
		len += (size_t)sprintf(text + len, FROM "%04zu\n\n", i % (MANY - 50));
	for (int error = 0; error <= ENOSPC; error += ENOSPC) {
		box_make();
		box_put("mbox", text);
		memset(marked, 0, sizeof(marked));
		pwrite_error = error;
		start();
		CU_ASSERT_EQUAL_FATAL(store.count, MANY);
		CU_ASSERT_EQUAL(store.octets, MANY * 6);
		store.backend->uid(&store, MANY - 1, uid);
		CU_ASSERT_STRING_EQUAL(uid + 64, "-2");
		store.backend->uid(&store, 49, kept);
		CU_ASSERT_EQUAL(memcmp(uid, kept, 64), 0);
		CU_ASSERT_EQUAL(strlen(kept), 64);
		CU_ASSERT_EQUAL(store.backend->size(&store, ROWS_PAGE, true, &octets), STORE_OK);
		CU_ASSERT_EQUAL(octets, 6);
		store.backend->uid(&store, 4099, kept);
		pwrite_error = 0;
		for (size_t i = 0; i < MANY; i += 2)
			store_mark(marked, i);
		CU_ASSERT_EQUAL(store.backend->remove(&store, marked, &removed), STORE_OK);
		CU_ASSERT_EQUAL(removed, MANY / 2);
		store_end();
		start();
		CU_ASSERT_EQUAL(store.count, MANY / 2);
		store.backend->uid(&store, 4099 / 2, uid);
		CU_ASSERT_STRING_EQUAL(uid, kept);
		store_end();
		box_remove();
	}
}

/* Other hosts know a change by the mtime; mail readers know by the atime that there is no new mail.
 */
static void
test_stamps(void)
{
	struct utimbuf times = {1700000001, 1700000000};
	uint64_t marked = 1, removed;
	struct stat st;

	box_make();
	box_put("mbox", MAIL("1") MAIL("2"));
	CU_ASSERT_EQUAL_FATAL(utime(box_path("mbox"), &times), 0);
	start();
	CU_ASSERT_EQUAL(store.backend->remove(&store, &marked, &removed), STORE_OK);
	store_end();
	CU_ASSERT_EQUAL_FATAL(stat(box_path("mbox"), &st), 0);
	CU_ASSERT_TRUE(st.st_mtime > times.modtime);
	CU_ASSERT_TRUE(st.st_atime >= st.st_mtime);
	box_remove();
}

static const struct unit_test tests[] = {
    {"MBX-05 MBX-06 MBX-08 MBX-09 where messages begin and end", test_split},
    {"MBX-05 lax splitting", test_lax},
    {"MBX-06 quotes of the formats", test_quotes},
    {"MBX-06 Content-Length", test_content_length},
    {"MBX-06 Content-Length in the middle of a long line", test_long_last_line},
    {"MBX-04 MBX-06 removal in another style", test_remove_in_style},
    {"MBX-08 folder internal data", test_internal},
    {"MBX-09 not an mbox, missing", test_refused},
    {"MBX-05 blank lines at the start", test_leading_blanks},
    {"MBX-07 SIZ-01 sizes", test_sizes},
    {"MLT-06 edges of blocks", test_edges},
    {"UID-02 UID-06 unique-ids", test_uids},
    {"MBX-04 UPD-08 removal", test_remove},
    {"MBX-03 TRX-07 changed by others", test_changed},
    {"MBX-03 read anew", test_read_anew},
    {"MBX-03 read anew without fallocate", test_read_anew_without_fallocate},
    {"MBX-09 garbled on a shared file system", test_garbled},
    {"MBX-04 UPD-08 removal over quota", test_over_quota},
    {"RSP-08 UPD-08 no memory at a removal", test_no_memory},
    {"MBX-04 UID-03 SIZ-01 a long table", test_many},
    {"MBX-04 time stamps", test_stamps},
    {"LCK-01 LCK-06 LCK-07 session lock", test_session_lock},
    {"MBX-01 dot-locks left behind", test_dot_lock},
    {NULL, NULL},
};

int
main(void)
{
	log_set_level(LOG_ALERT);
	return unit_run("mbox", tests);
}
