/* daemon/auth/userfile.c */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/auth/userfile.h"
#include "tests/unit/unit.h"

struct faults {
	size_t n;
	size_t line[16];
};

static void
fault_note(size_t line, const char *what, void *arg)
{
	struct faults *f = arg;

	CU_ASSERT_TRUE(strlen(what) > 0);
	if (f->n < 16)
		f->line[f->n] = line;
	f->n++;
}

/* Parse a copy that ends where the allocation ends. */
static void
parse(struct userfile *u, const char *text, size_t len, bool own, struct faults *f)
{
	char *copy = malloc(len + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
	memcpy(copy, text, len);
	copy[len] = '\0';
	memset(f, 0, sizeof(*f));
	CU_ASSERT_EQUAL_FATAL(userfile_parse(u, copy, len, own, fault_note, f), 0);
}

static void
test_accounts(void)
{
	static const char text[] = "# a comment\n"
				   "\n"
				   "bob:$6$salt$hash:1002:100:/home/bob\r\n"
				   "al ice@x:{plain}sec ret:1001:100:/home/alice:/mail/al:ice\n"
				   "carol:{plain}:4294967294:1:/";
	const struct userfile_entry *e;
	struct userfile u;
	struct faults f;

	parse(&u, text, sizeof(text) - 1, false, &f);
	CU_ASSERT_EQUAL(f.n, 0);
	CU_ASSERT_EQUAL(u.n, 3);
	e = userfile_find(&u, "al ice@x");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_STRING_EQUAL(userfile_plain(e), "sec ret");
	CU_ASSERT_EQUAL(e->uid, 1001);
	CU_ASSERT_EQUAL(e->gid, 100);
	CU_ASSERT_STRING_EQUAL(e->home, "/home/alice");
	CU_ASSERT_STRING_EQUAL(e->mailbox, "/mail/al:ice");
	e = userfile_find(&u, "bob");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_PTR_NULL(userfile_plain(e));
	CU_ASSERT_STRING_EQUAL(e->password, "$6$salt$hash");
	CU_ASSERT_STRING_EQUAL(e->home, "/home/bob");
	CU_ASSERT_STRING_EQUAL(e->mailbox, "");
	CU_ASSERT_STRING_EQUAL(userfile_any_hash(&u), "$6$salt$hash");
	e = userfile_find(&u, "carol");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->uid, 4294967294u);
	CU_ASSERT_STRING_EQUAL(userfile_plain(e), "");
	CU_ASSERT_PTR_NULL(userfile_find(&u, "bo"));
	CU_ASSERT_PTR_NULL(userfile_find(&u, ""));
	userfile_free(&u);
}

static const char *const faulty[] = {
    "x",
    "x:p:1000:1000",
    ":p:1000:1000:/h",
    "x::1000:1000:/h",
    "x:p::1000:/h",
    "x:p:1000::/h",
    "x:p:0:1000:/h",
    "x:p:1000:0:/h",
    "x:p:00:1000:/h",
    "x:p:-1:1000:/h",
    "x:p: 1:1000:/h",
    "x:p:+1:1000:/h",
    "x:p:4294967295:1000:/h",
    "x:p:4294967296:1000:/h",
    "x:p:18446744073709552616:1000:/h",
    "x:p:1000:1000:",
    "x:p:1000:1000:h",
    "x:p:1000:1000:/h:m",
    "a\tb:p:1000:1000:/h",
    "a\x7f:p:1000:1000:/h",
};

static void
test_faults(void)
{
	struct userfile u;
	struct faults f;

	for (size_t i = 0; i < sizeof(faulty) / sizeof(faulty[0]); i++) {
		char text[256];
		int len =
		    snprintf(text, sizeof(text), "a:*:1:1:/h\n\n%s\nb:!p:1:1:/h\n", faulty[i]);

		parse(&u, text, (size_t)len, false, &f);
		CU_ASSERT_EQUAL(u.n, 2);
		CU_ASSERT_EQUAL(f.n, 1);
		CU_ASSERT_EQUAL(f.line[0], 3);
		CU_ASSERT_PTR_NULL(userfile_find(&u, "x"));
		CU_ASSERT_PTR_NOT_NULL(userfile_find(&u, "b"));
		userfile_free(&u);
	}
}

static void
test_nul(void)
{
	static const char text[] = "x:p\0q:1:1:/h\na:*:1:1:/h\n\0";
	struct userfile u;
	struct faults f;

	parse(&u, text, sizeof(text) - 1, false, &f);
	CU_ASSERT_EQUAL(u.n, 1);
	CU_ASSERT_TRUE(f.n >= 1);
	CU_ASSERT_EQUAL(f.line[0], 1);
	userfile_free(&u);
	parse(&u, "", 0, false, &f);
	CU_ASSERT_EQUAL(u.n, 0);
	CU_ASSERT_EQUAL(f.n, 0);
	CU_ASSERT_PTR_NULL(userfile_find(&u, "a"));
	CU_ASSERT_PTR_NULL(userfile_any_hash(&u));
	userfile_free(&u);
}

