#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/unit.h"
#include "worker/store/store.h"

/* A Maildir of its own for each test. */
static char box[64];
static struct store store;

static const char *
path_of(const char *name)
{
	static char paths[2][sizeof(box) + NAME_MAX + 2];
	static int turn;

	turn = !turn;
	(void)snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", box, name);
	return paths[turn];
}

static void
box_make(void)
{
	static const char *const dirs[] = {"new", "cur", "tmp"};

	strcpy(box, "/tmp/pop3d-maildir-XXXXXX");
	if (mkdtemp(box) == NULL)
		abort();
	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++)
		if (mkdir(path_of(dirs[i]), 0700) == -1)
			abort();
}

static void
box_remove(void)
{
	char command[sizeof(box) + 16];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", box);
	if (system(command) != 0)
		abort();
}

static void
put(const char *name, const char *text)
{
	FILE *f = fopen(path_of(name), "w");

	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		abort();
}

static bool
there(const char *name)
{
	struct stat st;

	return lstat(path_of(name), &st) == 0;
}

static enum store_result
open_as(struct store *s, const char *path, bool missing_is_empty)
{
	enum store_result result;

	memset(s, 0, sizeof(*s));
	s->path = path;
	s->backend = store_find("maildir");
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->backend);
	if ((result = s->backend->open(s, missing_is_empty)) != STORE_OK ||
	    (result = s->backend->lock(s)) != STORE_OK)
		return result;
	return s->backend->list(s);
}

static void
store_start(void)
{
	CU_ASSERT_EQUAL_FATAL(open_as(&store, box, false), STORE_OK);
}

static void
store_end(void)
{
	store.backend->close(&store);
}

static const char *
uid(size_t i)
{
	static char out[STORE_UID_SIZE];

	store.backend->uid(&store, i, out);
	return out;
}

static uint64_t
size(size_t i)
{
	uint64_t octets = 12345;

	CU_ASSERT_EQUAL(store.backend->size(&store, i, true, &octets), STORE_OK);
	return octets;
}

/* The text of a message, or NULL. */
static const char *
text(size_t i)
{
	static char buf[4096];
	struct store_reader r;
	ssize_t n;

	if (store.backend->get(&store, i, &r) != STORE_OK)
		return NULL;
	n = store_read(&r, buf, sizeof(buf) - 1);
	store_reader_end(&r);
	if (n < 0)
		return NULL;
	buf[n] = '\0';
	return buf;
}

static enum store_result
result_of_get(size_t i)
{
	enum store_result result;
	struct store_reader r;

	result = store.backend->get(&store, i, &r);
	if (result == STORE_OK)
		store_reader_end(&r);
	return result;
}

static enum store_result
remove_marked(uint64_t bits, uint64_t *removed)
{
	return store.backend->remove(&store, &bits, removed);
}

static void
rename_to(const char *from, const char *to)
{
	if (rename(path_of(from), path_of(to)) == -1)
		abort();
}

static void
test_empty(void)
{
	box_make();
	store_start();
	CU_ASSERT_EQUAL(store.count, 0);
	store_end();
	box_remove();
}

static void
test_list(void)
{
	box_make();
	put("cur/10.a.h:2,S", "ten\n");
	put("new/2.a.h", "two");
	put("cur/30.a.h:2,", "thirty\r\n");
	put("cur/.hidden", "no");
	put("tmp/1.a.h", "no");
	store_start();
	put("new/1.later.h", "later");
	CU_ASSERT_EQUAL_FATAL(store.count, 3);
	CU_ASSERT_STRING_EQUAL(uid(0), "2.a.h");
	CU_ASSERT_STRING_EQUAL(uid(1), "10.a.h");
	CU_ASSERT_STRING_EQUAL(uid(2), "30.a.h");
	CU_ASSERT_EQUAL(size(0), 5);
	CU_ASSERT_EQUAL(size(1), 5);
	CU_ASSERT_EQUAL(size(2), 8);
	CU_ASSERT_STRING_EQUAL(text(0), "two");
	store_end();
	box_remove();
}

static void
test_only_regular_files(void)
{
	struct store_reader r;

	box_make();
	put("elsewhere", "secret");
	put("cur/1.a.h:2,", "x\n");
	if (symlink("../elsewhere", path_of("cur/2.link.h")) == -1 ||
	    mkfifo(path_of("cur/3.fifo.h"), 0600) == -1 ||
	    mkdir(path_of("new/4.dir.h"), 0700) == -1)
		abort();
	store_start();
	CU_ASSERT_EQUAL(store.count, 1);
	/* and what is swapped in afterwards is not followed or waited for */
	rename_to("cur/2.link.h", "cur/1.a.h:2,");
	CU_ASSERT_EQUAL(store.backend->get(&store, 0, &r), STORE_PERM);
	CU_ASSERT_EQUAL(size(0), 0);
	rename_to("cur/3.fifo.h", "cur/1.a.h:2,");
	CU_ASSERT_EQUAL(store.backend->get(&store, 0, &r), STORE_PERM);
	store_end();
	box_remove();
}

