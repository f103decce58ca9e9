#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/box.h"
#include "worker/store/maildir_build.h"
#include "worker/store/maildir_index.h"
#include "worker/store/uids.h"

enum { SETTLE_MS = 80, MANY = 5000 };

/* Let time stamps be old enough to be trusted. */
static void
settle(void)
{
	const struct timespec wait = {0, SETTLE_MS * 1000000L};

	(void)nanosleep(&wait, NULL);
}

static void
maildir_make(void)
{
	static const char *const dirs[] = {"new", "cur", "tmp"};

	box_make();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(box_path(dirs[i]), 0700) == -1)
			abort();
}

/* With messages of both directories and two of one name. */
static void
maildir_fill(void)
{
	maildir_make();
	box_put("new/1.a.h", "one\n");
	box_put("cur/2.b.h:2,S", "two two\n");
	box_put("cur/3.c.h:2,", "three");
	box_put("cur/4.d.h:2,S", "copy");
	box_put("cur/4.d.h:2,T", "other copy");
	box_put("new/5 e", "no unique-id\n");
}

static void
start(void)
{
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "maildir", box), STORE_OK);
}

static ino_t
inode(const char *name)
{
	struct stat st;

	return lstat(box_path(name), &st) == 0 ? st.st_ino : 0;
}

/* A session that looks at every size, and what it saw: "UID SIZE" lines. */
static const char *
session(void)
{
	static char seen[2][4096];
	static int turn;
	size_t len = 0;

	turn = !turn;
	seen[turn][0] = '\0';
	start();
	for (size_t i = 0; i < store.count && !store.lost; i++)
		len += (size_t)snprintf(seen[turn] + len, sizeof(seen[turn]) - len, "%s %d\n",
					uid(i), (int)size(i));
	store_end();
	return seen[turn];
}

/* A session without its files changing, so that it is the next one's. */
static const char *
settled_session(void)
{
	settle();
	(void)session();
	return session();
}

static void
change(const char *from, const char *to)
{
	if (rename(box_path(from), box_path(to)) == -1)
		abort();
}

static void
test_unchanged(void)
{
	ino_t first;

	maildir_fill();
	settle();
	start();
	CU_ASSERT_EQUAL(store.octets, STORE_NO_SIZE);
	store_end();
	first = inode(INDEX_FILE);
	CU_ASSERT_NOT_EQUAL(first, 0);
	start();
	CU_ASSERT_EQUAL(store.count, 6);
	CU_ASSERT_EQUAL(size(0), 5);
	CU_ASSERT_STRING_EQUAL(uid(1), "2.b.h");
	store_end();
	CU_ASSERT_EQUAL(inode(INDEX_FILE), first);
	(void)session();
	CU_ASSERT_EQUAL(inode(INDEX_FILE), first);
	/* all sizes have been seen */
	start();
	CU_ASSERT_EQUAL(store.octets, 5 + 9 + 7 + 6 + 12 + 14);
	store_end();
	CU_ASSERT(!box_has(INDEX_NEW_FILE));
	box_remove();
}

/* A session that ends after one size has saved the reading of that one. */
static void
test_interrupted(void)
{
	maildir_fill();
	settle();
	start();
	CU_ASSERT_EQUAL(size(1), 9);
	store_end();
	box_put("cur/2.b.h:2,S", "changed, which no Maildir does");
	box_put("new/1.a.h", "changed");
	start();
	CU_ASSERT_EQUAL(size(1), 9);
	CU_ASSERT_EQUAL(size(0), 9);
	store_end();
	box_remove();
}

/* Not one of the files that were measured is read again. */
static void
test_changes_by_others(void)
{
	const char *before;

	maildir_fill();
	before = settled_session();
	box_put("cur/2.b.h:2,S", "x");
	box_put("cur/3.c.h:2,", "x");
	box_put("cur/4.d.h:2,S", "x");
	change("new/1.a.h", "cur/1.a.h:2,");
	change("cur/2.b.h:2,S", "cur/2.b.h:2,RS");
	change("cur/3.c.h:2,", "new/3.c.h");
	CU_ASSERT_STRING_EQUAL(session(), before);
	box_put("new/6.new", "six\n");
	start();
	CU_ASSERT_EQUAL(store.count, 7);
	CU_ASSERT_EQUAL(store.octets, STORE_NO_SIZE);
	CU_ASSERT_EQUAL(store.vanished, 0);
	store_end();
	(void)unlink(box_path("new/3.c.h"));
	start();
	CU_ASSERT_EQUAL(store.count, 6);
	CU_ASSERT_EQUAL(store.vanished, 1);
	CU_ASSERT_EQUAL(size(1), 9);
	store_end();
	start();
	CU_ASSERT_EQUAL(store.vanished, 0);
	store_end();
	box_remove();
}

