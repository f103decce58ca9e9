#include "config.h"

#include "worker/store/unpack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/count.h"

enum {
	IN_BLOCK = 65536,
	GZIP_WRAPPED = 16, /* inflateInit2(): a gzip header and trailer, not those of zlib */
	ANY_OCTET = '?'	   /* in a signature */
};

struct unpack {
	const struct decoder *decoder;
	union {
		z_stream gzip;
		ZSTD_DStream *zstd;
	} state;
	struct store_reader raw; /* of what is stored; the descriptor is the other reader's */
	bool may_end;		 /* a member or frame has ended, and none has begun since */
	uint64_t given;		 /* octets so far */
	size_t in_at, in_len;	 /* what is read and not yet inflated */
	char in[IN_BLOCK];
};

struct decoder {
	int (*begin)(struct unpack *u); /* 0 or -1 */
	/* Inflate some of u->in to `cap` octets at `out`.  How many there are, or -1 with errno. */
	ssize_t (*run)(struct unpack *u, char *out, size_t cap);
	void (*end)(struct unpack *u);
};

/* ---- gzip ---- */

static int
gzip_begin(struct unpack *u)
{
	return inflateInit2(&u->state.gzip, MAX_WBITS + GZIP_WRAPPED) == Z_OK ? 0 : -1;
}

static ssize_t
gzip_run(struct unpack *u, char *out, size_t cap)
{
	z_stream *z = &u->state.gzip;
	int code;

	if (u->may_end && inflateReset(z) != Z_OK) /* the next member begins */
		return -1;
	z->next_in = (Bytef *)u->in + u->in_at;
	z->avail_in = (uInt)(u->in_len - u->in_at);
	z->next_out = (Bytef *)out;
	z->avail_out = (uInt)cap;
	code = inflate(z, Z_NO_FLUSH);
	u->may_end = code == Z_STREAM_END;
	u->in_at = u->in_len - z->avail_in;
	if (code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR)
		return (ssize_t)(cap - z->avail_out);
	errno = code == Z_MEM_ERROR ? ENOMEM : EBADMSG;
	return -1;
}

static void
gzip_end(struct unpack *u)
{
	(void)inflateEnd(&u->state.gzip);
}

/* ---- zstd ---- */

static int
zstd_begin(struct unpack *u)
{
	u->state.zstd = ZSTD_createDStream();
	if (u->state.zstd == NULL)
		return -1;
	(void)ZSTD_DCtx_setParameter(u->state.zstd, ZSTD_d_windowLogMax, UNPACK_WINDOW);
	return 0;
}

static int
zstd_errno(size_t code)
{
	switch (ZSTD_getErrorCode(code)) {
	case ZSTD_error_memory_allocation:
		return ENOMEM;
	case ZSTD_error_frameParameter_windowTooLarge:
		return EFBIG;
	default:
		return EBADMSG;
	}
}

static ssize_t
zstd_run(struct unpack *u, char *out, size_t cap)
{
	ZSTD_inBuffer from = {u->in, u->in_len, u->in_at};
	ZSTD_outBuffer to = {out, cap, 0};
	size_t code = ZSTD_decompressStream(u->state.zstd, &to, &from);

	u->in_at = from.pos;
	u->may_end = code == 0;
	if (!ZSTD_isError(code))
		return (ssize_t)to.pos;
	errno = zstd_errno(code);
	return -1;
}

static void
zstd_end(struct unpack *u)
{
	(void)ZSTD_freeDStream(u->state.zstd);
}

/* ---- which form it is ---- */

static const struct decoder gzip = {gzip_begin, gzip_run, gzip_end};
static const struct decoder zstd = {zstd_begin, zstd_run, zstd_end};

#define SIGNATURE(octets) (octets), sizeof(octets) - 1

static const struct form {
	const char *octets;
	size_t len;
	const struct decoder *decoder; /* NULL: it is refused ... */
	const char *why;	       /* ... with these words */
} forms[] = {
    {SIGNATURE("\x1f\x8b\x08"), &gzip, NULL},
    {SIGNATURE("\x28\xb5\x2f\xfd"), &zstd, NULL},
    {SIGNATURE("BZh?1AY&SY"), NULL, "compressed with bzip2, which is not inflated"},
    {SIGNATURE("BZh?\x17\x72\x45\x38\x50\x90"), NULL,
     "compressed with bzip2, which is not inflated"},
    {SIGNATURE("\xfd\x37zXZ\0"), NULL, "compressed with xz, which is not inflated"},
    {SIGNATURE("\x04\x22\x4d\x18"), NULL, "compressed with lz4, which is not inflated"},
    {SIGNATURE("Dovecot-LZ4\r\x2a\x9b\xc5"), NULL,
     "compressed with lz4 by Dovecot, which is not inflated"},
    {SIGNATURE("CRYPTED\x03\x07"), NULL, "encrypted by Dovecot"},
};

