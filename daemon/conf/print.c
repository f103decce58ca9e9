/*
 * Effective settings in the form of the file.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_priv.h"

static void
print_quoted(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void
print_number(const struct conf_setting *s, const void *base, FILE *out)
{
	uint32_t n;

	memcpy(&n, (const char *)base + s->offset, sizeof(n));
	if (s->words != NULL && n == (uint32_t)s->words->value)
		print_quoted(s->words->word, out);
	else
		fprintf(out, "%u", n);
	if (s->unit != NULL)
		fprintf(out, "\t# %s", s->unit->name);
}

static void
print_word(const struct conf_setting *s, const void *base, FILE *out)
{
	const struct conf_word *w;
	int value;

	memcpy(&value, (const char *)base + s->offset, sizeof(value));
	for (w = s->words; w->word != NULL && w->value != value; w++)
		;
	print_quoted(w->word != NULL ? w->word : "", out);
}

static void
print_flag(const struct conf_setting *s, const void *base, FILE *out)
{
	bool value;

	memcpy(&value, (const char *)base + s->offset, sizeof(value));
	fputs(value ? "yes" : "no", out);
}

static void
print_text(const struct conf_setting *s, const void *base, FILE *out)
{
	print_quoted((const char *)base + s->offset, out);
}

static void
print_addresses(const struct conf_setting *s, const void *base, FILE *out)
{
	const struct conf_server *server = base;
	size_t i;

	(void)s;
	fputc('{', out);
	for (i = 0; i < server->naddresses; i++) {
		fputs(i > 0 ? ", " : "", out);
		print_quoted(server->addresses[i], out);
	}
	fputc('}', out);
}

/* As a plain number where there is one only. */
static void
print_ports(const struct conf_setting *s, const void *base, FILE *out)
{
	const struct conf_server *server = base;
	bool list = server->nports != 1;

	(void)s;
	fputs(list ? "{" : "", out);
	for (size_t i = 0; i < server->nports; i++)
		fprintf(out, "%s%u", i > 0 ? ", " : "", server->ports[i]);
	fputs(list ? "}" : "", out);
}

static void
print_paths(const struct conf_setting *s, const void *base, FILE *out)
{
	const struct conf_paths *paths =
	    (const struct conf_paths *)((const char *)base + s->offset);
	bool list = paths->n > 1;

	fputs(list ? "{" : "", out);
	for (size_t i = 0; i < paths->n; i++) {
		fputs(i > 0 ? ", " : "", out);
		print_quoted(paths->path[i], out);
	}
	fputs(paths->n == 0 ? "\"\"" : list ? "}" : "", out);
}

/* Settings of the table; `like` not NULL: those only that differ from it. */
static void
print_table(const struct conf_setting *table, bool shared_only, const void *base, const void *like,
	    const char *indent, FILE *out)
{
	static void (*const print[CONF_KINDS])(const struct conf_setting *, const void *,
					       FILE *) = {
	    [CONF_NUMBER] = print_number,	[CONF_WORD] = print_word,
	    [CONF_FLAG] = print_flag,		[CONF_TEXT] = print_text,
	    [CONF_ADDRESSES] = print_addresses, [CONF_PORTS] = print_ports,
	    [CONF_PATHS] = print_paths,
	};
	const struct conf_setting *s;

	for (s = table; s->name != NULL; s++) {
		if (shared_only && !s->shared)
			continue;
		if (like != NULL && memcmp((const char *)base + s->offset,
					   (const char *)like + s->offset, s->size) == 0)
			continue;
		fprintf(out, "%s%s = ", indent, s->name);
		print[s->kind](s, base, out);
		fputc('\n', out);
	}
}

void
conf_print(const struct conf *c, FILE *out)
{
	size_t i;

	print_table(conf_global_settings, false, c, NULL, "", out);
	/* for servers made at run time */
	print_table(conf_server_settings, true, &c->shared, NULL, "", out);
	for (i = 0; i < c->nservers; i++) {
		fprintf(out, "\nserver \"%s\" {\n", c->servers[i].name);
		print_table(conf_server_settings, false, &c->servers[i], NULL, "\t", out);
		fputs("}\n", out);
	}
}

void
conf_print_changed(const struct conf *c, FILE *out)
{
	struct conf *like = malloc(sizeof(*like));
	struct conf_server plain;

	if (like == NULL)
		return;
	conf_defaults(like);
	print_table(conf_global_settings, false, c, like, "", out);
	print_table(conf_server_settings, true, &c->shared, &like->shared, "", out);
	conf_servers_built_in(c, like);
	if (c->nservers != like->nservers ||
	    memcmp(c->servers, like->servers, sizeof(c->servers)) != 0)
		for (size_t i = 0; i < c->nservers; i++) {
			conf_server_plain(c, &c->servers[i], &plain);
			fprintf(out, "server \"%s\" {\n", c->servers[i].name);
			print_table(conf_server_settings, false, &c->servers[i], &plain, "\t", out);
			fputs("}\n", out);
		}
	free(like);
}
