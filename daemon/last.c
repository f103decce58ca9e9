#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "common/names.h"
#include "daemon/aside.h"
#include "daemon/last_file.h"

enum { PATH_SIZE = MSG_PATH_SIZE + 24 };

static int
name_compare(const struct last *a, const struct last *b)
{
	return strcmp(a->user, b->user);
}

RB_HEAD(last_tree, last);
RB_PROTOTYPE(last_tree, last, by_name, name_compare)
RB_GENERATE(last_tree, last, by_name, name_compare)

static struct {
	bool kept;		  /* last_open() was called, and last_tick() did not end it */
	char path[PATH_SIZE];	  /* of the file; empty: there is none */
	char path_new[PATH_SIZE]; /* of the next one */
	struct aside writer;
	bool changed;	  /* since the writing of the file began */
	bool complained;  /* that it cannot be */
	uint64_t written; /* clock_ms() when that began */
	struct last_tree names;
	TAILQ_HEAD(lasts, last) all; /* the newest first */
	size_t n;
} table = {.names = RB_INITIALIZER(table.names), .all = TAILQ_HEAD_INITIALIZER(table.all)};

/* ---- the table ---- */

static void
row_drop(struct last *l)
{
	RB_REMOVE(last_tree, &table.names, l);
	TAILQ_REMOVE(&table.all, l, by_time);
	table.n--;
	free(l);
}

static void
rows_drop(void)
{
	while (!TAILQ_EMPTY(&table.all))
		row_drop(TAILQ_FIRST(&table.all));
}

static struct last *
row_find(const char *user)
{
	struct last key;

	(void)snprintf(key.user, sizeof(key.user), "%s", user);
	return RB_FIND(last_tree, &table.names, &key);
}

/* A copy of `l`, in no list; NULL: there is one of that name already, or no memory. */
static struct last *
row_add(const struct last *l)
{
	struct last *row = malloc(sizeof(*row));

	if (row == NULL)
		return NULL;
	*row = *l;
	if (RB_INSERT(last_tree, &table.names, row) != NULL) {
		free(row);
		return NULL;
	}
	table.n++;
	return row;
}

static void
row_take(const struct last *l)
{
	struct last *row = row_add(l);

	if (row != NULL)
		TAILQ_INSERT_TAIL(&table.all, row, by_time);
}

const struct last *
last_find(const char *user)
{
	return row_find(user);
}

const struct last *
last_next(const struct last *l)
{
	return l == NULL ? TAILQ_FIRST(&table.all) : TAILQ_NEXT(l, by_time);
}

bool
last_is_kept(void)
{
	return table.kept;
}

void
last_login(const struct last *l)
{
	struct last *old = row_find(l->user), *row, new = *l;

	if (!table.kept)
		return;
	if (old != NULL) {
		new.failed = old->failed;
		row_drop(old);
	} else if (table.n == LAST_USERS_MAX)
		row_drop(TAILQ_LAST(&table.all, lasts));
	new.ended[0] = '\0';
	new.end = 0;
	new.retrieved = new.retrieved_octets = new.deleted = new.left = LAST_UNKNOWN;
	if ((row = row_add(&new)) != NULL)
		TAILQ_INSERT_HEAD(&table.all, row, by_time);
	table.changed = true;
}

void
last_end(const char *user, const struct msg_session_end *end, int64_t now)
{
	struct last *row = row_find(user);

	if (row == NULL || row->conn == 0 || row->conn != end->id || row->end != 0)
		return;
	row->end = now;
	(void)snprintf(row->ended, sizeof(row->ended), "%s",
		       session_end_name((enum session_end)end->why));
	row->retrieved = end->retrieved;
	row->retrieved_octets = end->retrieved_octets;
	row->deleted = end->deleted;
	row->left = end->left;
	table.changed = true;
}

void
last_failed(const char *user, const struct last_failed *f)
{
	struct last *row = row_find(user);

	if (row == NULL)
		return;
	row->failed = *f;
	table.changed = true;
}

/* ---- the file ---- */

/* Once, until it can be written again. */
static void
complain(const char *why)
{
	if (!table.complained)
		log_warn(0, "%s: %s: last logins are forgotten at the next stop", table.path_new,
			 why);
	table.complained = true;
}

static int
file_write(void)
{
	return last_file_write(table.path_new, table.path, table.n);
}

static void
files_remove(void)
{
	(void)unlink(table.path_new);
	(void)unlink(table.path);
}

static void
file_written(int error)
{
	if (!table.kept) {
		files_remove(); /* it was to go meanwhile */
		return;
	}
	if (error == 0) {
		table.complained = false;
		return;
	}
	table.changed = true;
	complain(strerror(error));
}

static void
file_tick(uint64_t ms)
{
	if (!table.changed || ms - table.written < LAST_WRITE_MS)
		return;
	if (table.writer.pid != 0) {
		complain("not on the disk after a minute");
		return;
	}
	table.written = ms;
	table.changed = false;
	if (aside_start(&table.writer, file_write, file_written) == -1)
		file_written(errno);
}

/* So that what is written next does not take its place. */
static void
file_refuse(const char *why)
{
	char refused[PATH_SIZE + 16];

	(void)snprintf(refused, sizeof(refused), "%s.refused", table.path);
	if (rename(table.path, refused) == -1)
		(void)snprintf(refused, sizeof(refused), "%s", table.path);
	log_warn(0, "%s: %s: last logins begin anew", refused, why);
}

/* None are to be kept. */
static void
forget(void)
{
	rows_drop();
	aside_kill(&table.writer);
	table.changed = false;
	if (table.path[0] != '\0')
		files_remove();
	table.kept = false;
}

void
last_open(const char *dir, uint32_t keep, bool quiet)
{
	char why[128];
	enum last_read result;

	table.kept = true;
	(void)snprintf(table.path, sizeof(table.path), "%s/last-logins", dir);
	(void)snprintf(table.path_new, sizeof(table.path_new), "%s/last-logins.new", dir);
	table.complained = quiet;
	if (keep == 0) {
		forget();
		return;
	}
	result = last_file_read(table.path, row_take, why, sizeof(why));
	if (result == LAST_READ_DONE || result == LAST_READ_NONE)
		return;
	rows_drop();
	if (result == LAST_READ_REFUSED)
		file_refuse(why);
	else if (!quiet)
		log_warn(0, "%s: %s: last logins begin anew", table.path, why);
}

void
last_tick(uint32_t keep, uint64_t ms, int64_t now)
{
	struct last *oldest;

	if (table.path[0] == '\0')
		return;
	if (keep == 0) {
		if (table.kept)
			forget();
		return;
	}
	table.kept = true;
	while ((oldest = TAILQ_LAST(&table.all, lasts)) != NULL && oldest->login < now - keep) {
		row_drop(oldest);
		table.changed = true;
	}
	file_tick(ms);
}

void
last_close(void)
{
	aside_wait(&table.writer);
	if (table.changed)
		file_written(file_write());
	rows_drop();
	table.changed = table.complained = table.kept = false;
	table.path[0] = '\0';
	table.written = 0;
}