static bool
form_fits(const struct form *f, const char *octets, size_t len)
{
	if (len < f->len)
		return false;
	for (size_t i = 0; i < f->len; i++)
		if (f->octets[i] != ANY_OCTET && f->octets[i] != octets[i])
			return false;
	return true;
}

static const struct form *
form_find(const char *octets, size_t len)
{
	for (size_t i = 0; i < COUNT_OF(forms); i++)
		if (form_fits(&forms[i], octets, len))
			return &forms[i];
	return NULL;
}

/* ---- reading ---- */

static ssize_t
unpack_fail(struct store_reader *r, int error)
{
	r->why = error == EBADMSG ? "its compressed data is damaged or cut off"
		 : error == EFBIG ? "it inflates beyond measure"
				  : NULL;
	errno = error;
	return -1;
}

/* What is left to be inflated; 0 at the end of the file; -1 with errno. */
static ssize_t
unpack_fill(struct unpack *u)
{
	ssize_t n;

	if (u->in_at < u->in_len)
		return (ssize_t)(u->in_len - u->in_at);
	n = store_read(&u->raw, u->in, sizeof(u->in));
	u->in_at = 0;
	u->in_len = n > 0 ? (size_t)n : 0;
	return n;
}

/* A decoder may hold octets back when all that is stored has been taken. */
static ssize_t
unpack_read(struct store_reader *r, char *buf, size_t cap)
{
	struct unpack *u = r->source;
	size_t got = 0;

	while (got < cap && r->pos < r->end) {
		ssize_t left = unpack_fill(u), n;

		if (left == -1)
			return -1;
		if (left == 0 && u->may_end) {
			r->pos = r->end;
			break;
		}
		if ((n = u->decoder->run(u, buf + got, cap - got)) == -1)
			return unpack_fail(r, errno);
		if (n == 0 && left == 0 && !u->may_end)
			return unpack_fail(r, EBADMSG);
		got += (size_t)n;
	}
	u->given += got;
	if (u->given > UNPACK_FREE && u->given / UNPACK_RATIO > u->raw.end)
		return unpack_fail(r, EFBIG);
	return (ssize_t)got;
}

static void
unpack_end(struct store_reader *r)
{
	struct unpack *u = r->source;

	u->decoder->end(u);
	free(u);
}

static int
unpack_begin(struct store_reader *r, const struct decoder *decoder)
{
	struct unpack *u = calloc(1, sizeof(*u));

	if (u == NULL)
		return -1;
	u->decoder = decoder;
	u->raw = (struct store_reader){.fd = r->fd, .end = r->end};
	if (decoder->begin(u) == -1) {
		free(u);
		errno = ENOMEM;
		return -1;
	}
	r->pos = 0; /* until the end is reached */
	r->source = u;
	r->read = unpack_read;
	r->finish = unpack_end;
	return 0;
}

/* The first call: most files are plain, and then it was the only one here. */
static ssize_t
unpack_look(struct store_reader *r, char *buf, size_t cap)
{
	const struct form *form;
	ssize_t n;

	r->read = NULL;
	n = store_read(r, buf, cap);
	form = n > 0 ? form_find(buf, (size_t)n) : NULL;
	if (form == NULL)
		return n;
	r->packed = true;
	if (form->decoder != NULL)
		return unpack_begin(r, form->decoder) == -1 ? -1 : unpack_read(r, buf, cap);
	r->why = form->why;
	errno = EOPNOTSUPP;
	return -1;
}

void
unpack_watch(struct store_reader *r)
{
	r->read = unpack_look;
}

void
unpack_stop(struct store_reader *r)
{
	if (r->finish != NULL)
		r->finish(r);
	*r = (struct store_reader){.fd = r->fd, .end = r->end};
}

bool
unpack_refuses(struct store_reader *r)
{
	static char block[IN_BLOCK];
	ssize_t n;

	do
		n = store_read(r, block, sizeof(block));
	while (n > 0 && r->packed);
	return n == -1 && store_judge(errno) == STORE_PERM;
}
