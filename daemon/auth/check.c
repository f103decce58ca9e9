#include "config.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/log.h"
#include "daemon/auth/backend.h"
#include "daemon/auth/check.h"
#include "daemon/auth/userfile.h"

static int
spec_check(const char *spec)
{
	const char *arg;
	const struct auth_backend *be = backend_find(spec, &arg);
	struct userfile accounts = {0};
	char why[MSG_TEXT_MAX / 2];

	if (backend_check(spec, why, sizeof(why)) == -1) {
		log_error(0, "auth %s: %s", spec, why);
		return -1;
	}
	if (be->inspect != NULL && be->inspect(arg) == -1)
		return -1;
	if (be->accounts != NULL)
		(void)be->accounts(&accounts, arg, geteuid() != 0);
	userfile_free(&accounts);
	return 0;
}

int
check_main(char *const specs[])
{
	int status = EXIT_SUCCESS;

	log_to_terminal();
	for (; *specs != NULL; specs++)
		if (spec_check(*specs) == -1)
			status = EXIT_FAILURE;
	return status;
}

int
check_user_main(char *const words[])
{
	const char *arg;
	const struct auth_backend *be;

	log_to_terminal();
	if (words[0] == NULL || words[1] == NULL) {
		log_error(0, "nothing to check");
		return EXIT_FAILURE;
	}
	be = backend_find(words[0], &arg);
	if (be == NULL || be->inspect_user == NULL)
		return EXIT_SUCCESS;
	return be->inspect_user(arg, words[1]) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
