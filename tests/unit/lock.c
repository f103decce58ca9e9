#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/unit.h"
#include "worker/store/lock.h"

/* ---- kinds of lock that a file system does not have ---- */

static int flock_error, fcntl_error; /* 0: the call is done */

int
flock(int fd, int operation)
{
	if (flock_error != 0) {
		errno = flock_error;
		return -1;
	}
	return (int)syscall(SYS_flock, fd, operation);
}

int
fcntl(int fd, int command, ...)
{
	va_list ap;
	void *arg;

	va_start(ap, command);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (fcntl_error != 0 && (command == F_SETLK || command == F_OFD_SETLK)) {
		errno = fcntl_error;
		return -1;
	}
	return (int)syscall(SYS_fcntl, fd, command, arg);
}

/* ---- a mailbox ---- */

static const struct store_backend backend = {.name = "test"};
static char path[64];
static struct store store;
static int dir_fd, lock_fd;

static void
open_box(void)
{
	store = (struct store){.backend = &backend, .path = path};
	lock_fd = -1;
	dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd == -1)
		abort();
}

static void
close_box(void)
{
	store_close_fd(lock_fd);
	store_close_fd(dir_fd);
	flock_error = fcntl_error = 0;
}

static enum store_result
lock_with(int file_error, int directory_error)
{
	enum store_result result;

	open_box();
	fcntl_error = file_error;
	flock_error = directory_error;
	result = lock_directory(&store, dir_fd, "lock", &lock_fd);
	close_box();
	return result;
}

/* A process that holds the lock, taken by `take`, until it is killed. */
static pid_t holder_start(enum store_result (*take)(void))
{
	int ready[2];
	char c;
	pid_t pid;

	if (pipe(ready) == -1 || (pid = fork()) == -1)
		abort();
	if (pid == 0) {
		open_box();
		c = take() == STORE_OK ? 'y' : 'n';
		(void)!write(ready[1], &c, 1);
		for (;;)
			pause();
	}
	(void)close(ready[1]);
	CU_ASSERT_EQUAL(read(ready[0], &c, 1), 1);
	CU_ASSERT_EQUAL(c, 'y');
	(void)close(ready[0]);
	return pid;
}

static void
holder_kill(pid_t pid)
{
	(void)kill(pid, SIGKILL);
	(void)waitpid(pid, NULL, 0);
}

static enum store_result
take_directory(void)
{
	return lock_directory(&store, dir_fd, "lock", &lock_fd);
}

static enum store_result
take_named(void)
{
	return lock_named(&store, dir_fd, "named", &lock_fd);
}

/* Only what a host has that sees the directory through another file system. */
static enum store_result
take_file_only(void)
{
	flock_error = ENOLCK;
	return take_directory();
}

static enum store_result
take_flock_only(void)
{
	fcntl_error = EOPNOTSUPP;
	return take_directory();
}

/* ---- the tests ---- */

static void
test_missing_kind_is_passed_over(void)
{
	static const int unknown[] = {EBADF, ENOLCK, EOPNOTSUPP, ENOSYS};

	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		CU_ASSERT_EQUAL(lock_with(unknown[i], 0), STORE_OK);
		CU_ASSERT_EQUAL(lock_with(0, unknown[i]), STORE_OK);
		for (size_t k = 0; k < sizeof(unknown) / sizeof(unknown[0]); k++)
			CU_ASSERT_EQUAL(lock_with(unknown[i], unknown[k]), STORE_PERM);
		/* not over one that is held */
		CU_ASSERT_EQUAL(lock_with(unknown[i], EWOULDBLOCK), STORE_IN_USE);
		CU_ASSERT_EQUAL(lock_with(EAGAIN, unknown[i]), STORE_IN_USE);
	}
}

static void
test_other_errors(void)
{
	CU_ASSERT_EQUAL(lock_with(EACCES, 0), STORE_IN_USE); /* fcntl(2) allows it for EAGAIN */
	CU_ASSERT_EQUAL(lock_with(EIO, 0), STORE_TEMP);
	CU_ASSERT_EQUAL(lock_with(0, EIO), STORE_TEMP);
	CU_ASSERT_EQUAL(lock_with(0, ENOTCONN), STORE_TEMP);
	CU_ASSERT_EQUAL(lock_with(0, 0), STORE_OK);
}

