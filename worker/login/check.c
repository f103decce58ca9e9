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
#include "worker/login/chain.h"
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
	chain_look(server->certificate);
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

/* Tell each DNS name of a certificate (RFC 5280 section 4.2.1.6). */
static void
names_each(const X509 *certificate, void (*name)(void *arg, const char *text, int len), void *arg)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);

	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *n = sk_GENERAL_NAME_value(names, i);

		if (n->type == GEN_DNS)
			name(arg, (const char *)ASN1_STRING_get0_data(n->d.dNSName),
			     ASN1_STRING_length(n->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

struct text {
	char *dst;
	size_t cap, n;
};

static void
name_append(void *arg, const char *text, int len)
{
	struct text *t = arg;

	if (t->n < t->cap)
		t->n += (size_t)snprintf(t->dst + t->n, t->cap - t->n, " %.*s", len, text);
}

/* The DNS names of a certificate, with spaces before them. */
static void
names_of(const X509 *certificate, char *dst, size_t cap)
{
	struct text t = {dst, cap, 0};

	dst[0] = '\0';
	names_each(certificate, name_append, &t);
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

/* ---- names ---- */

static void
name_print(void *arg, const char *text, int len)
{
	(void)arg;
	for (int i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return;
	printf("%.*s\n", len, text);
}

int
worker_names(char *const args[])
{
	char why[MSG_TEXT_MAX / 2];
	int status = EXIT_SUCCESS;

	log_to_terminal();
	if (pem_begin(why, sizeof(why)) == -1) {
		log_error(0, "%s", why);
		return EXIT_FAILURE;
	}
	for (; args[0] != NULL; args++) {
		X509 *certificate = pem_certificate(args[0], why, sizeof(why));

		if (certificate != NULL)
			names_each(certificate, name_print, NULL);
		else {
			log_error(0, "%s", why);
			status = EXIT_FAILURE;
		}
		X509_free(certificate);
	}
	return status;
}
