/*
 * The list of the messages of a Maildir: which files there are, in what
 * order, under what name each one is now.
 *
 * Compact, for mailboxes of a million messages: 16 octets and the name.
 */
#ifndef POP3D_MAILDIR_LIST_H
#define POP3D_MAILDIR_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum maildir_dir { MAILDIR_NEW, MAILDIR_CUR, MAILDIR_DIRS };

enum {
	ENTRY_IN_CUR = 1,  /* in cur/, else in new/ */
	ENTRY_TWIN = 2,	   /* other files have its base name: its inode stands behind the name */
	ENTRY_MADE_UID = 4, /* a twin that cannot use the base name as its unique-id */
	ENTRY_LINKED = 8,  /* the same file had a second name with this base */
	ENTRY_GONE = 16	   /* was removed by somebody */
};

struct maildir_entry {
	uint64_t seconds; /* maildir_seconds() of its name */
	uint32_t name;	  /* where it stands in the arena */
	uint32_t flags;
};

struct maildir_list {
	int fd[MAILDIR_DIRS]; /* of new/ and cur/; borrowed */
	bool scanned;	      /* directories were read before: begin at their start again */
	bool quiet;	      /* cur/ did not change while it was read: nothing can have been missed */
	size_t count, room;
	struct maildir_entry *entries;
	size_t arena_len, arena_room;
	char *arena;
};

/* An empty list over these directories. */
void maildir_list_init(struct maildir_list *l, int new_fd, int cur_fd);
void maildir_list_free(struct maildir_list *l);

/* Read the directories, sort, settle names that occur twice.  0 or -1 with errno. */
int maildir_list_scan(struct maildir_list *l);

/*
 * Look up again under what names the messages are now, since one was not found
 * where it was: flags may be changed by others at any time.  The entries and
 * their order stay; those that are no more get ENTRY_GONE.  0 or -1 with errno.
 */
int maildir_list_refresh(struct maildir_list *l);

static inline const char *
maildir_entry_name(const struct maildir_list *l, size_t i)
{
	return l->arena + l->entries[i].name;
}

/* The directory that it is in. */
static inline int
maildir_entry_fd(const struct maildir_list *l, size_t i)
{
	return l->fd[(l->entries[i].flags & ENTRY_IN_CUR) != 0 ? MAILDIR_CUR : MAILDIR_NEW];
}

/* The inode noted with a twin. */
uint64_t maildir_entry_inode(const struct maildir_list *l, size_t i);

#endif
