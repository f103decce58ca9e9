#include "config.h"

#include "worker/login/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/log.h"
#include "worker/login/tls.h"

enum { SECONDS_A_DAY = 86400 };

static int
check_certificate(const struct msg_login_server *server)
{
	char why[MSG_TEXT_MAX / 2];
	SSL_CTX *ctx = tls_context_new(server, why, sizeof(why));
	int64_t left;

	if (ctx == NULL) {
		log_error(0, "%s", why);
		return -1;
	}
	left = tls_context_expires(ctx) - (int64_t)time(NULL);
	SSL_CTX_free(ctx);
	if (left >= 0) /* else it was said */
		printf("certificate %s: valid for %" PRId64 " days\n", server->certificate,
		       left / SECONDS_A_DAY);
	return 0;
}

int
worker_check(char *const args[])
{
	struct msg_login_server server = {0};
	char why[MSG_TEXT_MAX / 2];
	int status = EXIT_SUCCESS;

	log_to_terminal();
	if (args[0] == NULL || tls_init(why, sizeof(why)) == -1) {
		log_error(0, "%s", args[0] == NULL ? "nothing to check" : why);
		return EXIT_FAILURE;
	}
	(void)snprintf(server.tls_ciphers, sizeof(server.tls_ciphers), "%s", *args++);
	for (; args[0] != NULL; args++) {
		(void)snprintf(server.certificate, sizeof(server.certificate), "%s", args[0]);
		if (check_certificate(&server) == -1)
			status = EXIT_FAILURE;
	}
	return status;
}
