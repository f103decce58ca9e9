#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/log.h"
#include "daemon/roles/certificate_list.h"

void
certificates_add(struct certificate_list *list, const struct msg_certificate *one)
{
	struct certificate *c = malloc(sizeof(*c));

	if (c == NULL)
		return; /* no more than a line that status lacks */
	c->is = *one;
	STAILQ_INSERT_TAIL(list, c, next);
}

void
certificates_free(struct certificate_list *list)
{
	struct certificate *c;

	while ((c = STAILQ_FIRST(list)) != NULL) {
		STAILQ_REMOVE_HEAD(list, next);
		free(c);
	}
}

void
certificates_log(const struct certificate_list *list)
{
	const struct certificate *c;
	char path[LOG_QUOTED_SIZE], text[CLOCK_UTC_SIZE];

	STAILQ_FOREACH(c, list, next)
	log_info(0, "certificate path=%s expires=%s",
		 log_quote(path, sizeof(path), c->is.path, strlen(c->is.path)),
		 clock_utc(text, c->is.expires));
}
