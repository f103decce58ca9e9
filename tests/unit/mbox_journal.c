/* worker/store/mbox_journal.c: each state in which a killed session can leave mbox and journal. */
#include "config.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "tests/unit/box.h"
#include "worker/store/mbox_journal.h"

#define MAIL(n) "From a@x Mon Jan  2 10:00:00 2023\nN: " n "\n\nbody " n "\n\n"
#define OLD	MAIL("1") MAIL("22") MAIL("3") MAIL("4444") MAIL("5")
#define NEW	MAIL("1") MAIL("3") MAIL("5")
#define LATE	MAIL("late")

enum { SLOT = 4096 }; /* the smallest */

static const struct mbox_style style = {.quotes = SIZE_MAX};
static struct mbox_journal journal;
static int mbox_fd, dir_fd;
static int syncs, fail_at; /* calls of fsync(2) so far, and the one at which the process dies */
static bool torn;	   /* what it was to sync in the journal did not get there whole */

/* Octets of a record that the test knows. */
enum { TURN_AT = 16, AT_AT = 24 };

static uint64_t
turn_at(int fd, off_t place)
{
	uint64_t turn = 0;

	(void)!pread(fd, &turn, sizeof(turn), place + TURN_AT);
	return turn;
}

static void
tear(int fd)
{
	struct stat st;
	off_t place;

	if (fstat(fd, &st) == -1)
		abort();
	place = turn_at(fd, 0) > turn_at(fd, st.st_size / 2) ? 0 : st.st_size / 2;
	(void)!pwrite(fd, "torn", 4, place + AT_AT);
}

/* In place of the library's: a process that is killed got so far. */
int
fsync(int fd)
{
	if (++syncs != fail_at)
		return 0;
	if (torn && fd != mbox_fd && fd != dir_fd)
		tear(fd);
	errno = EIO;
	return -1;
}

static void
no_tick(void *arg)
{
	(void)arg;
}

/* Write in place: the inode stays. */
static void
mbox_set(const char *octets, size_t len)
{
	if (ftruncate(mbox_fd, 0) == -1 || pwrite(mbox_fd, octets, len, 0) != (ssize_t)len)
		abort();
}

static void
begin(void)
{
	struct stat st;

	box_make();
	box_put("mbox", OLD);
	dir_fd = open(box, O_RDONLY | O_DIRECTORY);
	mbox_fd = open(box_path("mbox"), O_RDWR);
	if (dir_fd == -1 || mbox_fd == -1 || fstat(mbox_fd, &st) == -1)
		abort();
	mbox_journal_init(&journal, &style, dir_fd, mbox_fd, st.st_ino, no_tick, NULL);
	journal.slot_max = SLOT;
	syncs = fail_at = 0;
}

/* Messages 2 and 4 are to go. */
static void
write_journal(void)
{
	uint64_t one = strlen(MAIL("1")), two = strlen(MAIL("22")), four = strlen(MAIL("4444"));
	struct mbox_range kept[2] = {{one + two, 2 * one + two},
				     {2 * one + two + four, strlen(OLD)}};

	CU_ASSERT_EQUAL_FATAL(mbox_journal_write(&journal, one, strlen(OLD), kept, 2), 2);
}

static void
end(void)
{
	close(mbox_fd);
	close(dir_fd);
	box_remove();
}

/* The next session's recovery. */
static int
recover(void)
{
	journal.trusted = false;
	return mbox_journal_run(&journal);
}

static void
check(const char *expected)
{
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), expected);
	CU_ASSERT_FALSE(box_has(journal.name));
	CU_ASSERT_EQUAL(recover(), 0);
}

static void
test_run(void)
{
	begin();
	CU_ASSERT_EQUAL(mbox_journal_run(&journal), 0);
	write_journal();
	CU_ASSERT_EQUAL(mbox_journal_run(&journal), 1);
	check(NEW);
	end();
}

/* Killed with so many of the octets in place: before the first, between any two, after the last. */
static void
test_killed_while_writing(void)
{
	size_t one = strlen(MAIL("1")), len = strlen(NEW) - one;
	char text[sizeof(OLD)];

	for (size_t n = 0; n <= len; n++)
		for (int late = 0; late < 2; late++) {
			begin();
			write_journal();
			memcpy(text, OLD, sizeof(OLD));
			memcpy(text + one, &NEW[one], n);
			mbox_set(text, strlen(OLD));
			if (late != 0)
				box_append("mbox", LATE);
			CU_ASSERT_EQUAL(recover(), 1);
			check(late != 0 ? NEW LATE : NEW);
			end();
		}
}

