/*
 * Messages in files that another server has compressed (Dovecot's zlib and
 * mail_compress plugins): gzip and zstd are inflated while they are read; files
 * in other forms, damaged ones and those that inflate without measure are
 * refused, so that a client never gets octets that only look like mail.
 *
 * The first octets of a file decide.  Each signature below has octets, or a run
 * of them, that no header field begins with, so a file with one is never
 * taken for plain mail, even if it turns out to be damaged.
 */
#ifndef POP3D_STORE_UNPACK_H
#define POP3D_STORE_UNPACK_H

#include <stdbool.h>

#include "worker/store/store.h"

/*
 * The bounds.  A message may inflate to UNPACK_FREE octets, or to UNPACK_RATIO
 * times what is stored if that is more.  A zstd window has at most 2^UNPACK_WINDOW
 * octets (8 MiB, as levels 1 to 19 write them), which bounds the memory.
 */
enum { UNPACK_FREE = 64 << 20, UNPACK_RATIO = 100, UNPACK_WINDOW = 23 };

/*
 * Have the reader of a whole file, of which nothing is read yet, inflate it if
 * its first octets say so.  store_read() then fails with
 *   EOPNOTSUPP  for a form that is not inflated,
 *   EBADMSG     for one that is damaged or cut off,
 *   EFBIG       for one that exceeds a bound,
 *   ENOMEM
 * and r->why says so.  RFC 1952 (gzip), RFC 8878 (zstd).
 */
void unpack_watch(struct store_reader *r);

/* Give the stored octets, from the first one on, as they are. */
void unpack_stop(struct store_reader *r);

/* Is the file in such a form, and its message unreadable?  Reads a compressed one to its end. */
bool unpack_refuses(struct store_reader *r);

#endif