static void
test_update(void)
{
	uint64_t removed;

	maildir_fill();
	(void)settled_session();
	start();
	CU_ASSERT_EQUAL(remove_marked(2 | 4, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	store_end();
	box_put("cur/4.d.h:2,S", "x");
	box_put("new/1.a.h", "x");
	settle();
	start();
	CU_ASSERT_EQUAL(store.count, 4);
	CU_ASSERT_EQUAL(store.vanished, 0);
	CU_ASSERT_EQUAL(store.octets, 5 + 6 + 12 + 14);
	store_end();
	box_remove();
}

/* Whatever the time between two deliveries and a login is. */
static void
test_one_tick(void)
{
	char name[64];
	bool right = true;

	maildir_make();
	for (int i = 0; i < 300; i++) {
		(void)snprintf(name, sizeof(name), i % 3 == 0 ? "cur/%d.x:2," : "new/%d.x", i);
		box_put(name, "x");
		start();
		right = right && store.count == (size_t)i + 1;
		store_end();
		if (i % 50 == 0)
			settle();
	}
	CU_ASSERT(right);
	box_remove();
}

/* The second name of a file is not forgotten when only the directory of the first one changes. */
static void
test_linked(void)
{
	uint64_t removed;

	maildir_fill();
	if (link(box_path("new/1.a.h"), box_path("cur/1.a.h:2,S")) == -1)
		abort();
	(void)settled_session();
	box_put("new/7.x", "x");
	start();
	CU_ASSERT_EQUAL(store.count, 7);
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	CU_ASSERT(!box_has("new/1.a.h") && !box_has("cur/1.a.h:2,S"));
	box_put("new/1.a.h", "one\n");
	if (link(box_path("new/1.a.h"), box_path("cur/1.a.h:2,S")) == -1)
		abort();
	(void)settled_session();
	(void)unlink(box_path("new/1.a.h"));
	start();
	CU_ASSERT_EQUAL(store.count, 7);
	CU_ASSERT_STRING_EQUAL(text(0), "one\n");
	store_end();
	box_remove();
}

/* What has just changed is not believed to be settled, whatever the time of its contents says. */
static void
test_settled(void)
{
	static const struct timespec long_ago[2] = {{1000000000, 0}, {1000000000, 0}};
	struct maildir_index ix;
	int dir;

	maildir_fill();
	dir = open(box, O_RDONLY | O_DIRECTORY);
	settle();
	(void)utimensat(AT_FDCWD, box_path("new"), long_ago, 0);
	start();
	store_end();
	CU_ASSERT_EQUAL_FATAL(index_open(&ix, dir), 0);
	CU_ASSERT_EQUAL(ix.head.settled, 1 << MAILDIR_CUR);
	index_close(&ix);
	settle();
	start();
	store_end();
	CU_ASSERT_EQUAL_FATAL(index_open(&ix, dir), 0);
	CU_ASSERT_EQUAL(ix.head.settled, 1 << MAILDIR_CUR | 1 << MAILDIR_NEW);
	index_close(&ix);
	(void)close(dir);
	box_remove();
}

static void
test_first_fetched(void)
{
	int64_t when;

	maildir_fill();
	settle();
	start();
	CU_ASSERT_EQUAL(store.backend->fetched_at(&store, 2), 0);
	store.backend->fetched(&store, 2);
	when = store.backend->fetched_at(&store, 2);
	CU_ASSERT(when > time(NULL) - 60 && when <= time(NULL));
	store_end();
	change("cur/3.c.h:2,", "cur/3.c.h:2,S");
	start();
	CU_ASSERT_EQUAL(store.backend->fetched_at(&store, 2), when);
	CU_ASSERT_EQUAL(store.backend->fetched_at(&store, 1), 0);
	store_end();
	box_remove();
}

/* What RETR found out: told as before in this session, and read anew in the next. */
static void
test_wrong_size(void)
{
	maildir_fill();
	(void)settled_session();
	box_put("new/1.a.h", "seven\n");
	start();
	CU_ASSERT_EQUAL(store.octets, 5 + 9 + 7 + 6 + 12 + 14);
	store.backend->forget_size(&store, 0);
	CU_ASSERT_EQUAL(size(0), 5);
	store_end();
	start();
	CU_ASSERT_EQUAL(store.octets, STORE_NO_SIZE);
	CU_ASSERT_EQUAL(size(0), 7);
	store_end();
	start();
	CU_ASSERT_EQUAL(store.octets, 7 + 9 + 7 + 6 + 12 + 14);
	store_end();
	box_remove();
}

/* A size that was told as 0 is for one session only. */
static void
test_vanished_size(void)
{
	maildir_fill();
	settle();
	change("new/1.a.h", "tmp/1");
	change("tmp/1", "new/1.a.h");
	settle();
	start();
	change("new/1.a.h", "tmp/1");
	CU_ASSERT_EQUAL(size(0), 0);
	CU_ASSERT_EQUAL(size(0), 0);
	store_end();
	change("tmp/1", "new/1.a.h");
	start();
	CU_ASSERT_EQUAL(size(0), 5);
	store_end();
	box_remove();
}

static void
test_claimed_sizes(void)
{
	maildir_make();
	box_put("cur/1.a,S=3,W=99:2,S", "abc");
	box_put("cur/2.a,S=99:2,S", "abc\n");
	CU_ASSERT_STRING_EQUAL(session(), "1.a,S=3,W=99 5\n2.a,S=99 5\n");
	box_remove();
}

/* Sound, of which octet soever the value changes, and however much of the file is there. */
static void
test_damage(void)
{
	char good[8192], bad[sizeof(good)];
	const char *before;
	bool right = true;
	size_t len;
	FILE *f;

	maildir_fill();
	before = strdup(settled_session());
	f = fopen(box_path(INDEX_FILE), "r");
	len = f != NULL ? fread(good, 1, sizeof(good), f) : 0;
	CU_ASSERT_FATAL(len > sizeof(struct index_head) && len < sizeof(good));
	(void)fclose(f);
	for (size_t i = 0; i < len && right; i++) {
		memcpy(bad, good, len);
		bad[i] = (char)(bad[i] ^ (1 << i % 8));
		box_write(INDEX_FILE, "w", bad, len);
		right = strcmp(session(), before) == 0;
		box_write(INDEX_FILE, "w", good, i);
		right = right && strcmp(session(), before) == 0;
	}
	CU_ASSERT(right);
	free((void *)(uintptr_t)before);
	box_remove();
}

/* Which files are not taken for one's own index. */
static void
test_trust(void)
{
	const char *before;

	maildir_fill();
	before = strdup(settled_session());
	(void)chmod(box_path(INDEX_FILE), 0622);
	CU_ASSERT_STRING_EQUAL(session(), before);
	CU_ASSERT(link(box_path(INDEX_FILE), box_path("second")) == 0);
	CU_ASSERT_STRING_EQUAL(session(), before);
	if (geteuid() == 0) {
		ino_t foreign = inode(INDEX_FILE);

		CU_ASSERT(chown(box_path(INDEX_FILE), 12345, 12345) == 0);
		CU_ASSERT_STRING_EQUAL(session(), before);
		CU_ASSERT_NOT_EQUAL(inode(INDEX_FILE), foreign);
	}
	(void)unlink(box_path(INDEX_FILE));
	CU_ASSERT(symlink("second", box_path(INDEX_FILE)) == 0);
	CU_ASSERT_STRING_EQUAL(session(), before);
	(void)unlink(box_path(INDEX_FILE));
	CU_ASSERT(mkfifo(box_path(INDEX_FILE), 0600) == 0);
	CU_ASSERT_STRING_EQUAL(session(), before);
	free((void *)(uintptr_t)before);
	box_remove();
}

/* Where no file can be had, or none can be put into place. */
static void
test_no_file(void)
{
	const char *before;
	uint64_t removed;

	maildir_fill();
	before = strdup(settled_session());
	(void)unlink(box_path(INDEX_FILE));
	CU_ASSERT(mkdir(box_path(INDEX_NEW_FILE), 0700) == 0);
	CU_ASSERT_STRING_EQUAL(session(), before);
	CU_ASSERT(!box_has(INDEX_FILE));
	start();
	change("cur/2.b.h:2,S", "cur/2.b.h:2,T");
	CU_ASSERT_STRING_EQUAL(text(1), "two two\n");
	CU_ASSERT_EQUAL(size(1), 9);
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	(void)rmdir(box_path(INDEX_NEW_FILE));
	CU_ASSERT(mkdir(box_path(INDEX_FILE), 0700) == 0);
	start();
	CU_ASSERT_EQUAL(store.count, 5);
	CU_ASSERT_EQUAL(size(0), 9);
	store_end();
	CU_ASSERT(!box_has(INDEX_NEW_FILE));
	free((void *)(uintptr_t)before);
	box_remove();
}

static void
cut(off_t len)
{
	if (truncate(box_path(INDEX_FILE), len) == -1)
		abort();
}

/* Cut short before a message was looked at, the index is made anew, if the mailbox is still the
 * one of the login. */
static void
test_cut_before_use(void)
{
	maildir_fill();
	(void)settled_session();
	start();
	cut(0);
	CU_ASSERT_EQUAL(size(1), 9);
	CU_ASSERT(!store.lost);
	store_end();
	start();
	cut(sizeof(struct index_head));
	box_put("new/7.late", "late");
	CU_ASSERT_STRING_EQUAL(uid(0), "");
	CU_ASSERT(store.lost);
	store_end();
	start();
	CU_ASSERT_EQUAL(store.count, 7);
	CU_ASSERT_STRING_EQUAL(uid(0), "1.a.h");
	store_end();
	box_remove();
}

/* Afterwards nothing may be told or removed any more. */
static void
test_cut_in_use(void)
{
	uint64_t removed, marked = 3, octets;
	struct store_reader r;

	maildir_fill();
	(void)settled_session();
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), "1.a.h");
	cut(0);
	CU_ASSERT_STRING_EQUAL(uid(0), "");
	CU_ASSERT(store.lost);
	CU_ASSERT_EQUAL(store.backend->get(&store, 1, &r), STORE_TEMP);
	CU_ASSERT_EQUAL(store.backend->size(&store, 1, true, &octets), STORE_TEMP);
	CU_ASSERT_EQUAL(store.backend->remove(&store, &marked, &removed), STORE_TEMP);
	CU_ASSERT_EQUAL(removed, 0);
	CU_ASSERT_EQUAL(marked, 0);
	store_end();
	CU_ASSERT(box_has("new/1.a.h") && box_has("cur/2.b.h:2,S"));
	box_remove();
}

