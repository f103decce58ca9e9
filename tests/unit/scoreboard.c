#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/scoreboard.h"
#include "tests/unit/unit.h"

static struct scoreboard *board;
static int fd;

static void
begin(void)
{
	fd = scoreboard_make();
	CU_ASSERT_FATAL(fd != -1);
	board = scoreboard_map(fd);
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
	memset(&board->head, 0x1b, sizeof(board->head));
	board->head.seq = seq;
}

static void
test_written(void)
{
	struct scoreboard_head p;
	uint32_t *deleted = NULL;

	begin();
	scoreboard_begin(board);
	memcpy(board->head.command, "RETR", 5);
	board->head.state = SCOREBOARD_TRANS;
	board->head.messages = 3;
	board->head.ndeleted = 1;
	board->deleted[0] = 2;
	scoreboard_end(board);
	CU_ASSERT_EQUAL(scoreboard_read(fd, &p, &deleted), 0);
	CU_ASSERT_STRING_EQUAL(p.command, "RETR");
	CU_ASSERT_EQUAL(p.state, SCOREBOARD_TRANS);
	CU_ASSERT_EQUAL(p.messages, 3);
	CU_ASSERT_EQUAL(p.ndeleted, 1);
	CU_ASSERT_EQUAL(deleted[0], 2);
	free(deleted);
	end();
}

static void
test_hostile(void)
{
	struct scoreboard_head p;

	begin();
	write_hostile(2);
	CU_ASSERT_EQUAL(scoreboard_read(fd, &p, NULL), 0);
	CU_ASSERT_STRING_EQUAL(p.command, "");
	CU_ASSERT(p.state < SCOREBOARD_STATE_COUNT);
	CU_ASSERT(p.wait < SCOREBOARD_WAIT_COUNT);
	CU_ASSERT(p.ndeleted <= SCOREBOARD_DELETED_MAX);
	end();
}

/* Nothing of a scoreboard that is always being written reaches who asked. */
static void
test_never_whole(void)
{
	struct scoreboard_head p, before;
	uint32_t *deleted = NULL;

	begin();
	write_hostile(1);
	memset(&before, 0, sizeof(before));
	before.octets = UINT64_MAX;
	p = before;
	CU_ASSERT_EQUAL(scoreboard_read(fd, &p, &deleted), -1);
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
	    {"a scoreboard that is never whole tells nothing", test_never_whole},
	    {NULL, NULL},
	};

	return unit_run("scoreboard", tests);
}
