#include "config.h"

#include "daemon/auth/pam_probe.h"

#include <errno.h>
#include <security/pam_appl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "common/msg.h"

static const char *const probed[] = {"pam_access.so",  "pam_listfile.so", "pam_localuser.so",
				     "pam_nologin.so", "pam_shells.so",	  "pam_succeed_if.so",
				     "pam_usertype.so"};

/* A folder with the service's name, for one line at a time. */
struct probe {
	char folder[32], file[MSG_PATH_SIZE + 64];
	const char *service, *phase, *user;
};

static bool
is_probed(const struct pam_stack_line *l)
{
	char name[64];

	pam_stack_module(l, name, sizeof(name));
	for (size_t i = 0; i < COUNT_OF(probed); i++)
		if (strcmp(probed[i], name) == 0)
			return true;
	return false;
}

/* They ask for nothing; what they tell a user is not heard. */
static int
converse(int n, const struct pam_message **messages, struct pam_response **replies, void *arg)
{
	(void)messages, (void)arg;
	if (n < 1 || n > PAM_MAX_NUM_MSG)
		return PAM_CONV_ERR;
	*replies = calloc((size_t)n, sizeof(**replies));
	return *replies != NULL ? PAM_SUCCESS : PAM_BUF_ERR;
}

/* What the library says of a service with that line alone. */
static int
service_ask(const struct probe *p)
{
	static const struct pam_conv conv = {converse, NULL};
	pam_handle_t *h = NULL;
	int code = pam_start_confdir(p->service, p->user, &conv, p->folder, &h);

	if (code == PAM_SUCCESS)
		code = pam_set_item(h, PAM_RHOST, "127.0.0.1");
	if (code == PAM_SUCCESS)
		code = pam_set_item(h, PAM_TTY, "pop3");
	if (code == PAM_SUCCESS)
		code = strcmp(p->phase, "auth") == 0 ? pam_authenticate(h, PAM_SILENT)
						     : pam_acct_mgmt(h, PAM_SILENT);
	if (h != NULL)
		(void)pam_end(h, code);
	return code;
}

/* What the line's module says; "ignore" as a yes.  -1: it cannot be asked. */
static int
line_ask(const struct probe *p, const struct pam_stack_line *l)
{
	FILE *out = fopen(p->file, "we");
	bool good;

	if (out == NULL)
		return -1;
	good = fprintf(out, "%s requisite %s\n%s required pam_permit.so\n", p->phase, l->module,
		       p->phase) > 0;
	good = fclose(out) == 0 && good;
	return good ? service_ask(p) : -1;
}

/* Have each of them say it, and tell who refuses him. */
static int
lines_ask(struct pam_stack *s, const struct probe *p)
{
	int code[PAM_STACK_MAX];
	char module[64];

	pam_stack_suppose(s);
	for (size_t i = 0; i < s->n; i++) {
		code[i] = is_probed(&s->line[i]) ? line_ask(p, &s->line[i]) : -1;
		if (code[i] != -1)
			s->line[i].says = code[i] == PAM_SUCCESS ? PAM_SAYS_YES : PAM_SAYS_NO;
	}
	if (pam_stack_may_pass(s))
		return 0;
	for (size_t i = 0; i < s->n; i++)
		if (code[i] != -1 && s->line[i].says == PAM_SAYS_NO)
			log_error(0, "%s: %s refuses %s: %s (lines for %s)", s->line[i].where,
				  pam_stack_module(&s->line[i], module, sizeof(module)), p->user,
				  pam_strerror(NULL, code[i]), p->phase);
	return -1;
}

int
pam_probe(struct pam_stack *s, const char *service, const char *phase, const char *user)
{
	struct probe p = {"/tmp/pop3d-doctor-XXXXXX", "", service, phase, user};
	int result;

	if (mkdtemp(p.folder) == NULL) {
		log_warn(0, "%s: %s: PAM modules are not asked", p.folder, strerror(errno));
		return 0;
	}
	(void)snprintf(p.file, sizeof(p.file), "%s/%s", p.folder, service);
	result = lines_ask(s, &p);
	(void)unlink(p.file);
	(void)rmdir(p.folder);
	return result;
}
