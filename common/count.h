/* Number of elements of an array that is known whole: a table, not a pointer. */
#ifndef POP3D_COUNT_H
#define POP3D_COUNT_H

#define COUNT_OF(table) (sizeof(table) / sizeof((table)[0]))

#endif