static void
test_directories_by_link(void)
{
	box_make();
	rename_to("cur", "other");
	if (symlink("other", path_of("cur")) == -1)
		abort();
	CU_ASSERT_EQUAL(open_as(&store, box, true), STORE_PERM);
	store_end();
	box_remove();
}

static void
test_renamed_in_session(void)
{
	uint64_t removed;

	box_make();
	put("new/1.a.h", "one");
	put("new/2.a.h", "two");
	put("cur/3.a.h:2,", "three");
	store_start();
	rename_to("new/1.a.h", "cur/1.a.h:2,S");
	rename_to("cur/3.a.h:2,", "cur/3.a.h:2,RS");
	CU_ASSERT_STRING_EQUAL(text(0), "one");
	CU_ASSERT_STRING_EQUAL(text(1), "two");
	CU_ASSERT_STRING_EQUAL(text(2), "three");
	CU_ASSERT_STRING_EQUAL(uid(0), "1.a.h");
	rename_to("cur/1.a.h:2,S", "cur/1.a.h:2,FS");
	rename_to("new/2.a.h", "cur/2.a.h:2,T");
	CU_ASSERT_EQUAL(remove_marked(1 | 2, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	CU_ASSERT(!there("cur/1.a.h:2,FS") && !there("cur/2.a.h:2,T") && there("cur/3.a.h:2,RS"));
	store_end();
	box_remove();
}

static void
test_vanished(void)
{
	uint64_t removed;

	box_make();
	put("new/1.a.h", "one");
	put("new/2.a.h", "two");
	put("new/3.a.h", "three");
	store_start();
	CU_ASSERT_EQUAL(size(0), 5);
	(void)unlink(path_of("new/1.a.h"));
	(void)unlink(path_of("new/2.a.h"));
	CU_ASSERT_EQUAL(result_of_get(0), STORE_MISSING);
	CU_ASSERT_EQUAL(result_of_get(1), STORE_MISSING);
	CU_ASSERT_EQUAL(size(0), 5); /* told once, it stays */
	CU_ASSERT_EQUAL(size(1), 0);
	CU_ASSERT_EQUAL(store.count, 3);
	CU_ASSERT_STRING_EQUAL(uid(0), "1.a.h");
	CU_ASSERT_STRING_EQUAL(text(2), "three");
	CU_ASSERT_EQUAL(remove_marked(1 | 4, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	CU_ASSERT(!there("new/3.a.h"));
	store_end();
	box_remove();
}

static void
test_size_stays(void)
{
	uint64_t octets;

	box_make();
	put("new/1.a.h", "one");
	put("new/2.a.h", "two");
	store_start();
	CU_ASSERT_EQUAL(store.backend->size(&store, 0, false, &octets), STORE_OK);
	CU_ASSERT_EQUAL(octets, STORE_NO_SIZE);
	CU_ASSERT_EQUAL(size(0), 5);
	put("new/1.a.h", "longer now");
	CU_ASSERT_EQUAL(size(0), 5);
	store.backend->keep_size(&store, 1, 99);
	CU_ASSERT_EQUAL(size(1), 99);
	store_end();
	box_remove();
}

static void
test_duplicates(void)
{
	uint64_t removed;
	char first[STORE_UID_SIZE];

	box_make();
	put("new/1.a.h", "old");
	put("cur/1.a.h:2,S", "young");
	put("cur/2.b.h:2,", "b");
	store_start();
	CU_ASSERT_EQUAL_FATAL(store.count, 3);
	strcpy(first, uid(0));
	CU_ASSERT_STRING_NOT_EQUAL(first, uid(1));
	CU_ASSERT_EQUAL(strlen(uid(1)), 64);
	CU_ASSERT_STRING_NOT_EQUAL(text(0), "b");
	/* the one that is not marked stays, whatever happens to names */
	if (strcmp(text(0), "old") == 0) {
		rename_to("new/1.a.h", "cur/1.a.h:2,F");
		CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
		CU_ASSERT(there("cur/1.a.h:2,S") && !there("cur/1.a.h:2,F"));
	} else {
		rename_to("cur/1.a.h:2,S", "cur/1.a.h:2,F");
		CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
		CU_ASSERT(there("new/1.a.h") && !there("cur/1.a.h:2,F"));
	}
	CU_ASSERT_EQUAL(removed, 1);
	store_end();
	box_remove();
}

static void
test_duplicate_of_one_gone(void)
{
	uint64_t removed;

	box_make();
	put("cur/1.a.h:2,S", "first");
	put("cur/1.a.h:2,T", "second");
	store_start();
	CU_ASSERT_EQUAL_FATAL(store.count, 2);
	/* message 0 is removed by somebody: its duplicate must not be taken for it */
	(void)unlink(path_of(strcmp(text(0), "first") == 0 ? "cur/1.a.h:2,S" : "cur/1.a.h:2,T"));
	CU_ASSERT_EQUAL(result_of_get(0), STORE_MISSING);
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	CU_ASSERT(there("cur/1.a.h:2,S") || there("cur/1.a.h:2,T"));
	CU_ASSERT_EQUAL(result_of_get(1), STORE_OK);
	store_end();
	box_remove();
}

static void
test_late_duplicate_is_not_removed(void)
{
	uint64_t removed;

	box_make();
	put("cur/1.a.h:2,S", "ours");
	store_start();
	CU_ASSERT_EQUAL_FATAL(store.count, 1);
	rename_to("cur/1.a.h:2,S", "cur/1.a.h:2,RS");
	put("cur/1.a.h:2,T", "another's");
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_TEMP);
	CU_ASSERT_EQUAL(removed, 0);
	CU_ASSERT(there("cur/1.a.h:2,RS") && there("cur/1.a.h:2,T"));
	store_end();
	box_remove();
}

static void
test_two_links_of_one_file(void)
{
	uint64_t removed;

	box_make();
	put("new/1.a.h", "one");
	if (link(path_of("new/1.a.h"), path_of("cur/1.a.h:2,S")) == -1)
		abort();
	put("cur/2.a.h:2,S", "two");
	store_start();
	CU_ASSERT_EQUAL(store.count, 2);
	CU_ASSERT_STRING_EQUAL(uid(0), "1.a.h");
	CU_ASSERT_STRING_EQUAL(text(0), "one");
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 1);
	CU_ASSERT(!there("new/1.a.h") && !there("cur/1.a.h:2,S") && there("cur/2.a.h:2,S"));
	store_end();
	box_remove();
}

static void
test_failed_removal(void)
{
	uint64_t marked = 7, removed;

	box_make();
	put("new/1.a.h", "one");
	put("new/2.a.h", "two");
	put("new/3.a.h", "three");
	store_start();
	/* a directory in its place cannot be unlinked, not even by root */
	(void)unlink(path_of("new/2.a.h"));
	if (mkdir(path_of("new/2.a.h"), 0700) == -1)
		abort();
	CU_ASSERT_EQUAL(store.backend->remove(&store, &marked, &removed), STORE_PERM);
	CU_ASSERT_EQUAL(removed, 2);
	CU_ASSERT_EQUAL(marked, 5);
	CU_ASSERT(!there("new/1.a.h") && !there("new/3.a.h"));
	store_end();
	box_remove();
}

static void
test_lock(void)
{
	static char other_name[PATH_MAX + 8];
	struct store second;

	box_make();
	(void)snprintf(other_name, sizeof(other_name), "%s-link", box);
	if (symlink(box, other_name) == -1)
		abort();
	store_start();
	CU_ASSERT_EQUAL(open_as(&second, box, false), STORE_IN_USE);
	second.backend->close(&second);
	CU_ASSERT_EQUAL(open_as(&second, other_name, false), STORE_IN_USE);
	second.backend->close(&second);
	store_end();
	CU_ASSERT_EQUAL(open_as(&second, other_name, false), STORE_OK);
	second.backend->close(&second);
	(void)unlink(other_name);
	box_remove();
}

/* What cannot be created is no reason to refuse: flock alone serves. */
static void
test_lock_file_cannot_be_had(void)
{
	struct store second;

	box_make();
	if (mkdir(path_of("pop3d-lock"), 0700) == -1)
		abort();
	store_start();
	CU_ASSERT_EQUAL(open_as(&second, box, false), STORE_IN_USE);
	second.backend->close(&second);
	store_end();
	box_remove();
}

static void
test_missing(void)
{
	char path[sizeof(box) + 32];

	box_make();
	(void)snprintf(path, sizeof(path), "%s/Maildir", box);
	CU_ASSERT_EQUAL(open_as(&store, path, true), STORE_OK);
	CU_ASSERT_EQUAL(store.count, 0);
	CU_ASSERT_EQUAL(store.confine_count, 0);
	store_end();
	CU_ASSERT_EQUAL(open_as(&store, path, false), STORE_PERM);
	store_end();
	(void)snprintf(path, sizeof(path), "%s/none/Maildir", box);
	CU_ASSERT_EQUAL(open_as(&store, path, true), STORE_PERM);
	store_end();
	box_remove();
}

static void
test_not_a_maildir(void)
{
	char path[sizeof(box) + 32];

	box_make();
	(void)rmdir(path_of("new"));
	CU_ASSERT_EQUAL(open_as(&store, box, true), STORE_PERM);
	store_end();
	put("file", "x");
	(void)snprintf(path, sizeof(path), "%s/file", box);
	CU_ASSERT_EQUAL(open_as(&store, path, true), STORE_PERM);
	store_end();
	box_remove();
}

static void
test_file_cut_while_read(void)
{
	struct store_reader r;
	char buf[4];

	box_make();
	put("new/1.a.h", "twelve octet");
	store_start();
	CU_ASSERT_EQUAL_FATAL(store.backend->get(&store, 0, &r), STORE_OK);
	CU_ASSERT_EQUAL(store_read(&r, buf, sizeof(buf)), 4);
	if (truncate(path_of("new/1.a.h"), 6) == -1)
		abort();
	CU_ASSERT_EQUAL(store_read(&r, buf, sizeof(buf)), 2);
	errno = 0;
	CU_ASSERT_EQUAL(store_read(&r, buf, sizeof(buf)), -1);
	CU_ASSERT_EQUAL(errno, EIO);
	store_reader_end(&r);
	store_end();
	box_remove();
}

/* More than one block of directory entries and more than the first room for names. */
static void
test_many(void)
{
	enum { MANY = 3000 };
	char name[64], expected[64];
	bool right = true;

	box_make();
	for (int i = MANY; i > 0; i--) {
		(void)snprintf(
		    name, sizeof(name),
		    i % 3 == 0 ? "new/%d.a.host.example.org" : "cur/%d.a.host.example.org:2,S", i);
		put(name, "x\n");
	}
	store_start();
	CU_ASSERT_EQUAL_FATAL(store.count, MANY);
	for (int i = 1; i <= MANY; i++) {
		(void)snprintf(expected, sizeof(expected), "%d.a.host.example.org", i);
		right = right && strcmp(uid((size_t)i - 1), expected) == 0;
	}
	CU_ASSERT(right);
	for (int i = 3; i <= MANY; i += 3) {
		(void)snprintf(name, sizeof(name), "new/%d.a.host.example.org", i);
		(void)snprintf(expected, sizeof(expected), "cur/%d.a.host.example.org:2,", i);
		rename_to(name, expected);
	}
	for (int i = 1; i <= MANY; i++)
		right = right && text((size_t)i - 1) != NULL;
	CU_ASSERT(right);
	store_end();
	box_remove();
}

static const struct unit_test tests[] = {
    {"MDR-01 an empty one", test_empty},
    {"MDR-01 MDR-03 TRX-02 REG-14 list, order, sizes", test_list},
    {"MDR-10 only regular files, also later", test_only_regular_files},
    {"MDR-10 new/ and cur/ are not followed", test_directories_by_link},
    {"MDR-05 UID-02 renamed during the session", test_renamed_in_session},
    {"TRX-07 UPD-04 vanished during the session", test_vanished},
    {"SIZ-06 sizes stay", test_size_stays},
    {"UID-03 two files with one base name", test_duplicates},
    {"UPD-03 a duplicate is not taken for the one that has gone", test_duplicate_of_one_gone},
    {"UPD-03 a duplicate that came later is not removed", test_late_duplicate_is_not_removed},
    {"MDR-06 a file seen under two names counts once", test_two_links_of_one_file},
    {"UPD-03 UPD-05 one failed removal does not stop the others", test_failed_removal},
    {"LCK-01 LCK-07 lock, also under another name", test_lock},
    {"LCK-04 lock without a lock file", test_lock_file_cannot_be_had},
    {"MDR-11 missing", test_missing},
    {"MDR-11 not a Maildir", test_not_a_maildir},
    {"MLT-09 REG-16 a file that gets shorter", test_file_cut_while_read},
    {"MDR-05 thousands, renamed all at once", test_many},
    {NULL, NULL},
};

int
main(void)
{
	log_set_level(LOG_ALERT); /* what is told to the log here is meant to happen */
	return unit_run("maildir", tests);
}
