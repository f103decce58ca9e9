/*
 * Sorting what others may change meanwhile, or with little memory.
 */
#ifndef POP3D_STORE_SORT_H
#define POP3D_STORE_SORT_H

#include <stddef.h>

/*
 * As qsort_r(3), in place, by a heap (Williams 1964).  Whatever compare() answers, nothing
 * outside of the array is touched: that of glibc before 2.37 relies on an order where it has
 * no memory for a copy.  Elements that are equal come in any order.  `size` is 64 octets at most.
 */
void sort(void *array, size_t count, size_t size,
	  int (*compare)(const void *, const void *, void *), void *arg);

#endif