static void
test_directory_without_room_for_the_file(void)
{
	open_box();
	/* a name that cannot be made stands for a full disk */
	CU_ASSERT_EQUAL(lock_directory(&store, dir_fd, "no/such/file", &lock_fd), STORE_OK);
	CU_ASSERT_EQUAL(lock_fd, -1);
	close_box();
	flock_error = ENOLCK;
	open_box();
	CU_ASSERT_EQUAL(lock_directory(&store, dir_fd, "no/such/file", &lock_fd), STORE_PERM);
	close_box();
}

static void
test_either_kind_keeps_out(void)
{
	static enum store_result (*const takes[])(void) = {take_directory, take_file_only,
							   take_flock_only};

	for (size_t i = 0; i < sizeof(takes) / sizeof(takes[0]); i++) {
		pid_t pid = holder_start(takes[i]);
		int fd;

		open_box();
		CU_ASSERT_EQUAL(take_directory(), STORE_IN_USE);
		fd = lock_fd;
		CU_ASSERT_EQUAL(take_directory(), STORE_IN_USE);
		CU_ASSERT_EQUAL(lock_fd, fd); /* the same descriptor, for a later try */
		holder_kill(pid);
		CU_ASSERT_EQUAL(take_directory(), STORE_OK);
		CU_ASSERT_EQUAL(lock_fd, fd);
		CU_ASSERT_EQUAL(take_directory(), STORE_OK); /* still */
		close_box();
	}
}

static void
test_named(void)
{
	pid_t pid = holder_start(take_named);
	struct store first;
	int first_fd;

	open_box();
	CU_ASSERT_EQUAL(take_named(), STORE_IN_USE);
	holder_kill(pid);
	CU_ASSERT_EQUAL(take_named(), STORE_OK);
	/* LCK-05: a second session in one process is kept out, and does no harm to the first */
	first = store;
	first_fd = lock_fd;
	lock_fd = -1;
	CU_ASSERT_EQUAL(take_named(), STORE_IN_USE);
	store_close_fd(lock_fd);
	lock_fd = -1;
	CU_ASSERT_EQUAL(take_named(), STORE_IN_USE);
	CU_ASSERT_EQUAL(first.lock.ino, store.lock.ino);
	store_close_fd(first_fd);
	close_box();
}

static void
test_place(void)
{
	struct stat st;

	open_box();
	CU_ASSERT_EQUAL(take_directory(), STORE_OK);
	CU_ASSERT_EQUAL(fstat(dir_fd, &st), 0);
	CU_ASSERT_EQUAL(store.lock.dev, st.st_dev);
	CU_ASSERT_EQUAL(store.lock.ino, st.st_ino);
	close_box();
	open_box();
	CU_ASSERT_EQUAL(take_named(), STORE_OK);
	CU_ASSERT_EQUAL(fstat(lock_fd, &st), 0);
	CU_ASSERT_EQUAL(store.lock.ino, st.st_ino);
	close_box();
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"LCK-04 a kind of lock that the file system lacks is passed over",
	     test_missing_kind_is_passed_over},
	    {"LCK-01 other errors", test_other_errors},
	    {"LCK-01 no file can be made", test_directory_without_room_for_the_file},
	    {"LCK-04 either kind keeps out, and is free after kill -9", test_either_kind_keeps_out},
	    {"LCK-05 a lock of the open file", test_named},
	    {"LCK-07 the lock is known by device and inode", test_place},
	    {NULL, NULL},
	};
	char command[96];
	int status;

	(void)snprintf(path, sizeof(path), "/tmp/pop3d-lock-XXXXXX");
	if (mkdtemp(path) == NULL)
		abort();
	status = unit_run("lock", tests);
	(void)snprintf(command, sizeof(command), "rm -r %s", path);
	(void)!system(command);
	return status;
}
