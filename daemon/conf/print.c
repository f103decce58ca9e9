/*
 * Effective settings in the form of the file.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/conf/conf_priv.h"

/* Settings of the table; `like` not NULL: those only that differ from it. */
static void
print_table(const struct conf_setting *table, bool shared_only, const void *base, const void *like,
	    const char *indent, FILE *out)
{
	const struct conf_setting *s;

	for (s = table; s->name != NULL; s++) {
		if (shared_only && !s->shared)
			continue;
		if (like != NULL && memcmp((const char *)base + s->offset,
					   (const char *)like + s->offset, s->size) == 0)
			continue;
		fprintf(out, "%s%s = ", indent, s->name);
		conf_setting_print(s, base, out);
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
