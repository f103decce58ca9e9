#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/hash.h"
#include "common/log.h"
#include "common/msg.h"
#include "daemon/remember.h"

enum { ACCOUNTS_MAX = 1000000, LINE_SIZE = MSG_PATH_SIZE + 16 };

/* Digests of lines: a tree of tsearch(3). */
static void *known;
static size_t nknown;
static int file = -1; /* open for appending */

static int
digest_compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool
is_known(const char *line)
{
	uint64_t digest = hash_add(HASH_START, line, strlen(line));

	return tfind(&digest, &known, digest_compare) != NULL;
}

/* True: it is new, and known from here on. */
static bool
learn(const char *line)
{
	uint64_t *digest;

	if (nknown == ACCOUNTS_MAX || is_known(line) || (digest = malloc(sizeof(*digest))) == NULL)
		return false;
	*digest = hash_add(HASH_START, line, strlen(line));
	if (tsearch(digest, &known, digest_compare) == NULL) {
		free(digest);
		return false;
	}
	nknown++;
	return true;
}

/* The line of an account, without its end.  False: it has none. */
static bool
line_make(char line[LINE_SIZE], uint32_t uid, const char *mailbox)
{
	for (const char *p = mailbox; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			return false;
	return snprintf(line, LINE_SIZE, "%" PRIu32 " %s", uid, mailbox) < LINE_SIZE;
}

/* Learn all whole lines.  True: the last one is cut off. */
static bool
read_lines(FILE *in)
{
	char *line = NULL;
	bool cut = false;
	size_t cap = 0;
	ssize_t len;

	while (!cut && (len = getline(&line, &cap, in)) > 0) {
		cut = line[len - 1] != '\n';
		line[len - 1] = '\0';
		if (!cut)
			(void)learn(line);
	}
	free(line);
	return cut;
}

void
remember_open(const char *dir, bool quiet)
{
	char path[MSG_PATH_SIZE + 16];
	FILE *in;

	(void)snprintf(path, sizeof(path), "%s/had-mail", dir);
	file = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (file == -1 || (in = fopen(path, "re")) == NULL) {
		if (!quiet)
			log_warn(0,
				 "%s: %s: mailboxes that had mail are forgotten at the next stop",
				 path, strerror(errno));
		return;
	}
	if (read_lines(in))
		(void)!write(file, "\n", 1);
	(void)fclose(in);
}

bool
remember_had_mail(uint32_t uid, const char *mailbox)
{
	char line[LINE_SIZE];

	return line_make(line, uid, mailbox) && is_known(line);
}

void
remember_mail(uint32_t uid, const char *mailbox)
{
	char line[LINE_SIZE];
	size_t len;

	if (!line_make(line, uid, mailbox) || !learn(line) || file == -1)
		return;
	len = strlen(line);
	line[len] = '\n';
	/* one write: a line is there or is cut off */
	(void)!write(file, line, len + 1);
}
