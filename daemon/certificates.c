#include "config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/clock.h"
#include "common/hash.h"
#include "common/log.h"
#include "daemon/certificates.h"
#include "daemon/change.h"
#include "daemon/ports/servers.h"

enum {
	LOOK_MS = 5000, /* between two looks */
	SETTLED_MS =
	    2000 /* a change stands so long before it is taken up: it may be half written */
};

static struct {
	uint64_t told;		/* stamp of what the newest workers were to load */
	uint64_t seen;		/* stamp at the last look */
	uint64_t since, looked; /* clock_ms() */
} watch;

/* Device, inode, size and times of the file that the path leads to now. */
static uint64_t
mix_file(uint64_t hash, const char *path)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	if (stat(path, &st) == -1)
		return hash_add(hash, &errno, sizeof(errno));
	hash = hash_add(hash, &st.st_dev, sizeof(st.st_dev));
	hash = hash_add(hash, &st.st_ino, sizeof(st.st_ino));
	hash = hash_add(hash, &st.st_size, sizeof(st.st_size));
	hash = hash_add(hash, &st.st_mtim, sizeof(st.st_mtim));
	return hash_add(hash, &st.st_ctim, sizeof(st.st_ctim));
}

static uint64_t
stamp(struct master *m)
{
	uint64_t hash = HASH_START;
	const struct server *s;

	TAILQ_FOREACH (s, servers_all(m), next) {
		const struct conf_server *set = server_with_certificate(s);

		if (set == NULL)
			continue;
		hash = hash_add(hash, &s->slot, sizeof(s->slot));
		for (size_t i = 0; i < set->certificate.n; i++) {
			hash = mix_file(hash, set->certificate.path[i]);
			hash = mix_file(hash, set->certificate_key.path[i]);
		}
	}
	return hash;
}

void
certificates_told(struct master *m)
{
	watch.told = watch.seen = stamp(m);
}

void
certificates_tick(struct master *m)
{
	uint64_t now = clock_ms(), found;
	bool changed = watch.seen != watch.told;

	if (m->state != MASTER_SERVING || change_is_under_way(m) ||
	    (!changed && now - watch.looked < LOOK_MS))
		return;
	watch.looked = now;
	found = stamp(m);
	if (found != watch.seen) {
		watch.seen = found;
		watch.since = now;
	} else if (changed && now - watch.since >= SETTLED_MS) {
		log_info(0, "a certificate has changed");
		change_workers(m);
	}
}
