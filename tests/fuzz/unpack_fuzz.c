/*
 * libFuzzer: any octets as a message file that may be compressed.  What is read
 * stays within its bound, is the same at the second reading, and ends either
 * whole or with one of the errors that are told of.
 */
#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/store/unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The errno at the end, 0 for a whole message. */
static int
read_all(int fd, size_t size, uint64_t *octets)
{
	struct store_reader r = {.fd = fd, .end = size};
	int result, error;

	unpack_watch(&r);
	result = store_measure(&r, octets, NULL);
	error = errno;
	if (result == 0 && r.pos != r.end)
		abort();
	unpack_stop(&r);
	return result == 0 ? 0 : error;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint64_t first, second;
	int fd = memfd_create("packed", MFD_CLOEXEC), error;

	if (fd == -1 || write(fd, data, size) != (ssize_t)size)
		abort();
	error = read_all(fd, size, &first);
	if (error != 0 && error != EOPNOTSUPP && error != EBADMSG && error != EFBIG)
		abort();
	/* a line feed may count twice, and the last block read goes over the bound */
	if (first / 2 > UNPACK_FREE + (1 << 16) && first / 2 > (UNPACK_RATIO + 1) * (uint64_t)size)
		abort();
	if (read_all(fd, size, &second) != error || second != first)
		abort();
	(void)close(fd);
	return 0;
}
