#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/archive.h"
#include "common/backends.h"
#include "common/msg.h"

/* clang-format off */

const struct backend backends_auth[] = {
	{.word = "pam", .argument = ARGUMENT_SERVICE, .form = "\"pam:SERVICE\""},
	{.word = "file", .argument = ARGUMENT_PATH, .form = "\"file:/PATH\"", .apop = true},
	{.word = "checkpassword", .argument = ARGUMENT_PATH, .form = "\"checkpassword:/PROGRAM\"",
	    .apop = true},
	{.word = "any", .argument = ARGUMENT_NONE},
	{.word = NULL}
};

const struct backend backends_storage[] = {
	{.word = "maildir", .argument = ARGUMENT_TEMPLATE, .form = "\"maildir:TEMPLATE\""},
	{.word = "mbox", .argument = ARGUMENT_TEMPLATE, .form = "\"mbox:TEMPLATE\""},
	{.word = "dir", .argument = ARGUMENT_TEMPLATE, 
	    .form = "\"dir:TEMPLATE\" or \"dir:BASE\"", .base = true},
	{.word = "", .argument = ARGUMENT_NONE},
	{.word = ARCHIVE_STORE, .argument = ARGUMENT_TEMPLATE},
	{.word = ARCHIVE_MBOX_STORE, .argument = ARGUMENT_TEMPLATE},
	{.word = NULL}
};

/* clang-format on */

const struct backend *
backends_find(const struct backend *table, const char *spec, const char **arg)
{
	size_t len = strcspn(spec, ":");

	if (arg != NULL)
		*arg = spec[len] == ':' ? spec + len + 1 : "";
	for (; table->word != NULL; table++)
		if (strlen(table->word) == len && memcmp(table->word, spec, len) == 0 &&
		    (spec[len] == ':') == (len > 0))
			return table;
	return NULL;
}

static const char *
none_fault(const char *arg)
{
	return *arg == '\0' ? NULL : "nothing after \":\"";
}

static const char *
path_fault(const char *arg)
{
	return *arg == '/' ? NULL : "a path that begins with \"/\" after \":\"";
}

/* PAM makes a file name of it. */
static const char *
service_fault(const char *arg)
{
	size_t len = strspn(arg, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
				 "abcdefghijklmnopqrstuvwxyz0123456789_.-");

	return len > 0 && len < MSG_WORD_SIZE && arg[len] == '\0' && *arg != '.'
		   ? NULL
		   : "a PAM service after \":\", of letters, digits, \"_\", \".\" and \"-\", not "
		     "beginning with \".\"";
}

static const char *
template_fault(const char *arg)
{
	bool home = strncmp(arg, "%h", 2) == 0 && (arg[2] == '/' || arg[2] == '\0');

	if (*arg != '/' && !home)
		return "a template that begins with \"/\" or \"%h/\"";
	for (; (arg = strchr(arg, '%')) != NULL; arg += 2)
		if (arg[1] == '\0' || strchr(BACKEND_TEMPLATE_LETTERS, arg[1]) == NULL)
			return "only %u, %d, %n, %h or %% in the template";
	return NULL;
}

const char *
backends_argument_fault(const struct backend *b, const char *arg)
{
	static const char *(*const faults[])(const char *arg) = {
	    [ARGUMENT_NONE] = none_fault,
	    [ARGUMENT_PATH] = path_fault,
	    [ARGUMENT_SERVICE] = service_fault,
	    [ARGUMENT_TEMPLATE] = template_fault,
	};

	return faults[b->argument](arg);
}

const char *
backends_fault(const struct backend *table, const char *spec)
{
	static char forms[160];
	const char *arg;
	const struct backend *b = backends_find(table, spec, &arg);

	if (*spec == '\0')
		return NULL;
	if (b != NULL && b->form != NULL)
		return backends_argument_fault(b, arg);
	memcpy(forms, "\"\"", sizeof("\"\""));
	for (b = table; b->word != NULL; b++) {
		size_t n = strlen(forms);

		if (b->form != NULL)
			(void)snprintf(forms + n, sizeof(forms) - n, " or %s", b->form);
	}
	return forms;
}