/* Put the journal back as it was before it was removed. */
static void
run_and_put_back(void)
{
	write_journal();
	if (linkat(dir_fd, journal.name, dir_fd, "saved", 0) == -1)
		abort();
	CU_ASSERT_EQUAL_FATAL(mbox_journal_run(&journal), 1);
	if (renameat(dir_fd, "saved", dir_fd, journal.name) == -1)
		abort();
}

static void
test_killed_before_truncation(void)
{
	for (int late = 0; late < 2; late++) {
		begin();
		run_and_put_back();
		mbox_set(OLD, strlen(OLD));
		if (pwrite(mbox_fd, NEW, strlen(NEW), 0) == -1)
			abort();
		if (late != 0)
			box_append("mbox", LATE);
		CU_ASSERT_EQUAL(recover(), 1);
		check(late != 0 ? NEW LATE : NEW);
		end();
	}
}

static void
test_killed_after_truncation(void)
{
	begin();
	run_and_put_back();
	CU_ASSERT_EQUAL(recover(), 1);
	check(NEW);
	end();
	/* mail that came then begins before the old end, and may reach behind it */
	for (int n = 1; n <= 4; n++) {
		char text[sizeof(OLD) + 4 * sizeof(LATE)] = NEW;

		begin();
		run_and_put_back();
		for (int i = 0; i < n; i++)
			strcat(text, LATE);
		mbox_set(text, strlen(text));
		CU_ASSERT_EQUAL(recover(), 1);
		check(text);
		end();
	}
}

/* One that was not finished was never renamed, and the mbox not touched. */
static void
test_killed_while_making_it(void)
{
	begin();
	box_put(journal.fresh, "half a jour");
	CU_ASSERT_EQUAL(recover(), 0);
	CU_ASSERT_FALSE(box_has(journal.fresh));
	check(OLD);
	write_journal();
	CU_ASSERT_EQUAL(recover(), 1);
	check(NEW);
	CU_ASSERT_FALSE(box_has(journal.fresh));
	end();
}

/* A message of so many octets. */
static void
add(char *text, int number, size_t octets)
{
	char *begin = text + strlen(text);
	size_t n = (size_t)sprintf(begin, "From a@x Mon Jan  2 10:00:00 2023\nN: %d\n\n", number);

	for (; n < octets - 2; n++)
		begin[n] = (char)(n % 61 == 60 ? '\n' : 'a' + number);
	strcpy(begin + n, "\n\n");
}

/* Ten messages larger than a slot, or smaller; the first and each third of the others go. */
static char big[100000], want[100000];

static void
make_big(size_t octets)
{
	big[0] = want[0] = '\0';
	for (int i = 0; i < 10; i++) {
		add(big, i, octets + 7 * (size_t)i);
		if (i % 3 != 0)
			add(want, i, octets + 7 * (size_t)i);
	}
	mbox_set(big, strlen(big));
}

static int
write_big(size_t octets)
{
	struct mbox_range kept[10];
	uint64_t at = 0;
	size_t n = 0;

	for (int i = 0; i < 10; i++) {
		uint64_t next = at + octets + 7 * (size_t)i;

		if (i % 3 != 0)
			kept[n++] = (struct mbox_range){at, next};
		at = next;
	}
	return mbox_journal_write(&journal, 0, at, kept, n) == -1 ? -1 : 0;
}

/* Killed at each sync, with the octets there or torn, and mail delivered before the next login. */
static void
walk_steps(size_t octets, int at_least)
{
	int at = 1, result = -1;

	for (; result == -1 && at < 200; at++) {
		begin();
		make_big(octets);
		fail_at = at;
		result = write_big(octets);
		if (result == 0)
			result = mbox_journal_run(&journal);
		fail_at = 0;
		if (result == -1)
			box_append("mbox", LATE);
		(void)recover();
		if (at == 1)
			strcpy(want, big); /* it had not begun */
		if (result == -1)
			strcat(want, LATE);
		check(want);
		end();
	}
	CU_ASSERT_EQUAL(result, 1);
	CU_ASSERT_TRUE(at > at_least);
}

static void
test_portions(void)
{
	for (int i = 0; i < 2; i++) {
		torn = i == 1;
		walk_steps(100, 6);   /* one portion */
		walk_steps(1000, 8);  /* larger than what goes between them */
		walk_steps(6000, 20); /* of a message, too */
	}
	torn = false;
}

