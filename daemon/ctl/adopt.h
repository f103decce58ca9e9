/*
 * pop3ctl adopt: another server's configuration as ours, and its unique-ids taken over.  A server
 * is a reader of its settings and a table of what each becomes.
 */
#ifndef POP3D_CTL_ADOPT_H
#define POP3D_CTL_ADOPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum { ADOPT_NAME_SIZE = 512, ADOPT_VALUE_SIZE = 1024 };

/* A setting of theirs: its name with the sections or the file that it stands in, as
 * "service pop3-login/inet_listener pop3/port" or "pop3d-ssl/SSLPORT". */
struct adopt_setting {
	char *name, *value; /* of a section itself, "{" */
	size_t section;	    /* the same for settings of one section */
};

/* Settings of theirs, and what has been written of ours so far. */
struct adopt {
	char *title; /* the other server and its version */
	struct adopt_setting *settings;
	size_t n, sections;
	FILE *set, *servers, *notes;
	size_t unmoved; /* notes of what pop3d cannot do and mail would be missing for */
};

/* Make `value` one of ours in `out` (ADOPT_VALUE_SIZE), with its quotes.  False: it cannot be. */
typedef bool adopt_convert_fn(const char *value, char *out);

/* What becomes of a setting of theirs; the first row that fits counts. */
struct adopt_rule {
	const char *theirs;	   /* fnmatch(3) pattern of its name */
	const char *ours;	   /* NULL: none */
	adopt_convert_fn *convert; /* of `ours` */
	/* Where there is none of ours, or it cannot be made: why, and what to do; NULL: it concerns
	 * no POP3 server or is seen to elsewhere, and nothing is said. */
	const char *words;
};

/* ---- adopt.c */

/* Run "adopt ...", argv[0] being that word.  The exit status. */
int adopt_run(const char *socket_path, int argc, char *argv[]);

/* Note a setting.  0, or -1 without memory. */
int adopt_add(struct adopt *a, const char *name, const char *value, size_t section);

/* Free what was noted. */
void adopt_free(struct adopt *a);

/* The value of the first setting of that pattern, or NULL. */
const char *adopt_get(const struct adopt *a, const char *pattern);

/* The value of `name` in that section, or NULL. */
const char *adopt_get_in(const struct adopt *a, size_t section, const char *pattern);

/* Is it a word of theirs for yes? */
bool adopt_is_yes(const char *value);

/* Write what the table makes of all settings. */
void adopt_apply(struct adopt *a, const struct adopt_rule *rules);

/* Write "ours = value" below a comment that says what it was made of. */
void adopt_set(struct adopt *a, const char *ours, const char *value, const char *of);

/* Write below "not carried over" what it is about, and why. */
void adopt_note(struct adopt *a, const char *what, const char *words);

/* Conversions: a text in quotes; a number; "/PATH" in quotes, also behind "<". */
adopt_convert_fn adopt_text, adopt_number, adopt_path;

/* Read a stream line by line: `line` is told each without its end and without blanks around it.  0,
 * or -1 without memory. */
int adopt_lines(struct adopt *a, FILE *in, int (*line)(struct adopt *a, char *text, void *arg),
		void *arg);

/* ---- adopt_doveconf.c, adopt_dovecot.c, adopt_courier.c: read the settings from `config` (NULL:
 * ask the other server itself), or say what is wrong and return -1; write ours. */
int adopt_dovecot_read(struct adopt *a, const char *config);
void adopt_dovecot_write(struct adopt *a);
int adopt_courier_read(struct adopt *a, const char *config);
void adopt_courier_write(struct adopt *a);

/* The Maildir that Courier opens in a home, MAILDIRPATH in the folder of its settings (NULL: the
 * usual one), malloc'ed; its own default if none is set or there is no such folder.  NULL: said. */
char *adopt_courier_maildir(const char *config);

/* ---- adopt_uids.c: run "adopt uids ...", argv[0] being that second word.  The exit status. */
int adopt_uids(const char *socket_path, int argc, char *argv[]);

/* ---- adopt_listing.c: what the other server itself tells a client of that user.  */
struct adopt_peer {
	const char *name; /* "dovecot" */
	bool has_folder;  /* of its own settings, which may be another than the usual one */
	/* Before the rest: learn from its settings (`config`: their folder; NULL: the usual one)
	 * how it is asked, and write the source of "uidl import", with its format, to `source`
	 * (ADOPT_VALUE_SIZE).  False: said. */
	bool (*begin)(const char *config, char *source);
	/* Append its UIDL answer to the file `fd`.  False: `why` (of cap octets) says it. */
	bool (*listing)(const char *user, int fd, char *why, size_t cap);
};

/* The peer of that name, or NULL. */
const struct adopt_peer *adopt_peer_find(const char *name);

/* Run a program of theirs; `out` (cap octets) gets its first line without the end.  False: it
 * fails or prints nothing. */
bool adopt_ask(char *const argv[], char *out, size_t cap);

#endif
