#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "common/backends.h"
#include "common/count.h"
#include "daemon/auth/backend.h"

static const struct auth_backend *const backends[] = {&backend_pam, &backend_file,
						      &backend_checkpassword, &backend_any};

const struct auth_backend *
backend_find(const char *spec, const char **arg)
{
	const struct backend *row = backends_find(backends_auth, spec, arg);

	for (size_t i = 0; i < COUNT_OF(backends) && row != NULL; i++)
		if (strcmp(backends[i]->name, row->word) == 0)
			return backends[i];
	return NULL;
}

int
backend_check(const char *spec, char *why, size_t cap)
{
	const char *arg, *expected;
	const struct auth_backend *be = backend_find(spec, &arg);

	if (be == NULL) {
		snprintf(why, cap, "no such back end");
		return -1;
	}
	expected = backends_argument_fault(backends_find(backends_auth, spec, NULL), arg);
	if (expected != NULL) {
		snprintf(why, cap, "expected %s", expected);
		return -1;
	}
	return be->check != NULL ? be->check(arg, why, cap) : 0;
}

static uint64_t
mix(uint64_t digest, uint64_t v)
{
	digest = (digest ^ v) * UINT64_C(0x9e3779b97f4a7c15);
	return digest ^ digest >> 32;
}

uint64_t
backend_stamp_file(uint64_t digest, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return mix(digest, 0);
	digest = mix(digest, st.st_dev);
	digest = mix(digest, st.st_ino);
	digest = mix(digest, (uint64_t)st.st_size);
	digest = mix(digest, (uint64_t)st.st_mtim.tv_sec);
	digest = mix(digest, (uint64_t)st.st_mtim.tv_nsec);
	digest = mix(digest, (uint64_t)st.st_ctim.tv_sec);
	return mix(digest, (uint64_t)st.st_ctim.tv_nsec);
}
