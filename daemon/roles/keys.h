/*
 * Key processes as master sees them: one for each generation of workers that has
 * certificates, with the keys of that generation.  One that ends is started
 * again with the same settings.
 */
#ifndef POP3D_KEYS_H
#define POP3D_KEYS_H

#include <bsd/sys/queue.h>

#include "daemon/roles/child.h"
#include "daemon/base.h"

struct key_pair;
STAILQ_HEAD(key_pairs, key_pair);

struct key_process {
	TAILQ_ENTRY(key_process) next;
	struct child child;
	struct master *master;
	struct backoff backoff;
	uint32_t generation;
	uint64_t number; /* of the process that runs, never given before */
	bool refused;
	struct msg_ready confined; /* what it said of its confinement */
	struct msg_key_conf conf;  /* what each one is told */
	struct key_pairs pairs;
};

struct keys *keys_new(void);

/* A new generation: workers with the certificates of these settings are about to be started. */
void keys_begin_generation(struct master *m, uint32_t generation, const struct conf *conf);

/* No worker of this generation will ask any more. */
void keys_end_generation(struct master *m, uint32_t generation);

/* Start what does not run and may; end those of generations that are not needed. */
void keys_settle(struct master *m, bool (*is_needed)(const struct master *m, uint32_t generation));

/* It says so; `why` is logged, and its end awaited. */
void key_is_ready(struct key_process *k, const struct msg_ready *ready);
void key_is_refused(struct key_process *k, const char *why);

/* Is it ready, or has the generation no key? */
bool keys_ready(const struct master *m, uint32_t generation);

/* The process to which workers of this generation are to be connected now; 0: none. */
uint64_t keys_number(const struct master *m, uint32_t generation);

/* Give it the channel at `fd`, borrowed, to a worker of its generation. */
void keys_worker_new(struct master *m, uint32_t generation, uint32_t worker, int fd);

/* The next one after `k` (NULL: the first), oldest first. */
const struct key_process *keys_next(const struct master *m, const struct key_process *k);

void keys_heartbeat(struct master *m);
void keys_stop(struct master *m);

#endif
