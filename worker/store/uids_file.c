/*
 * The lines of "pop3d-uids", and how the file is written.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "worker/store/fresh.h"
#include "worker/store/uids.h"

#define FRESH_FILE UIDS_FILE ".new"
#define FIRST_LINE                                                                                 \
	"# pop3d: unique-ids of these messages in the server before, in its order: UID, name\n"

bool
uids_is_valid(const char *uid, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (uid[i] < 0x21 || uid[i] > 0x7e)
			return false;
	return len > 0 && len < STORE_UID_SIZE;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Take the name that is written from p to end.  Is it one? */
static bool
base_decode(const char *p, const char *end, struct uids_line *out)
{
	size_t n = 0;

	while (p < end && n < NAME_MAX) {
		if (*p != '%') {
			if (*p < 0x21 || *p > 0x7e)
				return false;
			out->base[n++] = *p++;
			continue;
		}
		if (end - p < 3 || hex_value(p[1]) == -1 || hex_value(p[2]) == -1)
			return false;
		out->base[n++] = (char)(hex_value(p[1]) << 4 | hex_value(p[2]));
		p += 3;
	}
	out->base[n] = '\0';
	out->base_len = n;
	return p == end && n > 0;
}

bool
uids_line_parse(const char *line, size_t len, struct uids_line *out)
{
	const char *space = memchr(line, ' ', len < STORE_UID_SIZE ? len : STORE_UID_SIZE);
	size_t uid_len;

	if (space == NULL)
		return false;
	uid_len = (size_t)(space - line);
	if (!uids_is_valid(line, uid_len))
		return false;
	memcpy(out->uid, line, uid_len);
	out->uid[uid_len] = '\0';
	return base_decode(space + 1, line + len, out);
}

int
uids_write_begin(struct uids_writer *w, int dir_fd)
{
	int fd;

	*w = (struct uids_writer){.dir_fd = -1};
	fd = fresh_make(dir_fd, FRESH_FILE, O_WRONLY);
	if (fd == -1)
		return -1;
	if ((w->file = fdopen(fd, "w")) == NULL) {
		close(fd);
		(void)unlinkat(dir_fd, FRESH_FILE, 0);
		return -1;
	}
	w->dir_fd = dir_fd;
	return fputs(FIRST_LINE, w->file) == EOF ? -1 : 0;
}

int
uids_write_line(struct uids_writer *w, const char *uid, const char *base, size_t len)
{
	static const char hex[] = "0123456789ABCDEF";
	char line[UIDS_LINE_SIZE];
	size_t n = strlen(uid);

	if (!uids_is_valid(uid, n) || len == 0 || len > NAME_MAX) {
		errno = EINVAL;
		return -1;
	}
	memcpy(line, uid, n);
	line[n++] = ' ';
	for (size_t i = 0; i < len; i++) {
		if (base[i] < 0x21 || base[i] > 0x7e || base[i] == '%') {
			line[n++] = '%';
			line[n++] = hex[(uint8_t)base[i] >> 4];
			line[n++] = hex[(uint8_t)base[i] & 15];
		} else {
			line[n++] = base[i];
		}
	}
	line[n++] = '\n';
	return fwrite(line, 1, n, w->file) == n ? 0 : -1;
}

int
uids_write_end(struct uids_writer *w)
{
	bool good = fflush(w->file) == 0 && !ferror(w->file) && fsync(fileno(w->file)) == 0 &&
		    renameat(w->dir_fd, FRESH_FILE, w->dir_fd, UIDS_FILE) == 0;
	int dir_fd = w->dir_fd;

	if (!good) {
		uids_write_abort(w);
		return -1;
	}
	(void)fclose(w->file);
	*w = (struct uids_writer){.dir_fd = -1};
	return store_sync_directory(dir_fd) == STORE_OK ? 0 : -1;
}

void
uids_write_abort(struct uids_writer *w)
{
	int error = errno;

	if (w->dir_fd == -1)
		return;
	(void)fclose(w->file);
	(void)unlinkat(w->dir_fd, FRESH_FILE, 0);
	*w = (struct uids_writer){.dir_fd = -1};
	errno = error;
}
