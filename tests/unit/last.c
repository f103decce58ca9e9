/* daemon/last.c, daemon/last_file.c */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/count.h"
#include "common/log.h"
#include "common/title.h"
#include "daemon/aside.h"
#include "daemon/last_file.h"
#include "tests/unit/unit.h"

enum { NOW = 1800000000, DAY = 86400, FILE_MAX = 65536 };

static char dir[] = "/tmp/pop3d-last-XXXXXX";
static char path[64], path_new[80], refused[80];
static char warned[LOG_OUT_MAX];

static void
hear(int prio, conn_id id, const char *text)
{
	(void)id;
	CU_ASSERT_EQUAL(prio, LOG_WARNING);
	(void)snprintf(warned, sizeof(warned), "%s", text);
}

/* A disk that answers when `disk` is there, for all processes. */
static sem_t *disk;

int
fsync(int fd)
{
	int r;

	(void)fd;
	while ((r = sem_wait(disk)) == -1 && errno == EINTR)
		;
	return r == 0 ? sem_post(disk) : -1;
}

static bool
is_ready(void)
{
	return true;
}

static int
wait_fd(void)
{
	return -1;
}

static const struct log_sink sink = {hear, is_ready, wait_fd, is_ready};

/* Nothing is remembered, and there is no file. */
static void
begin(void)
{
	last_close();
	(void)unlink(path);
	(void)unlink(path_new);
	(void)unlink(refused);
	warned[0] = '\0';
	last_open(dir, DAY, false);
	CU_ASSERT_STRING_EQUAL(warned, "");
	CU_ASSERT_PTR_NULL(last_next(NULL));
}

/* As after a stop and a start. */
static void
again(void)
{
	last_close();
	CU_ASSERT_FALSE(last_is_kept());
	CU_ASSERT_PTR_NULL(last_next(NULL));
	last_open(dir, DAY, false);
}

static void
login(const char *user, conn_id conn, int64_t when)
{
	struct last l = {.conn = conn,
			 .login = when,
			 .server = "pop3s",
			 .peer = "2001:db8::1",
			 .mech = "PLAIN",
			 .tls = "TLSv1.3",
			 .messages = 7};

	(void)snprintf(l.user, sizeof(l.user), "%s", user);
	last_login(&l);
}

static void
end(const char *user, conn_id conn, uint64_t retrieved)
{
	const struct msg_session_end e = {.id = conn,
					  .why = SESSION_END_QUIT,
					  .retrieved = retrieved,
					  .retrieved_octets = 4711,
					  .deleted = 2,
					  .left = UINT64_MAX};

	last_end(user, &e, NOW + 5);
}

static void
failed(const char *user)
{
	struct last_failed f = {
	    .time = NOW + 9, .server = "pop3", .peer = "192.0.2.1", .reason = "auth"};

	last_failed(user, &f);
}

static char *
file_text(void)
{
	static char text[FILE_MAX];
	FILE *f = fopen(path, "re");

	text[0] = '\0';
	if (f != NULL) {
		text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
		(void)fclose(f);
	}
	return text;
}

static void
file_make(const char *text, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, text, len) != (ssize_t)len || fchmod(fd, mode) == -1)
		abort();
	close(fd);
}

static void
test_a_login(void)
{
	const struct last *l;

	begin();
	CU_ASSERT_PTR_NULL(last_find("ann"));
	failed("ann"); /* has never logged in */
	end("ann", 1, 1);
	CU_ASSERT_PTR_NULL(last_find("ann"));
	login("ann", 11, NOW);
	l = last_find("ann");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->login, NOW);
	CU_ASSERT_EQUAL(l->messages, 7);
	CU_ASSERT_EQUAL(l->retrieved, LAST_UNKNOWN);
	CU_ASSERT_EQUAL(l->end, 0);
	CU_ASSERT_EQUAL(l->failed.time, 0);
	failed("ann");
	end("ann", 10, 9); /* of an earlier login */
	CU_ASSERT_EQUAL(l->end, 0);
	end("ann", 11, 3);
	end("ann", 11, 4); /* once */
	CU_ASSERT_EQUAL(l->end, NOW + 5);
	CU_ASSERT_STRING_EQUAL(l->ended, "quit");
	CU_ASSERT_EQUAL(l->retrieved, 3);
	CU_ASSERT_EQUAL(l->deleted, 2);
	/* the next one begins without an end, and keeps the failure */
	login("ann", 12, NOW + 60);
	l = last_find("ann");
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->login, NOW + 60);
	CU_ASSERT_EQUAL(l->end, 0);
	CU_ASSERT_EQUAL(l->deleted, LAST_UNKNOWN);
	CU_ASSERT_STRING_EQUAL(l->ended, "");
	CU_ASSERT_EQUAL(l->failed.time, NOW + 9);
	CU_ASSERT_PTR_NULL(last_next(l));
}

