#include "config.h"

#include <crypt.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "common/msg.h"
#include "common/network.h"
#include "common/pop3.h"
#include "daemon/auth/userfile.h"

enum { USERFILE_MAX = 64 << 20, FIELDS_MIN = 5, FIELDS_MAX = 6 };

/* What a password may begin with, and what then stands behind it. */
static const struct mark {
	const char *text;
	enum userfile_scheme scheme;
} marks[] = {
    {"{plain}", USERFILE_PLAIN},       {"{apop}", USERFILE_APOP},
    {"{crypt}", USERFILE_HASH},	       {"{sha512-crypt}", USERFILE_HASH},
    {"{sha256-crypt}", USERFILE_HASH}, {"{blf-crypt}", USERFILE_HASH},
    {"{md5-crypt}", USERFILE_HASH},    {"{des-crypt}", USERFILE_HASH},
};

/* What is wrong with the file's owner, mode or kind; NULL: nothing. */
static const char *
userfile_objection(const struct stat *st)
{
	if (!S_ISREG(st->st_mode))
		return "not a regular file";
	if (st->st_uid != 0 && st->st_uid != geteuid())
		return "belongs neither to root nor to the daemon's user";
	if (st->st_mode & (S_IWGRP | S_IWOTH))
		return "may be written by group or others";
	if (st->st_mode & S_IROTH)
		return "may be read by others";
	if (st->st_size > USERFILE_MAX)
		return "is too large";
	return NULL;
}

/* Read what the open file holds.  NULL with errno. */
static char *
userfile_slurp(int fd, size_t size, size_t *len)
{
	size_t cap = size + 1, have = 0;
	char *text = malloc(cap + 1);
	ssize_t n = 0;

	if (text == NULL)
		return NULL;
	while (have < cap && (n = read(fd, text + have, cap - have)) > 0)
		have += (size_t)n;
	if (n < 0 || have == cap) { /* or it grew meanwhile: try again later */
		if (n >= 0)
			errno = EAGAIN;
		explicit_bzero(text, have);
		free(text);
		return NULL;
	}
	text[have] = '\0';
	*len = have;
	return text;
}

/* A byte order mark, which some editors put before the first line, is none of it. */
static void
text_skip_mark(char *text, size_t *len)
{
	static const char mark[] = "\xef\xbb\xbf";
	size_t n = sizeof(mark) - 1;

	if (*len < n || memcmp(text, mark, n) != 0)
		return;
	*len -= n;
	memmove(text, text + n, *len + 1);
	explicit_bzero(text + *len + 1, n);
}

int
userfile_read(const char *path, char **text, size_t *len, char *why, size_t cap)
{
	const char *objection = NULL;
	struct stat st;
	int error = 0, fd;

	*text = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &st) < 0)
		error = errno;
	else if ((objection = userfile_objection(&st)) != NULL)
		error = EPERM;
	else if ((*text = userfile_slurp(fd, (size_t)st.st_size, len)) == NULL)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error == 0) {
		text_skip_mark(*text, len);
		return 0;
	}
	snprintf(why, cap, "%s: %s", path, objection != NULL ? objection : strerror(error));
	errno = error;
	return -1;
}

/* A uid or gid; empty means `own` where that is allowed. */
static bool
parse_id(const char *digits, bool may_own, uint32_t own, uint32_t *id)
{
	uint64_t v;

	if (digits[0] == '\0' && may_own) {
		*id = own;
		return true;
	}
	if (pop3_number(digits, strlen(digits), &v) < 0 || v >= UINT32_MAX)
		return false;
	*id = (uint32_t)v;
	return true;
}

static const char allow_mark[] = ":allow=", deny_mark[] = ":deny=";

/* Behind "name:password:uid:gid:"; NULL: there is no such place. */
static char *
line_home(char *line)
{
	for (size_t i = 0; i < FIELDS_MIN - 1 && line != NULL; i++) {
		line = strchr(line, ':');
		line += line != NULL;
	}
	return line;
}

/* Cut the networks off, which may stand in any order.  A mark that stands there twice stays in a
 * value, and makes it faulty. */
static void
line_take_networks(char *line, struct userfile_entry *e)
{
	char *home = line_home(line), *allow, *deny;

	e->allow = e->deny = NULL;
	if (home == NULL)
		return;
	allow = strstr(home, allow_mark);
	deny = strstr(home, deny_mark);
	if (allow != NULL) {
		*allow = '\0';
		e->allow = allow + strlen(allow_mark);
	}
	if (deny != NULL) {
		*deny = '\0';
		e->deny = deny + strlen(deny_mark);
	}
}

