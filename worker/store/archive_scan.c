#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sha1.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "worker/store/wire.h"
#include "worker/store/archive.h"
#include "worker/store/grow.h"
#include "worker/store/maildir_build.h"
#include "worker/store/mbox_table.h"
#include "worker/store/natural.h"
#include "worker/store/unpack.h"

enum { READ_BLOCK = 65536 };

struct scan {
	int in;
	const struct mbox_style *style;
	struct archive_head head;
	struct archive_entry *entries;
	size_t room;
	char *names;
	size_t names_len, names_room;
};

/* Add a message whose extent is known and whose octets are not. */
static struct archive_entry *
entry_add(struct scan *s, const char *name, uint64_t start, uint64_t end)
{
	size_t len = strlen(name) + 1;
	struct archive_entry *e;

	if (s->names_len > UINT32_MAX - len) {
		errno = EOVERFLOW;
		return NULL;
	}
	if (grow(&s->entries, &s->room, s->head.count + 1, sizeof(*e)) == -1 ||
	    grow(&s->names, &s->names_room, s->names_len + len, 1) == -1)
		return NULL;
	e = &s->entries[s->head.count];
	*e = (struct archive_entry){
	    .start = start, .end = end, .name = (uint32_t)s->names_len, .duplicate = 1};
	memcpy(s->names + s->names_len, name, len);
	return e;
}

/* Add the next octets of a text with CRLF for each of its line ends; *cr: the last octet was CR. */
static void
digest_crlf(SHA1_CTX *sha, const char *in, size_t len, bool *cr)
{
	while (len > 0) {
		const char *lf = memchr(in, '\n', len);
		size_t n = lf != NULL ? (size_t)(lf - in) : len;

		SHA1Update(sha, (const uint8_t *)in, n);
		if (n > 0)
			*cr = in[n - 1] == '\r';
		if (lf == NULL)
			return;
		SHA1Update(sha, (const uint8_t *)(*cr ? "\n" : "\r\n"), *cr ? 1 : 2);
		*cr = false;
		in += n + 1;
		len -= n + 1;
	}
}

/* Read it: size on the wire and digest.  0 or -1 with errno. */
static int
entry_measure(const struct scan *s, struct archive_entry *e, struct store_reader *r)
{
	static char block[READ_BLOCK];
	bool crlf = (s->head.options & ARCHIVE_UIDL_CRLF) != 0, cr = false;
	struct wire w;
	SHA1_CTX sha;
	ssize_t n;

	wire_begin(&w);
	SHA1Init(&sha);
	while ((n = store_read(r, block, sizeof(block))) > 0) {
		wire_count(&w, block, (size_t)n);
		if (crlf)
			digest_crlf(&sha, block, (size_t)n, &cr);
		else
			SHA1Update(&sha, (const uint8_t *)block, (size_t)n);
	}
	e->octets = wire_count_total(&w);
	SHA1Final(e->digest, &sha);
	return n == -1 ? -1 : 0;
}

static void
entry_keep(struct scan *s, const struct archive_entry *e)
{
	s->names_len += strlen(s->names + s->names_len) + 1;
	s->head.count++;
	s->head.octets += e->octets;
}

static void
leave_out(struct scan *s, const char *name, const char *why)
{
	s->head.left_out++;
	log_tell("pop3d: %s: %s; it is left out", name, why);
}

/* Messages in a file that is an mbox; 0: it is none. */
static size_t
count_mbox(const struct scan *s, int fd, uint64_t size)
{
	struct mbox_table t = {0};
	char start[sizeof("From ")];
	size_t count = 0;

	if (pread(fd, start, sizeof(start), 0) == sizeof(start) &&
	    mbox_is_alike(start, sizeof(start)) &&
	    mbox_table_scan(&t, s->style, fd, size, NULL, NULL, NULL) == 0)
		count = t.count;
	mbox_table_free(&t);
	return count;
}