static void
test_order(void)
{
	const struct last *l;

	begin();
	login("ann", 1, NOW);
	login("bob", 2, NOW + 1);
	login("cyd", 3, NOW + 2);
	login("ann", 4, NOW + 3);
	again();
	l = last_next(NULL);
	CU_ASSERT_STRING_EQUAL(l->user, "ann");
	l = last_next(l);
	CU_ASSERT_STRING_EQUAL(l->user, "cyd");
	l = last_next(l);
	CU_ASSERT_STRING_EQUAL(l->user, "bob");
	CU_ASSERT_PTR_NULL(last_next(l));
}

static void
test_restart(void)
{
	static const char odd[] = "a b%\t\n\x01\xff";
	const struct last *l;
	struct stat st;

	begin();
	login(odd, 5, NOW);
	end(odd, 5, 3);
	failed(odd);
	login("open", 6, NOW + 1);
	again();
	CU_ASSERT_EQUAL(stat(path, &st), 0);
	CU_ASSERT_EQUAL(st.st_mode & 07777, 0600);
	CU_ASSERT_NOT_EQUAL(access(path_new, F_OK), 0);
	l = last_find(odd);
	CU_ASSERT_PTR_NOT_NULL_FATAL(l);
	CU_ASSERT_EQUAL(l->conn, 0);
	CU_ASSERT_EQUAL(l->login, NOW);
	CU_ASSERT_STRING_EQUAL(l->server, "pop3s");
	CU_ASSERT_STRING_EQUAL(l->peer, "2001:db8::1");
	CU_ASSERT_STRING_EQUAL(l->mech, "PLAIN");
	CU_ASSERT_STRING_EQUAL(l->tls, "TLSv1.3");
	CU_ASSERT_STRING_EQUAL(l->ended, "quit");
	CU_ASSERT_EQUAL(l->end, NOW + 5);
	CU_ASSERT_EQUAL(l->messages, 7);
	CU_ASSERT_EQUAL(l->retrieved, 3);
	CU_ASSERT_EQUAL(l->retrieved_octets, 4711);
	CU_ASSERT_EQUAL(l->deleted, 2);
	CU_ASSERT_EQUAL(l->left, LAST_UNKNOWN);
	CU_ASSERT_EQUAL(l->failed.time, NOW + 9);
	CU_ASSERT_STRING_EQUAL(l->failed.server, "pop3");
	CU_ASSERT_STRING_EQUAL(l->failed.peer, "192.0.2.1");
	CU_ASSERT_STRING_EQUAL(l->failed.reason, "auth");
	/* a session that nobody saw end: the id of another run is not its own */
	end("open", 0, 1);
	CU_ASSERT_EQUAL(last_find("open")->end, 0);
	/* what has not changed is not written again */
	(void)unlink(path);
	last_close();
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void
test_full(void)
{
	char name[24];

	begin();
	for (int i = 0; i < LAST_USERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "u%d", i);
		login(name, 1, NOW + i);
	}
	login("u0", 2, NOW + LAST_USERS_MAX); /* is there: nobody goes */
	CU_ASSERT_PTR_NOT_NULL(last_find("u1"));
	login("more", 3, NOW + LAST_USERS_MAX + 1);
	CU_ASSERT_PTR_NULL(last_find("u1"));
	CU_ASSERT_PTR_NOT_NULL(last_find("u0"));
	again();
	CU_ASSERT_STRING_EQUAL(warned, "");
	CU_ASSERT_PTR_NOT_NULL(last_find("u0"));
	CU_ASSERT_PTR_NOT_NULL(last_find("u2"));
	CU_ASSERT_PTR_NOT_NULL(last_find("more"));
}

/* The writer has ended, and master hears of it. */
static void
reap(void)
{
	int status;
	pid_t pid = waitpid(-1, &status, 0);

	CU_ASSERT_TRUE(pid > 0 && aside_reaped(pid, status));
}

