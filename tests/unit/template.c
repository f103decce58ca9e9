/* daemon/auth/template.c, and what daemon/auth/settings.c makes of it */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "daemon/auth/servers.h"
#include "daemon/auth/template.h"
#include "tests/unit/unit.h"

enum { ROOM = 64 };

static const struct good {
	const char *template, *user, *home, *path;
} good[] = {
    {"%h/Maildir", "alice", "/home/alice", "/home/alice/Maildir"},
    {"/var/mail/%u", "alice", "/x", "/var/mail/alice"},
    {"/v/%d/%n", "alice@example.org", "/x", "/v/example.org/alice"},
    {"/v/%u", "alice@example.org", "/x", "/v/alice@example.org"},
    {"/v/%d/%n", "a@b@c", "/x", "/v/c/a@b"},
    {"/v/%n", "alice", "/x", "/v/alice"},
    {"/100%%/%%u", "alice", "/x", "/100%/%u"},
    {"/v/%u/%u", "%h", "/x", "/v/%h/%h"},
    {"/v/%u", "...", "/x", "/v/..."},
    {"/v/%u", ".a", "/x", "/v/.a"},
    {"%h", "alice", "/", "/"},
};

static const struct bad {
	const char *template, *user, *home;
} bad[] = {
    {"/v/%u", "", "/x"},
    {"/v/%u", ".", "/x"},
    {"/v/%u", "..", "/x"},
    {"/v/%u", "a/b", "/x"},
    {"/v/%u", "/etc/passwd", "/x"},
    {"/v/%u", "../b", "/x"},
    {"/v/%d", "alice", "/x"},
    {"/v/%d", "alice@", "/x"},
    {"/v/%d", "alice@..", "/x"},
    {"/v/%n", "@example.org", "/x"},
    {"/v/%n", "..@example.org", "/x"},
    {"/v/%n", "a/b@example.org", "/x"},
    {"/v/%x", "alice", "/x"},
    {"/v/%", "alice", "/x"},
    {"/v/%U", "alice", "/x"},
    {"%h/Maildir", "alice", "home"},
    {"v/%u", "alice", "/x"},
    {"%u", "alice", "/x"},
    {"", "alice", "/x"},
};

static void
test_good(void)
{
	char path[ROOM];

	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		CU_ASSERT_EQUAL(template_expand(good[i].template, good[i].user, good[i].home, path,
						sizeof(path)),
				0);
		CU_ASSERT_STRING_EQUAL(path, good[i].path);
	}
}

static void
test_bad(void)
{
	char path[ROOM];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		errno = 0;
		CU_ASSERT_EQUAL(
		    template_expand(bad[i].template, bad[i].user, bad[i].home, path, sizeof(path)),
		    -1);
		CU_ASSERT_EQUAL(errno, EINVAL);
	}
}

static void
test_long(void)
{
	char path[8];

	CU_ASSERT_EQUAL(template_expand("/v/%u", "1234", "/x", path, sizeof(path)), 0);
	CU_ASSERT_STRING_EQUAL(path, "/v/1234");
	CU_ASSERT_EQUAL(template_expand("/v/%u", "12345", "/x", path, sizeof(path)), -1);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
	CU_ASSERT_EQUAL(template_expand("/v/%u%u", "12", "/x", path, sizeof(path)), 0);
	CU_ASSERT_EQUAL(template_expand("/12345678", "a", "/x", path, sizeof(path)), -1);
	CU_ASSERT_EQUAL(errno, ENAMETOOLONG);
}

static void
test_mailbox(void)
{
	struct msg_auth_server server = {.name = "s", .storage = "maildir:%h/Maildir"};
	struct msg_account account = {.user = "alice", .home = "/home/alice"};
	char storage[MSG_WORD_SIZE], mailbox[MSG_PATH_SIZE];

	CU_ASSERT_EQUAL(servers_mailbox(&server, &account, storage, mailbox), 0);
	CU_ASSERT_STRING_EQUAL(storage, "maildir");
	CU_ASSERT_STRING_EQUAL(mailbox, "/home/alice/Maildir");
	strcpy(server.storage, "");
	CU_ASSERT_EQUAL(servers_mailbox(&server, &account, storage, mailbox), 0);
	CU_ASSERT_STRING_EQUAL(storage, "");
	CU_ASSERT_STRING_EQUAL(mailbox, "");
	strcpy(server.storage, "maildir:");
	CU_ASSERT_EQUAL(servers_mailbox(&server, &account, storage, mailbox), -1);
	strcpy(server.storage, "maildir:/v/%d");
	CU_ASSERT_EQUAL(servers_mailbox(&server, &account, storage, mailbox), -1);
}

static const struct unit_test tests[] = {
    {"templates with values put in", test_good},
    {"values and templates that are refused", test_bad},
    {"what does not fit", test_long},
    {"the mailbox of an account", test_mailbox},
    {NULL, NULL},
};

int
main(void)
{
	return unit_run("template", tests);
}
