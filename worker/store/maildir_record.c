#include "config.h"

#include "worker/store/maildir_record.h"

#include <string.h>

#include "worker/store/maildir_name.h"

enum {
	INDEX_VERSION = 2,	  /* sizes of the first may be those of compressed octets */
	INDEX_LAYOUT = 0x01020304 /* reads otherwise where octets have another order */
};

static const char index_magic[8] = {'p', 'o', 'p', '3', 'd', 'i', 'd', 'x'};

_Static_assert(sizeof(struct index_record) == 32, "a record has 32 octets");
_Static_assert(NAME_MAX <= UINT8_MAX, "the length of a name has an octet");

static uint64_t
mix(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
	return hash ^ hash >> 32;
}

uint64_t
index_hash(uint64_t key, const void *octets, size_t len)
{
	uint64_t hash = mix(key, len), word;
	const char *p = octets;

	for (; len >= sizeof(word); len -= sizeof(word), p += sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		hash = mix(hash, word);
	}
	word = 0;
	memcpy(&word, p, len);
	return mix(mix(hash, word), 1);
}

struct index_stamp
index_stamp_of(const struct stat *st)
{
	return (struct index_stamp){st->st_ino, st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
				    st->st_ctim.tv_sec, st->st_ctim.tv_nsec};
}

bool
index_stamps_equal(const struct index_stamp *a, const struct index_stamp *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* ---- head ---- */

struct index_head
head_make(uint64_t nonce)
{
	struct index_head h = {.version = INDEX_VERSION,
			       .layout = INDEX_LAYOUT,
			       .nonce = nonce,
			       .octets = STORE_NO_SIZE};

	memcpy(h.magic, index_magic, sizeof(index_magic));
	return h;
}

uint64_t
head_check(const struct index_head *h)
{
	return index_hash(h->nonce, h, offsetof(struct index_head, check));
}

bool
head_is_sound(const struct index_head *h, uint64_t len)
{
	return memcmp(h->magic, index_magic, sizeof(h->magic)) == 0 &&
	       h->version == INDEX_VERSION && h->layout == INDEX_LAYOUT &&
	       h->check == head_check(h) && h->records >= sizeof(*h) && h->records <= len &&
	       h->count < UINT32_MAX &&
	       h->count <= (len - h->records) / sizeof(struct index_record);
}

/* ---- blocks ---- */

static size_t
block_len(size_t name_len, size_t uid_len, uint32_t flags)
{
	return name_len + 1 + (uid_len > 0 ? uid_len + 1 : 0) +
	       ((flags & ENTRY_RANKED) != 0 ? sizeof(uint32_t) : 0) +
	       ((flags & ENTRY_DUPLICATE) != 0 ? sizeof(uint64_t) : 0);
}

size_t
block_make(const struct maildir_message *m, char block[BLOCK_MAX])
{
	size_t len = m->name_len + 1, uid_len = strlen(m->uid);

	memcpy(block, m->name, len);
	if (uid_len > 0) {
		memcpy(block + len, m->uid, uid_len + 1);
		len += uid_len + 1;
	}
	if ((m->flags & ENTRY_RANKED) != 0) {
		memcpy(block + len, &m->rank, sizeof(m->rank));
		len += sizeof(m->rank);
	}
	if ((m->flags & ENTRY_DUPLICATE) != 0) {
		memcpy(block + len, &m->inode, sizeof(m->inode));
		len += sizeof(m->inode);
	}
	return len;
}

static bool
uid_is_sound(const char *uid, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (uid[i] < 0x21 || uid[i] > 0x7e)
			return false;
	return true;
}

int
block_take(const char *file, size_t file_len, size_t at, size_t name_len, size_t uid_len,
	   uint32_t flags, struct maildir_message *m)
{
	size_t len = block_len(name_len, uid_len, flags);
	const char *from = file + at, *end = from + len;

	if (name_len == 0 || uid_len >= STORE_UID_SIZE || at > file_len || len > file_len - at)
		return -1;
	m->flags = flags;
	m->name_len = name_len;
	memcpy(m->name, from, name_len);
	memcpy(m->uid, from + name_len + 1, uid_len);
	m->name[name_len] = m->uid[uid_len] = '\0';
	m->inode = 0;
	if ((flags & ENTRY_DUPLICATE) != 0)
		memcpy(&m->inode, end -= sizeof(m->inode), sizeof(m->inode));
	m->rank = 0;
	if ((flags & ENTRY_RANKED) != 0)
		memcpy(&m->rank, end - sizeof(m->rank), sizeof(m->rank));
	return maildir_name_counts(m->name) && strlen(m->name) == name_len &&
		       strchr(m->name, '/') == NULL && uid_is_sound(m->uid, uid_len)
		   ? 0
		   : -1;
}

/* ---- records ---- */

uint32_t
number_check(uint64_t key, size_t i, uint64_t number)
{
	return (uint32_t)mix(mix(mix(key, i), number), 2);
}

static uint32_t
name_check(const struct index_record *r, uint64_t key, size_t i, const struct maildir_message *m)
{
	char block[BLOCK_MAX];

	key = mix(mix(key, i), (uint64_t)r->flags << 32 | r->block);
	key = mix(key, (uint64_t)r->uid_len << 8 | r->name_len);
	return (uint32_t)index_hash(key, block, block_make(m, block));
}

void
record_name(struct index_record *r, uint64_t key, size_t i, uint32_t block,
	    const struct maildir_message *m)
{
	r->block = block;
	r->name_len = (uint8_t)m->name_len;
	r->uid_len = (uint8_t)strlen(m->uid);
	r->flags = (uint16_t)m->flags;
	r->name_check = name_check(r, key, i, m);
}

int
record_take(const struct index_record *r, uint64_t key, size_t i, const char *file, size_t len,
	    struct maildir_message *m)
{
	if ((r->flags & ~ENTRY_FLAGS) != 0 ||
	    block_take(file, len, r->block, r->name_len, r->uid_len, r->flags, m) == -1)
		return -1;
	return name_check(r, key, i, m) == r->name_check ? 0 : -1;
}