/* One file that is one message.  -1 with errno only if there is no memory. */
static int
scan_file(struct scan *s, const char *name)
{
	struct store_reader r = {.fd = archive_open_file(s->in, name)};
	struct archive_entry *e = NULL;
	struct stat st;
	int result = 0;

	if (r.fd == -1 || fstat(r.fd, &st) == -1)
		goto unread;
	if (!S_ISREG(st.st_mode))
		goto out;
	r.end = (uint64_t)st.st_size;
	if (s->head.kind == ARCHIVE_DIRECTORY && count_mbox(s, r.fd, r.end) > 1) {
		r.why = "is an mbox, to be served by its own path";
		goto unread;
	}
	unpack_watch(&r);
	if ((e = entry_add(s, name, 0, r.end)) == NULL)
		result = -1;
	else if (entry_measure(s, e, &r) == 0)
		entry_keep(s, e);
	else
		goto unread;
	goto out;
unread:
	leave_out(s, name, store_reader_why(&r));
out:
	store_reader_end(&r);
	return result;
}

/* ---- the kinds ---- */

static int
scan_maildir(struct scan *s)
{
	struct maildir_place place = {-1,
				      {openat(s->in, "new", O_RDONLY | O_DIRECTORY | O_CLOEXEC),
				       openat(s->in, "cur", O_RDONLY | O_DIRECTORY | O_CLOEXEC)}};
	char name[sizeof("cur/") + NAME_MAX];
	struct maildir_index list = INDEX_NONE;
	const struct store store = {.path = ""};
	struct maildir_message m;
	int result = -1;

	if (place.dirs[MAILDIR_NEW] != -1 && place.dirs[MAILDIR_CUR] != -1)
		result = build_list(&place, &list, &store);
	for (size_t i = 0; result == 0 && i < list.head.count; i++) {
		if ((result = index_message(&list, i, &m)) == -1)
			break;
		snprintf(name, sizeof(name), "%s/%s", (m.flags & ENTRY_IN_CUR) != 0 ? "cur" : "new",
			 m.name);
		result = scan_file(s, name);
	}
	index_close(&list);
	store_close_fd(place.dirs[MAILDIR_NEW]);
	store_close_fd(place.dirs[MAILDIR_CUR]);
	return result;
}

/* What programs keep beside messages, as fnmatch(3) has it. */
static const char *const others[] = {
    "dovecot*",	      "courier*", "maildirsize", "maildirfolder", "subscriptions",
    "pop3d-*",	      "cyrus.*",  "*.msf",	 "*.index",	  "*.index.ids",
    "*.index.sorted", "*.plist",  "Thumbs.db",	 "desktop.ini",	  "table_of_contents",
};

static bool
name_is_any(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(others); i++)
		if (fnmatch(others[i], name, 0) == 0)
			return false;
	return true;
}

static bool
name_is_mh(const char *name)
{
	return name[strspn(name, "0123456789")] == '\0';
}

static bool
name_is_cyrus(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return digits > 0 && strcmp(name + digits, ".") == 0;
}

/* Hidden files are no messages. */
static int
name_counts(const struct dirent *d)
{
	return d->d_name[0] != '.' && (d->d_type == DT_REG || d->d_type == DT_UNKNOWN);
}

/* Natural order: 2 before 10. */
static int
name_compare(const struct dirent **a, const struct dirent **b)
{
	const char *x = (*a)->d_name, *y = (*b)->d_name;

	return natural_compare(x, strlen(x), y, strlen(y));
}

static int
scan_directory(struct scan *s)
{
	static bool (*const is_message[ARCHIVE_KINDS])(const char *) = {
	    [ARCHIVE_DIRECTORY] = name_is_any,
	    [ARCHIVE_MH] = name_is_mh,
	    [ARCHIVE_CYRUS] = name_is_cyrus,
	};
	struct dirent **list;
	int count = scandirat(s->in, ".", &list, name_counts, name_compare), result = 0;

	if (count == -1)
		return -1;
	for (int i = 0; i < count; i++) {
		if (!is_message[s->head.kind](list[i]->d_name))
			leave_out(s, list[i]->d_name, "is no message");
		else if (result == 0)
			result = scan_file(s, list[i]->d_name);
		free(list[i]);
	}
	free(list);
	return result;
}

