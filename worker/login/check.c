#include "config.h"

#include "worker/login/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <openssl/x509v3.h>

#include "common/clock.h"
#include "common/log.h"
#include "worker/login/tls.h"
#include "worker/tls/pem.h"

enum { SECONDS_A_DAY = 86400, SOON_DAYS = 14 };

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
	if (left >= 0 && left < SOON_DAYS * SECONDS_A_DAY)
		log_warn(0, "certificate %s: it expires in %" PRId64 " days", server->certificate,
			 left / SECONDS_A_DAY);
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

/* ---- what is served ---- */

/* The DNS names of a certificate, with spaces between them. */
static void
names_of(const X509 *certificate, char *dst, size_t cap)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	dst[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names) && n < cap; i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			n += (size_t)snprintf(dst + n, cap - n, " %.*s",
					      ASN1_STRING_length(name->d.dNSName),
					      ASN1_STRING_get0_data(name->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

static void
served_look(const char *host, const char *path, const char *expires)
{
	char why[MSG_TEXT_MAX / 2], now[CLOCK_UTC_SIZE];
	X509 *certificate = pem_certificate(path, why, sizeof(why));
	struct tm end;

	if (certificate == NULL) {
		log_error(0, "%s", why);
		return;
	}
	if (ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1 &&
	    strcmp(clock_utc(now, timegm(&end)), expires) != 0)
		log_warn(0,
			 "certificate %s: the one that is served expires %s, the file's %s: "
			 "pop3ctl reload takes it up",
			 path, expires, now);
	names_of(certificate, why, sizeof(why));
	if (host[0] != '\0' && X509_check_host(certificate, host, 0, 0, NULL) != 1)
		log_warn(0, "certificate %s: it has not this host's name %s, but%s", path, host,
			 why[0] != '\0' ? why : " none");
	X509_free(certificate);
}

int
worker_check_served(char *const args[])
{
	char why[MSG_TEXT_MAX / 2];
	const char *host = args[0];

	log_to_terminal();
	if (host == NULL || pem_begin(why, sizeof(why)) == -1) {
		log_error(0, "%s", host == NULL ? "nothing to check" : why);
		return EXIT_FAILURE;
	}
	for (args++; args[0] != NULL && args[1] != NULL; args += 2)
		served_look(host, args[0], args[1]);
	return EXIT_SUCCESS;
}
