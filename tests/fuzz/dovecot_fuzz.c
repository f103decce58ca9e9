/*
 * libFuzzer: a line that may be a format of unique-ids, and any octets as
 * dovecot-uidlist behind it.
 */
#include "config.h"

#include "tests/fuzz/foreign.h"

enum { FORMAT_MAX = 200 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *end = size > 0 ? memchr(data, '\n', size) : NULL;
	char format[FORMAT_MAX + 1] = "";
	size_t len;

	if (end == NULL || end - data > FORMAT_MAX)
		return 0;
	len = (size_t)(end - data);
	memcpy(format, data, len);
	foreign_run(dovecot_line, uid_format_check(format) == NULL ? format : UID_FORMAT_DEFAULT,
		    end + 1, size - len - 1);
	return 0;
}
