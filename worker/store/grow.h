/*
 * Arrays that grow as they are filled.
 */
#ifndef POP3D_GROW_H
#define POP3D_GROW_H

#include <stddef.h>

/*
 * Make room for `need` items of `size` octets in an array from malloc(3).  `array` is the address
 * of the pointer to it (NULL: none yet), `*room` how many items it has room for; it is doubled as
 * often as needed.  0; -1 with errno ENOMEM: array and room are as they were.
 */
int grow(void *array, size_t *room, size_t need, size_t size);

#endif
