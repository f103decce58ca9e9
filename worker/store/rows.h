/*
 * An array of rows of one size, which are appended and read by their index, with little memory.
 *
 * ROWS_PAGE of them, a page, are in memory.  When there are more, all pages but this one are in a
 * file without a name, in a directory that the caller names; its owner may change it, so that what
 * is read is hostile input.  Where no file is to be had, or it can grow no further, all rows are in
 * memory.
 */
#ifndef POP3D_STORE_ROWS_H
#define POP3D_STORE_ROWS_H

#include <stdbool.h>
#include <stddef.h>

enum { ROWS_PAGE = 4096 };

/* Where the file is made. */
struct rows_place {
	int dir_fd; /* -1: nowhere.  Borrowed */
	char
	    name[64]; /* that it has for an instant, where the file system makes none without one */
};

struct rows {
	size_t size; /* octets of a row */
	size_t count;
	struct rows_place place;
	int fd;	    /* the file; -1: none, all rows are in memory */
	char *page; /* those in memory, from the first-th on */
	size_t first, room;
	bool dirty; /* the page is not in the file as it is */
};

/* Begin with no row.  NULL: there is no place for a file. */
void rows_init(struct rows *r, size_t size, const struct rows_place *place);

/* Append a row.  0 or -1 with errno: nothing is appended. */
int rows_append(struct rows *r, const void *row);

/* Row i, less than the count, good until the next call; NULL with errno, EIO if the file has been
 * cut. */
const void *rows_get(struct rows *r, size_t i);

/* Give up memory and file.  It may be called for zeros, too. */
void rows_free(struct rows *r);

#endif