/* It is written at the first change, and at others when some time has passed. */
static void
test_intervals(void)
{
	uint64_t ms = 10 * LAST_WRITE_MS;

	begin();
	last_tick(DAY, ms, NOW);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, 0), -1); /* nothing has changed */
	login("ann", 1, NOW);
	last_tick(DAY, ms, NOW);
	reap();
	CU_ASSERT_NOT_EQUAL(access(path_new, F_OK), 0);
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "ann"));
	login("bob", 2, NOW);
	last_tick(DAY, ms + LAST_WRITE_MS - 1, NOW);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, 0), -1);
	last_tick(DAY, ms + LAST_WRITE_MS, NOW);
	login("cyd", 3, NOW);
	reap();
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "bob"));
	CU_ASSERT_PTR_NULL(strstr(file_text(), "cyd"));
	again(); /* what came since */
	CU_ASSERT_PTR_NOT_NULL(last_find("bob"));
	CU_ASSERT_PTR_NOT_NULL(last_find("cyd"));
	CU_ASSERT_STRING_EQUAL(warned, "");
}

/* While a disk does not answer, nobody here waits for it. */
static void
test_slow_disk(void)
{
	uint64_t ms = 10 * LAST_WRITE_MS;

	begin();
	login("ann", 1, NOW);
	CU_ASSERT_EQUAL(sem_wait(disk), 0);
	last_tick(DAY, ms, NOW);
	CU_ASSERT_EQUAL(waitpid(-1, NULL, WNOHANG), 0);
	last_tick(DAY, ms + 2 * LAST_WRITE_MS,
		  NOW); /* nothing new is to be written: no complaint */
	CU_ASSERT_STRING_EQUAL(warned, "");
	login("bob", 2, NOW);
	last_tick(DAY, ms + 2 * LAST_WRITE_MS, NOW);
	CU_ASSERT_PTR_NOT_NULL(strstr(warned, "not on the disk after a minute"));
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	sem_post(disk);
	reap();
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "ann"));
	CU_ASSERT_PTR_NULL(strstr(file_text(), "bob"));
	last_tick(DAY, ms + 2 * LAST_WRITE_MS, NOW);
	reap();
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "bob"));
	/* at the end it is waited for */
	login("cyd", 3, NOW);
	last_tick(DAY, ms + 3 * LAST_WRITE_MS, NOW);
	again();
	CU_ASSERT_PTR_NOT_NULL(last_find("cyd"));
}

/* None are to be kept any more while they are written: nothing stays. */
static void
test_off_meanwhile(void)
{
	begin();
	login("ann", 1, NOW);
	CU_ASSERT_EQUAL(sem_wait(disk), 0);
	last_tick(DAY, 10 * LAST_WRITE_MS, NOW);
	last_tick(0, 11 * LAST_WRITE_MS, NOW);
	sem_post(disk);
	reap();
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(path_new, F_OK), 0);
	CU_ASSERT_STRING_EQUAL(warned, "");
}

static void
test_age(void)
{
	begin();
	login("ann", 1, NOW);
	login("bob", 2, NOW + 1);
	last_tick(DAY, 0, NOW + DAY);
	CU_ASSERT_PTR_NOT_NULL(last_find("ann"));
	last_tick(DAY, 0, NOW + DAY + 1);
	CU_ASSERT_PTR_NULL(last_find("ann"));
	CU_ASSERT_PTR_NOT_NULL(last_find("bob"));
	again();
	CU_ASSERT_PTR_NULL(last_find("ann"));
	CU_ASSERT_PTR_NOT_NULL(last_find("bob"));
}

static void
test_off(void)
{
	begin();
	login("ann", 1, NOW);
	again();
	last_tick(0, 0, NOW);
	CU_ASSERT_FALSE(last_is_kept());
	CU_ASSERT_PTR_NULL(last_next(NULL));
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	login("ann", 2, NOW);
	CU_ASSERT_PTR_NULL(last_find("ann"));
	/* and on again */
	last_tick(DAY, 0, NOW);
	CU_ASSERT_TRUE(last_is_kept());
	login("ann", 3, NOW);
	again();
	CU_ASSERT_PTR_NOT_NULL(last_find("ann"));
	/* from the start on */
	last_close();
	CU_ASSERT_EQUAL(access(path, F_OK), 0);
	last_open(dir, 0, false);
	CU_ASSERT_FALSE(last_is_kept());
	CU_ASSERT_PTR_NULL(last_next(NULL));
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
}

