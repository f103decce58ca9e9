#include "config.h"

#include <string.h>
#include <sys/stat.h>

#include "daemon/auth/backend.h"

static const struct auth_backend *const backends[] = {&backend_pam, &backend_file,
						      &backend_checkpassword, &backend_any};

const struct auth_backend *
backend_find(const char *spec, const char **arg)
{
	size_t len = strcspn(spec, ":");

	if (spec[len] != ':')
		return NULL;
	*arg = spec + len + 1;
	for (size_t i = 0; i < sizeof(backends) / sizeof(backends[0]); i++)
		if (strlen(backends[i]->name) == len && strncmp(backends[i]->name, spec, len) == 0)
			return backends[i];
	return NULL;
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
