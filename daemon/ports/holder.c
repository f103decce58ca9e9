#include "config.h"

#include "daemon/ports/holder.h"

#include <ctype.h>
#include <dirent.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { STATE_LISTEN = 0x0a }; /* TCP_LISTEN */

/* The inode of a socket that listens at the port, by that table of the kernel's.  0: there is none.
 */
static uint64_t
listening_inode(const char *table, uint16_t port)
{
	FILE *in = fopen(table, "re");
	uint64_t inode = 0;
	char line[512];

	while (in != NULL && inode == 0 && fgets(line, sizeof(line), in) != NULL) {
		unsigned at, state;
		uint64_t number;

		if (sscanf(line, "%*d: %*[0-9A-Fa-f]:%x %*s %x %*s %*s %*s %*u %*u %" SCNu64, &at,
			   &state, &number) == 3 &&
		    at == port && state == STATE_LISTEN)
			inode = number;
	}
	if (in != NULL)
		fclose(in);
	return inode;
}

/* Has the process a descriptor that is `link`? */
static bool
process_has(const char *pid, const char *link)
{
	char path[64 + NAME_MAX], to[64];
	const struct dirent *e;
	bool found = false;
	DIR *d;

	(void)snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	if ((d = opendir(path)) == NULL)
		return false;
	while (!found && (e = readdir(d)) != NULL) {
		ssize_t n = readlinkat(dirfd(d), e->d_name, to, sizeof(to) - 1);

		to[n > 0 ? n : 0] = '\0';
		found = strcmp(to, link) == 0;
	}
	closedir(d);
	return found;
}

static void
process_name(const char *pid, char *dst, size_t cap)
{
	char path[64 + NAME_MAX], name[32] = "";
	FILE *in;

	(void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	if ((in = fopen(path, "re")) != NULL) {
		if (fgets(name, sizeof(name), in) == NULL)
			name[0] = '\0';
		fclose(in);
	}
	name[strcspn(name, "\n")] = '\0';
	(void)snprintf(dst, cap, "%s, pid %.20s", name[0] != '\0' ? name : "a process", pid);
}

const char *
holder_of_port(uint16_t port, char *dst, size_t cap)
{
	uint64_t inode = listening_inode("/proc/net/tcp", port);
	const struct dirent *e;
	char link[64];
	DIR *d;

	dst[0] = '\0';
	if (inode == 0 && (inode = listening_inode("/proc/net/tcp6", port)) == 0)
		return dst;
	(void)snprintf(link, sizeof(link), "socket:[%" PRIu64 "]", inode);
	if ((d = opendir("/proc")) == NULL)
		return dst;
	while (dst[0] == '\0' && (e = readdir(d)) != NULL)
		if (isdigit((unsigned char)e->d_name[0]) && process_has(e->d_name, link))
			process_name(e->d_name, dst, cap);
	closedir(d);
	return dst;
}
