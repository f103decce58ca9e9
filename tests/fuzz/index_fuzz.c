/*
 * libFuzzer: any octets as the index of a small Maildir.  The first octet says
 * how far they are made to look right: as they are, with a head that is believed,
 * with every check right, as only its owner could make them, or as those of a
 * Maildir that has changed since.  A session must end well, and tell what is in
 * the directories; unless its owner lies about them to himself, and then only of
 * what was not to be looked at again.
 */
#include "config.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/log.h"
#include "worker/store/maildir_build.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { AS_IT_IS, RIGHT_HEAD, ALL_RIGHT, CHANGED, WAYS, MESSAGES = 5, SIZE_MAX_IN = 1 << 16 };

static const char *const names[MESSAGES] = {"new/1.a.h", "cur/2.b.h:2,S", "cur/3.c.h,W=9:2,",
					    "cur/3.c.h,W=9:2,T", "new/not a uid"};

static const char uid_octets[] =
    "!\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`"
    "abcdefghijklmnopqrstuvwxyz{|}~";

static char box[64], expected[MESSAGES][STORE_UID_SIZE + 24];
static struct maildir_place place;

static void
need(bool good)
{
	if (!good)
		abort();
}

static void
say(struct store *s, size_t i, char out[STORE_UID_SIZE + 24])
{
	char uid[STORE_UID_SIZE];
	uint64_t octets = 0;

	s->backend->uid(s, i, uid);
	(void)s->backend->size(s, i, true, &octets);
	need(strlen(uid) < STORE_UID_SIZE && strspn(uid, uid_octets) == strlen(uid));
	(void)snprintf(out, STORE_UID_SIZE + 24, "%s %llu", uid, (unsigned long long)octets);
}

static void
begin(struct store *s)
{
	*s = (struct store){.backend = &store_maildir, .path = box, .home = box};
	need(s->backend->open(s, false) == STORE_OK && s->backend->lock(s) == STORE_OK &&
	     s->backend->list(s) == STORE_OK);
}

/* A session that touches everything.  Did it tell what there is, of sizes too? */
static bool
session(bool sizes)
{
	char line[STORE_UID_SIZE + 24];
	struct store_reader r;
	bool right = true;
	struct store s;

	begin(&s);
	for (size_t i = 0; i < s.count && !s.lost; i++) {
		say(&s, i, line);
		if (!sizes)
			strcpy(strrchr(line, ' '), strrchr(expected[i % MESSAGES], ' '));
		right =
		    right && (s.lost || (s.count == MESSAGES && strcmp(line, expected[i]) == 0));
		if (s.backend->get(&s, i, &r) == STORE_OK)
			store_reader_end(&r);
		s.backend->fetched(&s, i);
		(void)s.backend->fetched_at(&s, i);
		if (i % 2 == 1)
			s.backend->forget_size(&s, i);
	}
	right = right && (s.lost || s.count == MESSAGES);
	s.backend->close(&s);
	return right;
}

static void
make_box(void)
{
	struct store s;
	char path[128];
	FILE *f;

	log_set_level(LOG_EMERG);
	strcpy(box, access("/dev/shm", W_OK) == 0 ? "/dev/shm/index-XXXXXX" : "/tmp/index-XXXXXX");
	need(mkdtemp(box) != NULL);
	place.dir_fd = open(box, O_RDONLY | O_DIRECTORY);
	need(mkdirat(place.dir_fd, "new", 0700) == 0 && mkdirat(place.dir_fd, "cur", 0700) == 0);
	for (size_t i = 0; i < MESSAGES; i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", box, names[i]);
		f = fopen(path, "w");
		need(f != NULL && fprintf(f, "message %zu\n", i * i * i) > 0 && fclose(f) == 0);
	}
	place.dirs[MAILDIR_NEW] = openat(place.dir_fd, "new", O_RDONLY);
	place.dirs[MAILDIR_CUR] = openat(place.dir_fd, "cur", O_RDONLY);
	begin(&s);
	need(s.count == MESSAGES);
	for (size_t i = 0; i < MESSAGES; i++)
		say(&s, i, expected[i]);
	s.backend->close(&s);
}

static void
remove_box(void)
{
	static const char *const files[] = {INDEX_FILE, INDEX_NEW_FILE, "pop3d-lock"};

	for (size_t i = 0; i < MESSAGES; i++)
		(void)unlinkat(place.dir_fd, names[i], 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		(void)unlinkat(place.dir_fd, files[i], 0);
	(void)unlinkat(place.dir_fd, "new", AT_REMOVEDIR);
	(void)unlinkat(place.dir_fd, "cur", AT_REMOVEDIR);
	(void)rmdir(box);
}

/* A head that belongs to this Maildir as it is. */
static void
mend_head(char *octets, size_t len, uint64_t settled)
{
	struct index_head h, good = head_make(0);

	if (len < sizeof(h))
		return;
	memcpy(&h, octets, sizeof(h));
	memcpy(h.magic, good.magic, sizeof(h.magic));
	h.version = good.version;
	h.layout = good.layout;
	h.settled = settled;
	if (h.records < sizeof(h) || h.records > len)
		h.records = sizeof(h) + h.records % (len - sizeof(h) + 1);
	if (h.count > (len - h.records) / sizeof(struct index_record))
		h.count %= (len - h.records) / sizeof(struct index_record) + 1;
	need(build_stamps(&place, h.dirs, &h.uids) == 0);
	h.check = head_check(&h);
	memcpy(octets, &h, sizeof(h));
}

/* Records that are believed. */
static void
mend_records(char *octets, size_t len)
{
	struct maildir_message m;
	struct index_record r;
	struct index_head h;
	char *at;

	if (len < sizeof(h))
		return;
	memcpy(&h, octets, sizeof(h));
	for (size_t i = 0; i < h.count; i++) {
		at = octets + h.records + i * sizeof(r);
		memcpy(&r, at, sizeof(r));
		r.flags &= ENTRY_FLAGS;
		r.octets_check = number_check(h.nonce, i, r.octets);
		r.fetched_check = number_check(~h.nonce, i, r.fetched);
		if (block_take(octets, len, r.block, r.name_len, r.uid_len, r.flags, &m) == 0)
			record_name(&r, h.nonce, i, r.block, &m);
		memcpy(at, &r, sizeof(r));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char octets[SIZE_MAX_IN];
	size_t len = size > 0 ? size - 1 : 0;
	bool right;
	int fd, way;

	if (box[0] == '\0') {
		make_box();
		(void)atexit(remove_box);
	}
	if (size == 0 || len > sizeof(octets))
		return 0;
	way = data[0] % WAYS;
	memcpy(octets, data + 1, len);
	if (way != AS_IT_IS)
		mend_head(octets, len, way == CHANGED ? 0 : 3);
	if (way == ALL_RIGHT || way == CHANGED)
		mend_records(octets, len);
	(void)unlinkat(place.dir_fd, INDEX_FILE, 0);
	fd = openat(place.dir_fd, INDEX_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	need(fd != -1 && write(fd, octets, len) == (ssize_t)len && close(fd) == 0);
	right = session(way == AS_IT_IS);
	need(right || way == RIGHT_HEAD || way == ALL_RIGHT);
	if (way == AS_IT_IS)
		need(session(true));
	return 0;
}
