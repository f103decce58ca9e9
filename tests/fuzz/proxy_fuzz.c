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

/* What master takes of it: another message would end the worker. */
static void
facts_check(const struct proxy_facts *f)
{
	const struct msg_balancer_tls *t = &f->facts;

	if (memchr(t->version, '\0', sizeof(t->version)) == NULL ||
	    memchr(t->cipher, '\0', sizeof(t->cipher)) == NULL ||
	    memchr(t->client, '\0', sizeof(t->client)) == NULL ||
	    t->version[strspn(t->version, MSG_TLS_NAME)] != '\0' ||
	    t->cipher[strspn(t->cipher, MSG_TLS_NAME)] != '\0')
		abort();
	if (!f->tls && (t->version[0] != '\0' || t->cipher[0] != '\0' || t->client[0] != '\0'))
		abort();
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
	if (result == PROXY_WHOLE)
		facts_check(&whole);
	return 0;
}
