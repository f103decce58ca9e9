#include "config.h"

#include <string.h>

#include "tests/unit/unit.h"
#include "worker/store/uids_foreign.h"

static struct foreign_reader reader;
static struct foreign_entry entry;

static void
begin(const char *format)
{
	reader = (struct foreign_reader){.format = format};
}

static enum foreign_result
take(foreign_line_fn *fn, const char *line)
{
	memset(&entry, 0x55, sizeof(entry));
	return fn(&reader, line, strlen(line), &entry);
}

/* Is the line a message with this base name and unique-id? */
static bool
gives(foreign_line_fn *fn, const char *line, const char *base, const char *uid)
{
	return take(fn, line) == FOREIGN_ENTRY && entry.base_len == strlen(base) &&
	       memcmp(entry.base, base, entry.base_len) == 0 && strcmp(entry.uid, uid) == 0;
}

#define HEAD "3 V1420113600 N120 Gdeadbeefdeadbeefdeadbeefdeadbeef"

/* Lines of Dovecot 2.3.19, and the UIDL that it gave for them. */
static void
test_dovecot(void)
{
	uint64_t order[7];

	begin(UID_FORMAT_DEFAULT);
	CU_ASSERT_EQUAL(take(dovecot_line, HEAD), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(dovecot_line, "10 W99 :170000000102.f.host,S=14",
			     "170000000102.f.host,S=14", "0000000a54a536c0"));
	order[0] = entry.order;
	CU_ASSERT_TRUE(gives(dovecot_line, "11 Pold-uidl-1 W12 :170000000101.e.host,S=14",
			     "170000000101.e.host,S=14", "old-uidl-1"));
	order[1] = entry.order;
	CU_ASSERT_TRUE(gives(dovecot_line, "100 Gguid-of-d :170000000100.d.host,S=14:2,S",
			     "170000000100.d.host,S=14", "0000006454a536c0"));
	CU_ASSERT_TRUE(gives(dovecot_line, "101 O3 :17000000099.c.host", "17000000099.c.host",
			     "0000006554a536c0"));
	order[2] = entry.order;
	CU_ASSERT_TRUE(gives(dovecot_line, "102 O1 W17 :17000000098.b.host", "17000000098.b.host",
			     "0000006654a536c0"));
	order[3] = entry.order;
	CU_ASSERT_TRUE(
	    gives(dovecot_line, "103 O0 Pq\"x' :1.a b%c\"+.host", "1.a b%c\"+.host", "q\"x'"));
	order[4] = entry.order;
	CU_ASSERT_TRUE(gives(dovecot_line, "104 P W99 :1.f.host", "1.f.host", "1.f.host"));
	/* those with O by that and by UID, then the others by UID */
	CU_ASSERT_TRUE(order[4] < order[3] && order[3] < order[2] && order[2] < order[0] &&
		       order[0] < order[1] && order[1] < entry.order);
}

