#include "config.h"

#include "daemon/exporter/scrape.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/answer.h"
#include "common/ctl_connect.h"

enum { SECONDS = 5, TEXT_MAX = 4 * 1024 * 1024 };

/* All that comes; NULL with errno. */
static char *
read_all(int fd)
{
	char *text = NULL, block[16384];
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	size_t got = 0;
	ssize_t n = -1;

	if (out == NULL)
		return NULL;
	while (got <= TEXT_MAX && (n = read(fd, block, sizeof(block))) > 0)
		got += fwrite(block, 1, (size_t)n, out);
	if (fclose(out) == 0 && n == 0)
		return text;
	if (n > 0)
		errno = EMSGSIZE;
	free(text);
	return NULL;
}

char *
scrape(const char *path)
{
	static const char request[] = "1\0metrics";
	int fd = ctl_connect(path, SECONDS), error;
	char *text = NULL;

	if (fd == -1)
		return NULL;
	if (send(fd, request, sizeof(request), MSG_NOSIGNAL) == (ssize_t)sizeof(request))
		text = read_all(fd);
	error = errno;
	close(fd);
	errno = error;
	if (text == NULL)
		return NULL;
	if (text[0] != '0' || text[1] != ANSWER_METRICS) {
		free(text);
		errno = EBADMSG;
		return NULL;
	}
	memmove(text, text + 2, strlen(text + 2) + 1);
	return text;
}

void
scrape_each(const char *text, const char *name, scrape_sample_fn *fn, void *arg)
{
	size_t len = strlen(name);

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		const char *labels, *end, *eol;

		line += *line == '\n';
		eol = line + strcspn(line, "\n");
		if (strncmp(line, name, len) != 0 || (line[len] != '{' && line[len] != ' '))
			continue;
		/* a value has no brace, so the last one of the line ends the labels */
		labels = end = line + len;
		if (*labels == '{') {
			labels++;
			end = memrchr(labels, '}', (size_t)(eol - labels));
		}
		if (end != NULL)
			fn(arg, labels, (size_t)(end - labels), strtod(end + (*end == '}'), NULL));
	}
}

struct sum {
	const char *with;
	double value;
};

static void
sum_add(void *arg, const char *labels, size_t len, double value)
{
	struct sum *s = arg;

	if (s->with == NULL || memmem(labels, len, s->with, strlen(s->with)) != NULL)
		s->value += value;
}

double
scrape_sum(const char *text, const char *name, const char *with)
{
	struct sum s = {.with = with};

	scrape_each(text, name, sum_add, &s);
	return s.value;
}

void
scrape_openmetrics(const char *text, FILE *out)
{
	static const char total[] = "_total";
	size_t len;

	for (; *text != '\0'; text += len) {
		size_t name = 7 + strcspn(text + (strncmp(text, "# ", 2) == 0 ? 7 : 0), " ");

		len = strcspn(text, "\n");
		len += text[len] == '\n';
		if (strncmp(text, "# ", 2) == 0 && name > 13 && name <= len &&
		    memcmp(text + name - 6, total, 6) == 0) {
			fwrite(text, 1, name - 6, out);
			fwrite(text + name, 1, len - name, out);
		} else
			fwrite(text, 1, len, out);
	}
	fputs("# EOF\n", out);
}
