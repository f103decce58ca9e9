#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/count.h"
#include "daemon/last_file.h"

#define HEAD "pop3d-last-logins 1\n"
#define TAIL "end "

enum kind { TEXT, NUMBER, TIME };

/* In the order of the line. */
static const struct field {
	enum kind kind;
	size_t offset, size;
} fields[] = {
#define FIELD(kind, member)                                                                        \
	{                                                                                          \
		kind, offsetof(struct last, member), sizeof(((struct last *)0)->member)            \
	}
    FIELD(TEXT, user),
    FIELD(TIME, login),
    FIELD(TEXT, server),
    FIELD(TEXT, peer),
    FIELD(TEXT, mech),
    FIELD(TEXT, tls),
    FIELD(TEXT, ended),
    FIELD(TIME, end),
    FIELD(NUMBER, messages),
    FIELD(NUMBER, retrieved),
    FIELD(NUMBER, retrieved_octets),
    FIELD(NUMBER, deleted),
    FIELD(NUMBER, left),
    FIELD(TIME, failed.time),
    FIELD(TEXT, failed.server),
    FIELD(TEXT, failed.peer),
    FIELD(TEXT, failed.reason),
#undef FIELD
};

/* ---- writing ---- */

static void
text_write(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		fprintf(out, c > ' ' && c < 0x7f && c != '%' ? "%c" : "%%%02x", c);
	}
}

static void
field_write(FILE *out, const struct field *f, const void *member)
{
	if (f->kind == TEXT)
		text_write(out, member);
	else if (f->kind == TIME)
		fprintf(out, "%" PRId64, *(const int64_t *)member);
	else if (*(const uint64_t *)member == LAST_UNKNOWN)
		fputc('-', out);
	else
		fprintf(out, "%" PRIu64, *(const uint64_t *)member);
}

static void
line_write(FILE *out, const struct last *l)
{
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		field_write(out, &fields[i], (const char *)l + fields[i].offset);
		fputc(i + 1 < COUNT_OF(fields) ? '\t' : '\n', out);
	}
}

static FILE *
new_file(const char *path)
{
	FILE *out;
	int fd;

	(void)unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	out = fd != -1 ? fdopen(fd, "w") : NULL;
	if (out == NULL && fd != -1)
		close(fd);
	return out;
}

int
last_file_write(const char *path_new, const char *path, size_t n)
{
	FILE *out = new_file(path_new);
	int error = 0;

	if (out == NULL)
		return errno;
	fputs(HEAD, out);
	for (const struct last *l = last_next(NULL); l != NULL; l = last_next(l))
		line_write(out, l);
	fprintf(out, TAIL "%zu\n", n);
	if (fflush(out) != 0 || fsync(fileno(out)) == -1)
		error = errno;
	if (fclose(out) != 0 && error == 0)
		error = errno;
	if (error == 0 && rename(path_new, path) == -1)
		error = errno;
	if (error != 0)
		(void)unlink(path_new); /* of a file that is not whole nothing stays */
	return error;
}

/* ---- reading ---- */

/* Of two digits as text_write() makes them; 0: they are none. */
static char
octet_read(const char *digits)
{
	static const char hex[] = "0123456789abcdef";
	const char *high = digits[0] != '\0' ? strchr(hex, digits[0]) : NULL;
	const char *low = high != NULL && digits[1] != '\0' ? strchr(hex, digits[1]) : NULL;

	return low != NULL ? (char)((high - hex) << 4 | (low - hex)) : '\0';
}

static bool
text_read(char *dst, size_t cap, const char *text)
{
	size_t n = 0;

	while (*text != '\0' && n + 1 < cap) {
		char c = *text;

		if (c <= ' ' || c == 0x7f || (c == '%' && (c = octet_read(text + 1)) == '\0'))
			return false;
		text += *text == '%' ? 3 : 1;
		dst[n++] = c;
	}
	dst[n] = '\0';
	return *text == '\0';
}

