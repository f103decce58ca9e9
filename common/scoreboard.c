#include "config.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/scoreboard.h"
#include "common/sealed.h"

enum { READ_TRIES = 100 };

int
scoreboard_make(void)
{
	return sealed_make("pop3d-scoreboard", sizeof(struct scoreboard));
}

struct scoreboard *
scoreboard_map(int fd)
{
	void *p = mmap(NULL, sizeof(struct scoreboard), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
scoreboard_begin(struct scoreboard *b)
{
	__atomic_store_n(&b->head.seq, b->head.seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
scoreboard_end(struct scoreboard *b)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&b->head.seq, b->head.seq + 1, __ATOMIC_RELAXED);
}

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void
scoreboard_tame(struct scoreboard_head *p)
{
	if (p->state >= SCOREBOARD_STATE_COUNT)
		p->state = SCOREBOARD_LOGIN;
	if (p->wait >= SCOREBOARD_WAIT_COUNT)
		p->wait = SCOREBOARD_WAIT_NOTHING;
	if (p->ndeleted > SCOREBOARD_DELETED_MAX)
		p->ndeleted = SCOREBOARD_DELETED_MAX;
	for (size_t i = 0; i < sizeof(p->command); i++)
		if (!is_letter(p->command[i]))
			p->command[i] = '\0';
	p->command[sizeof(p->command) - 1] = '\0';
}

/* 1: read; 0: it changed meanwhile; -1: it cannot be read.  *out is set with 1 alone: what was not
 * read as a whole is not tame either. */
static int
read_once(int fd, struct scoreboard_head *out, uint32_t **deleted)
{
	uint32_t after, *list = NULL;
	struct scoreboard_head head;
	size_t len;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return -1;
	if (head.seq % 2 != 0)
		return 0;
	scoreboard_tame(&head);
	len = head.ndeleted * sizeof(*list);
	if (deleted != NULL && ((list = malloc(len + 1)) == NULL ||
				pread(fd, list, len, sizeof(head)) != (ssize_t)len)) {
		free(list);
		return -1;
	}
	if (pread(fd, &after, sizeof(after), 0) != sizeof(after) || after != head.seq) {
		free(list);
		return 0;
	}
	*out = head;
	if (deleted != NULL)
		*deleted = list;
	return 1;
}

int
scoreboard_read(int fd, struct scoreboard_head *out, uint32_t **deleted)
{
	for (int i = 0; i < READ_TRIES; i++) {
		int r = read_once(fd, out, deleted);

		if (r != 0)
			return r == 1 ? 0 : -1;
	}
	errno = EAGAIN;
	return -1;
}
