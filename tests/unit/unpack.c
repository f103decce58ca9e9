/* worker/store/unpack.c: compressed messages, whole, damaged and hostile. */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <zlib.h>
#include <zstd.h>

#include "common/log.h"
#include "tests/unit/box.h"
#include "worker/store/unpack.h"

enum { GZIP, ZSTD, FORMS, ROOM = 1 << 20, GZIP_WBITS = MAX_WBITS + 16 };

static char stored[ROOM], read_back[ROOM];

static size_t
pack_zstd(const char *in, size_t len, char *out)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	size_t n;

	if (c == NULL)
		abort();
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_checksumFlag, 1);
	n = ZSTD_compress2(c, out, ROOM, in, len);
	ZSTD_freeCCtx(c);
	if (ZSTD_isError(n))
		abort();
	return n;
}

/* Compress into `out`; how many octets there are. */
static size_t
pack(int form, const char *in, size_t len, char *out)
{
	z_stream z = {.next_in = (Bytef *)(uintptr_t)in,
		      .avail_in = (uInt)len,
		      .next_out = (Bytef *)out,
		      .avail_out = ROOM};

	if (form == ZSTD)
		return pack_zstd(in, len, out);
	if (deflateInit2(&z, 9, Z_DEFLATED, GZIP_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END || deflateEnd(&z) != Z_OK)
		abort();
	return z.total_out;
}

static void
reader_of(const char *octets, size_t len, struct store_reader *r)
{
	*r = (struct store_reader){.fd = memfd_create("packed", MFD_CLOEXEC), .end = len};
	if (r->fd == -1 || pwrite(r->fd, octets, len, 0) != (ssize_t)len)
		abort();
	unpack_watch(r);
}

/* Read all in pieces of `cap`: the number of octets, or -1 with errno. */
static ssize_t
read_all(const char *octets, size_t len, size_t cap)
{
	struct store_reader r;
	size_t got = 0;
	ssize_t n;

	reader_of(octets, len, &r);
	while ((n = store_read(&r, read_back + got, cap)) > 0 && got + cap < sizeof(read_back))
		got += (size_t)n;
	if (n == 0)
		CU_ASSERT_EQUAL(r.pos, r.end);
	if (n == -1 && (errno == EBADMSG || errno == EOPNOTSUPP || errno == EFBIG))
		CU_ASSERT_PTR_NOT_NULL(r.why);
	store_reader_end(&r);
	return n == -1 ? -1 : (ssize_t)got;
}

static size_t
make_text(char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		text[i] = (char)(i % 61 == 60 ? '\n' : 'a' + i * i % 26);
	return len;
}

static void
test_whole(void)
{
	static const size_t lens[] = {0, 1, 65535, 65536, 65537, 300000};
	static const size_t caps[] = {65536, 4096, 16};
	static char text[ROOM];

	for (int form = 0; form < FORMS; form++)
		for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++)
			for (size_t k = 0; k < sizeof(caps) / sizeof(caps[0]); k++) {
				size_t len = make_text(text, lens[i]);
				size_t n = pack(form, text, len, stored);

				CU_ASSERT_EQUAL(read_all(stored, n, caps[k]), (ssize_t)len);
				CU_ASSERT_EQUAL(memcmp(read_back, text, len), 0);
			}
}

static void
test_plain(void)
{
	static const char *const texts[] = {
	    "",		  "A: b\n\ntext\n", "\x1f\x8b",	    "BZh9: 1\n\n",
	    "\x28\xb5\n", "\xfd\x37zX\n",   "CRYPTED: no\n"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		CU_ASSERT_EQUAL(read_all(texts[i], strlen(texts[i]), 4096),
				(ssize_t)strlen(texts[i]));
		CU_ASSERT_EQUAL(memcmp(read_back, texts[i], strlen(texts[i])), 0);
	}
}

/* gzip(1) and zstd(1) make one file of several that are put behind each other. */
static void
test_members(void)
{
	for (int form = 0; form < FORMS; form++) {
		size_t n = pack(form, "one\n", 4, stored);

		n += pack(form, "", 0, stored + n);
		n += pack(form, "two\n", 4, stored + n);
		CU_ASSERT_EQUAL(read_all(stored, n, 4096), 8);
		CU_ASSERT_EQUAL(memcmp(read_back, "one\ntwo\n", 8), 0);
	}
}

/* No cut anywhere, and nothing behind the end, may look like a whole message. */
static void
test_damaged(void)
{
	static char text[5000];

	make_text(text, sizeof(text));
	for (int form = 0; form < FORMS; form++) {
		size_t n = pack(form, text, sizeof(text), stored);

		for (size_t cut = 4; cut < n; cut++) {
			CU_ASSERT_EQUAL(read_all(stored, cut, 4096), -1);
			CU_ASSERT_EQUAL(errno, EBADMSG);
		}
		strcpy(stored + n, "more");
		CU_ASSERT_EQUAL(read_all(stored, n + 4, 4096), -1);
		CU_ASSERT_EQUAL(errno, EBADMSG);
		stored[n / 2] = (char)~stored[n / 2];
		CU_ASSERT_EQUAL(read_all(stored, n, 4096), -1);
		CU_ASSERT_EQUAL(errno, EBADMSG);
	}
}

static void
test_refused(void)
{
	static const struct {
		const char *octets;
		size_t len;
	} files[] = {
	    {"BZh91AY&SY\x01\x02", 12},
	    {"BZh9\x17\x72\x45\x38\x50\x90\0\0\0\0", 14},
	    {"\xfd\x37zXZ\0\0\4", 8},
	    {"\x04\x22\x4d\x18\x64", 5},
	    {"Dovecot-LZ4\r\x2a\x9b\xc5\0", 16},
	    {"CRYPTED\x03\x07\x02", 10},
	};

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		CU_ASSERT_EQUAL(read_all(files[i].octets, files[i].len, 4096), -1);
		CU_ASSERT_EQUAL(errno, EOPNOTSUPP);
	}
}

