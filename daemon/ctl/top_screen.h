/*
 * What the parts of "pop3ctl top" share: top.c asks the daemon and has the terminal, top_draw.c
 * draws, top_keys.c does what keys say.
 */
#ifndef POP3D_CTL_TOP_SCREEN_H
#define POP3D_CTL_TOP_SCREEN_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>

#include "daemon/ctl/top_head.h"
#include "daemon/ctl/top_layout.h"
#include "daemon/ctl/top_table.h"

enum { TOP_TEXT_SIZE = 64 /* of a filter or an id */ };

struct top;

/* What is on the screen, and what keys do there. */
struct mode {
	void (*draw)(struct top *t);
	void (*key)(struct top *t, int key);
};

struct top {
	const char *socket_path;
	char host[HOST_NAME_MAX + 1];
	const struct mode *mode, *behind; /* behind: of a question */
	bool done;

	char *status; /* the daemon's answers; NULL: it does not answer */
	struct top_table table;
	struct top_logins logins;
	char lost[256]; /* why it does not answer */
	time_t lost_since;

	const struct top_row **rows; /* those shown, in order */
	size_t n, first, at;	     /* on the screen first; under the cursor */
	bool follows;		     /* the cursor stays on the session and not on the line */
	char selected[TOP_TEXT_SIZE];
	struct top_layout layout;
	enum top_fact by;
	bool falling;
	char filter[TOP_TEXT_SIZE];

	char id[TOP_TEXT_SIZE], server[TOP_TEXT_SIZE * 2],
	    who[256]; /* that is asked or told about */
	char *details;
	size_t details_first;
	char note[256]; /* until the next key */
};

extern const struct mode mode_table, mode_filter, mode_kill, mode_details, mode_help;

/* top.c: put the rows into order, with the cursor where it belongs; ask the daemon for all that is
 * shown, or for all about the session t->id. */
void top_order(struct top *t);
void top_renew(struct top *t);
void top_renew_details(struct top *t);

/* top_draw.c: what each mode shows. */
void draw_table(struct top *t);
void draw_filter(struct top *t);
void draw_kill(struct top *t);
void draw_details(struct top *t);
void draw_help(struct top *t);

/* top_keys.c: what a key of getch(3) does in each. */
void key_table(struct top *t, int key);
void key_filter(struct top *t, int key);
void key_kill(struct top *t, int key);
void key_details(struct top *t, int key);
void key_text(struct top *t, int key);

#endif
