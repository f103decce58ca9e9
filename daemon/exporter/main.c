/*
 * pop3d-exporter, which gives out what pop3d counts, by HTTP.
 *
 * Runs as:  a user of its own, in the group that metrics_group names.
 * Sees:     the metrics socket, whose text has no user and no address.
 * May never: open a file once it serves; ask the daemon for anything else, which the
 *           socket would refuse.
 */
#include "config.h"

#include <arpa/inet.h>
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/output.h"
#include "common/privs.h"
#include "common/sandbox.h"
#include "daemon/exporter/history.h"
#include "daemon/exporter/http.h"
#include "daemon/exporter/page.h"
#include "daemon/exporter/scrape.h"

enum { MINUTE = 60 };

static const char *metrics_path = RUNSTATEDIR "/pop3d/metrics";

static int
answer_metrics(const struct http_request *r, FILE *out, const char **type)
{
	char *text = scrape(metrics_path);

	if (text == NULL) {
		fprintf(out, "%s: %s\n", metrics_path, strerror(errno));
		return 503;
	}
	if (r->openmetrics) {
		*type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
		scrape_openmetrics(text, out);
	} else {
		*type = "text/plain; version=0.0.4; charset=utf-8";
		fputs(text, out);
	}
	free(text);
	return 200;
}

static int
answer_page(const struct http_request *r, FILE *out, const char **type)
{
	char *text = scrape(metrics_path);

	(void)r;
	*type = "text/html; charset=utf-8";
	page_write(out, text, text == NULL ? strerror(errno) : "");
	free(text);
	return 200;
}

static int
answer(const struct http_request *r, FILE *out, const char **type)
{
	if (strcmp(r->path, "/metrics") == 0)
		return answer_metrics(r, out, type);
	if (strcmp(r->path, "/") == 0)
		return answer_page(r, out, type);
	fputs("Not Found: there are / and /metrics\n", out);
	return 404;
}

static void
on_minute(evutil_socket_t fd, short what, void *arg)
{
	char *text = scrape(metrics_path);

	(void)fd, (void)what, (void)arg;
	history_add(text);
	free(text);
}

/* ---- where it listens ---- */

static int
listen_at(int family, const struct sockaddr *sa, socklen_t len)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), on = 1;

	if (fd == -1 ||
	    (family != AF_UNIX &&
	     setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == -1) ||
	    bind(fd, sa, len) == -1 || listen(fd, SOMAXCONN) == -1)
		return -1;
	return fd;
}

static int
listen_unix(const char *path)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	struct stat st;

	if (strlen(path) >= sizeof(sun.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(sun.sun_path, path, strlen(path));
	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
	return listen_at(AF_UNIX, (struct sockaddr *)&sun, sizeof(sun));
}

/* "127.0.0.1:19110", "[::1]:19110", "unix:/path".  A descriptor, or -1 with errno; EINVAL: it is
 * none of these. */
static int
listen_to(const char *where)
{
	struct sockaddr_in in4 = {.sin_family = AF_INET};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6};
	const char *port = strrchr(where, ':');
	char address[64] = "", *end;
	unsigned long n;

	if (strncmp(where, "unix:/", 6) == 0)
		return listen_unix(where + 5);
	errno = EINVAL;
	if (port == NULL || (size_t)(port - where) >= sizeof(address))
		return -1;
	memcpy(address, where, (size_t)(port - where));
	n = strtoul(port + 1, &end, 10);
	if (*end != '\0' || end == port + 1 || n > 65535)
		return -1;
	in4.sin_port = in6.sin6_port = htons((uint16_t)n);
	if (inet_pton(AF_INET, address, &in4.sin_addr) == 1)
		return listen_at(AF_INET, (struct sockaddr *)&in4, sizeof(in4));
	address[strlen(address) - (address[0] == '[')] = '\0';
	if (address[0] == '[' && inet_pton(AF_INET6, address + 1, &in6.sin6_addr) == 1)
		return listen_at(AF_INET6, (struct sockaddr *)&in6, sizeof(in6));
	errno = EINVAL;
	return -1;
}

static _Noreturn void
usage(FILE *out, int status)
{
	fputs("usage: pop3d-exporter [-V] [-s socket] [-l address:port | -l unix:path] "
	      "[-H host ...]\n",
	      out);
	exit(status);
}

/* What it needs no longer. */
static void
rights_drop(void)
{
	if (privs_drop_caps() == -1 || privs_harden(true) == -1 ||
	    sandbox_landlock(-1, 0, SANDBOX_ON, 0) == -1)
		err(EXIT_FAILURE, "confinement");
}

int
main(int argc, char *argv[])
{
	static struct http http = {.answer = answer, .hosts = {"localhost", "127.0.0.1", "[::1]"}};
	const struct timeval minute = {MINUTE, 0};
	const char *where = "127.0.0.1:19110";
	size_t hosts = 3;
	struct event *tick;
	int c, fd;

	privs_fill_standard_fds();
	output_watch("pop3d-exporter");
	signal(SIGPIPE, SIG_IGN);
	while ((c = getopt(argc, argv, "VhH:l:s:")) != -1) {
		if (c == 'V')
			return puts("pop3d-exporter " PACKAGE_VERSION), EXIT_SUCCESS;
		if (c == 'h' || c == '?' || (c == 'H' && hosts == HTTP_HOSTS_MAX))
			usage(c == 'h' ? stdout : stderr, c == 'h' ? EXIT_SUCCESS : 2);
		if (c == 'H')
			http.hosts[hosts++] = optarg;
		else
			*(c == 'l' ? &where : &metrics_path) = optarg;
	}
	if (optind < argc)
		usage(stderr, 2);
	if ((fd = listen_to(where)) == -1)
		err(EXIT_FAILURE, "%s", where);
	rights_drop();
	http.base = event_base_new();
	if (http.base == NULL || http_serve(&http, fd) == -1 ||
	    (tick = event_new(http.base, -1, EV_PERSIST, on_minute, NULL)) == NULL ||
	    event_add(tick, &minute) == -1)
		errx(EXIT_FAILURE, "no event loop");
	on_minute(-1, 0, NULL);
	event_base_dispatch(http.base);
	return EXIT_FAILURE;
}
