#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/page.h"
#include "tests/unit/unit.h"

static struct session_board *board;
static int fd;

static void
begin(void)
{
	fd = page_make();
	CU_ASSERT_FATAL(fd != -1);
	board = page_map(fd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(board);
}

static void
end(void)
{
	(void)munmap(board, sizeof(*board));
	(void)close(fd);
}

/* What only somebody hostile writes: nothing ends the word, and no number has a meaning. */
static void
write_hostile(uint32_t seq)
{
	memset(&board->page, 0x1b, sizeof(board->page));
	board->page.seq = seq;
}

static void
test_written(void)
{
	struct session_page p;
	uint32_t *deleted = NULL;

	begin();
	page_begin(board);
	memcpy(board->page.command, "RETR", 5);
	board->page.state = PAGE_TRANS;
	board->page.messages = 3;
	board->page.ndeleted = 1;
	board->deleted[0] = 2;
	page_end(board);
	CU_ASSERT_EQUAL(page_read(fd, &p, &deleted), 0);
	CU_ASSERT_STRING_EQUAL(p.command, "RETR");
	CU_ASSERT_EQUAL(p.state, PAGE_TRANS);
	CU_ASSERT_EQUAL(p.messages, 3);
	CU_ASSERT_EQUAL(p.ndeleted, 1);
	CU_ASSERT_EQUAL(deleted[0], 2);
	free(deleted);
	end();
}

static void
test_hostile(void)
{
	struct session_page p;

	begin();
	write_hostile(2);
	CU_ASSERT_EQUAL(page_read(fd, &p, NULL), 0);
	CU_ASSERT_STRING_EQUAL(p.command, "");
	CU_ASSERT(p.state < PAGE_STATE_COUNT);
	CU_ASSERT(p.wait < PAGE_WAIT_COUNT);
	CU_ASSERT(p.ndeleted <= PAGE_DELETED_MAX);
	end();
}

/* Nothing of a page that is always being written reaches who asked. */
static void
test_never_whole(void)
{
	struct session_page p, before;
	uint32_t *deleted = NULL;

	begin();
	write_hostile(1);
	memset(&before, 0, sizeof(before));
	before.octets = UINT64_MAX;
	p = before;
	CU_ASSERT_EQUAL(page_read(fd, &p, &deleted), -1);
	CU_ASSERT_EQUAL(memcmp(&p, &before, sizeof(p)), 0);
	CU_ASSERT_PTR_NULL(deleted);
	end();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"what a session writes is read", test_written},
	    {"numbers and words are tamed", test_hostile},
	    {"a page that is never whole tells nothing", test_never_whole},
	    {NULL, NULL},
	};

	return unit_run("page", tests);
}
