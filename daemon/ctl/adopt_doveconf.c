/*
 * Reading the output of doveconf(1) -n of Dovecot 2.3 and 2.4: a setting a line, in nested
 * sections.
 */
#include "config.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "daemon/ctl/adopt.h"

enum { DEPTH_MAX = 8 };

/* The sections that a line stands in. */
struct reading {
	char name[ADOPT_NAME_SIZE]; /* "service pop3-login/inet_listener pop3/" */
	size_t ends[DEPTH_MAX], sections[DEPTH_MAX];
	size_t depth;
};

static int
section_begin(struct adopt *a, struct reading *r, char *text, size_t len)
{
	size_t used = strlen(r->name);
	int status;

	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	if (r->depth + 1 == DEPTH_MAX || used + len + 2 > sizeof(r->name))
		return -1;
	memcpy(r->name + used, text, len + 1);
	r->sections[++r->depth] = ++a->sections;
	status = adopt_add(a, r->name, "{", a->sections);
	r->ends[r->depth] = used;
	strcat(r->name, "/");
	return status;
}

/* Of 2.4: the section "ssl_server {" has the settings of that beginning, as ssl_server_cert_file.
 */
static const char *
section_joins(const struct reading *r)
{
	static const char section[] = "ssl_server/";
	size_t len = strlen(r->name), own = strlen(section);

	return len >= own && strcmp(r->name + len - own, section) == 0 ? "_" : "/";
}

/* 2.4 writes some values in quotes, with backslashes before what is special in them. */
static char *
value_unquote(char *value)
{
	size_t len = strlen(value);
	char *to = value;

	if (len < 2 || value[0] != '"' || value[len - 1] != '"')
		return value;
	value[len - 1] = '\0';
	for (const char *from = value + 1; *from != '\0'; from++) {
		from += *from == '\\' && from[1] != '\0';
		*to++ = *from;
	}
	*to = '\0';
	return value;
}

/* "# 2.3.19.1 (9b53102964): /etc/dovecot/dovecot.conf" */
static int
title_take(struct adopt *a, const char *text)
{
	int len = (int)strcspn(text, " ");

	return asprintf(&a->title, "Dovecot %.*s", len, text) == -1 ? -1 : 0;
}

static int
line_take(struct adopt *a, char *text, void *arg)
{
	struct reading *r = arg;
	char name[2 * ADOPT_NAME_SIZE], *equals = strstr(text, " =");
	size_t len = strlen(text);

	if (a->title == NULL && text[0] == '#' && text[1] == ' ' && isdigit((unsigned char)text[2]))
		return title_take(a, text + 2);
	if (text[0] == '#' || text[0] == '\0')
		return 0;
	if (strcmp(text, "}") == 0 && r->depth > 0) {
		r->name[r->ends[r->depth--]] = '\0';
		return 0;
	}
	if (text[len - 1] == '{' && equals == NULL)
		return section_begin(a, r, text, len - 1);
	if (equals == NULL)
		return -1;
	*equals = '\0';
	(void)snprintf(name, sizeof(name), "%.*s%s%.500s", (int)strlen(r->name) - (r->depth > 0),
		       r->name, r->depth > 0 ? section_joins(r) : "", text);
	equals += 2;
	return adopt_add(a, name, value_unquote(equals + strspn(equals, " ")),
			 r->sections[r->depth]);
}

int
adopt_dovecot_read(struct adopt *a, const char *config)
{
	struct reading r = {.depth = 0};
	FILE *in = config != NULL ? fopen(config, "re") : popen("doveconf -n -P", "re");
	int status;

	if (in == NULL) {
		fprintf(stderr, "pop3ctl: %s: %s\n", config != NULL ? config : "doveconf",
			strerror(errno));
		return -1;
	}
	status = adopt_lines(a, in, line_take, &r);
	if ((config != NULL ? fclose(in) : pclose(in)) != 0 || status == -1 || a->title == NULL ||
	    r.depth > 0) {
		fprintf(stderr,
			"pop3ctl: %s is not the output of \"doveconf -n -P\" of Dovecot 2.3 or "
			"2.4\n",
			config != NULL ? config : "what doveconf says");
		return -1;
	}
	return 0;
}