/* Is the address in one of the networks?  -1: one of them is none. */
static int
networks_have(const char *networks, const struct msg_addr *address)
{
	char text[MSG_WORD_SIZE];
	struct network n;
	size_t len;
	int has = 0;

	for (;; networks += len + 1) {
		len = strcspn(networks, ",");
		if (len >= sizeof(text))
			return -1;
		memcpy(text, networks, len);
		text[len] = '\0';
		if (network_parse(text, &n) == -1)
			return -1;
		has |= network_has(&n, address);
		if (networks[len] == '\0')
			return has;
	}
}

const char *
userfile_barred(const struct userfile_entry *e, const char *address)
{
	struct network one;

	if (network_parse(address, &one) == -1)
		one = (struct network){0};
	if (e->deny != NULL && networks_have(e->deny, &one.address) != 0)
		return "deny";
	return e->allow != NULL && networks_have(e->allow, &one.address) != 1 ? "allow" : NULL;
}

/* Cut a line at its colons, in place; surplus colons stay in the last field. */
static size_t
line_split(char *line, char *field[FIELDS_MAX])
{
	size_t n = 0;

	for (char *p = line; p != NULL && n < FIELDS_MAX; n++) {
		field[n] = p;
		p = strchr(p, ':');
		if (p != NULL && n + 1 < FIELDS_MAX)
			*p++ = '\0';
	}
	return n;
}

static bool
name_is_good(const char *name)
{
	size_t len = strlen(name);

	if (len == 0 || len >= MSG_NAME_SIZE)
		return false;
	for (size_t i = 0; i < len; i++)
		if ((unsigned char)name[i] < ' ' || name[i] == 0x7f)
			return false;
	return true;
}

static bool
path_is_good(const char *path)
{
	return path[0] == '/' && strlen(path) < MSG_PATH_SIZE;
}

/* Only the traditional ones have no "$" or "_" before them: 2 characters of salt, 11 for each 8 of
 * the password. */
bool
userfile_hash_is_known(const char *hash)
{
	size_t len = strlen(hash);
	int verdict = crypt_checksalt(hash);

	if (verdict != CRYPT_SALT_OK && verdict != CRYPT_SALT_METHOD_LEGACY &&
	    verdict != CRYPT_SALT_TOO_CHEAP)
		return false;
	return hash[0] == '$' || hash[0] == '_' || (len >= 13 && (len - 2) % 11 == 0);
}

/* Find out what the password is.  NULL, or why nobody can log in with it. */
static const char *
password_parse(struct userfile_entry *e)
{
	e->secret = e->password;
	e->scheme =
	    e->password[0] == '*' || e->password[0] == '!' ? USERFILE_LOCKED : USERFILE_HASH;
	for (size_t i = 0; i < COUNT_OF(marks); i++) {
		size_t len = strlen(marks[i].text);

		if (strncasecmp(e->password, marks[i].text, len) != 0)
			continue;
		e->secret = e->password + len;
		e->scheme = marks[i].scheme;
	}
	if (e->scheme != USERFILE_HASH || userfile_hash_is_known(e->secret))
		return NULL;
	e->scheme = USERFILE_LOCKED;
	return e->secret[0] == '{' ? "nobody can log in: the password is of a scheme that is not "
				     "known here"
				   : "nobody can log in: the password is no hash of crypt(3); a "
				     "plain one has {plain} before it";
}

/* Make an entry of one line, cut in place.  NULL, or what is wrong with it. */
static const char *
line_parse(char *line, bool own, struct userfile_entry *e)
{
	char *field[FIELDS_MAX];
	size_t n;

	line_take_networks(line, e);
	n = line_split(line, field);
	if (n < FIELDS_MIN)
		return "expected "
		       "name:password:uid:gid:home[:mailbox][:allow=NETWORKS][:deny=NETWORKS]";
	e->name = field[0];
	e->password = field[1];
	e->home = field[4];
	e->mailbox = n == FIELDS_MAX ? field[5] : "";
	if (!name_is_good(e->name))
		return "name is empty, too long or holds control characters";
	if (e->password[0] == '\0')
		return "password is empty";
	if (!parse_id(field[2], own, (uint32_t)geteuid(), &e->uid) || (e->uid == 0 && !own))
		return "uid is not a number above 0";
	if (!parse_id(field[3], own, (uint32_t)getegid(), &e->gid) || (e->gid == 0 && !own))
		return "gid is not a number above 0";
	if (!path_is_good(e->home))
		return "home is not an absolute path";
	if (e->mailbox[0] != '\0' && !path_is_good(e->mailbox))
		return "mailbox is not an absolute path";
	return NULL;
}

/* Find out who can log in, and from where.  NULL, or why nobody can. */
static const char *
entry_judge(struct userfile_entry *e)
{
	static const struct msg_addr nowhere;
	const char *what = password_parse(e);

	if ((e->allow == NULL || networks_have(e->allow, &nowhere) != -1) &&
	    (e->deny == NULL || networks_have(e->deny, &nowhere) != -1))
		return what;
	e->scheme = USERFILE_LOCKED;
	return "nobody can log in: allow and deny are each networks such as "
	       "192.0.2.0/24,2001:db8::/32";
}

