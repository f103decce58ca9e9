/*
 * The text of a configuration file, before libconfuse.  libconfuse passes over
 * characters that it does not know, puts in environment variables, miscounts
 * lines after C comments, and an open string leaves its scanner in a state in
 * which the next file, at a reload, is misread.  So all of that is refused
 * here, with the line where it stands.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/conf_priv.h"

enum { DEPTH_MAX = 4 }; /* two are ever right */

struct scan {
	struct conf_faults *faults;
	char *text;
	size_t len;
	size_t at;
	int line;
	size_t depth;	       /* braces open */
	int opened[DEPTH_MAX]; /* their lines */
};

static void __attribute__((format(printf, 4, 0)))
fault_write(struct conf_faults *f, int line, const char *grade, const char *fmt, va_list ap)
{
	if (f->quiet)
		return;
	if (line > 0)
		fprintf(f->out, "%s:%d: %s", f->path, line, grade);
	else
		fprintf(f->out, "%s: %s", f->path, grade);
	vfprintf(f->out, fmt, ap);
	fputc('\n', f->out);
}

void
conf_fault(struct conf_faults *f, int line, const char *fmt, ...)
{
	va_list ap;

	f->count++;
	if (f->count > CONF_FAULTS_MAX) {
		if (f->count == CONF_FAULTS_MAX + 1 && !f->quiet)
			fprintf(f->out, "%s: more faults are not shown\n", f->path);
		return;
	}
	va_start(ap, fmt);
	fault_write(f, line, "", fmt, ap);
	va_end(ap);
}

void
conf_warning(struct conf_faults *f, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fault_write(f, line, "warning: ", fmt, ap);
	va_end(ap);
}

/* Read up to cap octets.  Returns how many, or -1 with errno. */
static ssize_t
read_all(int fd, char *buf, size_t cap)
{
	size_t have = 0;
	ssize_t n;

	while (have < cap) {
		n = read(fd, buf + have, cap - have);
		if (n == 0)
			break;
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		have += (size_t)n;
	}
	return (ssize_t)have;
}

char *
conf_read_file(struct conf_faults *f, const char *path, size_t *len)
{
	struct stat st;
	char *text = NULL, *result = NULL;
	ssize_t n;
	int fd;

	/* A FIFO or a device must not hold up a daemon that reloads. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fstat(fd, &st) < 0) {
		conf_fault(f, 0, "cannot open the configuration file: %s", strerror(errno));
		goto out;
	}
	if (!S_ISREG(st.st_mode)) {
		conf_fault(f, 0, "expected a regular file");
		goto out;
	}
	text = malloc(CONF_FILE_MAX + 1);
	n = text != NULL ? read_all(fd, text, CONF_FILE_MAX + 1) : -1;
	if (n < 0) {
		conf_fault(f, 0, "cannot read the configuration file: %s", strerror(errno));
		goto out;
	}
	if (n > CONF_FILE_MAX) {
		conf_fault(f, 0, "expected a file of at most %d octets", CONF_FILE_MAX);
		goto out;
	}
	*len = (size_t)n;
	result = text;
	text = NULL;
out:
	free(text);
	if (fd >= 0)
		close(fd);
	return result;
}

static int
scan_peek(const struct scan *s, size_t ahead)
{
	size_t at = s->at + ahead;

	return at < s->len ? (unsigned char)s->text[at] : -1;
}

/* "#" to the end of the line becomes blanks. */
static void
scan_comment(struct scan *s)
{
	while (s->at < s->len && s->text[s->at] != '\n')
		s->text[s->at++] = ' ';
}

/* A fault in a string at the current octet, or NULL.  `quote` is what opened the string. */
static const char *
string_fault(const struct scan *s, char quote)
{
	int c = scan_peek(s, 0), next = scan_peek(s, 1);

	if (c == '\\' && next != '\\' && next != quote)
		return "expected \"\\\\\" or the closing quote after a backslash";
	if (c == '$' && next == '{')
		return "\"${\" may not stand in a string: nothing is expanded in this file";
	if (c < ' ' || c == 0x7f)
		return "expected a string without control characters";
	return NULL;
}

static void
scan_string(struct scan *s)
{
	char quote = s->text[s->at++];
	const char *why;

	while (s->at < s->len && s->text[s->at] != quote && s->text[s->at] != '\n') {
		why = string_fault(s, quote);
		if (why != NULL)
			conf_fault(s->faults, s->line, "%s", why);
		else if (s->text[s->at] == '\\')
			s->at++;
		s->at++;
	}
	if (s->at < s->len && s->text[s->at] == quote)
		s->at++;
	else
		conf_fault(s->faults, s->line, "expected a closing quote (%c) on the same line",
			   quote);
}

static void
scan_plain(struct scan *s)
{
	static const char marks[] = "=,_.:/%@-";
	int c = scan_peek(s, 0);

	if (c == '/' && scan_peek(s, 1) == '/') {
		conf_fault(s->faults, s->line,
			   "expected \"#\" before a comment, or quotes around a value with \"//\"");
		s->at++;
	} else if (c < ' ' || c >= 0x7f) {
		conf_fault(s->faults, s->line,
			   "unexpected character (octet 0x%02x): expected plain text, or quotes "
			   "around the value",
			   (unsigned)c);
	} else if (!((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
		     strchr(marks, c) != NULL)) {
		conf_fault(s->faults, s->line,
			   "unexpected \"%c\": expected quotes around the value", c);
	}
	s->at++;
}

/* libconfuse takes the end of the file for any brace that is still open. */
static void
scan_brace(struct scan *s)
{
	if (s->text[s->at] == '}')
		s->depth -= s->depth > 0 ? 1 : 0;
	else if (s->depth < DEPTH_MAX)
		s->opened[s->depth++] = s->line;
	else
		conf_fault(s->faults, s->line,
			   "unexpected \"{\": expected no braces within others");
	s->at++;
}

int
conf_scan(struct conf_faults *f, char *text, size_t len)
{
	struct scan s = {.faults = f, .text = text, .len = len, .line = 1};
	unsigned before = f->count;

	while (s.at < len) {
		switch (text[s.at]) {
		case '\n':
			s.line++;
			s.at++;
			break;
		case '\r':
		case '\t':
		case ' ':
			text[s.at] = ' ';
			s.at++;
			break;
		case '#':
			scan_comment(&s);
			break;
		case '"':
		case '\'':
			scan_string(&s);
			break;
		case '{':
		case '}':
			scan_brace(&s);
			break;
		default:
			scan_plain(&s);
		}
	}
	if (s.depth > 0)
		conf_fault(f, s.line,
			   "unexpected end of file: expected \"}\" for the \"{\" in line %d",
			   s.opened[s.depth - 1]);
	return f->count == before ? 0 : -1;
}
