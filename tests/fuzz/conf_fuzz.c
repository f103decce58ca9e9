/*
 * libFuzzer: any octets as a configuration file.  What is accepted must print
 * as a file that is accepted and says the same.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct conf first, second;

static void
load(const void *octets, size_t len, struct conf *c, FILE *errors, int *result)
{
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	memcpy(text, octets, len);
	*result = conf_load_text("fuzz", text, len, c, errors);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *null;
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int result;

	if (null == NULL)
		null = fopen("/dev/null", "w");
	load(size > 0 ? data : (const uint8_t *)"", size, &first, null, &result);
	if (result < 0)
		return 0;
	out = open_memstream(&text, &len);
	if (out == NULL)
		abort();
	conf_print(&first, out);
	fclose(out);
	load(text, len, &second, null, &result);
	if (result < 0 || memcmp(&first, &second, sizeof(first)) != 0)
		abort();
	free(text);
	return 0;
}