static int
entry_compare(const void *a, const void *b)
{
	const struct userfile_entry *x = a, *y = b;
	int c = strcmp(x->name, y->name);

	return c != 0 ? c : (x->name > y->name) - (x->name < y->name);
}

/* Sort, and keep the first line of each name. */
static void
userfile_sort(struct userfile *u, userfile_fault_fn *fault, void *arg)
{
	size_t kept = 0;

	if (u->n > 1)
		qsort(u->entries, u->n, sizeof(u->entries[0]), entry_compare);
	for (size_t i = 0; i < u->n; i++) {
		if (kept > 0 && strcmp(u->entries[kept - 1].name, u->entries[i].name) == 0) {
			if (fault != NULL)
				fault(0, "a name stands in it twice; its first line counts", arg);
			continue;
		}
		u->entries[kept++] = u->entries[i];
	}
	u->n = kept;
}

static size_t
text_lines(const char *text, size_t len)
{
	size_t n = 1;

	for (size_t i = 0; i < len; i++)
		n += text[i] == '\n';
	return n;
}

int
userfile_parse(struct userfile *u, char *text, size_t len, bool own, userfile_fault_fn *fault,
	       void *arg)
{
	size_t number = 0;

	*u = (struct userfile){.text = text, .len = len};
	u->entries = calloc(text_lines(text, len), sizeof(u->entries[0]));
	if (u->entries == NULL) {
		userfile_free(u);
		errno = ENOMEM;
		return -1;
	}
	for (char *line = text, *next; line < text + len; line = next) {
		struct userfile_entry *e = &u->entries[u->n];
		const char *what;
		char *end = memchr(line, '\n', len - (size_t)(line - text));

		number++;
		if (end == NULL)
			end = text + len;
		next = end + 1;
		*end = '\0';
		if (end > line && end[-1] == '\r')
			end[-1] = '\0';
		if (line[0] == '\0' || line[0] == '#')
			continue;
		if (strlen(line) + 1 < (size_t)(end - line))
			what = "a NUL octet stands in it";
		else
			what = line_parse(line, own, e);
		if (what == NULL) {
			what = entry_judge(e);
			u->n++;
		}
		if (what != NULL && fault != NULL)
			fault(number, what, arg);
	}
	userfile_sort(u, fault, arg);
	return 0;
}

static int
entry_match(const void *key, const void *entry)
{
	return strcmp(key, ((const struct userfile_entry *)entry)->name);
}

const struct userfile_entry *
userfile_find(const struct userfile *u, const char *name)
{
	if (u->n == 0)
		return NULL;
	return bsearch(name, u->entries, u->n, sizeof(u->entries[0]), entry_match);
}

/* Copy a string to *at, which moves behind it.  Returns the copy. */
static const char *
text_move(char **at, const char *string)
{
	char *copy = *at;

	*at = stpcpy(copy, string) + 1;
	return copy;
}

int
userfile_forget_passwords(struct userfile *u)
{
	char *text = malloc(u->len + 2), *at = text;

	if (text == NULL) {
		userfile_free(u);
		errno = ENOMEM;
		return -1;
	}
	/* shorter than before: each string was one of the old text, empty ones share one NUL */
	*at++ = '\0';
	for (size_t i = 0; i < u->n; i++) {
		struct userfile_entry *e = &u->entries[i];

		e->name = text_move(&at, e->name);
		e->home = text_move(&at, e->home);
		e->mailbox = e->mailbox[0] == '\0' ? text : text_move(&at, e->mailbox);
		e->password = e->secret = text;
		e->allow = e->deny = NULL;
	}
	explicit_bzero(u->text, u->len);
	free(u->text);
	u->text = text;
	u->len = (size_t)(at - text);
	return 0;
}

void
userfile_free(struct userfile *u)
{
	if (u->text != NULL)
		explicit_bzero(u->text, u->len);
	free(u->text);
	free(u->entries);
	*u = (struct userfile){0};
}

const char *
userfile_plain(const struct userfile_entry *e)
{
	return e->scheme == USERFILE_PLAIN ? e->secret : NULL;
}

const char *
userfile_apop(const struct userfile_entry *e)
{
	return e->scheme == USERFILE_APOP ? e->secret : userfile_plain(e);
}

const char *
userfile_any_hash(const struct userfile *u)
{
	for (size_t i = 0; i < u->n; i++)
		if (u->entries[i].scheme == USERFILE_HASH && u->entries[i].secret[0] == '$')
			return u->entries[i].secret;
	return NULL;
}