static void
test_twice(void)
{
	static const char text[] = "b:*:1:1:/h\na:*:1:1:/first\nb:*:2:1:/h\na:*:3:1:/second\n"
				   "a:*:4:1:/third\n";
	const struct userfile_entry *e;
	struct userfile u;
	struct faults f;

	parse(&u, text, sizeof(text) - 1, false, &f);
	CU_ASSERT_EQUAL(u.n, 2);
	CU_ASSERT_EQUAL(f.n, 3);
	e = userfile_find(&u, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_STRING_EQUAL(e->home, "/first");
	userfile_free(&u);
}

static void
test_own_ids(void)
{
	static const char text[] = "me:*:::/h\nother:*:1234:5678:/h\n";
	const struct userfile_entry *e;
	struct userfile u;
	struct faults f;

	parse(&u, text, sizeof(text) - 1, true, &f);
	CU_ASSERT_EQUAL(f.n, 0);
	e = userfile_find(&u, "me");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->uid, (uint32_t)geteuid());
	CU_ASSERT_EQUAL(e->gid, (uint32_t)getegid());
	e = userfile_find(&u, "other");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_EQUAL(e->uid, 1234);
	userfile_free(&u);
}

static const struct {
	const char *password;
	enum userfile_scheme scheme;
	const char *secret; /* NULL: a fault, and nobody can log in */
} passwords[] = {
    {"$6$salt$hash", USERFILE_HASH, "$6$salt$hash"},
    {"{SHA512-CRYPT}$6$salt$hash", USERFILE_HASH, "$6$salt$hash"},
    {"{SHA256-CRYPT}$5$salt$hash", USERFILE_HASH, "$5$salt$hash"},
    {"{crypt}$y$j9T$salt$hash", USERFILE_HASH, "$y$j9T$salt$hash"},
    {"{MD5-CRYPT}$1$salt$hash", USERFILE_HASH, "$1$salt$hash"},
    {"{BLF-CRYPT}$2y$05$abcdefghijklmnopqrstuuhash", USERFILE_HASH,
     "$2y$05$abcdefghijklmnopqrstuuhash"},
    {"{CRYPT}abJnggxhB/yWI", USERFILE_HASH, "abJnggxhB/yWI"},
    {"abJnggxhB/yWI", USERFILE_HASH, "abJnggxhB/yWI"},
    {"{PLAIN}sec ret", USERFILE_PLAIN, "sec ret"},
    {"{plain}$6$salt$hash", USERFILE_PLAIN, "$6$salt$hash"},
    {"{Apop}x", USERFILE_APOP, "x"},
    {"*", USERFILE_LOCKED, "*"},
    {"!", USERFILE_LOCKED, "!"},
    {"!$6$salt$hash", USERFILE_LOCKED, "!$6$salt$hash"},
    {"secret", USERFILE_LOCKED, NULL},
    {"x", USERFILE_LOCKED, NULL},
    {"a longer secret", USERFILE_LOCKED, NULL},
    {"$9$salt$hash", USERFILE_LOCKED, NULL},
    {"{SSHA}n3xSzRyVEwjWPLHKzCvSPZ3UjTvZ", USERFILE_LOCKED, NULL},
    {"{SHA512-CRYPT}", USERFILE_LOCKED, NULL},
    {"{SHA512-CRYPT}secret", USERFILE_LOCKED, NULL},
    {"{SHA512-CRYPT.b64}JDYkc2FsdCRoYXNo", USERFILE_LOCKED, NULL},
    {"{plain", USERFILE_LOCKED, NULL},
};