/* Also while it is being looked up again under what names messages are. */
static void
test_cut_and_renamed(void)
{
	struct store_reader r;

	maildir_fill();
	(void)settled_session();
	start();
	(void)uid(0);
	change("cur/2.b.h:2,S", "cur/2.b.h:2,T");
	cut(sizeof(struct index_head));
	CU_ASSERT_EQUAL(store.backend->get(&store, 1, &r), STORE_TEMP);
	store_end();
	start();
	CU_ASSERT_STRING_EQUAL(text(1), "two two\n");
	store_end();
	box_remove();
}

static void
test_taken_over(void)
{
	struct uids_writer w;
	uint64_t octets;
	int dir;

	maildir_fill();
	(void)settled_session();
	dir = open(box, O_RDONLY | O_DIRECTORY);
	CU_ASSERT_EQUAL_FATAL(uids_write_begin(&w, dir), 0);
	CU_ASSERT_EQUAL(uids_write_line(&w, "first", "3.c.h", 5), 0);
	CU_ASSERT_EQUAL(uids_write_line(&w, "1.a.h", "2.b.h", 5), 0);
	CU_ASSERT_EQUAL(uids_write_line(&w, "again", "4.d.h", 5), 0);
	CU_ASSERT_EQUAL(uids_write_end(&w), 0);
	box_put("cur/3.c.h:2,", "not read again");
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 6);
	CU_ASSERT_STRING_EQUAL(uid(0), "first");
	CU_ASSERT_STRING_EQUAL(uid(1), "1.a.h");
	CU_ASSERT_STRING_EQUAL(uid(2), "again");
	CU_ASSERT_EQUAL(strlen(uid(3)), 64);
	CU_ASSERT_EQUAL(strlen(uid(4)), 64); /* whose base name is another's by now */
	CU_ASSERT_EQUAL(size(0), 7);
	CU_ASSERT_EQUAL(size(4), 5);
	CU_ASSERT_EQUAL(store.octets, 5 + 9 + 7 + 6 + 12 + 14);
	store_end();
	box_put("new/6.new", "six\n");
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), "first");
	CU_ASSERT_STRING_EQUAL(uid(6), "6.new");
	CU_ASSERT_EQUAL(store.vanished, 0);
	for (size_t i = 0; i < 6; i++) {
		(void)store.backend->size(&store, i, false, &octets);
		CU_ASSERT_NOT_EQUAL(octets, STORE_NO_SIZE);
	}
	store_end();
	(void)close(dir);
	box_remove();
}

