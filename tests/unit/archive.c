#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "tests/unit/unit.h"
#include "worker/store/archive.h"
#include "worker/store/store.h"

static char box[] = "/tmp/pop3d-archive-XXXXXX";
static const struct mbox_style style = {.quotes = SIZE_MAX};
static int in, table, flags;
static struct archive archive;

static void
put(const char *name, const char *text)
{
	char path[sizeof(box) + 64];
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/%s", box, name);
	f = fopen(path, "w");
	if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF)
		abort();
}

static void
run_begin(void)
{
	strcpy(box + sizeof(box) - 7, "XXXXXX");
	if (mkdtemp(box) == NULL || (in = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) == -1)
		abort();
	table = memfd_create("table", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	flags = memfd_create("flags", MFD_CLOEXEC);
}

/* Scan it, as at the start of a run. */
static void
run_scan(enum archive_kind kind, uint32_t options)
{
	CU_ASSERT_EQUAL_FATAL(archive_scan(in, kind, &style, options, table), 0);
	CU_ASSERT_EQUAL_FATAL(fcntl(table, F_ADD_SEALS, F_SEAL_WRITE), 0);
	CU_ASSERT_EQUAL_FATAL(ftruncate(flags, 1000), 0);
	CU_ASSERT_EQUAL_FATAL(archive_map(&archive, table, flags), 0);
}

static void
run_end(void)
{
	char command[sizeof(box) + 16];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", box);
	if (system(command) != 0)
		abort();
	(void)close(in);
	(void)close(table);
	(void)close(flags);
}

static enum store_result
session_begin(struct store *s)
{
	enum store_result result;

	*s = (struct store){.backend = &store_archive, .path = box, .given = {table, flags}};
	result = s->backend->open(s, true);
	if (result == STORE_OK)
		result = s->backend->lock(s);
	return result == STORE_OK ? s->backend->list(s) : result;
}

static void
test_order_and_uids(void)
{
	static const char *const names[] = {"1.eml", "2.eml", "10.eml"};
	char uid[STORE_UID_SIZE];
	uint64_t octets;
	struct store s;

	run_begin();
	put("10.eml", "abc");
	put("2.eml", "a\nb\r\n");
	put("1.eml", "abc");
	put(".hidden", "x");
	run_scan(ARCHIVE_DIRECTORY, 0);
	CU_ASSERT_EQUAL_FATAL(archive.head->count, 3);
	CU_ASSERT_EQUAL(archive.head->octets, 5 + 6 + 5);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_STRING_EQUAL(archive_name(&archive, i), names[i]);
	CU_ASSERT_EQUAL_FATAL(session_begin(&s), STORE_OK);
	CU_ASSERT_EQUAL(s.count, 3);
	CU_ASSERT_EQUAL_FATAL(s.confine_count, 1);
	CU_ASSERT_EQUAL(s.confine[0].access, SANDBOX_READ);
	/* FIPS 180: the digest of "abc" */
	s.backend->uid(&s, 0, uid);
	CU_ASSERT_STRING_EQUAL(uid, "a9993e364706816aba3e25717850c26c9cd0d89d");
	s.backend->uid(&s, 2, uid);
	CU_ASSERT_STRING_EQUAL(uid, "a9993e364706816aba3e25717850c26c9cd0d89d-2");
	CU_ASSERT_EQUAL(s.backend->size(&s, 1, false, &octets), STORE_OK);
	CU_ASSERT_EQUAL(octets, 6);
	s.backend->close(&s);
	run_end();
}

static void
test_deletions_are_hidden(void)
{
	uint64_t second = 2;
	uint64_t removed;
	struct store s, other;

	run_begin();
	put("1", "abc");
	put("2", "def");
	put("3", "ghi");
	run_scan(ARCHIVE_DIRECTORY, 0);
	CU_ASSERT_EQUAL_FATAL(session_begin(&s), STORE_OK);
	CU_ASSERT_EQUAL(session_begin(&other), STORE_IN_USE);
	other.backend->close(&other);
	s.backend->fetched(&s, 0);
	CU_ASSERT_EQUAL(s.backend->remove(&s, &second, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 1);
	CU_ASSERT_EQUAL(s.count, 3);
	s.backend->close(&s);
	CU_ASSERT_EQUAL(archive_flags(&archive, 0), ARCHIVE_FETCHED);
	CU_ASSERT_EQUAL(archive_flags(&archive, 1), ARCHIVE_DELETED);
	CU_ASSERT_EQUAL_FATAL(session_begin(&s), STORE_OK);
	CU_ASSERT_EQUAL(s.count, 2);
	CU_ASSERT_EQUAL(faccessat(in, "2", F_OK, 0), 0);
	s.backend->close(&s);
	run_end();
}

static void
test_deletions_are_applied(void)
{
	uint64_t both = 3;
	uint64_t removed;
	struct store s;

	run_begin();
	if (mkdirat(in, "new", 0700) == -1 || mkdirat(in, "cur", 0700) == -1)
		abort();
	put("new/2.a", "abc");
	put("cur/1.a:2,S", "def");
	put("cur/3.a:2,S", "ghi");
	run_scan(ARCHIVE_MAILDIR, ARCHIVE_APPLY_DELETES);
	CU_ASSERT_STRING_EQUAL(archive_name(&archive, 0), "cur/1.a:2,S");
	CU_ASSERT_STRING_EQUAL(archive_name(&archive, 1), "new/2.a");
	CU_ASSERT_EQUAL_FATAL(session_begin(&s), STORE_OK);
	CU_ASSERT_EQUAL(s.confine[0].access, SANDBOX_WRITE);
	CU_ASSERT_EQUAL(s.backend->remove(&s, &both, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	CU_ASSERT_EQUAL(faccessat(in, "cur/1.a:2,S", F_OK, 0), -1);
	CU_ASSERT_EQUAL(faccessat(in, "new/2.a", F_OK, 0), -1);
	CU_ASSERT_EQUAL(faccessat(in, "cur/3.a:2,S", F_OK, 0), 0);
	s.backend->close(&s);
	run_end();
}

static void
test_changed_files(void)
{
	struct store_reader r;
	struct store s;
	char text[8];

	run_begin();
	put("1", "abc");
	put("2", "def");
	put("3", "ghi");
	run_scan(ARCHIVE_DIRECTORY, ARCHIVE_NO_LOCK);
	put("1", "abcd");
	(void)unlinkat(in, "2", 0);
	CU_ASSERT_EQUAL_FATAL(session_begin(&s), STORE_OK);
	log_set_level(LOG_EMERG);
	CU_ASSERT_EQUAL(s.backend->get(&s, 0, &r), STORE_PERM);
	log_set_level(LOG_INFO);
	CU_ASSERT_EQUAL(s.backend->get(&s, 1, &r), STORE_MISSING);
	CU_ASSERT_EQUAL_FATAL(s.backend->get(&s, 2, &r), STORE_OK);
	CU_ASSERT_EQUAL(store_read(&r, text, sizeof(text)), 3);
	CU_ASSERT_EQUAL(memcmp(text, "ghi", 3), 0);
	store_reader_end(&r);
	s.backend->close(&s);
	run_end();
}

#define FROM "From a@example.org Mon Jan  2 10:00:00 2023\n"

static char mbox_path[sizeof(box) + 8];

/* A run on an mbox with this text. */
static void
mbox_begin(const char *text, uint32_t options)
{
	int mbox;

	run_begin();
	put("mbox", text);
	(void)snprintf(mbox_path, sizeof(mbox_path), "%s/mbox", box);
	mbox = openat(in, "mbox", O_RDONLY | O_CLOEXEC);
	(void)close(in);
	in = mbox;
	run_scan(ARCHIVE_MBOX, options);
}

static enum store_result
mbox_session(struct store *s, const struct store_backend *backend)
{
	enum store_result result;

	*s = (struct store){
	    .backend = backend, .path = mbox_path, .home = "", .given = {table, flags}};
	result = s->backend->open(s, true);
	if (result == STORE_OK)
		result = s->backend->lock(s);
	return result == STORE_OK ? s->backend->list(s) : result;
}

static const char *
message(struct store *s, size_t i)
{
	static char text[512];
	struct store_reader r;
	ssize_t n;

	if (s->backend->get(s, i, &r) != STORE_OK)
		return NULL;
	n = store_read(&r, text, sizeof(text) - 1);
	store_reader_end(&r);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *
mbox_text(void)
{
	static char text[1024];
	int fd = open(mbox_path, O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	(void)close(fd);
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
test_mbox(void)
{
	static const char *const texts[] = {"Subject: 1\n\nFrom here on\n\n\n",
					    "Subject: 2\r\n\r\nlast\r\n", "", "Subject: 4"};
	char whole[512];
	struct store s;

	(void)snprintf(whole, sizeof(whole), FROM "%s\n" FROM "%s\r\n" FROM "\n" FROM "%s",
		       texts[0], texts[1], texts[3]);
	mbox_begin(whole, 0);
	CU_ASSERT_EQUAL_FATAL(archive.head->count, 4);
	CU_ASSERT_EQUAL_FATAL(mbox_session(&s, &store_archive), STORE_OK);
	CU_ASSERT_EQUAL(s.confine_count, 0);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_STRING_EQUAL(message(&s, i), texts[i]);
	s.backend->close(&s);
	run_end();
}

/* As the mbox store shows it; but the unique-id is of what is stored. */
static void
test_mbox_shown(void)
{
	static const char notes[] =
	    FROM "Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\n\n";
	static const char shown[] = "A: b\n\nFrom x\n>From y\n";
	char uid[STORE_UID_SIZE], whole[512];
	uint64_t octets;
	struct store s;

	(void)snprintf(whole, sizeof(whole), "%s" FROM "%s", notes,
		       "A: b\nStatus: RO\n\n>From x\n>>From y\n\n");
	mbox_begin(whole, 0);
	CU_ASSERT_EQUAL_FATAL(archive.head->count, 1);
	CU_ASSERT_EQUAL(archive.head->octets, strlen(shown) + 4);
	CU_ASSERT_EQUAL_FATAL(mbox_session(&s, &store_archive), STORE_OK);
	CU_ASSERT_STRING_EQUAL(message(&s, 0), shown);
	CU_ASSERT_EQUAL(s.backend->size(&s, 0, true, &octets), STORE_OK);
	CU_ASSERT_EQUAL(octets, strlen(shown) + 4);
	/* printf 'A: b\nStatus: RO\n\n>From x\n>>From y\n' | sha1sum */
	s.backend->uid(&s, 0, uid);
	CU_ASSERT_STRING_EQUAL(uid, "d91ef7720cfb23bf45905ec0f723af6ceecc4933");
	/* others write to it */
	put("mbox", FROM "A: b\n\n");
	log_set_level(LOG_EMERG);
	CU_ASSERT_PTR_NULL(message(&s, 0));
	log_set_level(LOG_INFO);
	s.backend->close(&s);
	run_end();
}

#define MAIL(n) FROM "N: " n "\n\nbody " n "\n\n"

static void
check_uids(struct store *s, size_t first, size_t count)
{
	char uid[STORE_UID_SIZE], want[STORE_UID_SIZE];

	CU_ASSERT_EQUAL_FATAL(s->count, count);
	for (size_t i = 0; i < count; i++) {
		s->backend->uid(s, i, uid);
		archive_uid(&archive.entries[first + i], want);
		CU_ASSERT_STRING_EQUAL(uid, want);
	}
}

static void
test_mbox_applied(void)
{
	uint64_t marked = 5, removed;
	struct store s, other;

	/* the second one again behind the third */
	mbox_begin(MAIL("1") MAIL("2") MAIL("3") MAIL("2") MAIL("5"), ARCHIVE_APPLY_DELETES);
	CU_ASSERT_EQUAL_FATAL(mbox_session(&s, &store_archive_mbox), STORE_OK);
	CU_ASSERT_EQUAL(mbox_session(&other, &store_archive_mbox), STORE_IN_USE);
	other.backend->close(&other);
	check_uids(&s, 0, 5);
	CU_ASSERT_STRING_EQUAL(message(&s, 1), "N: 2\n\nbody 2\n");
	s.backend->fetched(&s, 0);
	CU_ASSERT_EQUAL(s.backend->remove(&s, &marked, &removed), STORE_OK);
	CU_ASSERT_EQUAL(removed, 2);
	s.backend->close(&s);
	CU_ASSERT_STRING_EQUAL(mbox_text(), MAIL("2") MAIL("2") MAIL("5"));
	CU_ASSERT_EQUAL(archive_flags(&archive, 0), ARCHIVE_FETCHED | ARCHIVE_DELETED);
	CU_ASSERT_EQUAL(archive_flags(&archive, 1), 0);
	CU_ASSERT_EQUAL(archive_flags(&archive, 2), ARCHIVE_DELETED);
	/* mail that came since the start is no part of the run, and stays */
	put("mbox", MAIL("2") MAIL("2") MAIL("5") MAIL("6"));
	CU_ASSERT_EQUAL_FATAL(mbox_session(&s, &store_archive_mbox), STORE_OK);
	CU_ASSERT_EQUAL_FATAL(s.count, 3);
	CU_ASSERT_STRING_EQUAL(message(&s, 2), "N: 5\n\nbody 5\n");
	marked = 2;
	CU_ASSERT_EQUAL(s.backend->remove(&s, &marked, &removed), STORE_OK);
	s.backend->close(&s);
	CU_ASSERT_STRING_EQUAL(mbox_text(), MAIL("2") MAIL("5") MAIL("6"));
	CU_ASSERT_EQUAL(archive_flags(&archive, 1), 0);
	CU_ASSERT_EQUAL(archive_flags(&archive, 3), ARCHIVE_DELETED);
	run_end();
}

/* A session killed behind its rewrite has set no flag: the next one finds out. */
static void
test_mbox_gone(void)
{
	uint64_t marked = 1, removed;
	struct store s;

	mbox_begin(MAIL("1") MAIL("2") MAIL("1") MAIL("4"), ARCHIVE_APPLY_DELETES);
	put("mbox", MAIL("2") MAIL("1"));
	CU_ASSERT_EQUAL_FATAL(mbox_session(&s, &store_archive_mbox), STORE_OK);
	check_uids(&s, 1, 2);
	for (size_t i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(archive_flags(&archive, i), i % 3 == 0 ? ARCHIVE_DELETED : 0);
	/* what others do in the session: nothing is removed, and no flag set */
	put("mbox", MAIL("1"));
	log_set_level(LOG_EMERG);
	CU_ASSERT_EQUAL(s.backend->remove(&s, &marked, &removed), STORE_TEMP);
	log_set_level(LOG_INFO);
	CU_ASSERT_EQUAL(removed, 0);
	CU_ASSERT_EQUAL(marked, 0);
	CU_ASSERT_EQUAL(archive_flags(&archive, 1), 0);
	s.backend->close(&s);
	run_end();
}

/* A table comes from another process: one that is torn is refused. */
static void
test_broken_tables(void)
{
	static const size_t lengths[] = {0, 1, sizeof(struct archive_head),
					 sizeof(struct archive_head) + 40};
	struct archive_head head = {.count = 1};
	struct archive a;

	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int fd = memfd_create("broken", MFD_CLOEXEC);

		if (ftruncate(fd, (off_t)lengths[i]) == -1 ||
		    (i > 1 && pwrite(fd, &head, sizeof(head), 0) == -1))
			abort();
		CU_ASSERT_EQUAL(archive_map(&a, fd, fd), -1);
		(void)close(fd);
	}
	CU_ASSERT_EQUAL(archive_map(&a, -1, -1), -1);
}

static const struct unit_test tests[] = {
    {"natural order, sizes, SHA-1 unique-ids of duplicates", test_order_and_uids},
    {"deletions hide messages and touch no file", test_deletions_are_hidden},
    {"deletions applied to a Maildir", test_deletions_are_applied},
    {"files changed since the start", test_changed_files},
    {"MBX-05 MBX-09 the messages of an mbox", test_mbox},
    {"MBX-06 MBX-07 MBX-08 what is shown of an mbox", test_mbox_shown},
    {"deletions applied to an mbox", test_mbox_applied},
    {"deletions of an mbox that others made", test_mbox_gone},
    {"broken tables", test_broken_tables},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("archive", tests);
}
