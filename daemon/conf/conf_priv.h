/*
 * What the files of the configuration share among themselves: the table of
 * settings, and how faults are told.
 */
#ifndef POP3D_CONF_PRIV_H
#define POP3D_CONF_PRIV_H

#include "daemon/conf/conf.h"

#ifndef SYSCONFDIR
#define SYSCONFDIR "/etc"
#endif

/* Where something stands in the configuration. */
struct conf_place {
	const char *path; /* as it was named */
	int line;	  /* 0: the file as a whole */
};

/* Who hears of faults (NULL: nobody), and how many there were. */
struct conf_faults {
	const struct conf_hearer *hearer;
	unsigned count;
};

enum {
	CONF_FILE_MAX = 1024 * 1024, /* octets of a configuration file */
	CONF_FILES_MAX = 256,	     /* read in all, with those included */
	CONF_DEPTH_MAX = 8,	     /* of files that include others */
	CONF_FAULTS_MAX = 20	     /* told in all */
};

/* Say "PATH:LINE: text".  A fault fails the file, a warning does not. */
void conf_fault(struct conf_faults *f, struct conf_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
void conf_warning(struct conf_faults *f, struct conf_place at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Say how many faults were not told. */
void conf_faults_end(struct conf_faults *f, const char *path);

/*
 * Is `candidate` so much like `name` that it may be meant, and more than what was
 * found before?  Then it goes to *nearest; *best, UINT_MAX at first, is how far it is.
 */
void conf_nearest(const char *name, const char *candidate, const char **nearest, unsigned *best);

/*
 * conf_load on a text in memory, which it changes and which has room for a NUL
 * at text[len]; `path` names it in faults.  It cannot include files.
 */
int conf_load_text(const char *path, char *text, size_t len, struct conf *c,
		   const struct conf_hearer *hearer);

enum conf_kind {
	CONF_NUMBER,
	CONF_WORD,
	CONF_FLAG,
	CONF_TEXT,
	CONF_ADDRESS, /* numeric, or "*" */
	CONF_NETWORK  /* a numeric address and the length of its prefix; or empty */
};

struct conf_word {
	const char *word;
	int value;
};

struct conf_suffix {
	const char *suffix;
	uint64_t factor;
};

/* What a number counts. */
struct conf_unit {
	const char *name;
	const struct conf_suffix *suffixes; /* largest first; NULL: plain numbers only */
};
extern const struct conf_unit conf_seconds, conf_milliseconds, conf_octets;

/* One setting.  Its place is an offset into struct conf or struct conf_server. */
struct conf_setting {
	const char *name;
	enum conf_kind kind;
	const char *def; /* as it would be written in the file; NULL: made up from others */
	size_t offset, size;
	/* a list: a struct of its length, a size_t, and the values */
	size_t most, each; /* values at most, 0: no list; octets of one */
	const char *noun;  /* of its values, for a fault */
	bool once;	   /* none may stand twice */
	/* CONF_NUMBER; CONF_TEXT: max octets, 0: what fits */
	uint32_t min, max;
	const struct conf_unit *unit;  /* NULL: a plain count */
	uint32_t advised;	       /* a number below it is warned of, */
	const char *advice;	       /* in these words */
	const struct conf_word *words; /* CONF_WORD; CONF_NUMBER: a word for one number, or NULL */
	const char *(*check)(const char *); /* CONF_TEXT: NULL, or what was expected */
	bool shared; /* of servers: may stand at top level, for all of them */
};

extern const struct conf_setting conf_global_settings[]; /* end: no name */
extern const struct conf_setting conf_server_settings[]; /* end: no name */

/* The setting of that name and its index in the table, or NULL. */
const struct conf_setting *conf_setting_find(const struct conf_setting *table, const char *name,
					     size_t *index);

/*
 * Store a value as written in the file into the struct at base.  0, or -1 with
 * what was expected in `expected`; nothing is stored then.
 */
int conf_setting_store(const struct conf_setting *s, void *base, const char *value,
		       char expected[CONF_EXPECTED_SIZE]);

/* Print the value in the struct at base, in the form in which the file has it. */
void conf_setting_print(const struct conf_setting *s, const void *base, FILE *out);

/* Does each value that is stored lengthen a list?  One whose octets are 0 is empty. */
bool conf_setting_is_list(const struct conf_setting *s);

/* Is the number that is stored below the advised one? */
bool conf_setting_is_unwise(const struct conf_setting *s, const void *base);

/* Store the default of every setting of the table that has one. */
void conf_settings_default(const struct conf_setting *table, void *base);

/* Bit n of a set: setting n of its table was given. */
static inline uint64_t
conf_bit(size_t index)
{
	return UINT64_C(1) << index;
}

/* What a file gave, and where; the one place more is for servers too many. */
struct conf_given {
	const char *path;	   /* the file itself */
	struct conf_server shared; /* servers' settings at top level */
	uint64_t shared_set, server_set[CONF_SERVERS_MAX + 1];
	struct conf_place shared_at[64], server_at[CONF_SERVERS_MAX + 1];
};

/* Before a file is read: all defaults, no server. */
void conf_begin(struct conf *c, struct conf_given *given);

/* The servers of a file that has none, with c's settings for all servers, go to out. */
void conf_servers_built_in(const struct conf *c, struct conf *out);

/* What a server would be that says no more than its `socket`, as `server` has it. */
void conf_server_plain(const struct conf *c, const struct conf_server *server,
		       struct conf_server *plain);

/* After it was read: complete the servers (none: the built-in two) and check them. */
void conf_finish(struct conf *c, struct conf_given *given, struct conf_faults *f);

#endif
