/*
 * pop3d-login: the worker before login, one of a pool.
 *
 * Runs as:   user _pop3d in an empty chroot, no capability, seccomp, Landlock
 *            with no rule; as root only while it loads certificates and keys.
 * Sees:      clients, TLS, credentials in flight.
 * May never: open a file, send a descriptor, be believed about who a client is.
 *
 *   main.c       start and confinement            worker.c  the process's own state
 *   channels.c   messages with master and helper  conn.c    one connection: states, output
 *   input.c      reading lines                    line.c    putting lines together
 *   commands.c   AUTHORIZATION                    sasl.c    AUTH exchanges; base64.c
 *   login.c      from credentials to a session    relay.c   TLS after the login
 *   handshake.c  STLS and handshakes              tls.c     certificates and settings
 *   stream.c     a socket with or without TLS     trace.c   what a trace may show
 *   check.c      pop3d -t looks at certificates
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/check.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/sandbox.h"
#include "common/title.h"
#include "worker/login/check.h"
#include "worker/login/conn.h"
#include "worker/login/channels.h"
#include "worker/login/tls.h"

/* Certificates and keys, as long as files can be opened. */
static int
worker_load(struct worker *w, char *why, size_t cap)
{
	if (tls_init(why, cap) == -1)
		return -1;
	for (size_t i = 0; i < w->nservers; i++) {
		SSL_CTX *last = NULL;

		for (struct worker_server *s = w->servers[i]; s != NULL; s = s->next) {
			s->tls = tls_context_new(&s->conf, why, cap);
			if (s->tls == NULL)
				return -1;
			if (last != NULL)
				tls_context_add(last, s->tls);
			last = s->tls;
		}
	}
	return 0;
}

/* No process of its own, whatever the filter says. */
static int
worker_limit(void)
{
	static const struct rlimit none = {0, 0};
	return setrlimit(RLIMIT_NPROC, &none);
}

static int
worker_attach_filter(struct worker *w)
{
	int listener;
	int rc = sandbox_seccomp(ROLE_LOGIN, (enum sandbox_mode)w->conf.sandbox, &listener);

	if (listener != -1) {
		evchannel_send(&w->master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		close(listener);
	}
	return rc;
}

/* Give up one right after the other.  NULL, or what could not be done (errno). */
static const char *
worker_drop(struct worker *w, struct msg_ready *ready)
{
	const struct msg_login_conf *conf = &w->conf;
	int rc;

	privs_raise_nofile();
	if (conf->chroot_dir[0] != '\0' && privs_chroot_empty(conf->chroot_dir) == -1)
		return "chroot";
	if (privs_become(conf->uid, conf->gid, NULL, 0) == -1)
		return "change of user";
	if (privs_drop_caps() == -1)
		return "dropping capabilities";
	if (worker_limit() == -1 || privs_harden(true) == -1)
		return "limits";
	rc = sandbox_landlock(-1, 0, (enum sandbox_mode)conf->sandbox, conf->landlock_abi_max);
	if (rc == -1)
		return "Landlock";
	ready->landlock_abi = (uint32_t)rc;
	rc = worker_attach_filter(w);
	if (rc == -1)
		return "seccomp";
	ready->seccomp = (uint32_t)rc;
	return NULL;
}

int
worker_confine(struct worker *w, struct msg_ready *ready, char *why, size_t cap)
{
	if (worker_load(w, why, cap) == -1)
		return -1;
	const char *step = worker_drop(w, ready);
	if (step == NULL)
		return 0;
	int error = errno;
	snprintf(why, cap, "%s failed: %s%s%s", step, strerror(error),
		 strcmp(step, "chroot") == 0 ? ": " : "",
		 strcmp(step, "chroot") == 0 ? w->conf.chroot_dir : "");
	return -1;
}

static struct event_base *
worker_make_base(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config == NULL)
		return NULL;
	event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_IGNORE_ENV);
	base = event_base_new_with_config(config);
	event_config_free(config);
	return base;
}

static void
worker_free(struct worker *w)
{
	channels_close(w);
	for (size_t i = 0; i < w->nservers; i++)
		while (w->servers[i] != NULL) {
			struct worker_server *s = w->servers[i];

			w->servers[i] = s->next;
			SSL_CTX_free(s->tls);
			free(s);
		}
	free(w->servers);
	event_base_free(w->base);
	free(w);
}

int
main(int argc, char *argv[], char *envp[])
{
	if (argc > 1 && strcmp(argv[1], CHECK_WORD) == 0)
		return worker_check(argv + 2);
	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	title_set(role_name(ROLE_LOGIN), "starting");

	struct worker *w = calloc(1, sizeof(*w));
	if (w == NULL || (w->base = worker_make_base()) == NULL ||
	    channels_open(w, CHANNEL_FD) == -1)
		return EXIT_FAILURE;
	log_to_channel(&w->master.ch);
	event_base_dispatch(w->base);
	/* connections that are left end with the process: master has gone */
	if (w->nconns > 0)
		_exit(EXIT_SUCCESS);
	worker_free(w);
	return EXIT_SUCCESS;
}
