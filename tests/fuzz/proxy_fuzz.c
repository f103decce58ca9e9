/* A PROXY header in any shares: what is behind it is left alone, and the shares make no difference.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "worker/login/proxy.h"

static enum proxy_result
take(const uint8_t *octets, size_t n, size_t share, size_t *end, struct proxy_facts *facts)
{
	struct proxy *p = calloc(1, sizeof(*p));
	enum proxy_result result = PROXY_MORE;
	size_t used = 0;

	if (p == NULL)
		abort();
	*end = 0;
	memset(facts, 0, sizeof(*facts));
	while (result == PROXY_MORE && *end < n) {
		size_t some = share < n - *end ? share : n - *end;

		result = proxy_take(p, octets + *end, some, &used, facts);
		if (used > some || (result == PROXY_MORE && used != some))
			abort();
		*end += used;
	}
	free(p);
	return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxy_facts whole, parts;
	size_t whole_end, parts_end;
	enum proxy_result result;

	if (size == 0)
		return 0;
	result = take(data + 1, size - 1, size, &whole_end, &whole);
	if (take(data + 1, size - 1, 1 + (data[0] & 31), &parts_end, &parts) != result)
		abort();
	if (result == PROXY_WHOLE &&
	    (whole_end != parts_end || memcmp(&whole, &parts, sizeof(whole)) != 0))
		abort();
	return 0;
}
