/*
 * Watch over the certificate files: a changed one is taken up by a new
 * generation of workers without any signal.  Only their directory entries are
 * looked at; no key is opened here.
 */
#ifndef POP3D_CERTIFICATES_H
#define POP3D_CERTIFICATES_H

#include "daemon/base.h"

/* The newest workers are about to load what is there now. */
void certificates_told(struct master *m);

/* Once a second. */
void certificates_tick(struct master *m);

#endif
