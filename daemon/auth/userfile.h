/*
 * The user file, back end "file:PATH".  One account a line:
 *
 *   name:password:uid:gid:home[:mailbox][:allow=NETWORKS][:deny=NETWORKS]
 *
 * name      1 to 255 octets, no control characters, no colon; case counts.
 * password  a crypt(3) hash, also behind one of the marks that other servers
 *           put there ({CRYPT}, {SHA512-CRYPT}, {SHA256-CRYPT}, {MD5-CRYPT},
 *           {BLF-CRYPT}, {DES-CRYPT}); {plain} and the secret itself, which
 *           serves APOP, too; or {apop} and the secret, which serves APOP only.
 *           Case of marks does not count.  No colon.  What begins with "*" or
 *           "!" is locked and lets nobody in; so does anything else, as a fault.
 * uid, gid  numbers above 0; accounts may share them.  A uid below minimum_uid
 *           is refused at login.  In rootless mode both may be empty: one's own.
 * home      absolute path, %h of a storage template.
 * mailbox   absolute path of this account's mailbox, whatever the template
 *           says; may hold colons.  Empty or left out: by the template.
 * allow     the only networks that the account may be used from, deny those that
 *           it may not, over which it goes; as "192.0.2.0/24,2001:db8::/32".  The
 *           first ":allow=" or ":deny=" behind the gid ends what is before it.
 *           A line with a faulty one lets nobody in.
 *
 * Empty lines and lines that begin with # are passed over.  Lines end with LF
 * or CRLF; a byte order mark (UTF-8) before the first is passed over.  Of two
 * lines for a name the first counts.  A faulty line is told in the log, without
 * its content, and harms no other.
 *
 * Its identity, size and times are looked at before each login: a change is
 * taken up at once, also one in place.  A file that cannot be used refuses all
 * logins for the time being, as trouble of the server's.
 */
#ifndef POP3D_AUTH_USERFILE_H
#define POP3D_AUTH_USERFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum userfile_scheme {
	USERFILE_LOCKED, /* on purpose, or nothing that can be used */
	USERFILE_HASH,	 /* of crypt(3) */
	USERFILE_PLAIN,
	USERFILE_APOP
};

struct userfile_entry {
	const char *name, *password, *home;
	const char *mailbox;	  /* empty: by the server's template */
	const char *allow, *deny; /* networks; NULL: none */
	const char *secret;	  /* the password without its mark */
	enum userfile_scheme scheme;
	uint32_t uid, gid;
};

struct userfile {
	char *text; /* what the entries point into */
	size_t len;
	struct userfile_entry *entries; /* sorted by name */
	size_t n;
};

/* Told of each line that is no account, or one that nobody can log in to by mistake. */
typedef void userfile_fault_fn(size_t line, const char *what, void *arg);

/*
 * Read a user file.  It must be a regular file of root's or the caller's, not
 * writable by group or others and not readable by others (fstat(2)).
 * 0 and *text (malloc'ed, terminated, the caller's, without a byte order mark),
 * or -1 with errno: EPERM
 * for owner, mode or kind; why (of cap octets) says it in words.
 */
int userfile_read(const char *path, char **text, size_t *len, char *why, size_t cap);

/*
 * Parse text of len octets with a NUL behind them; takes ownership of it, also
 * when it fails.  Faulty lines and second lines for a name are told to `fault`
 * (NULL: nobody) and passed over, but for those with only a faulty password.  own: empty uid and
 * gid mean the caller's. 0, or -1 with errno ENOMEM.
 */
int userfile_parse(struct userfile *u, char *text, size_t len, bool own, userfile_fault_fn *fault,
		   void *arg);

/* The account of that name, or NULL. */
const struct userfile_entry *userfile_find(const struct userfile *u, const char *name);

/* NULL if the account may be used from the numeric address, else "allow" or "deny", whichever
 * refuses.  What is no address is in no network. */
const char *userfile_barred(const struct userfile_entry *e, const char *address);

/* Wipe all of the text but names, homes and mailboxes; passwords and networks are empty then.
 * 0, or -1 with errno ENOMEM (everything is wiped and freed). */
int userfile_forget_passwords(struct userfile *u);

/* Does crypt(3) know a hash of this form? */
bool userfile_hash_is_known(const char *hash);

/* Wipe and free everything.  Harmless on a zeroed struct. */
void userfile_free(struct userfile *u);

/* A crypt(3) hash of this file (one with the cost that its accounts have), or NULL. */
const char *userfile_any_hash(const struct userfile *u);

/* The secret behind {plain}, or NULL if the entry has something else. */
const char *userfile_plain(const struct userfile_entry *e);

/* The secret for APOP, behind {plain} or {apop}, or NULL. */
const char *userfile_apop(const struct userfile_entry *e);

#endif
