#include "config.h"

#include "common/log.h"
#include "tests/unit/box.h"

/* SHA-256 of "x\n" */
#define UID_X "73cb3858a687a8494ca3323053016282f3dad39d42cf62ca4e79dda2aac7d9ac"

static void
start(void)
{
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "dir", box), STORE_OK);
}

static void
test_order(void)
{
	static const char *const texts[] = {"two", "ten", "a two", "a ten"};

	box_make();
	box_put("10", "ten");
	box_put("2", "two");
	box_put("a10.eml", "a ten");
	box_put("a2.eml", "a two");
	box_put(".hidden", "no");
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 4);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_STRING_EQUAL(text(i), texts[i]);
	/* what comes later is not seen, and our own lock file never */
	box_put("1", "late");
	CU_ASSERT_EQUAL(store.count, 4);
	store_end();
	CU_ASSERT_TRUE(box_has(".pop3d-lock"));
	start();
	CU_ASSERT_EQUAL(store.count, 5);
	store_end();
	box_remove();
}

static void
test_uids(void)
{
	box_make();
	box_put("1", "x\n");
	box_put("2", "y\n");
	box_put("3", "x\n");
	box_put("4", "x\n");
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), UID_X);
	CU_ASSERT_STRING_NOT_EQUAL(uid(1), UID_X);
	CU_ASSERT_STRING_EQUAL(uid(2), UID_X "-2");
	CU_ASSERT_STRING_EQUAL(uid(3), UID_X "-3");
	CU_ASSERT_EQUAL(size(0), 3);
	store_end();
	/* a name is no part of it */
	if (rename(box_path("2"), box_path("20")) == -1)
		abort();
	box_put("2", "y\n");
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), UID_X);
	store_end();
	box_remove();
}

static void
test_uids_stay(void)
{
	uint64_t removed;

	box_make();
	box_put("1", "x\n");
	box_put("2", "x\n");
	box_put("3", "x\n");
	start();
	CU_ASSERT_EQUAL(remove_marked(1, &removed), STORE_OK);
	store_end();
	box_put("4", "x\n");
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 3);
	CU_ASSERT_STRING_EQUAL(uid(0), UID_X "-2");
	CU_ASSERT_STRING_EQUAL(uid(1), UID_X "-3");
	CU_ASSERT_STRING_EQUAL(uid(2), UID_X "-4");
	CU_ASSERT_EQUAL(remove_marked(7, &removed), STORE_OK);
	store_end();
	CU_ASSERT_FALSE(box_has(".pop3d-uids"));
	box_put("1", "x\n");
	box_put(".pop3d-uids", "nonsense\n" UID_X " 1 0\n" UID_X " 1\n");
	start();
	CU_ASSERT_STRING_EQUAL(uid(0), UID_X);
	store_end();
	box_remove();
}

static void
test_only_regular_files(void)
{
	struct store_reader r;

	box_make();
	box_put("1", "one");
	box_put("2", "two");
	if (symlink("1", box_path("3")) == -1 || mkdir(box_path("4"), 0700) == -1 ||
	    mkfifo(box_path("5"), 0600) == -1)
		abort();
	start();
	CU_ASSERT_EQUAL_FATAL(store.count, 2);
	/* what is put in the place of a message later is not followed or waited for */
	if (rename(box_path("3"), box_path("1")) == -1 ||
	    rename(box_path("5"), box_path("2")) == -1)
		abort();
	CU_ASSERT_EQUAL(store.backend->get(&store, 0, &r), STORE_PERM);
	CU_ASSERT_EQUAL(store.backend->get(&store, 1, &r), STORE_PERM);
	CU_ASSERT_EQUAL(size(0), 0);
	CU_ASSERT_EQUAL(strlen(uid(0)), 64);
	store_end();
	box_remove();
}

static void
test_remove(void)
{
	uint64_t removed;

	box_make();
	box_put("1", "one");
	box_put("2", "two");
	box_put("3", "three");
	box_put("4", "four");
	start();
	box_put(".new", "another one that gets its name");
	if (unlink(box_path("2")) == -1 || rename(box_path(".new"), box_path("3")) == -1)
		abort();
	CU_ASSERT_EQUAL(remove_marked(1 | 2 | 4, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 3);
	CU_ASSERT_FALSE(box_has("1"));
	CU_ASSERT_TRUE(box_has("3"));
	CU_ASSERT_TRUE(box_has("4"));
	store_end();
	box_remove();
}

static void
test_changed(void)
{
	struct store_reader r;
	uint64_t removed;

	box_make();
	box_put("1", "one");
	box_put("2", "two");
	start();
	CU_ASSERT_EQUAL(size(0), 5);
	box_append("1", " and more");
	CU_ASSERT_EQUAL(size(0), 5);
	CU_ASSERT_EQUAL(store.backend->get(&store, 0, &r), STORE_MISSING);
	CU_ASSERT_EQUAL(remove_marked(3, &removed), STORE_TEMP);
	CU_ASSERT_EQUAL(removed, 1);
	CU_ASSERT_TRUE(box_has("1"));
	CU_ASSERT_FALSE(box_has("2"));
	store_end();
	box_remove();
}

static void
test_lock(void)
{
	struct store other;
	char link[sizeof(box) + 8];

	box_make();
	(void)snprintf(link, sizeof(link), "%s-link", box);
	if (symlink(box, link) == -1)
		abort();
	start();
	CU_ASSERT_EQUAL(box_open(&other, "dir", link), STORE_IN_USE);
	other.backend->close(&other);
	store_end();
	start();
	store_end();
	(void)unlink(link);
	box_remove();
}

static void
test_missing(void)
{
	static char path[sizeof(box) + 16];

	box_make();
	(void)snprintf(path, sizeof(path), "%s/none", box);
	CU_ASSERT_EQUAL(box_open(&store, "dir", path), STORE_OK);
	CU_ASSERT_EQUAL(store.count, 0);
	store_end();
	(void)snprintf(path, sizeof(path), "%s/no/ne", box);
	CU_ASSERT_EQUAL(box_open(&store, "dir", path), STORE_PERM);
	store_end();
	CU_ASSERT_EQUAL(box_open(&store, "", ""), STORE_OK);
	CU_ASSERT_EQUAL(store.count, 0);
	store_end();
	box_remove();
}

static const struct unit_test tests[] = {
    {"REG-14 natural order, later files invisible", test_order},
    {"UID-03 UID-07 digests, numbers for equal ones", test_uids},
    {"UID-02 equal ones keep their numbers", test_uids_stay},
    {"only regular files", test_only_regular_files},
    {"UPD-04 removal of what is there, what has gone, what has another's name", test_remove},
    {"TRX-07 SIZ-06 a file that is written to", test_changed},
    {"LCK-01 LCK-07 lock", test_lock},
    {"missing, and no store at all", test_missing},
    {NULL, NULL},
};

int
main(void)
{
	log_set_level(LOG_ALERT);
	return unit_run("dir", tests);
}