/* More ranges than a slot knows: the last ones. */
static void
test_many_ranges(void)
{
	enum { MESSAGES = 600 };
	const size_t octets = strlen(LATE);
	static struct mbox_range kept[MESSAGES];
	size_t n = 0, known, left;
	ssize_t done;

	begin();
	big[0] = want[0] = '\0';
	for (size_t i = 0; i < MESSAGES; i++) {
		add(big, (int)(i % 20), octets);
		if (i % 2 == 1)
			add(want, (int)(i % 20), octets);
		if (i % 2 == 1)
			kept[n++] = (struct mbox_range){i * octets, (i + 1) * octets};
	}
	mbox_set(big, strlen(big));
	done = mbox_journal_write(&journal, 0, strlen(big), kept, n);
	CU_ASSERT_TRUE_FATAL(done > 50 && (size_t)done < n);
	known = (size_t)done;
	CU_ASSERT_EQUAL(mbox_journal_run(&journal), 1);
	/* before those all is as it was */
	left = (size_t)kept[n - known - 1].to;
	CU_ASSERT_EQUAL(strncmp(box_text("mbox"), big, left), 0);
	CU_ASSERT_STRING_EQUAL(box_text("mbox") + left, want + (n - known) * octets);
	end();
}

/* What the mbox has become, and the journal is to be kept for somebody to look at. */
static void
check_aside(const char *text)
{
	CU_ASSERT_EQUAL(recover(), 2);
	CU_ASSERT_STRING_EQUAL(box_text("mbox"), text);
	CU_ASSERT_FALSE(box_has(journal.name));
	CU_ASSERT_TRUE(box_has(journal.fresh));
	end();
}

static void
test_changed_by_others(void)
{
	begin();
	write_journal();
	mbox_set(MAIL("1"), strlen(MAIL("1")));
	check_aside(MAIL("1"));

	begin();
	write_journal();
	mbox_set("F" OLD, strlen(OLD) + 1);
	check_aside("F" OLD);

	begin();
	write_journal();
	box_append("mbox", "no mail");
	check_aside(OLD "no mail");

	begin();
	write_journal();
	if (truncate(box_path(journal.name), 200) == -1)
		abort();
	check_aside(OLD);

	/* no octet of the portion may be another */
	begin();
	write_journal();
	if (pwrite(open(box_path(journal.name), O_WRONLY), "x", 1, 300) != 1)
		abort();
	check_aside(OLD);

	/* nor those that the ranges begin and end with */
	for (int at_end = 0; at_end < 2; at_end++) {
		begin();
		make_big(6000);
		CU_ASSERT_EQUAL_FATAL(write_big(6000), 0);
		if (pwrite(mbox_fd, "x", 1, at_end != 0 ? (off_t)strlen(big) - 7000 : 12000) != 1)
			abort();
		CU_ASSERT_EQUAL(recover(), 2);
		end();
	}

	begin();
	write_journal();
	journal.inode++;
	check_aside(OLD);
}

static void
test_steps(void)
{
	struct mbox_facts f = {.end = 100, .size = 100};

	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.record = f.before_same = f.octets_same = f.ranges_same = true;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_WRITE);
	f.size = 99;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.size = 101;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.tail_is_mail = true;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_WRITE);
	f.before_same = false;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.before_same = true;
	f.octets_same = false;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.octets_same = true;
	f.ranges_same = false;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_ASIDE);
	f.last = true;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_DONE);
	f.between_same = true;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_TAIL);
	f.size = 100;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_CUT);
	f.size = 99;
	CU_ASSERT_EQUAL(mbox_journal_step(&f), MBOX_STEP_DONE);
}

static const struct unit_test tests[] = {
    {"MBX-04 what follows from what is found", test_steps},
    {"MBX-04 from first to last", test_run},
    {"MBX-04 UPD-08 killed while the octets are written", test_killed_while_writing},
    {"MBX-04 UPD-08 killed before the file is cut", test_killed_before_truncation},
    {"MBX-04 UPD-08 killed after that", test_killed_after_truncation},
    {"MBX-04 killed while the journal is made", test_killed_while_making_it},
    {"MBX-04 UPD-08 in portions, killed at each sync", test_portions},
    {"MBX-04 more ranges than the journal has room for", test_many_ranges},
    {"MBX-03 an mbox that others have changed meanwhile is left alone", test_changed_by_others},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("mbox_journal", tests);
}