/* Add a message of an mbox: its digest is that of what is stored, its size that of what is shown.
 */
static int
scan_mbox_message(struct scan *s, const struct mbox_entry *m)
{
	struct archive_entry *e = m != NULL ? entry_add(s, "", m->text, m->end) : NULL;
	struct store_reader r = {.fd = s->in};

	if (e == NULL)
		return -1;
	r.pos = m->text;
	r.end = m->end;
	if (entry_measure(s, e, &r) == -1)
		return -1;
	e->octets = m->octets;
	memcpy(e->shown, m->digest, sizeof(e->shown));
	entry_keep(s, e);
	return 0;
}

static int
scan_mbox(struct scan *s)
{
	struct mbox_table t = {0};
	struct stat st;
	int result;

	if (fstat(s->in, &st) == -1)
		return -1;
	result = mbox_table_scan(&t, s->style, s->in, (uint64_t)st.st_size, NULL, NULL, NULL);
	s->head.alike = t.alike;
	s->head.expunged = t.expunged;
	for (size_t i = t.internal ? 1 : 0; result == 0 && i < t.count; i++)
		result = scan_mbox_message(s, mbox_table_entry(&t, i));
	mbox_table_free(&t);
	return result;
}

/* ---- the table ---- */

static int
digest_compare(const void *a, const void *b)
{
	const struct archive_entry *const *x = a, *const *y = b;
	int order = memcmp((*x)->digest, (*y)->digest, ARCHIVE_DIGEST);

	return order != 0 ? order : (*x > *y) - (*x < *y);
}

/* Number the messages that are the same. */
static int
number_duplicates(struct scan *s)
{
	size_t n = (size_t)s->head.count;
	struct archive_entry **sorted = calloc(n + 1, sizeof(struct archive_entry *));

	if (sorted == NULL)
		return -1;
	for (size_t i = 0; i < n; i++)
		sorted[i] = &s->entries[i];
	qsort(sorted, n, sizeof(struct archive_entry *), digest_compare);
	for (size_t i = 1; i < n; i++)
		if (memcmp(sorted[i]->digest, sorted[i - 1]->digest, ARCHIVE_DIGEST) == 0)
			sorted[i]->duplicate = sorted[i - 1]->duplicate + 1;
	free(sorted);
	return 0;
}

static int
write_all(int fd, const void *octets, size_t len)
{
	const char *p = octets;

	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n == -1)
			return -1;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

static int
write_table(struct scan *s, int out)
{
	if (number_duplicates(s) == -1 || write_all(out, &s->head, sizeof(s->head)) == -1 ||
	    write_all(out, s->entries, s->head.count * sizeof(s->entries[0])) == -1)
		return -1;
	return s->names_len > 0 ? write_all(out, s->names, s->names_len) : write_all(out, "", 1);
}

int
archive_scan(int in, enum archive_kind kind, const struct mbox_style *style, uint32_t options,
	     int out)
{
	static int (*const scans[ARCHIVE_KINDS])(struct scan *) = {
	    [ARCHIVE_MAILDIR] = scan_maildir, [ARCHIVE_DIRECTORY] = scan_directory,
	    [ARCHIVE_MH] = scan_directory,    [ARCHIVE_CYRUS] = scan_directory,
	    [ARCHIVE_MBOX] = scan_mbox,
	};
	struct scan s = {.in = in, .style = style, .head = {.kind = kind, .options = options}};
	int result = scans[kind](&s) == -1 ? -1 : write_table(&s, out);

	free(s.entries);
	free(s.names);
	return result;
}
