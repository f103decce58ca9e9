/*
 * Watch over the certificate files: a changed one is taken up by a new
 * generation of workers without any signal.  Only their directory entries are
 * looked at; no key is opened here.
 */
#ifndef POP3D_CERTIFICATES_H
#define POP3D_CERTIFICATES_H

#include <bsd/sys/queue.h>

#include "daemon/master.h"

/* What a worker has loaded and serves. */
struct certificate {
	STAILQ_ENTRY(certificate) next;
	struct msg_certificate is;
};

STAILQ_HEAD(certificate_list, certificate);

/* The newest workers are about to load what is there now. */
void certificates_told(struct master *m);

/* Once a second. */
void certificates_tick(struct master *m);

/* A worker says what it has loaded. */
void certificates_add(struct certificate_list *list, const struct msg_certificate *one);
void certificates_free(struct certificate_list *list);

/* Log when they expire. */
void certificates_log(const struct certificate_list *list);

#endif
