/*
 * The certificates that a worker has loaded and serves, as it says.
 */
#ifndef POP3D_CERTIFICATE_LIST_H
#define POP3D_CERTIFICATE_LIST_H

#include <bsd/sys/queue.h>

#include "common/msg.h"

struct certificate {
	STAILQ_ENTRY(certificate) next;
	struct msg_certificate is;
};

STAILQ_HEAD(certificate_list, certificate);

/* A worker says what it has loaded. */
void certificates_add(struct certificate_list *list, const struct msg_certificate *one);
void certificates_free(struct certificate_list *list);

/* Log when they expire. */
void certificates_log(const struct certificate_list *list);

#endif
