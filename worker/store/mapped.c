#include "config.h"

#include "worker/store/mapped.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MAPPED_MAX = 8 };

/* What the handler has to know. */
static struct mapped open_ones[MAPPED_MAX];
static size_t page_size;

static bool
is_mapped(uintptr_t at)
{
	for (size_t i = 0; i < MAPPED_MAX; i++)
		if (open_ones[i].at != NULL && at - (uintptr_t)open_ones[i].at < open_ones[i].len)
			return true;
	return false;
}

/* Put a page of zeros where the file has none.  A fault elsewhere comes again, and kills. */
static void
on_bus_error(int sig, siginfo_t *info, void *context)
{
	uintptr_t at = (uintptr_t)info->si_addr;
	int error = errno;

	(void)context;
	if (!is_mapped(at) || mmap((void *)(at & ~(uintptr_t)(page_size - 1)), page_size, PROT_READ,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		(void)signal(sig, SIG_DFL);
	errno = error;
}

static int
catch_bus_errors(void)
{
	struct sigaction sa = {.sa_flags = SA_SIGINFO};

	page_size = (size_t)sysconf(_SC_PAGESIZE);
	sa.sa_sigaction = on_bus_error;
	sigemptyset(&sa.sa_mask);
	return sigaction(SIGBUS, &sa, NULL);
}

int
mapped_open(struct mapped *m, int fd, size_t len)
{
	size_t i = 0;
	void *at;

	*m = (struct mapped){NULL, 0};
	while (i < MAPPED_MAX && open_ones[i].at != NULL)
		i++;
	if (i == MAPPED_MAX) {
		errno = ENOMEM;
		return -1;
	}
	if (page_size == 0 && catch_bus_errors() == -1)
		return -1;
	if ((at = mmap(NULL, len, PROT_READ, MAP_SHARED, fd, 0)) == MAP_FAILED)
		return -1;
	*m = open_ones[i] = (struct mapped){at, len};
	return 0;
}

void
mapped_close(struct mapped *m)
{
	if (m->at == NULL)
		return;
	for (size_t i = 0; i < MAPPED_MAX; i++)
		if (open_ones[i].at == m->at)
			open_ones[i] = (struct mapped){NULL, 0};
	(void)munmap((void *)(uintptr_t)m->at, m->len);
	*m = (struct mapped){NULL, 0};
}
