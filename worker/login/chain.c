#include "config.h"

#include "worker/login/chain.h"

#include <dirent.h>
#include <stdbool.h>
#include <unistd.h>

#include <openssl/x509_vfy.h>

#include "common/log.h"
#include "worker/tls/pem.h"

/* Has this host authorities at all? */
static bool
authorities_are_there(void)
{
	DIR *d = opendir(X509_get_default_cert_dir());
	const struct dirent *e = NULL;

	while (d != NULL && (e = readdir(d)) != NULL && e->d_name[0] == '.')
		continue;
	if (d != NULL)
		closedir(d);
	return e != NULL || access(X509_get_default_cert_file(), R_OK) == 0;
}

/* The name of who has issued it, in one line. */
static void
issuer_name(const X509 *certificate, char *dst, size_t cap)
{
	BIO *text = BIO_new(BIO_s_mem());
	int n = 0;

	if (text != NULL &&
	    X509_NAME_print_ex(text, X509_get_issuer_name(certificate), 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_read(text, dst, (int)cap - 1);
	dst[n > 0 ? n : 0] = '\0';
	BIO_free(text);
}

/* Times are looked at elsewhere. */
static int
issuer_is_missing(X509_STORE *store, STACK_OF(X509) * all, char *name, size_t cap)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	int missing = 0;

	if (ctx == NULL || X509_STORE_CTX_init(ctx, store, sk_X509_value(all, 0), all) != 1)
		goto end;
	X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(ctx), X509_V_FLAG_NO_CHECK_TIME);
	if (X509_verify_cert(ctx) == 1)
		goto end;
	switch (X509_STORE_CTX_get_error(ctx)) {
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		missing = 1;
		issuer_name(X509_STORE_CTX_get_current_cert(ctx), name, cap);
	}
end:
	X509_STORE_CTX_free(ctx);
	return missing;
}

void
chain_look(const char *path)
{
	STACK_OF(X509) *all = pem_certificates(path);
	X509_STORE *store = X509_STORE_new();
	char name[256];

	if (sk_X509_num(all) > 0 && store != NULL && authorities_are_there() &&
	    X509_STORE_set_default_paths(store) == 1 &&
	    issuer_is_missing(store, all, name, sizeof(name)))
		log_warn(0,
			 "certificate %s: an issuer is missing, %s: clients that have not met it "
			 "refuse; put its certificate behind that of the server, as a file "
			 "\"fullchain\" has it",
			 path, name);
	X509_STORE_free(store);
	sk_X509_pop_free(all, X509_free);
}
