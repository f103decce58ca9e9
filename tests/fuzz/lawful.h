/*
 * Messages that a channel lets through, out of octets that a fuzzer chooses.
 */
#ifndef POP3D_TESTS_FUZZ_LAWFUL_H
#define POP3D_TESTS_FUZZ_LAWFUL_H

#include <stdlib.h>
#include <string.h>

#include "common/msg.h"

/* The shortest body with which an empty message of that type is lawful, and its descriptors.
 * False: `from` may not send it to `to`. */
static inline bool
lawful_form(struct msg *m, enum role from, enum role to)
{
	static struct form {
		bool known, lawful;
		size_t len, nfds;
	} forms[ROLE_COUNT][ROLE_COUNT][MSG_TYPE_COUNT];
	struct form *f = &forms[from][to][m->type];

	if (!f->known) {
		f->known = true;
		if (m->type == MSG_JOB)
			m->u.job.argc = m->u.job.len = 1;
		for (m->nfds = 0; m->nfds < 2 && !f->lawful; m->nfds++)
			for (m->len = 0; m->len <= MSG_BODY_MAX && !f->lawful; m->len++)
				if (msg_check(from, to, m) == 0)
					*f = (struct form){true, true, m->len, m->nfds};
		memset(&m->u, 0, sizeof(m->u));
	}
	m->len = f->len;
	m->nfds = f->nfds;
	return f->lawful;
}

/* A message whose type the first octet of the piece chooses, of those that `from` may send to `to`,
 * with a body that begins with its other octets.  False: that is not lawful. */
static inline bool
lawful_make(struct msg *m, enum role from, enum role to, const uint8_t *piece, size_t len)
{
	memset(m, 0, sizeof(*m));
	for (size_t i = 0; i < MSG_FDS_MAX; i++)
		m->fds[i] = -1;
	if (len == 0 || piece[0] == MSG_NONE || piece[0] >= MSG_TYPE_COUNT)
		return false;
	m->type = (enum msg_type)piece[0];
	if (!lawful_form(m, from, to))
		return false;
	memcpy(m->u.octets, piece + 1, len - 1);
	return msg_check(from, to, m) == 0;
}

#endif
