#include "config.h"

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/escape.h"
#include "common/log_text.h"

static bool
log_is_bare(const char *octets, size_t len)
{
	static const char plain[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "abcdefghijklmnopqrstuvwxyz0123456789_.@:/+-";

	for (size_t i = 0; i < len; i++)
		if (octets[i] == '\0' || strchr(plain, octets[i]) == NULL)
			return false;
	return len > 0;
}

/* One octet inside double quotes; returns the octets written, at most ESCAPE_SIZE. */
static size_t
log_quote_octet(char *dst, unsigned char c)
{
	if (c == '"' || c == '\\') {
		dst[0] = '\\';
		dst[1] = (char)c;
		return 2;
	}
	if (c >= 0x20 && c < 0x7f) {
		dst[0] = (char)c;
		return 1;
	}
	return escape_octet(dst, c);
}

const char *
log_quote(char *dst, size_t cap, const char *octets, size_t len)
{
	bool bare = log_is_bare(octets, len);
	size_t n = bare ? 0 : 1, end = bare ? sizeof("") : sizeof("\"");
	size_t cut = n; /* where dots can still be put */

	if (cap < sizeof("\"...\"")) { /* no room for anything that makes sense */
		if (cap > 0)
			dst[0] = '\0';
		return dst;
	}
	dst[0] = '"';
	for (size_t i = 0; i < len; i++) {
		char one[ESCAPE_SIZE];
		size_t k = log_quote_octet(one, (unsigned char)octets[i]);

		if (n + k + end > cap) {
			memcpy(dst + cut, "...", 3);
			n = cut + 3;
			break;
		}
		memcpy(dst + n, one, k);
		n += k;
		if (n + 3 + end <= cap)
			cut = n;
	}
	if (!bare)
		dst[n++] = '"';
	dst[n] = '\0';
	return dst;
}

const char *
log_conn(char *dst, conn_id id)
{
	(void)snprintf(dst, LOG_ID_SIZE, "%llx", (unsigned long long)id);
	return dst;
}

const char *
log_host(char *dst, const struct msg_addr *a)
{
	if ((a->family != AF_INET && a->family != AF_INET6) ||
	    inet_ntop(a->family, a->octets, dst, LOG_ADDR_SIZE) == NULL) {
		dst[0] = '-';
		dst[1] = '\0';
	}
	return dst;
}

const char *
log_addr(char *dst, const struct msg_addr *a)
{
	char host[LOG_ADDR_SIZE];

	log_host(host, a);
	if (host[0] == '-')
		memcpy(dst, host, 2);
	else
		(void)snprintf(dst, LOG_ADDR_SIZE,
			       a->family == AF_INET6 ? "[%.46s]:%u" : "%.46s:%u", host,
			       (unsigned)a->port);
	return dst;
}
