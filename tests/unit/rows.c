#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <sys/syscall.h>

#include "tests/unit/box.h"
#include "worker/store/rows.h"

enum { MANY = 5 * ROWS_PAGE + 17 };

/* ---- what the system does ---- */

static int nameless_error, named_error; /* of making a file; 0: it is made */
static size_t file_max;			/* octets that there is room for */
static size_t piece;			/* octets that a call writes at most */
static unsigned made, written, read_in; /* calls */
static int last_fd;

int
openat(int dir_fd, const char *name, int flags, ...)
{
	bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
	int error = nameless ? nameless_error : named_error;
	mode_t mode = 0;
	va_list ap;

	if ((flags & O_CREAT) != 0 || nameless) {
		va_start(ap, flags);
		mode = va_arg(ap, mode_t);
		va_end(ap);
		errno = error;
		if (error != 0)
			return -1;
		made++;
	}
	return last_fd = (int)syscall(SYS_openat, dir_fd, name, flags, mode);
}

ssize_t
pwrite(int fd, const void *octets, size_t len, off_t at)
{
	written++;
	errno = ENOSPC;
	if ((size_t)at >= file_max)
		return -1;
	if (len > piece)
		len = piece;
	return syscall(SYS_pwrite64, fd, octets, len, at);
}

ssize_t
pread(int fd, void *octets, size_t len, off_t at)
{
	read_in++;
	return syscall(SYS_pread64, fd, octets, len < piece ? len : piece, at);
}

/* ---- the tests ---- */

static struct rows rows;
static struct rows_place place;

static void
begin(void)
{
	box_make();
	place = (struct rows_place){.dir_fd = open(box, O_RDONLY | O_DIRECTORY | O_CLOEXEC),
				    .name = "some.rows"};
	nameless_error = named_error = 0;
	file_max = piece = SIZE_MAX;
	made = written = read_in = 0;
	rows_init(&rows, sizeof(uint64_t), &place);
}

static void
end(void)
{
	rows_free(&rows);
	CU_ASSERT_FALSE(box_has("some.rows"));
	close(place.dir_fd);
	box_remove();
}

static uint64_t
value(size_t i)
{
	return i * UINT64_C(0x9e3779b97f4a7c15) + 1;
}

static void
append(size_t count)
{
	for (size_t n = 0; n < count; n++) {
		uint64_t v = value(rows.count);

		CU_ASSERT_EQUAL_FATAL(rows_append(&rows, &v), 0);
	}
}

static bool
is_right(size_t i)
{
	uint64_t v = value(i);
	const void *row = rows_get(&rows, i);

	return row != NULL && memcmp(row, &v, sizeof(v)) == 0;
}

/* In order, and at random. */
static void
check_all(void)
{
	for (size_t i = 0; i < rows.count; i++)
		CU_ASSERT_TRUE(is_right(i));
	for (int n = 0; n < 500; n++)
		CU_ASSERT_TRUE(is_right((size_t)random() % rows.count));
	CU_ASSERT_TRUE(is_right(0) && is_right(rows.count - 1));
}

static void
test_one_page(void)
{
	begin();
	append(ROWS_PAGE);
	check_all();
	CU_ASSERT(made == 0 && written == 0 && read_in == 0);
	end();
}

static void
test_pages(void)
{
	begin();
	append(MANY);
	CU_ASSERT_EQUAL(made, 1);
	CU_ASSERT_EQUAL(written, MANY / ROWS_PAGE);
	CU_ASSERT_EQUAL(rows.room, ROWS_PAGE);
	for (size_t i = 0; i < rows.count; i++)
		CU_ASSERT_TRUE(is_right(i));
	CU_ASSERT_EQUAL(written, MANY / ROWS_PAGE + 1);
	CU_ASSERT_EQUAL(read_in, MANY / ROWS_PAGE + 1);
	check_all();
	end();
}

/* Reading in between disturbs nothing. */
static void
test_mixed(void)
{
	begin();
	for (int n = 0; n < 40; n++) {
		append((size_t)random() % ROWS_PAGE);
		check_all();
	}
	end();
}

static void
test_small_pieces(void)
{
	begin();
	piece = 1000;
	append(MANY);
	check_all();
	end();
}

/* A file system that knows no file without a name. */
static void
test_name_for_an_instant(void)
{
	begin();
	nameless_error = EOPNOTSUPP;
	box_put("some.rows", "of a session that was killed");
	append(MANY);
	CU_ASSERT_EQUAL(made, 1);
	CU_ASSERT_EQUAL(rows.room, ROWS_PAGE);
	CU_ASSERT_FALSE(box_has("some.rows"));
	check_all();
	end();
}

static void
test_no_file(void)
{
	static const int errors[] = {EACCES, EROFS, ENOSPC, EDQUOT, EMFILE, EOPNOTSUPP};

	for (size_t k = 0; k < sizeof(errors) / sizeof(errors[0]); k++) {
		begin();
		nameless_error = named_error = errors[k];
		append(MANY);
		CU_ASSERT(made == 0 && written == 0);
		check_all();
		end();
	}
	begin();
	rows_init(&rows, sizeof(uint64_t), NULL);
	append(MANY);
	CU_ASSERT(made == 0 && written == 0);
	check_all();
	end();
}

/* The disk is full after any number of pages, or in the middle of one: also when the last page is
 * put away to read another one. */
static void
test_full(void)
{
	for (size_t pages = 0; pages <= MANY / ROWS_PAGE; pages++)
		for (size_t half = 0; half < 2; half++) {
			begin();
			file_max = (2 * pages + half) * ROWS_PAGE / 2 * sizeof(uint64_t);
			piece = ROWS_PAGE / 2 * sizeof(uint64_t);
			append(MANY);
			check_all();
			append(MANY);
			check_all();
			CU_ASSERT_EQUAL(rows.fd, -1);
			end();
		}
}

/* Its owner can reach it by /proc: what is not there is told. */
static void
test_cut(void)
{
	begin();
	append(MANY);
	CU_ASSERT_TRUE(is_right(0));
	CU_ASSERT_EQUAL(ftruncate(last_fd, ROWS_PAGE * sizeof(uint64_t) + 7), 0);
	CU_ASSERT_TRUE(is_right(1));
	CU_ASSERT_PTR_NULL(rows_get(&rows, ROWS_PAGE));
	CU_ASSERT_EQUAL(errno, EIO);
	CU_ASSERT_PTR_NULL(rows_get(&rows, ROWS_PAGE));
	CU_ASSERT_TRUE(is_right(1));
	end();
}

static const struct unit_test tests[] = {
    {"a page takes no file", test_one_page},
    {"several pages", test_pages},
    {"appended and read by turns", test_mixed},
    {"short writes and reads", test_small_pieces},
    {"a file that has a name for an instant", test_name_for_an_instant},
    {"no file is to be had", test_no_file},
    {"the disk is full", test_full},
    {"the file is cut", test_cut},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("rows", tests);
}
