#include "config.h"

#include "worker/store/grow.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_ROOM = 256 };

int
grow(void *array, size_t *room, size_t need, size_t size)
{
	size_t wanted = *room > 0 ? *room : FIRST_ROOM;
	void *items;

	if (need <= *room)
		return 0;
	while (wanted < need)
		wanted *= 2;
	memcpy(&items, array, sizeof(items)); /* whatever its items are */
	if ((items = reallocarray(items, wanted, size)) == NULL)
		return -1;
	memcpy(array, &items, sizeof(items));
	*room = wanted;
	return 0;
}
