#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/page.h"

enum { READ_TRIES = 100 };

int
page_make_sealed(const char *name, size_t size)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd == -1)
		return -1;
	if (ftruncate(fd, (off_t)size) == -1 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == -1) {
		int error = errno;

		close(fd);
		errno = error;
		return -1;
	}
	return fd;
}

int
page_make(void)
{
	return page_make_sealed("pop3d-page", sizeof(struct session_board));
}

struct session_board *
page_map(int fd)
{
	void *p =
	    mmap(NULL, sizeof(struct session_board), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	return p == MAP_FAILED ? NULL : p;
}

void
page_begin(struct session_board *b)
{
	__atomic_store_n(&b->page.seq, b->page.seq + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void
page_end(struct session_board *b)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	__atomic_store_n(&b->page.seq, b->page.seq + 1, __ATOMIC_RELAXED);
}

static bool
is_letter(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static void
page_tame(struct session_page *p)
{
	if (p->state >= PAGE_STATE_COUNT)
		p->state = PAGE_LOGIN;
	if (p->wait >= PAGE_WAIT_COUNT)
		p->wait = PAGE_WAIT_NOTHING;
	if (p->ndeleted > PAGE_DELETED_MAX)
		p->ndeleted = PAGE_DELETED_MAX;
	for (size_t i = 0; i < sizeof(p->command); i++)
		if (!is_letter(p->command[i]))
			p->command[i] = '\0';
	p->command[sizeof(p->command) - 1] = '\0';
}

/* 1: read; 0: it changed meanwhile; -1: it cannot be read.  *out is set with 1 alone: what was not
 * read as a whole is not tame either. */
static int
read_once(int fd, struct session_page *out, uint32_t **deleted)
{
	uint32_t after, *list = NULL;
	struct session_page page;
	size_t len;

	if (pread(fd, &page, sizeof(page), 0) != sizeof(page))
		return -1;
	if (page.seq % 2 != 0)
		return 0;
	page_tame(&page);
	len = page.ndeleted * sizeof(*list);
	if (deleted != NULL && ((list = malloc(len + 1)) == NULL ||
				pread(fd, list, len, sizeof(page)) != (ssize_t)len)) {
		free(list);
		return -1;
	}
	if (pread(fd, &after, sizeof(after), 0) != sizeof(after) || after != page.seq) {
		free(list);
		return 0;
	}
	*out = page;
	if (deleted != NULL)
		*deleted = list;
	return 1;
}

int
page_read(int fd, struct session_page *out, uint32_t **deleted)
{
	for (int i = 0; i < READ_TRIES; i++) {
		int r = read_once(fd, out, deleted);

		if (r != 0)
			return r == 1 ? 0 : -1;
	}
	errno = EAGAIN;
	return -1;
}
