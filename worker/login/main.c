/*
 * pop3d-login: the worker before login, one of a pool.
 *
 * Runs as:   user _pop3d in an empty chroot, no capability, seccomp, Landlock
 *            with no rule; as root only while it loads certificates.
 * Sees:      clients, TLS, credentials in flight.
 * May never: open a file, send a descriptor, have a private key, be believed about
 *            who a client is.
 *
 *   main.c       start and confinement            worker.c  the process's own state
 *   channels.c   messages with master and helper  conn.c    one connection: states, output
 *   input.c      reading lines                    line.c    putting lines together
 *   commands.c   AUTHORIZATION                    sasl.c    AUTH exchanges; base64.c
 *   login.c      from credentials to a session    relay.c   TLS after the login
 *   handshake.c  STLS and handshakes              tls.c     certificates and settings
 *   stream.c     a socket with or without TLS     trace.c   what a trace may show
 *   signer.c     signatures by the key process    check.c   pop3d -t looks at certificates
 *   header.c     waiting for a PROXY header       proxy.c   what such a header says
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/check.h"
#include "common/confine.h"
#include "common/log.h"
#include "common/privs.h"
#include "common/title.h"
#include "worker/login/check.h"
#include "worker/login/conn.h"
#include "worker/login/channels.h"
#include "worker/login/tls.h"

/* Certificates, as long as files can be opened. */
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

int
worker_confine(struct worker *w, struct msg_ready *ready, char *why, size_t cap)
{
	const struct msg_login_conf *conf = &w->conf;
	const struct confinement c = {.role = ROLE_LOGIN,
				      .root = conf->chroot_dir,
				      .uid = conf->uid,
				      .gid = conf->gid,
				      .sandbox = (enum sandbox_mode)conf->sandbox,
				      .landlock_abi_max = conf->landlock_abi_max};
	int listener, rc;

	if (worker_load(w, why, cap) == -1)
		return -1;
	rc = confine(&c, ready, &listener, why, cap);
	if (listener != -1) {
		evchannel_send(&w->master, MSG_SANDBOX_LOG, NULL, 0, &listener, 1);
		close(listener);
	}
	return rc;
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
	if (argc > 2 && strcmp(argv[1], CHECK_SERVED_WORD) == 0)
		return worker_check_served(argv + 2);
	if (argc > 2 && strcmp(argv[1], CHECK_NAMES_WORD) == 0)
		return worker_names(argv + 2);
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