static void
test_dovecot_formats(void)
{
	static const struct {
		const char *format, *uid, *uid_with_guid;
	} rows[] = {
	    {"%u", "102", "103"},
	    {"%v", "1420113600", "1420113600"},
	    {"%v.%u", "1420113600.102", "1420113600.103"},
	    {"UID%u-%v", "UID102-1420113600", "UID103-1420113600"},
	    {"%08Xv%08Xu", "54a536c000000066", "54a536c000000067"},
	    {"%f", "17000000098.b.host,S=14", "17000000097.a.host,S=14"},
	    {"%g", "17000000098.b.host,S=14", "1234567890abcdef"},
	    {"%Mf", "28732c522f61300de907d710e1e29846", "3f09dc224fb71c5e0158eaeab4642830"},
	    {"%MUf", "28732C522F61300DE907D710E1E29846", "3F09DC224FB71C5E0158EAEAB4642830"},
	    {"%UMf", "f4cb0a030c10ad9dca23bcf206865278", "8c9737e81e74010df7ca237641a1db3b"},
	    {"%MMf", "d621ce6e1a5d9292db7e2df71f916214", "709d80049047c1cfc78273753260a5ed"},
	    {"%Mu", "ec8956637a99787bd197eacd77acce5e", "6974ce5ac660610b44d9b9fed0ff9548"},
	    {"%4Mf", "2873", "3f09"},
	    {"%040Mf", "0000000028732c522f61300de907d710e1e29846",
	     "000000003f09dc224fb71c5e0158eaeab4642830"},
	    {"%Xu", "66", "67"},
	    {"%UXv", "54a536c0", "54a536c0"},
	    {"%XUv", "54A536C0", "54A536C0"},
	    {"%Uf", "17000000098.B.HOST,S=14", "17000000097.A.HOST,S=14"},
	    {"%Lf", "17000000098.b.host,s=14", "17000000097.a.host,s=14"},
	    {"%Xf", "0", "0"},
	    {"%MXu", "0", "0"},
	    {"%012Xu", "000000000066", "000000000067"},
	    {"%04Xv", "54a536c0", "54a536c0"},
	    {"%3v", "142", "142"},
	    {"%20u", "102", "103"},
	    {"%05f", "17000000098.b.host,S=14", "17000000097.a.host,S=14"},
	    {"%0u", "102", "103"},
	    {"%%%u", "%102", "%103"},
	    {"%u%%", "102%", "103%"},
	    {"a b%u", "a b102", "a b103"},
	    {"%{uid | hex(8)}%{uidvalidity | hex(8)}", "0000006654a536c0", "0000006754a536c0"},
	    {"%{uid}", "102", "103"},
	    {"UID%{uid}-%{uidvalidity}", "UID102-1420113600", "UID103-1420113600"},
	    {"%{ uid|hex }", "66", "67"},
	    {"%{uidvalidity|hex(10)|upper}", "0054A536C0", "0054A536C0"},
	    {"%{filename}", "17000000098.b.host,S=14", "17000000097.a.host,S=14"},
	    {"%{filename | md5}", "28732c522f61300de907d710e1e29846",
	     "3f09dc224fb71c5e0158eaeab4642830"},
	    {"%{filename | upper | md5}", "f4cb0a030c10ad9dca23bcf206865278",
	     "8c9737e81e74010df7ca237641a1db3b"},
	    {"%{uid | md5}", "ec8956637a99787bd197eacd77acce5e",
	     "6974ce5ac660610b44d9b9fed0ff9548"},
	    {"%{guid}", "17000000098.b.host,S=14", "1234567890abcdef"},
	    {"%{filename | lower}", "17000000098.b.host,s=14", "17000000097.a.host,s=14"},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		CU_ASSERT_PTR_NULL(uid_format_check(rows[i].format));
		begin(rows[i].format);
		CU_ASSERT_EQUAL(take(dovecot_line, HEAD), FOREIGN_PASSED);
		CU_ASSERT_TRUE(gives(dovecot_line, "102 :17000000098.b.host,S=14",
				     "17000000098.b.host,S=14", rows[i].uid));
		CU_ASSERT_TRUE(gives(dovecot_line,
				     "103 W17 G1234567890abcdef :17000000097.a.host,S=14",
				     "17000000097.a.host,S=14", rows[i].uid_with_guid));
	}
}

