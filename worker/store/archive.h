/*
 * An archive that one user fetches (pop3d --serve).  It is never written, unless
 * deletions are to be applied.
 *
 *   archive.c       the store: a Maildir or a directory, or an mbox that is only read
 *   archive_mbox.c  the store: an mbox that deletions are applied to
 *   archive_scan.c  the table, made at the start of a run
 *   archive_form.c  what else a file may be
 */
#ifndef POP3D_STORE_ARCHIVE_H
#define POP3D_STORE_ARCHIVE_H

#include <stdint.h>

#include "common/archive.h"
#include "worker/store/mbox_text.h"
#include "worker/store/store.h"

/*
 * Read every message of the archive open at `in` (a directory, or an mbox file
 * of that style) and write its table to `out`.  What cannot be read is told on
 * standard error and left out.  0, or -1 with errno, EILSEQ for what is no mbox.
 */
int archive_scan(int in, enum archive_kind kind, const struct mbox_style *style, uint32_t options,
		 int out);

/* How to get at the mail in a file that is no mbox, in words; NULL: nothing is known of it. */
const char *archive_form(int fd);

/* The unique-id of a message. */
void archive_uid(const struct archive_entry *e, char out[STORE_UID_SIZE]);

/*
 * Set right what an earlier run was killed over, before an mbox that deletions are
 * applied to is scanned.  `box` has path, home and style; this process is confined to
 * what the mbox needs from then on.  OK, IN_USE, TEMP, PERM.
 */
enum store_result archive_mbox_recover(struct store *box);

#endif
