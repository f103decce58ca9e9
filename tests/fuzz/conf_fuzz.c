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
hear(void *arg, bool is_fault, const char *line)
{
	(void)arg, (void)is_fault, (void)line;
}

static void
load(const void *octets, size_t len, struct conf *c, int *result)
{
	static const struct conf_hearer hearer = {hear, NULL};
	char *text = malloc(len + 1);

	if (text == NULL)
		abort();
	memcpy(text, octets, len);
	*result = conf_load_text("fuzz", text, len, c, &hearer);
	free(text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out;
	int result;

	load(size > 0 ? data : (const uint8_t *)"", size, &first, &result);
	if (result < 0)
		return 0;
	out = open_memstream(&text, &len);
	if (out == NULL)
		abort();
	conf_print(&first, out);
	fclose(out);
	load(text, len, &second, &result);
	if (result < 0 || memcmp(&first, &second, sizeof(first)) != 0)
		abort();
	free(text);
	return 0;
}
