#include "config.h"

#include <fcntl.h>

#include "tests/unit/box.h"
#include "worker/store/digest.h"
#include "worker/store/duplicates.h"

enum { KINDS = 6, MOST = 60, SESSIONS = 400 };

#define NAME "uids"

/* A mailbox, and what a client has seen of it. */
struct mail {
	uint8_t digest[STORE_DIGEST];
	char uid[STORE_UID_SIZE]; /* "": not seen yet */
};

static struct mail mail[MOST];
static size_t count;

static const uint8_t *
mail_digest(void *arg, size_t i)
{
	(void)arg;
	return mail[i].digest;
}

static struct digests
all(void)
{
	return (struct digests){.count = count, .get = mail_digest};
}

/* Kinds 0 to 2 agree in 64 bits, and so do 3 and 4. */
static void
deliver(unsigned kind)
{
	mail[count] = (struct mail){.digest = {kind < 3 ? 0 : kind < 5 ? 1 : 2}};
	mail[count].digest[8] = (uint8_t)kind;
	count++;
}

static void
test_digests(void)
{
	static const char hex[] =
	    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
	char out[STORE_UID_SIZE], other[STORE_UID_SIZE];
	uint8_t digest[STORE_DIGEST];

	for (size_t i = 0; i < STORE_DIGEST; i++)
		digest[i] = (uint8_t)i;
	digest_uid(digest, 1, out);
	CU_ASSERT_STRING_EQUAL(out, hex);
	digest_uid(digest, 99999, out);
	CU_ASSERT_EQUAL(strlen(out), 70);
	CU_ASSERT_STRING_EQUAL(out + 64, "-99999");
	digest_uid(digest, 100000, out);
	digest_uid(digest, 100001, other);
	CU_ASSERT_EQUAL(strlen(out), 64);
	CU_ASSERT_STRING_NOT_EQUAL(out, other);
}

static void
test_numbers(void)
{
	static const unsigned kinds[] = {5, 3, 5, 5, 4, 3};
	static const uint32_t want[] = {1, 1, 2, 3, 2, 3}; /* 3 and 4 count as equal */
	struct digests d;
	uint32_t *numbers;

	count = 0;
	d = all();
	numbers = digest_number(&d);
	CU_ASSERT_PTR_NOT_NULL(numbers);
	free(numbers);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		deliver(kinds[i]);
	d = all();
	numbers = digest_number(&d);
	CU_ASSERT_PTR_NOT_NULL_FATAL(numbers);
	CU_ASSERT_EQUAL(memcmp(numbers, want, sizeof(want)), 0);
	free(numbers);
}

/* A login: every message has the unique-id that was seen before, and no other has it. */
static uint32_t *
login(int dir_fd)
{
	struct digests d = all();
	uint32_t *numbers = duplicates_number(dir_fd, NAME, &d);
	char uid[STORE_UID_SIZE];

	CU_ASSERT_PTR_NOT_NULL_FATAL(numbers);
	for (size_t i = 0; i < count; i++) {
		digest_uid(mail[i].digest, numbers[i], uid);
		if (mail[i].uid[0] != '\0')
			CU_ASSERT_STRING_EQUAL(mail[i].uid, uid);
		strcpy(mail[i].uid, uid);
		for (size_t j = 0; j < i; j++)
			CU_ASSERT_STRING_NOT_EQUAL(mail[j].uid, uid);
	}
	return numbers;
}

/* Some are removed, and some are delivered. */
static void
quit(int dir_fd, const uint32_t *numbers)
{
	uint64_t marked[(MOST + 63) / 64] = {0};
	struct digests d = all();
	size_t left = 0;

	for (size_t i = 0; i < count; i++)
		if (random() % 3 == 0)
			store_mark(marked, i);
	CU_ASSERT_EQUAL(duplicates_keep(dir_fd, NAME, &d, numbers, marked), 0);
	for (size_t i = 0; i < count; i++)
		if (!store_is_marked(marked, i))
			mail[left++] = mail[i];
	count = left;
	while (count < MOST && random() % 8 != 0)
		deliver((unsigned)random() % KINDS);
}

static void
test_unique_ids_stay(void)
{
	uint32_t *numbers;
	bool written = false;
	int dir_fd;

	box_make();
	dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CU_ASSERT_NOT_EQUAL_FATAL(dir_fd, -1);
	count = 0;
	for (int n = 0; n < SESSIONS; n++) {
		numbers = login(dir_fd);
		quit(dir_fd, numbers);
		free(numbers);
		written = written || box_has(NAME);
		CU_ASSERT_FALSE(box_has(NAME ".new"));
	}
	CU_ASSERT_TRUE(written);
	close(dir_fd);
	box_remove();
}

/* A file is there as long as one is needed; where none can be made that is told. */
static void
test_file(void)
{
	uint64_t marked[1] = {0};
	struct digests d;
	uint32_t *numbers;
	int dir_fd;

	box_make();
	dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	count = 0;
	deliver(5);
	deliver(5);
	numbers = login(dir_fd);
	d = all();
	store_mark(marked, 1);
	CU_ASSERT_EQUAL(duplicates_keep(-1, NAME, &d, numbers, marked), 0);
	store_unmark(marked, 1);
	store_mark(marked, 0);
	CU_ASSERT_EQUAL(duplicates_keep(-1, NAME, &d, numbers, marked), -1);
	CU_ASSERT_EQUAL(duplicates_keep(dir_fd, NAME, &d, numbers, marked), 0);
	CU_ASSERT_STRING_EQUAL(box_text(NAME) + STORE_UID_SIZE - 7, " 1 2\n");
	store_mark(marked, 1);
	CU_ASSERT_EQUAL(duplicates_keep(dir_fd, NAME, &d, numbers, marked), 0);
	CU_ASSERT_FALSE(box_has(NAME));
	free(numbers);
	close(dir_fd);
	box_remove();
}

static const struct unit_test tests[] = {
    {"UID-01 UID-06 digests with numbers", test_digests},
    {"UID-03 numbers of equal messages", test_numbers},
    {"UID-03 unique-ids stay when others are removed", test_unique_ids_stay},
    {"UID-03 the file of numbers", test_file},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("duplicates", tests);
}
