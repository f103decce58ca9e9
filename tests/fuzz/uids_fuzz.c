/*
 * libFuzzer: any octets as a line of pop3d-uids.  What is taken is a unique-id and
 * a name that can be written, and then reads the same.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "worker/store/uids.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* worker/store/store.c is not linked. */
enum store_result
store_sync_directory(int fd)
{
	(void)fd;
	return STORE_OK;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct uids_writer w = {.dir_fd = -1};
	struct uids_line line, again;
	char *text = NULL;
	size_t len = 0;

	if (!uids_line_parse((const char *)data, size, &line))
		return 0;
	if (!uids_is_valid(line.uid, strlen(line.uid)) || line.base_len == 0 ||
	    line.base_len > NAME_MAX)
		abort();
	if ((w.file = open_memstream(&text, &len)) == NULL ||
	    uids_write_line(&w, line.uid, line.base, line.base_len) == -1 || fclose(w.file) == EOF)
		abort();
	if (len == 0 || len > UIDS_LINE_SIZE || text[len - 1] != '\n' ||
	    !uids_line_parse(text, len - 1, &again) || strcmp(line.uid, again.uid) != 0 ||
	    line.base_len != again.base_len || memcmp(line.base, again.base, line.base_len) != 0)
		abort();
	free(text);
	return 0;
}
