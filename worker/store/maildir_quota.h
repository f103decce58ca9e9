/*
 * The Maildir++ quota file "maildirsize": what delivery agents and IMAP
 * servers count with, and so has to be told of every removal (maildirquota(7)).
 */
#ifndef POP3D_MAILDIR_QUOTA_H
#define POP3D_MAILDIR_QUOTA_H

#include <stddef.h>
#include <stdint.h>

/* Open it for one line more: dir_fd is the Maildir's.  -1: there is none, it is so long
 * that somebody has to count afresh, or it cannot be written; then nothing is kept. */
int maildir_quota_open(int dir_fd);

/* Write that `count` messages of `octets` stored octets in all have gone, in one write(2), and
 * close fd.  Nothing at all for -1 or a count of 0; failing harms nobody but the count. */
void maildir_quota_close(int fd, uint64_t octets, size_t count);

/* What it says: the limits (0: none) and the sums of what came and went. */
struct maildir_quota {
	int64_t octets_max, count_max, octets, count;
};

/* 0; -1: there is none, or it says nothing that could be believed. */
int maildir_quota_read(int dir_fd, struct maildir_quota *q);

#endif
