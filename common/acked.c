#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "common/acked.h"
#include "common/sealed.h"

int
acked_make(void)
{
	return sealed_make("pop3d-acked", sizeof(uint64_t));
}

static void *
map(int fd, int prot)
{
	void *p = mmap(NULL, sizeof(uint64_t), prot, MAP_SHARED, fd, 0);
	int error = errno;

	(void)close(fd);
	errno = error;
	return p == MAP_FAILED ? NULL : p;
}

uint64_t *
acked_map_to_tell(int fd)
{
	return map(fd, PROT_READ | PROT_WRITE);
}

const uint64_t *
acked_map(int fd)
{
	return map(fd, PROT_READ);
}

void
acked_unmap(uint64_t *counter)
{
	if (counter != NULL)
		(void)munmap(counter, sizeof(*counter));
}