static void
test_formats_refused(void)
{
	static const char *const formats[] = {
	    "",
	    "abc",
	    "%",
	    "%m",
	    "%Mm",
	    "%Q",
	    "%Hu",
	    "%2.3f",
	    "%-4f",
	    "%.3f",
	    "%{user}",
	    "%x",
	    "%u%",
	    "%u%08",
	    "%9999u",
	    "%08XU",
	    "%{",
	    "%{}",
	    "%{uid",
	    "%{uid|",
	    "%{uid | hex(8)",
	    "%{uid | hex(8}",
	    "%{uid hex}",
	    "%{uid | hex(4)}",
	    "%{uid | hex()}",
	    "%{uid | hex(9999)}",
	    "%{uid | lower(8)}",
	    "%{filename | hex}",
	    "%{uid | lower | hex}",
	    "%{uid | hex(8) | md5}",
	    "%{uid | substr(1)}",
	    "%{filename | md5 | upper}",
	    "%{uid | lower | lower | lower | lower | lower}",
	    "%{uid}%u",
	    "%{uid}%%",
	    "%%{uid}",
	    "%u%{uid}",
	    "%{md5}",
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		CU_ASSERT_PTR_NOT_NULL(uid_format_check(formats[i]));
	CU_ASSERT_PTR_NOT_NULL(strstr(uid_format_check("%m"), "mbox"));
	CU_ASSERT_PTR_NOT_NULL(strstr(uid_format_check("%{md5}"), "mbox"));
}

static void
test_dovecot_version_1(void)
{
	begin("%u.%v");
	CU_ASSERT_EQUAL(take(dovecot_line, "1 1420113600 120"), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(dovecot_line, "10 1.f.host,S=14", "1.f.host,S=14", "10.1420113600"));
	CU_ASSERT_TRUE(gives(dovecot_line, "11 1.a b:2,S", "1.a b", "11.1420113600"));
}

static void
test_dovecot_broken(void)
{
	static const char *const heads[] = {
	    "", "2 1420113600 120", "4 V1 N2", "3 N120 Gdead", "3 V N1", "1", "1 x 2", "/2 1 2",
	};
	static const char *const lines[] = {
	    "",
	    "x :a",
	    "10",
	    "10 ",
	    "10 W99",
	    "10 W99 a",
	    "10 w9 :a",
	    "10 Ox :a",
	    "10  :a",
	    "10 :",
	    "10 ::2,S",
	    "4294967296 :a",
	    "10 O4294967296 :a",
	    "10 :a\n",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		begin("%u");
		CU_ASSERT_EQUAL(take(dovecot_line, heads[i]), FOREIGN_BROKEN);
		CU_ASSERT_PTR_NOT_NULL(reader.wrong);
	}
	for (size_t i = 0; i + 1 < sizeof(lines) / sizeof(lines[0]); i++) {
		begin("%u");
		CU_ASSERT_EQUAL(take(dovecot_line, HEAD), FOREIGN_PASSED);
		CU_ASSERT_EQUAL(take(dovecot_line, lines[i]), FOREIGN_BROKEN);
	}
	begin("%u");
	CU_ASSERT_EQUAL(take(dovecot_line, HEAD), FOREIGN_PASSED);
	CU_ASSERT_EQUAL(take(dovecot_line, "11 :a"), FOREIGN_ENTRY);
	CU_ASSERT_EQUAL(take(dovecot_line, "11 :b"), FOREIGN_BROKEN);
	CU_ASSERT_EQUAL(take(dovecot_line, "10 :c"), FOREIGN_BROKEN);
	CU_ASSERT_EQUAL(dovecot_line(&reader, "12 :a\0b", 7, &entry), FOREIGN_BROKEN);
}

/* A unique-id that would not fit is none, and so is found out by who takes it. */
static void
test_too_long(void)
{
	char line[2 * FOREIGN_UID_SIZE + 16];

	memset(line, 'n', sizeof(line));
	memcpy(line, "10 P", 4);
	memcpy(line + FOREIGN_UID_SIZE + 100, " :a", 4);
	begin("%f%f%f%f%f%f");
	CU_ASSERT_EQUAL(take(dovecot_line, HEAD), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(dovecot_line, line, "a", ""));
	memcpy(line, "11 :", 4);
	line[4 + 250] = '\0';
	CU_ASSERT_EQUAL(take(dovecot_line, line), FOREIGN_ENTRY);
	CU_ASSERT_EQUAL(entry.uid[0], '\0');
}

/* Lines of Courier 1.0.16, and the UIDL that it gave for them. */
static void
test_courier(void)
{
	begin(NULL);
	CU_ASSERT_EQUAL(take(courier_line, "/3 103 1500000000"), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(courier_line, "noseconds:2, 35 1:0:0", "noseconds", "UID1"));
	CU_ASSERT_TRUE(gives(courier_line, "3.z:2,S 35 2:1400000000:1", "3.z", "UID2-1400000000"));
	CU_ASSERT_TRUE(gives(courier_line, "20.z:2,S 35 0:1400000000:0", "20.z", "20.z"));
	CU_ASSERT_TRUE(gives(courier_line, "1.a b%c\"+.host:2, 35 99:1500000000:0",
			     "1.a b%c\"+.host", "UID99-1500000000"));
	CU_ASSERT_TRUE(gives(courier_line, "1.a 'b\"+\xff:2, 35 0:0:0", "1.a 'b\"+\xff",
			     "1.a+20+27b+22+2B+FF"));
	CU_ASSERT_TRUE(gives(courier_line, "20.z:2,S 35 4294967296:18446744073709551615:0", "20.z",
			     "UID4294967296-18446744073709551615"));
	begin(NULL);
	CU_ASSERT_EQUAL(take(courier_line, "/2 99"), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(courier_line, "3.z:2,S 0 77:1500000000", "3.z", "UID77-1500000000"));
}

static void
test_courier_old_versions(void)
{
	begin(NULL);
	CU_ASSERT_EQUAL(take(courier_line, "/1 99"), FOREIGN_PASSED);
	CU_ASSERT_TRUE(gives(courier_line, "3.z 4:2,S 35 2", "3.z 4", "UID2"));
	begin(NULL);
	CU_ASSERT_TRUE(gives(courier_line, "3.z:2,S 35", "3.z", "3.z"));
	CU_ASSERT_TRUE(gives(courier_line, "4.z 35", "4.z", "4.z"));
}

static void
test_courier_broken(void)
{
	static const char *const heads[] = {"/", "/3", "/4 1 2", "/0 1 2", "/x 1",
					    "a", "",   ":2, 5",	 "a 5x"};
	static const char *const lines[] = {
	    "",		 "a",		"a 1",		"a 1 2",
	    "a 1 2:3",	 "a 1 2:3:0:0", "a 1 :3:0",	"a x 1:2:0",
	    "a 1 1:2:x", " 1 1:2:0",	":2,S 1 1:2:0", "a 1 18446744073709551616:1:0",
	};

	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		begin(NULL);
		CU_ASSERT_EQUAL(take(courier_line, heads[i]), FOREIGN_BROKEN);
		CU_ASSERT_PTR_NOT_NULL(reader.wrong);
	}
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		begin(NULL);
		CU_ASSERT_EQUAL(take(courier_line, "/3 1 2"), FOREIGN_PASSED);
		CU_ASSERT_EQUAL(take(courier_line, lines[i]), FOREIGN_BROKEN);
	}
	CU_ASSERT_EQUAL(courier_line(&reader, "a\0b 1 1:2:0", 11, &entry), FOREIGN_BROKEN);
}

static const struct unit_test tests[] = {
    {"UID-02 dovecot-uidlist", test_dovecot},
    {"UID-02 formats of Dovecot's unique-ids", test_dovecot_formats},
    {"formats that cannot be made anew", test_formats_refused},
    {"dovecot-uidlist of version 1", test_dovecot_version_1},
    {"a broken dovecot-uidlist", test_dovecot_broken},
    {"unique-ids longer than any", test_too_long},
    {"UID-02 courierpop3dsizelist", test_courier},
    {"courierpop3dsizelist of old versions", test_courier_old_versions},
    {"a broken courierpop3dsizelist", test_courier_broken},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("uids_foreign", tests);
}
