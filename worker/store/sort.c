#include "config.h"

#include "worker/store/sort.h"

#include <assert.h>
#include <string.h>

enum { SIZE_MAX_OCTETS = 64 };

struct heap {
	char *array;
	size_t size; /* of an element */
	int (*compare)(const void *, const void *, void *);
	void *arg;
};

static int
is_less(const struct heap *h, size_t i, size_t j)
{
	return h->compare(h->array + i * h->size, h->array + j * h->size, h->arg) < 0;
}

static void
swap(const struct heap *h, size_t i, size_t j)
{
	char kept[SIZE_MAX_OCTETS];

	memcpy(kept, h->array + i * h->size, h->size);
	memcpy(h->array + i * h->size, h->array + j * h->size, h->size);
	memcpy(h->array + j * h->size, kept, h->size);
}

/* Let the element at `at` sink until none below it, of the first `count`, is greater. */
static void
sink(const struct heap *h, size_t at, size_t count)
{
	size_t child;

	while ((child = 2 * at + 1) < count) {
		if (child + 1 < count && is_less(h, child, child + 1))
			child++;
		if (!is_less(h, at, child))
			return;
		swap(h, at, child);
		at = child;
	}
}

void
sort(void *array, size_t count, size_t size, int (*compare)(const void *, const void *, void *),
     void *arg)
{
	const struct heap h = {array, size, compare, arg};

	assert(size <= SIZE_MAX_OCTETS);
	for (size_t i = count / 2; i > 0; i--)
		sink(&h, i - 1, count);
	for (size_t n = count; n > 1; n--) {
		swap(&h, 0, n - 1);
		sink(&h, 0, n - 1);
	}
}
