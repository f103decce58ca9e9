/*
 * A store of any kind on a directory of its own, for the tests of the stores.
 */
#ifndef POP3D_TESTS_BOX_H
#define POP3D_TESTS_BOX_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "worker/store/store.h"

static char box[64]; /* the directory */
static struct store store;
static uint16_t box_format, box_split; /* how an mbox is read */

/* A path in it; two can be in use at a time. */
static inline const char *
box_path(const char *name)
{
	static char paths[2][512];
	static int turn;

	turn = !turn;
	(void)snprintf(paths[turn], sizeof(paths[turn]), "%s/%s", box, name);
	return paths[turn];
}

static inline void
box_make(void)
{
	strcpy(box, "/tmp/pop3d-store-XXXXXX");
	if (mkdtemp(box) == NULL)
		abort();
}

static inline void
box_remove(void)
{
	char command[sizeof(box) + 16];

	(void)snprintf(command, sizeof(command), "rm -rf '%s'", box);
	if (system(command) != 0)
		abort();
}

static inline void
box_write(const char *name, const char *mode, const char *octets, size_t len)
{
	FILE *f = fopen(box_path(name), mode);

	if (f == NULL || fwrite(octets, 1, len, f) != len || fclose(f) == EOF)
		abort();
}

static inline void
box_put(const char *name, const char *text)
{
	box_write(name, "w", text, strlen(text));
}

static inline void
box_append(const char *name, const char *text)
{
	box_write(name, "a", text, strlen(text));
}

static inline bool
box_has(const char *name)
{
	struct stat st;

	return lstat(box_path(name), &st) == 0;
}

/* The text of a file, or NULL. */
static inline const char *
box_text(const char *name)
{
	static char text[1 << 18];
	FILE *f = fopen(box_path(name), "r");
	size_t n;

	if (f == NULL)
		return NULL;
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* Open, lock and list; the store is to be closed in any case. */
static inline enum store_result
box_open(struct store *s, const char *kind, const char *path)
{
	enum store_result result;

	memset(s, 0, sizeof(*s));
	s->path = path;
	s->home = "/nonexistent";
	s->mbox_format = box_format;
	s->mbox_split = box_split;
	s->backend = store_find(kind);
	CU_ASSERT_PTR_NOT_NULL_FATAL(s->backend);
	if ((result = s->backend->open(s, true)) != STORE_OK ||
	    (result = s->backend->lock(s)) != STORE_OK)
		return result;
	return s->backend->list(s);
}

static inline void
store_end(void)
{
	store.backend->close(&store);
}

static inline const char *
uid(size_t i)
{
	static char out[STORE_UID_SIZE];

	store.backend->uid(&store, i, out);
	return out;
}

static inline uint64_t
size(size_t i)
{
	uint64_t octets = 12345;

	CU_ASSERT_EQUAL(store.backend->size(&store, i, true, &octets), STORE_OK);
	return octets;
}

/* The octets of message i, read in pieces of `cap`; NULL if it cannot be read. */
static inline const char *
text_by(size_t i, size_t cap)
{
	static char text[1 << 18];
	struct store_reader r;
	size_t len = 0;
	ssize_t n;

	if (store.backend->get(&store, i, &r) != STORE_OK)
		return NULL;
	while ((n = store_read(&r, text + len, cap)) > 0 && len + 2 * cap < sizeof(text))
		len += (size_t)n;
	store_reader_end(&r);
	text[len] = '\0';
	return n == 0 ? text : NULL;
}

static inline const char *
text(size_t i)
{
	return text_by(i, 4096);
}

static inline enum store_result
remove_marked(uint64_t bits, uint64_t *removed)
{
	return store.backend->remove(&store, &bits, removed);
}

#endif
