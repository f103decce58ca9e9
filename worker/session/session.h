/*
 * One session from its grant to its end.
 */
#ifndef POP3D_SESSION_H
#define POP3D_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdnoreturn.h>

#include "common/channel.h"
#include "common/scoreboard.h"
#include "worker/session/delivery.h"
#include "worker/session/stream.h"
#include "worker/store/store.h"

struct session {
	struct channel master;
	struct msg_grant grant;
	struct msg_job job; /* if the grant says so */
	bool job_asked;	    /* for its input */
	struct stream stream;
	struct store store;
	uint64_t *marked; /* a bit a message: DELE was said */
	uint64_t marked_count;
	uint64_t *fetched;   /* a bit a message: the client has confirmed it (delivery.h) */
	uint64_t *delivered; /* a bit a message: it has only been delivered */
	struct delivery delivery;
	uint64_t sent, sent_octets; /* messages by RETR, confirmed or not */
	uint64_t octets;	    /* of the messages not marked, if octets_known */
	bool octets_known;
	enum exposed exposed;	       /* what open() was about to open */
	struct msg_lock_answer holder; /* who has it locked, when we could not */
	struct msg_session_end end;    /* what is reported at the end */
	const uint64_t *acked;	       /* what the worker tells (common/acked.h); NULL: nothing */
	struct scoreboard *scoreboard; /* what it shows of itself; NULL: nothing */
};

/* For a session and for a job: the store back end of the grant, ready to open the mailbox; confine
 * the process to what was named by store_confine() (*abi: the Landlock ABI in force); close.
 * OK, PERM (logged). */
enum store_result session_find_store(struct session *ss);
enum store_result session_confine(struct session *ss, const struct msg_spawn_conf *conf,
				  uint32_t *abi);
void session_close(struct session *ss);

/*
 * The life of a spare: says hello on its channel to master, waits for its
 * grant, becomes the user, serves the session or does the job, ends the process.
 */
noreturn void session_run(const struct msg_spawn_conf *conf, int channel);

#endif
