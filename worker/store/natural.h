/*
 * Natural order of names: what has numbers in it comes in the order of the numbers.  Pure.
 */
#ifndef POP3D_STORE_NATURAL_H
#define POP3D_STORE_NATURAL_H

#include <stddef.h>

/*
 * Compare two names: runs of digits by their value, all else by octet, so that
 * "10" comes after "2" and microseconds without leading zeros sort right.
 * Less than, equal to or greater than 0; 0 only for equal names.
 */
int natural_compare(const char *a, size_t a_len, const char *b, size_t b_len);

#endif
