#include "config.h"

#include "daemon/exporter/http.h"

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "common/count.h"

enum { CONNECTIONS_MAX = 8, HEAD_MAX = 8192 /* octets */, SECONDS = 10 };

struct client {
	struct http *http;
	struct bufferevent *bev;
	struct event *limit;
	bool answered;
};

static const struct {
	int status;
	const char *reason;
} reasons[] = {
    {200, "OK"},
    {400, "Bad Request"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {503, "Service Unavailable"},
    {505, "HTTP Version Not Supported"},
};

static const char *
reason_of(int status)
{
	for (size_t i = 0; i < COUNT_OF(reasons); i++)
		if (reasons[i].status == status)
			return reasons[i].reason;
	return "";
}

/* ---- the request ---- */

/* The name in a Host field, without its port, which is cut off. */
static bool
host_is_known(const struct http *h, char *host)
{
	char *end = host[0] == '[' ? strchr(host, ']') : host;

	if (end != NULL && (end = strchr(end, ':')) != NULL)
		*end = '\0';
	for (size_t i = 0; h->hosts[i] != NULL; i++)
		if (strcasecmp(h->hosts[i], host) == 0)
			return true;
	return false;
}

/* The fields; how many Host fields there are, the last in *host.  -1: one is malformed. */
static int
fields_read(char *text, struct http_request *r, char **host)
{
	char *line;
	int hosts = 0;

	while ((line = strsep(&text, "\n")) != NULL && line[0] != '\0' && line[0] != '\r') {
		size_t name = strcspn(line, ":");
		char *value = line + name;

		if (name == 0 || *value == '\0' || strcspn(line, " \t") < name)
			return -1;
		*value++ = '\0';
		value += strspn(value, " \t");
		if (strcasecmp(line, "Host") == 0) {
			value[strcspn(value, " \t\r")] = '\0';
			*host = value;
			hosts++;
		} else if (strcasecmp(line, "Accept") == 0)
			r->openmetrics = strstr(value, "application/openmetrics-text") != NULL;
	}
	return hosts;
}

int
http_judge(const struct http *h, char *text, struct http_request *r, bool *head)
{
	char *line = strsep(&text, "\n"), *host = NULL;
	const char *method = strsep(&line, " "), *path = strsep(&line, " "), *version = line;
	int hosts;

	*r = (struct http_request){.path = path};
	*head = method != NULL && strcmp(method, "HEAD") == 0;
	if (path == NULL || version == NULL || path[0] != '/' || text == NULL)
		return 400;
	if (strncmp(version, "HTTP/1.", 7) != 0)
		return 505;
	if ((hosts = fields_read(text, r, &host)) != 1)
		return 400;
	if (!host_is_known(h, host))
		return 403;
	if (!*head && strcmp(method, "GET") != 0)
		return 405;
	((char *)(uintptr_t)path)[strcspn(path, "?")] = '\0';
	return 200;
}

/* ---- the answer ---- */

static void
client_free(struct client *c)
{
	c->http->connections--;
	event_free(c->limit);
	bufferevent_free(c->bev);
	free(c);
}

static void
answer_send(struct client *c, int status, const char *type, const char *body, size_t len, bool head)
{
	struct evbuffer *out = bufferevent_get_output(c->bev);

	evbuffer_add_printf(
	    out,
	    "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\n%s"
	    "Connection: close\r\nCache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Cross-Origin-Resource-Policy: same-origin\r\n"
	    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'; "
	    "frame-ancestors 'none'\r\n\r\n",
	    status, reason_of(status), type, len, status == 405 ? "Allow: GET, HEAD\r\n" : "");
	if (!head)
		evbuffer_add(out, body, len);
}

static void
request_answer(struct client *c, int status, const struct http_request *r, bool head)
{
	const char *type = "text/plain; charset=utf-8";
	char *body = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&body, &len);

	c->answered = true;
	bufferevent_disable(c->bev, EV_READ);
	if (out == NULL) {
		client_free(c);
		return;
	}
	if (status == 200)
		status = c->http->answer(r, out, &type);
	else
		fprintf(out, "%s\n", reason_of(status));
	if (fclose(out) == 0)
		answer_send(c, status, type, body, len, head);
	free(body);
}

static void
on_read(struct bufferevent *bev, void *arg)
{
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t len = evbuffer_get_length(in);
	struct client *c = arg;
	struct http_request r = {0};
	char text[HEAD_MAX + 1];
	bool head = false;
	int status;

	if (c->answered)
		return;
	if (len > HEAD_MAX) {
		request_answer(c, 431, &r, false);
		return;
	}
	evbuffer_copyout(in, text, len);
	text[len] = '\0';
	if (strstr(text, "\r\n\r\n") == NULL && strlen(text) == len)
		return;
	status = strlen(text) == len ? http_judge(c->http, text, &r, &head) : 400;
	request_answer(c, status, &r, head);
}

static void
on_written(struct bufferevent *bev, void *arg)
{
	struct client *c = arg;

	(void)bev;
	if (c->answered)
		client_free(c);
}

static void
on_event(struct bufferevent *bev, short what, void *arg)
{
	(void)bev, (void)what;
	client_free(arg);
}

static void
on_limit(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	client_free(arg);
}

/* ---- who connects ---- */

static void
on_client(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	const struct timeval limit = {SECONDS, 0};
	struct http *h = arg;
	struct client *c = NULL;

	(void)l, (void)sa, (void)len;
	if (h->connections >= CONNECTIONS_MAX || (c = calloc(1, sizeof(*c))) == NULL) {
		close(fd);
		return;
	}
	c->http = h;
	c->bev = bufferevent_socket_new(h->base, fd, BEV_OPT_CLOSE_ON_FREE);
	c->limit = evtimer_new(h->base, on_limit, c);
	if (c->bev == NULL || c->limit == NULL)
		exit(EXIT_FAILURE); /* no memory; the service manager starts another */
	h->connections++;
	bufferevent_setcb(c->bev, on_read, on_written, on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
	evtimer_add(c->limit, &limit);
}

int
http_serve(struct http *h, int fd)
{
	return evconnlistener_new(h->base, on_client, h,
				  LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, -1, fd) == NULL
		   ? -1
		   : 0;
}