/* More than a block of everything; the order is that of a Maildir without an index. */
static void
test_many(void)
{
	char name[64], expected[64];
	uint64_t octets;
	bool right = true;

	maildir_make();
	for (int i = MANY; i > 0; i--) {
		(void)snprintf(name, sizeof(name), i % 3 == 0 ? "new/%d.a.h" : "cur/%d.a.h:2,S", i);
		box_put(name, "x\n");
	}
	start();
	for (size_t i = 0; i < MANY; i++)
		right = right && size(i) == 3;
	store_end();
	for (int i = 2; i <= MANY; i += 7) {
		(void)snprintf(name, sizeof(name), i % 3 == 0 ? "new/%d.a.h" : "cur/%d.a.h:2,S", i);
		(void)unlink(box_path(name));
	}
	box_put("new/1.00.late", "late");
	start();
	CU_ASSERT_EQUAL(store.vanished, (MANY - 2) / 7 + 1);
	for (size_t i = 0; i < store.count; i++) {
		(void)store.backend->size(&store, i, false, &octets);
		right = right && (octets == 3) == (strcmp(uid(i), "1.00.late") != 0);
	}
	for (size_t i = 0, n = 1; n <= MANY; n++) {
		if (n % 7 == 2)
			continue;
		(void)snprintf(expected, sizeof(expected), "%zu.a.h", n);
		i += i == 0 && strcmp(uid(i), "1.00.late") == 0;
		i += i == 1 && strcmp(uid(i), "1.00.late") == 0;
		right = right && strcmp(uid(i++), expected) == 0;
	}
	CU_ASSERT(right);
	store_end();
	box_remove();
}