static const struct {
	const char *rest; /* of a line behind the home */
	const char *from; /* NULL: a fault, and nobody can log in */
	const char *barred;
	const char *mailbox;
} networks[] = {
    {"", "192.0.2.1", NULL, ""},
    {":/m", "192.0.2.1", NULL, "/m"},
    {":allow=192.0.2.0/24", "192.0.2.1", NULL, ""},
    {":allow=192.0.2.0/24", "192.0.3.1", "allow", ""},
    {":allow=192.0.2.0/24", "", "allow", ""},
    {":/m:n:allow=192.0.2.0/24,2001:db8::/32", "2001:db8::7", NULL, "/m:n"},
    {":/m:allow=2001:db8::/32,192.0.2.7", "192.0.2.6", "allow", "/m"},
    {"::allow=192.0.2.7", "192.0.2.7", NULL, ""},
    {":deny=192.0.2.0/24", "192.0.2.1", "deny", ""},
    {":deny=192.0.2.0/24", "192.0.3.1", NULL, ""},
    {":deny=192.0.2.0/24", "", NULL, ""},
    {":deny=2001:db8:1::/48:allow=2001:db8::/32", "2001:db8:1::9", "deny", ""},
    {":allow=2001:db8::/32:deny=2001:db8:1::/48", "2001:db8:1::9", "deny", ""},
    {":allow=2001:db8::/32:deny=2001:db8:1::/48", "2001:db8:2::9", NULL, ""},
    {":allow=127.0.0.1", "::1", NULL, ""},
    {":allow=", NULL, NULL, ""},
    {":deny=", NULL, NULL, ""},
    {":allow=192.0.2.1,", NULL, NULL, ""},
    {":allow=192.0.2.1/24", NULL, NULL, ""},
    {":deny=example.org", NULL, NULL, ""},
    {":allow=192.0.2.1:allow=192.0.2.2", NULL, NULL, ""},
    {":allow=192.0.2.1:/m", NULL, NULL, ""},
};

/* A faulty list lets nobody in: the account is open to nobody whom it was to keep out. */
static void
test_networks(void)
{
	for (size_t i = 0; i < sizeof(networks) / sizeof(networks[0]); i++) {
		const char *from = networks[i].from, *barred;
		const struct userfile_entry *e;
		struct userfile u;
		struct faults f;
		char text[256];
		int len = snprintf(text, sizeof(text), "x:{plain}y:1:1:/h%s\r\n", networks[i].rest);

		parse(&u, text, (size_t)len, false, &f);
		CU_ASSERT_EQUAL(f.n, from == NULL ? 1 : 0);
		e = userfile_find(&u, "x");
		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_EQUAL(e->scheme, from == NULL ? USERFILE_LOCKED : USERFILE_PLAIN);
		CU_ASSERT_STRING_EQUAL(e->home, "/h");
		CU_ASSERT_STRING_EQUAL(e->mailbox, networks[i].mailbox);
		barred = userfile_barred(e, from != NULL ? from : "192.0.2.1");
		if (from != NULL && networks[i].barred == NULL)
			CU_ASSERT_PTR_NULL(barred);
		if (networks[i].barred != NULL) {
			CU_ASSERT_PTR_NOT_NULL_FATAL(barred);
			CU_ASSERT_STRING_EQUAL(barred, networks[i].barred);
		}
		CU_ASSERT_EQUAL(userfile_forget_passwords(&u), 0);
		CU_ASSERT_PTR_NULL(userfile_find(&u, "x")->allow);
		userfile_free(&u);
	}
}

/* A password that is of no use is told, and its line is an account all the same. */
static void
test_passwords(void)
{
	for (size_t i = 0; i < sizeof(passwords) / sizeof(passwords[0]); i++) {
		const char *secret = passwords[i].secret;
		const struct userfile_entry *e;
		struct userfile u;
		struct faults f;
		char text[256];
		int len = snprintf(text, sizeof(text), "\nx:%s:1:1:/h\r\n", passwords[i].password);

		parse(&u, text, (size_t)len, false, &f);
		CU_ASSERT_EQUAL(f.n, secret == NULL ? 1 : 0);
		CU_ASSERT_TRUE(secret != NULL || f.line[0] == 2);
		e = userfile_find(&u, "x");
		CU_ASSERT_PTR_NOT_NULL_FATAL(e);
		CU_ASSERT_EQUAL(e->scheme, passwords[i].scheme);
		CU_ASSERT_TRUE(secret == NULL || strcmp(e->secret, secret) == 0);
		userfile_free(&u);
	}
}

/* Does the string stand anywhere in the octets? */
static bool
holds(const char *octets, size_t len, const char *string)
{
	return memmem(octets, len, string, strlen(string)) != NULL;
}

static void
test_forget(void)
{
	static const char text[] = "#old:SECRET\na:{plain}SECRET:1:2:/h/a:/m/a\nbroken:SECRET\n"
				   "b:$1$SECRET:1:1:/h/b\nb:SECRET:1:1:/h/c";
	const struct userfile_entry *e;
	struct userfile u;
	struct faults f;

	parse(&u, text, sizeof(text) - 1, false, &f);
	CU_ASSERT_TRUE(holds(u.text, u.len, "SECRET"));
	CU_ASSERT_EQUAL(userfile_forget_passwords(&u), 0);
	CU_ASSERT_FALSE(holds(u.text, u.len, "SECRET"));
	CU_ASSERT_FALSE(holds(u.text, u.len, "broken"));
	e = userfile_find(&u, "a");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_STRING_EQUAL(e->password, "");
	CU_ASSERT_STRING_EQUAL(e->home, "/h/a");
	CU_ASSERT_STRING_EQUAL(e->mailbox, "/m/a");
	CU_ASSERT_EQUAL(e->gid, 2);
	e = userfile_find(&u, "b");
	CU_ASSERT_PTR_NOT_NULL_FATAL(e);
	CU_ASSERT_STRING_EQUAL(e->home, "/h/b");
	CU_ASSERT_STRING_EQUAL(e->mailbox, "");
	userfile_free(&u);
}

