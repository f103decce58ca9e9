/*
 * How `pop3ctl top` fits what it shows into a terminal: columns, cells, lines of the head.  No
 * terminal here.  Everything that comes out is printable ASCII.
 */
#ifndef POP3D_CTL_TOP_LAYOUT_H
#define POP3D_CTL_TOP_LAYOUT_H

#include <stddef.h>

#include "daemon/ctl/top_table.h"

enum { TOP_WIDTH_MAX = 1024 /* columns of a terminal that are used */ };

struct top_layout {
	size_t n;
	struct {
		enum top_fact fact;
		size_t width; /* a space stands between two */
	} column[TOP_FACTS];
};

/*
 * The columns that fit into `width`, in the order of enum top_fact: at least the user.  Up to
 * TOP_SENT as many as fit at their least widths; columns of text then get what the n rows need, as
 * long as there is room; and then come further columns.
 */
void top_layout_make(struct top_layout *l, size_t width, const struct top_row *const rows[],
		     size_t n);

/* The head of a column; its long name, for a sentence. */
const char *top_title(enum top_fact fact);
const char *top_name(enum top_fact fact);

/* Numbers fall and names rise when they are first sorted by. */
bool top_falls(enum top_fact fact);

/*
 * Write text into dst (room for width + 1), padded to the width: octets that are not printable
 * ASCII as \xNN, and "+" at the end of what was cut, at a whole \xNN.
 */
void top_fit(char *dst, size_t width, const char *text);

/* A column's cell, as top_fit() does; numbers at the right. */
void top_cell(char *dst, const struct top_layout *l, size_t column, const struct top_row *row);

/* Numbers in five places: "1023", "1.5k", "12M"; seconds: "59s", "9m59s", "23h59", "9d23h"; NAN:
 * "-".  Returns dst. */
enum { TOP_NUMBER_SIZE = 32 };
const char *top_octets(char dst[TOP_NUMBER_SIZE], double octets);
const char *top_seconds(char dst[TOP_NUMBER_SIZE], double seconds);

/*
 * Lines of `width` with as many of the words (a line each in `words`, each at most once) as fit,
 * two spaces between them; a word is cut only if it is longer than a line.  Into lines[], at most
 * `max`.  Returns how many.
 */
size_t top_flow(char lines[][TOP_WIDTH_MAX + 1], size_t max, size_t width, const char *words);

/* How the rows of a terminal are shared out. */
struct top_height {
	size_t head, warnings; /* lines above the table, at most */
	size_t titles;	       /* 1, or 0: there is no room */
	size_t rows;
	size_t foot; /* as titles */
};
void top_height_share(struct top_height *h, size_t height, size_t head, size_t warnings);

/* The first row to show so that `selected` of n is among the `shown`, moved from `first` as little
 * as possible. */
size_t top_scroll(size_t first, size_t selected, size_t n, size_t shown);

#endif
