/*
 * libFuzzer: any octets as what a job's session says, and as the input that is
 * sent to one.  Nothing but printable ASCII, TAB and the ends of lines comes
 * out, whatever the session says; input comes out at the session as it went in.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/job.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
hear(const uint8_t *data, size_t size)
{
	struct job_reader r = {0};
	enum job_octet what = JOB_OCTET_NONE;
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (out == NULL)
		abort();
	for (size_t i = 0; i < size && what != JOB_OCTET_BROKEN && what != JOB_OCTET_END; i++) {
		what = job_read(&r, data[i]);
		if (what == JOB_OCTET_TEXT || what == JOB_OCTET_ERROR)
			job_escape(out, data[i]);
	}
	fclose(out);
	for (size_t i = 0; i < len; i++)
		if ((text[i] < ' ' && text[i] != '\t') || text[i] > '~')
			abort();
	if (r.status < 0 || r.status > 9)
		abort();
	free(text);
}

/* Every line begins with the octet of its kind, the last one is the end, and nothing is lost. */
static void
feed(const uint8_t *data, size_t size)
{
	size_t cut = size > 0 ? data[0] % size : 0, n, from = 0;
	char *out = malloc(2 * JOB_ROOM(size));
	bool begun = false, first = true;

	if (out == NULL)
		abort();
	n = job_input((const char *)data, cut, &begun, out);
	n += job_input((const char *)data + cut, size - cut, &begun, out + n);
	n += job_input_end(begun, out + n);
	if (n > JOB_ROOM(size) || n < 2 || memcmp(out + n - 2, "=\n", 2) != 0)
		abort();
	for (size_t i = 0; i < n - 2; i++) {
		if (first	  ? out[i] != JOB_TEXT
		    : from < size ? out[i] != (char)data[from++]
				  : out[i] != '\n')
			abort();
		first = !first && out[i] == '\n';
	}
	if (from != size)
		abort();
	free(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	hear(data, size);
	feed(data, size);
	return 0;
}
