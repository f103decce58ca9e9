#include "config.h"

#include "common/escape.h"
#include "common/job.h"

/* What the octets of a line are, and its LF. */
static const struct line_kind {
	int kind;
	enum job_octet octet, end;
} kinds[] = {
    {JOB_TEXT, JOB_OCTET_TEXT, JOB_OCTET_TEXT_END},
    {JOB_ERROR, JOB_OCTET_ERROR, JOB_OCTET_ERROR_END},
    {JOB_ASK, JOB_OCTET_BROKEN, JOB_OCTET_ASK},
    {JOB_END, JOB_OCTET_NONE, JOB_OCTET_END},
};

static const struct line_kind *
kind_find(int kind)
{
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].kind == kind)
			return &kinds[i];
	return NULL;
}

/* The one digit of the last line. */
static enum job_octet
status_read(struct job_reader *r, unsigned char octet)
{
	if (r->digit || octet < '0' || octet > '9')
		return JOB_OCTET_BROKEN;
	r->digit = true;
	r->status = octet - '0';
	return JOB_OCTET_NONE;
}

enum job_octet
job_read(struct job_reader *r, unsigned char octet)
{
	const struct line_kind *k = kind_find(r->kind != 0 ? r->kind : octet);

	if (k == NULL)
		return JOB_OCTET_BROKEN;
	if (r->kind == 0) {
		r->kind = octet;
		return JOB_OCTET_NONE;
	}
	if (octet == '\n') {
		r->kind = 0;
		return k->kind == JOB_END && !r->digit ? JOB_OCTET_BROKEN : k->end;
	}
	return k->kind == JOB_END ? status_read(r, octet) : k->octet;
}

void
job_escape(FILE *out, unsigned char octet)
{
	if (octet == '\t')
		putc(octet, out);
	else
		escape_print(out, octet);
}

size_t
job_input(const char *octets, size_t len, bool *begun, char *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len; i++) {
		if (!*begun)
			out[n++] = JOB_TEXT;
		out[n++] = octets[i];
		*begun = octets[i] != '\n';
	}
	return n;
}

size_t
job_input_end(bool begun, char *out)
{
	size_t n = 0;

	if (begun)
		out[n++] = '\n';
	out[n++] = JOB_END;
	out[n++] = '\n';
	return n;
}