static void
expect_refused(const char *why)
{
	char expected[256];

	(void)unlink(refused);
	warned[0] = '\0';
	last_open(dir, DAY, false);
	(void)snprintf(expected, sizeof(expected), "%s: %s: last logins begin anew", refused, why);
	CU_ASSERT_STRING_EQUAL(warned, expected);
	CU_ASSERT_PTR_NULL(last_next(NULL));
	CU_ASSERT_EQUAL(access(refused, F_OK), 0);
	CU_ASSERT_NOT_EQUAL(access(path, F_OK), 0);
	/* what comes now is kept */
	login("new", 1, NOW);
	last_close();
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "new"));
}

/* A file that ends anywhere is refused whole. */
static void
test_truncated(void)
{
	char *whole;
	size_t len;

	begin();
	login("ann", 1, NOW);
	login("bob", 2, NOW);
	last_close();
	whole = strdup(file_text());
	len = strlen(whole);
	for (size_t n = 0; n < len; n++) {
		file_make(whole, n, 0600);
		warned[0] = '\0';
		last_open(dir, DAY, false);
		CU_ASSERT_PTR_NULL(last_next(NULL));
		CU_ASSERT_STRING_NOT_EQUAL(warned, "");
		last_close();
	}
	file_make(whole, len, 0600);
	warned[0] = '\0';
	last_open(dir, DAY, false);
	CU_ASSERT_STRING_EQUAL(warned, "");
	CU_ASSERT_PTR_NOT_NULL(last_find("ann"));
	last_close();
	free(whole);
}

#define HEAD	"pop3d-last-logins 1\n"
#define REST	"s\tp\tm\tt\tquit\t5\t1\t2\t3\t4\t5\t0\t\t\t\n"
#define LINE(u) u "\t1\t" REST

static void
test_damaged(void)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
	    {"", "it does not begin as the files of this version do"},
	    {"rubbish\n", "it does not begin as the files of this version do"},
	    {"pop3d-last-logins 2\nend 0\n", "it does not begin as the files of this version do"},
	    {HEAD LINE("a") "end 2\n", "line 3 is damaged"},
	    {HEAD LINE("a") "end 1\nmore", "line 3 is damaged"},
	    {HEAD LINE("a") "end 1", "line 3 is damaged"},
	    {HEAD LINE("a") "bob\n", "line 3 is damaged"},
	    {HEAD LINE("") "end 1\n", "line 2 is damaged"},	  /* no name */
	    {HEAD LINE("a%4") "end 1\n", "line 2 is damaged"},	  /* half an escape */
	    {HEAD LINE("a%") "end 1\n", "line 2 is damaged"},	  /* less */
	    {HEAD LINE("a%00") "end 1\n", "line 2 is damaged"},	  /* a NUL */
	    {HEAD LINE("a%4G") "end 1\n", "line 2 is damaged"},	  /* no digit */
	    {HEAD LINE("a b") "end 1\n", "line 2 is damaged"},	  /* not escaped */
	    {HEAD "a\t-1\t" REST "end 1\n", "line 2 is damaged"}, /* times */
	    {HEAD "a\t0\t" REST "end 1\n", "line 2 is damaged"},
	    {HEAD "a\t-\t" REST "end 1\n", "line 2 is damaged"},
	    {HEAD "a\t1x\t" REST "end 1\n", "line 2 is damaged"},
	    {HEAD "a\t99999999999999999999\t" REST "end 1\n", "line 2 is damaged"},
	    {HEAD "a\t1\ts\n" REST "end 1\n", "line 2 is damaged"}, /* too few fields */
	    {HEAD "a\t1\tb\t" REST "end 1\n", "line 2 is damaged"}, /* too many */
	};

	begin();
	last_close();
	file_make(HEAD LINE("a%20b") "end 1\n", strlen(HEAD LINE("a%20b") "end 1\n"), 0600);
	last_open(dir, DAY, false);
	CU_ASSERT_PTR_NOT_NULL(last_find("a b"));
	last_close();
	for (size_t i = 0; i < COUNT_OF(rows); i++) {
		file_make(rows[i].text, strlen(rows[i].text), 0600);
		expect_refused(rows[i].why);
	}
	file_make(HEAD "a\0b\t1\t" REST "end 1\n", sizeof(HEAD "a\0b\t1\t" REST "end 1\n") - 1,
		  0600);
	expect_refused("line 2 is damaged");
}