static const struct mode {
	mode_t mode;
	int error; /* 0: it is read */
} modes[] = {
    {0600, 0}, {0640, 0}, {0400, 0}, {0644, EPERM}, {0660, EPERM}, {0602, EPERM}, {0604, EPERM},
};

static void
test_read(void)
{
	char path[] = "/tmp/pop3d-userfile-XXXXXX", why[256], *text;
	int fd = mkstemp(path);
	size_t len;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	CU_ASSERT_EQUAL(write(fd, "hello", 5), 5);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		int got;

		CU_ASSERT_EQUAL(fchmod(fd, modes[i].mode), 0);
		errno = 0;
		got = userfile_read(path, &text, &len, why, sizeof(why));
		CU_ASSERT_EQUAL(got, modes[i].error == 0 ? 0 : -1);
		if (got == 0) {
			CU_ASSERT_EQUAL(len, 5);
			CU_ASSERT_STRING_EQUAL(text, "hello");
			free(text);
		} else {
			CU_ASSERT_EQUAL(errno, modes[i].error);
			CU_ASSERT_TRUE(strncmp(why, path, strlen(path)) == 0);
		}
	}
	if (geteuid() == 0) { /* neither root's nor the caller's */
		CU_ASSERT_EQUAL(fchmod(fd, 0600), 0);
		CU_ASSERT_EQUAL(fchown(fd, 12345, 12345), 0);
		CU_ASSERT_EQUAL(userfile_read(path, &text, &len, why, sizeof(why)), -1);
		CU_ASSERT_EQUAL(errno, EPERM);
	}
	close(fd);
	unlink(path);
	CU_ASSERT_EQUAL(userfile_read(path, &text, &len, why, sizeof(why)), -1);
	CU_ASSERT_EQUAL(errno, ENOENT);
	CU_ASSERT_EQUAL(userfile_read("/tmp", &text, &len, why, sizeof(why)), -1);
	CU_ASSERT_EQUAL(errno, EPERM);
	CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
	CU_ASSERT_EQUAL(userfile_read(path, &text, &len, why, sizeof(why)), -1);
	CU_ASSERT_EQUAL(errno, EPERM);
	unlink(path);
}

static const struct {
	const char *octets, *text;
} written[] = {
    {"\xef\xbb\xbfx", "x"},
    {"\xef\xbb\xbf", ""},
    {"\xef\xbb", "\xef\xbb"},
    {"x\xef\xbb\xbf", "x\xef\xbb\xbf"},
};

static void
test_byte_order_mark(void)
{
	char path[] = "/tmp/pop3d-userfile-XXXXXX", why[256], *text;
	int fd = mkstemp(path);
	size_t len;

	CU_ASSERT_TRUE_FATAL(fd >= 0);
	for (size_t i = 0; i < sizeof(written) / sizeof(written[0]); i++) {
		size_t n = strlen(written[i].octets);

		CU_ASSERT_EQUAL(ftruncate(fd, 0), 0);
		CU_ASSERT_EQUAL(pwrite(fd, written[i].octets, n, 0), (ssize_t)n);
		CU_ASSERT_EQUAL_FATAL(userfile_read(path, &text, &len, why, sizeof(why)), 0);
		CU_ASSERT_EQUAL(len, strlen(written[i].text));
		CU_ASSERT_STRING_EQUAL(text, written[i].text);
		free(text);
	}
	close(fd);
	unlink(path);
}

static const struct unit_test tests[] = {
    {"lines that are accounts", test_accounts},
    {"SYS-03 lines that are none, root's ids among them", test_faults},
    {"NUL octets and an empty file", test_nul},
    {"a name that stands there twice", test_twice},
    {"rootless: ids left out are one's own", test_own_ids},
    {"USR-08 passwords are forgotten", test_forget},
    {"owner, mode and kind of the file", test_read},
    {"passwords, with and without marks", test_passwords},
    {"networks that an account may be used from", test_networks},
    {"a byte order mark", test_byte_order_mark},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("userfile", tests);
}