static const struct unit_test tests[] = {
    {"unchanged: nothing is written", test_unchanged},
    {"SIZ-06 an interrupted session keeps what it has measured", test_interrupted},
    {"MDR-05 SIZ-06 nothing is read again for others' changes", test_changes_by_others},
    {"UPD-02 nor for our own UPDATE", test_update},
    {"MDR-06 two deliveries in one tick", test_one_tick},
    {"MDR-06 settled time stamps", test_settled},
    {"MDR-06 a file with two names", test_linked},
    {"first retrieval", test_first_fetched},
    {"SIZ-06 a size that was wrong", test_wrong_size},
    {"SIZ-06 a size told as 0", test_vanished_size},
    {"SIZ-06 MDR-08 sizes in names", test_claimed_sizes},
    {"each octet damaged, each length", test_damage},
    {"foreign and linked files", test_trust},
    {"no file can be had", test_no_file},
    {"cut short before its first use", test_cut_before_use},
    {"cut short in use", test_cut_in_use},
    {"cut short in use, and messages renamed", test_cut_and_renamed},
    {"UID-01 unique-ids and order taken over", test_taken_over},
    {"MDR-03 thousands", test_many},
    {NULL, NULL},
};

int
main(void)
{
	log_set_level(LOG_ALERT); /* what is told to the log here is meant to happen */
	return unit_run("maildir_index", tests);
}
