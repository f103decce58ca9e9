/*
 * pop3d-key: the private keys of the servers' certificates.
 *
 * Runs as:   user _pop3key in an empty chroot, no capability, seccomp, Landlock
 *            with no rule; as root only while it loads the keys.
 * Sees:      requests of workers for one operation: to sign what a server signs in
 *            a TLS handshake.
 * May never: sign anything else, give a key away, see a client or a password.
 *
 *   main.c    start, confinement, master    askers.c  workers: requests, their rate
 *   keys.c    the keys; what is signed      check.c   pop3d -t looks at keys
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/channel_event.h"
#include "common/check.h"
#include "common/confine.h"
#include "common/count.h"
#include "common/inbox.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "worker/key/askers.h"
#include "worker/key/check.h"
#include "worker/key/keys.h"
#include "worker/tls/pem.h"

enum { MASTER_QUEUE = 256 };

static struct {
	struct event_base *base;
	struct evchannel master;
	struct msg_key_conf conf;
	struct msg_refused refused; /* the first thing that was wrong; empty: none */
	bool serving;
} process;

/* ---- what master says ---- */

enum { STARTING = 1, SERVING = 2, EVER = STARTING | SERVING };

static int
process_state(const void *who, const struct msg *m)
{
	(void)who, (void)m;
	return process.serving ? SERVING : STARTING;
}

static void
show_count(void)
{
	title_set(role_name(ROLE_KEY), "%llu signatures", (unsigned long long)askers_signed());
}

static int
on_ping(void *who, struct msg *m)
{
	(void)who;
	evchannel_put(&process.master, MSG_PONG, &m->u.ping, sizeof(m->u.ping));
	show_count();
	return 0;
}

static int
on_conf(void *who, struct msg *m)
{
	(void)who;
	process.conf = m->u.key_conf;
	title_detail((enum ps_titles)process.conf.ps_titles);
	return pem_begin(process.refused.why, sizeof(process.refused.why)) == -1 ? -1 : 0;
}

static int
on_pair(void *who, struct msg *m)
{
	struct msg_refused *refused = &process.refused;

	(void)who;
	if (refused->why[0] == '\0')
		(void)keys_load(&m->u.key_pair, refused->why, sizeof(refused->why));
	return 0;
}

static int
drop_rights(struct msg_ready *ready)
{
	const struct msg_key_conf *conf = &process.conf;
	const struct confinement c = {.role = ROLE_KEY,
				      .root = conf->chroot_dir,
				      .uid = conf->uid,
				      .gid = conf->gid,
				      .sandbox = (enum sandbox_mode)conf->sandbox,
				      .landlock_abi_max = conf->landlock_abi_max};
	int listener;
	int rc = confine(&c, ready, &listener, process.refused.why, sizeof(process.refused.why));

	if (listener != -1) {
		evchannel_send(&process.master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		close(listener);
	}
	return rc;
}

static int
on_start(void *who, struct msg *m)
{
	struct msg_ready ready = {0, 0};

	(void)who, (void)m;
	if (process.refused.why[0] != '\0' || drop_rights(&ready) == -1) {
		evchannel_put(&process.master, MSG_REFUSED, &process.refused,
			      sizeof(process.refused));
		return -1;
	}
	process.serving = true;
	evchannel_put(&process.master, MSG_READY, &ready, sizeof(ready));
	show_count();
	return 0;
}

static int
on_worker_new(void *who, struct msg *m)
{
	int fd = msg_take_fd(m, 0);

	(void)who;
	if (fd == -1)
		log_error(0, "the channel to worker=%u was lost", m->u.worker.worker);
	else
		askers_add(process.base, m->u.worker.worker, fd);
	return 0;
}

static const struct inbox_row rows[] = {
    {MSG_PING, EVER, 0, on_ping},
    {MSG_KEY_CONF, STARTING, 0, on_conf},
    {MSG_KEY_PAIR, STARTING, 0, on_pair},
    {MSG_KEY_START, STARTING, 0, on_start},
    {MSG_WORKER_NEW, SERVING, 0, on_worker_new},
};

static const struct inbox inbox = {rows, COUNT_OF(rows), process_state};

/* Without master there is nobody to sign for. */
static void
on_end(struct evchannel *ec, int error, void *arg)
{
	(void)ec, (void)error, (void)arg;
	event_base_loopbreak(process.base);
}

static void
on_msg(struct evchannel *ec, struct msg *m, void *arg)
{
	(void)ec;
	if (inbox_take(&inbox, NULL, m) == -1)
		on_end(ec, EBADMSG, arg);
}

int
main(int argc, char *argv[], char *envp[])
{
	if (argc > 1 && strcmp(argv[1], CHECK_WORD) == 0)
		return key_check(argv + 2);
	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	title_set(role_name(ROLE_KEY), "starting");
	/* Root's core file of a key would be a copy of it. */
	if (privs_harden(false) == -1 || (process.base = event_base_new()) == NULL ||
	    evchannel_open(&process.master, process.base, CHANNEL_FD, ROLE_KEY, ROLE_MASTER,
			   MASTER_QUEUE, on_msg, on_end, NULL) == -1)
		return EXIT_FAILURE;
	log_to_channel(&process.master.ch);
	event_base_dispatch(process.base);
	askers_close();
	keys_free();
	evchannel_close(&process.master);
	event_base_free(process.base);
	return EXIT_SUCCESS;
}