static void
test_too_long(void)
{
	char text[2048];
	size_t n;

	begin();
	last_close();
	n = (size_t)snprintf(text, sizeof(text), HEAD "%0255d\t1\t" REST "end 1\n", 1);
	file_make(text, n, 0600);
	last_open(dir, DAY, false);
	CU_ASSERT_PTR_NOT_NULL(last_next(NULL));
	last_close();
	n = (size_t)snprintf(text, sizeof(text), HEAD "%0256d\t1\t" REST "end 1\n", 1);
	file_make(text, n, 0600);
	expect_refused("line 2 is damaged");
}

static void
test_too_many(void)
{
	char *text = malloc(80 * (LAST_USERS_MAX + 2));
	size_t n = (size_t)sprintf(text, HEAD);

	begin();
	last_close();
	for (int i = 0; i <= LAST_USERS_MAX; i++)
		n += (size_t)sprintf(text + n, "u%d\t1\t" REST, i);
	n += (size_t)sprintf(text + n, "end %d\n", LAST_USERS_MAX + 1);
	file_make(text, n, 0600);
	expect_refused("line 10002 is damaged");
	free(text);
}

/* Others may not have written it, nor read it. */
static void
test_foreign(void)
{
	static const char text[] = HEAD LINE("a") "end 1\n";
	char why[128];

	begin();
	last_close();
	file_make(text, sizeof(text) - 1, 0640);
	(void)snprintf(why, sizeof(why), "it is of uid %u and mode 0640, not of uid %u and 0600",
		       geteuid(), geteuid());
	expect_refused(why);
	(void)unlink(path);
	CU_ASSERT_EQUAL(mkdir(path, 0700), 0);
	last_open(dir, DAY, false);
	CU_ASSERT_PTR_NOT_NULL(strstr(warned, "it is no plain file"));
	last_close();
	(void)rmdir(path);
	(void)unlink(refused);
	(void)rmdir(refused);
	CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
	expect_refused("Too many levels of symbolic links");
	if (geteuid() != 0) {
		unit_skip("another's file takes root");
		return;
	}
	file_make(text, sizeof(text) - 1, 0600);
	CU_ASSERT_EQUAL(chown(path, 1, 1), 0);
	expect_refused("it is of uid 1 and mode 0600, not of uid 0 and 0600");
}

/* A full disk, say: it is told once, and tried again. */
static void
test_cannot_write(void)
{
	uint64_t ms = 10 * LAST_WRITE_MS;

	begin();
	CU_ASSERT_EQUAL(mkdir(path_new, 0700), 0);
	login("ann", 1, NOW);
	last_tick(DAY, ms, NOW);
	reap();
	CU_ASSERT_PTR_NOT_NULL(strstr(warned, "File exists: last logins are forgotten at the"));
	warned[0] = '\0';
	last_tick(DAY, ms + LAST_WRITE_MS, NOW);
	reap();
	CU_ASSERT_STRING_EQUAL(warned, "");
	CU_ASSERT_EQUAL(rmdir(path_new), 0);
	last_tick(DAY, ms + 2 * LAST_WRITE_MS, NOW);
	reap();
	CU_ASSERT_PTR_NOT_NULL(strstr(file_text(), "ann"));
	last_close();
}

static const struct unit_test tests[] = {
    {"a login, its end, and a failure", test_a_login},
    {"the newest first", test_order},
    {"over a restart", test_restart},
    {"the oldest of many go", test_full},
    {"written at intervals", test_intervals},
    {"a disk that is slow", test_slow_disk},
    {"off, while it is written", test_off_meanwhile},
    {"what is too old goes", test_age},
    {"off, and on again", test_off},
    {"a file that is cut off", test_truncated},
    {"a file that is damaged", test_damaged},
    {"a name that is too long", test_too_long},
    {"a file with too many users", test_too_many},
    {"a file of others", test_foreign},
    {"a file that cannot be written", test_cannot_write},
    {NULL, NULL},
};

int
main(int argc, char *argv[], char *envp[])
{
	int status;

	title_init(argc, argv, envp);
	disk = mmap(NULL, sizeof(*disk), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (mkdtemp(dir) == NULL || disk == MAP_FAILED || sem_init(disk, 1, 1) == -1)
		abort();
	(void)snprintf(path, sizeof(path), "%s/last-logins", dir);
	(void)snprintf(path_new, sizeof(path_new), "%s.new", path);
	(void)snprintf(refused, sizeof(refused), "%s.refused", path);
	log_to(&sink);
	status = unit_run("last", tests);
	last_close();
	(void)unlink(path);
	(void)unlink(refused);
	(void)rmdir(dir);
	(void)munmap(disk, sizeof(*disk));
	return status;
}