/* Zeros that inflate to more than the bound; how many octets were given before the end. */
static uint64_t
read_bomb(const char *octets, size_t len, ssize_t *last)
{
	static char block[65536];
	struct store_reader r;
	uint64_t got = 0;

	reader_of(octets, len, &r);
	while ((*last = store_read(&r, block, sizeof(block))) > 0)
		got += (uint64_t)*last;
	store_reader_end(&r);
	return got;
}

static void
test_bomb(void)
{
	static char zeros[ROOM];

	for (int form = 0; form < FORMS; form++) {
		size_t one = pack(form, zeros, sizeof(zeros), stored), n = 0;
		char *many = malloc(80 * one);
		ssize_t last;

		CU_ASSERT_PTR_NOT_NULL_FATAL(many);
		for (; n < 80 * one; n += one)
			memcpy(many + n, stored, one);
		CU_ASSERT_TRUE(read_bomb(many, n, &last) <= UNPACK_FREE);
		CU_ASSERT_EQUAL(last, -1);
		CU_ASSERT_EQUAL(errno, EFBIG);
		CU_ASSERT_EQUAL(read_bomb(many, 60 * one, &last), 60u * ROOM);
		CU_ASSERT_EQUAL(last, 0);
		free(many);
	}
}

/* A window that takes 128 MiB of memory. */
static void
test_window(void)
{
	ZSTD_CCtx *c = ZSTD_createCCtx();
	ZSTD_inBuffer in = {"text\n", 5, 0};
	ZSTD_outBuffer out = {stored, sizeof(stored), 0};

	CU_ASSERT_PTR_NOT_NULL_FATAL(c);
	(void)ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 27);
	(void)ZSTD_compressStream2(c, &out, &in, ZSTD_e_flush);
	CU_ASSERT_EQUAL(ZSTD_compressStream2(c, &out, &in, ZSTD_e_end), 0);
	ZSTD_freeCCtx(c);
	CU_ASSERT_EQUAL(read_all(stored, out.pos, 4096), -1);
	CU_ASSERT_EQUAL(errno, EFBIG);
}

/* ---- in the stores ---- */

static void
put_packed(const char *name, int form, const char *text, size_t cut)
{
	size_t n = pack(form, text, strlen(text), stored);

	box_write(name, "w", stored, n - cut);
}

static void
make_three(const char *kind, const char *const names[3])
{
	box_make();
	if (strcmp(kind, "maildir") == 0 &&
	    (mkdir(box_path("cur"), 0700) == -1 || mkdir(box_path("new"), 0700) == -1))
		abort();
	put_packed(names[0], GZIP, "A: one\n\ntext\n", 0);
	put_packed(names[1], ZSTD, "A: two\n\ntext\n", 0);
	put_packed(names[2], GZIP, "A: three\n\ntext\n", 1);
}

static void
check_three(const char *kind, const char *const names[3])
{
	struct stat st;

	make_three(kind, names);
	for (int session = 0; session < 2; session++) {
		CU_ASSERT_EQUAL_FATAL(box_open(&store, kind, box), STORE_OK);
		CU_ASSERT_EQUAL_FATAL(store.count, 3);
		if (session == 0) /* before anything was measured */
			CU_ASSERT_TRUE(store.backend->refused(&store, 2));
		CU_ASSERT_EQUAL(size(0), 16);
		CU_ASSERT_EQUAL(size(1), 16);
		CU_ASSERT_EQUAL(stat(box_path(names[2]), &st), 0);
		CU_ASSERT_EQUAL(size(2), (uint64_t)st.st_size);
		CU_ASSERT_STRING_EQUAL(text(0), "A: one\n\ntext\n");
		CU_ASSERT_STRING_EQUAL(text(1), "A: two\n\ntext\n");
		CU_ASSERT_PTR_NULL(text(2));
		CU_ASSERT_FALSE(store.backend->refused(&store, 0));
		CU_ASSERT_FALSE(store.backend->refused(&store, 1));
		CU_ASSERT_TRUE(store.backend->refused(&store, 2));
		store_end();
	}
	box_remove();
}

static void
test_stores(void)
{
	static const char *const in_maildir[] = {"cur/1.a.h:2,SZ", "new/2.b.h", "cur/3.c.h:2,"};
	static const char *const in_dir[] = {"1.gz", "2", "3"};

	log_set_level(LOG_EMERG);
	check_three("maildir", in_maildir);
	check_three("dir", in_dir);
}

/* The unique-id of a message in a directory does not change when it is compressed. */
static void
test_dir_uid(void)
{
	char plain[STORE_UID_SIZE];

	box_make();
	box_put("1", "A: one\n\ntext\n");
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "dir", box), STORE_OK);
	strcpy(plain, uid(0));
	store_end();
	put_packed("1", GZIP, "A: one\n\ntext\n", 0);
	CU_ASSERT_EQUAL_FATAL(box_open(&store, "dir", box), STORE_OK);
	CU_ASSERT_STRING_EQUAL(uid(0), plain);
	store_end();
	box_remove();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"whole messages", test_whole},
	    {"plain files stay as they are", test_plain},
	    {"members behind each other", test_members},
	    {"MLT-09 damaged and cut off", test_damaged},
	    {"forms that are not inflated", test_refused},
	    {"a bomb ends at the bound", test_bomb},
	    {"zstd windows", test_window},
	    {"Maildir and directory", test_stores},
	    {"the unique-id in a directory", test_dir_uid},
	    {NULL, NULL},
	};

	return unit_run("unpack", tests);
}