static bool
number_read(uint64_t *dst, const char *text)
{
	char *end;

	if (strcmp(text, "-") == 0) {
		*dst = LAST_UNKNOWN;
		return true;
	}
	errno = 0;
	*dst = strtoull(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
}

static bool
field_read(const struct field *f, void *member, const char *text)
{
	uint64_t number;

	if (f->kind == TEXT)
		return text_read(member, f->size, text);
	if (!number_read(&number, text) || (f->kind == TIME && number > INT64_MAX))
		return false;
	memcpy(member, &number, sizeof(number));
	return true;
}

/* A line without its end, which is changed. */
static bool
line_read(struct last *l, char *line)
{
	*l = (struct last){.conn = 0};
	for (size_t i = 0; i < COUNT_OF(fields); i++) {
		const char *text = strsep(&line, "\t");

		if (text == NULL || !field_read(&fields[i], (char *)l + fields[i].offset, text))
			return false;
	}
	return line == NULL && l->user[0] != '\0' && l->login > 0;
}

/* What the file is of; true: ours alone. */
static bool
is_ours(int fd, char *why, size_t cap)
{
	struct stat st;

	if (fstat(fd, &st) == -1 || !S_ISREG(st.st_mode))
		(void)snprintf(why, cap, "it is no plain file");
	else if (st.st_uid != geteuid() || (st.st_mode & 077) != 0)
		(void)snprintf(why, cap, "it is of uid %u and mode %04o, not of uid %u and 0600",
			       st.st_uid, st.st_mode & 07777, geteuid());
	else
		return true;
	return false;
}

/* Lines behind the first; true: all are right, and the last one says how many they were. */
static bool
lines_read(FILE *in, void (*take)(const struct last *l), size_t *number)
{
	char *line = NULL, tail[sizeof(TAIL) + 24];
	bool right = true, ended = false;
	size_t cap = 0, n = 0;
	struct last l;
	ssize_t len;

	while (right && !ended && (len = getline(&line, &cap, in)) > 0) {
		++*number;
		(void)snprintf(tail, sizeof(tail), TAIL "%zu\n", n);
		ended = strcmp(line, tail) == 0;
		right = ended || (line[len - 1] == '\n' && strlen(line) == (size_t)len);
		line[len - 1] = '\0';
		if (right && !ended && (right = n++ < LAST_USERS_MAX && line_read(&l, line)))
			take(&l);
	}
	free(line);
	*number += right && !ended; /* the one that is missing */
	return right && ended && fgetc(in) == EOF;
}

static enum last_read
file_read(FILE *in, void (*take)(const struct last *l), char *why, size_t cap)
{
	char head[sizeof(HEAD)];
	size_t number = 1;

	if (fgets(head, sizeof(head), in) == NULL || strcmp(head, HEAD) != 0)
		(void)snprintf(why, cap, "it does not begin as the files of this version do");
	else if (!lines_read(in, take, &number))
		(void)snprintf(why, cap, "line %zu is damaged", number);
	else
		return LAST_READ_DONE;
	return LAST_READ_REFUSED;
}

enum last_read
last_file_read(const char *path, void (*take)(const struct last *l), char *why, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	enum last_read result = LAST_READ_REFUSED;
	FILE *in;

	if (fd == -1) {
		(void)snprintf(why, cap, "%s", strerror(errno));
		return errno == ENOENT	? LAST_READ_NONE
		       : errno == ELOOP ? LAST_READ_REFUSED
					: LAST_READ_UNUSABLE;
	}
	if (!is_ours(fd, why, cap)) {
		close(fd);
		return LAST_READ_REFUSED;
	}
	if ((in = fdopen(fd, "r")) == NULL) {
		(void)snprintf(why, cap, "%s", strerror(errno));
		close(fd);
		return LAST_READ_UNUSABLE;
	}
	result = file_read(in, take, why, cap);
	(void)fclose(in);
	return result;
}
