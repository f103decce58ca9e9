#include "config.h"

#include "worker/key/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/log.h"
#include "worker/key/keys.h"
#include "worker/tls/pem.h"

/* What is wrong with a certificate is pop3d-login's to say. */
static bool
has_certificate(const char *path)
{
	char why[MSG_TEXT_MAX / 2];
	X509 *certificate = pem_certificate(path, why, sizeof(why));

	X509_free(certificate);
	return certificate != NULL;
}

int
key_check(char *const args[])
{
	struct msg_key_pair pair = {0};
	char why[MSG_TEXT_MAX / 2];
	int status = EXIT_SUCCESS;

	log_to_terminal();
	if (pem_begin(why, sizeof(why)) == -1) {
		log_error(0, "%s", why);
		return EXIT_FAILURE;
	}
	for (; args[0] != NULL && args[1] != NULL; args += 2) {
		(void)snprintf(pair.certificate, sizeof(pair.certificate), "%s", args[0]);
		(void)snprintf(pair.certificate_key, sizeof(pair.certificate_key), "%s", args[1]);
		if (!has_certificate(args[0]) || keys_load(&pair, why, sizeof(why)) == 0)
			continue;
		log_error(0, "%s", why);
		status = EXIT_FAILURE;
	}
	keys_free();
	return status;
}
