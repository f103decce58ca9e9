/* worker/store/fresh.c */
#include "config.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/unit/child.h"
#include "tests/unit/unit.h"
#include "worker/store/fresh.h"

static char folder[] = "/tmp/pop3d-fresh-XXXXXX";
static int dir;
static bool races; /* the directory's owner puts a FIFO at each name that becomes free */

int
unlinkat(int dir_fd, const char *name, int flags)
{
	int rc = (int)syscall(SYS_unlinkat, dir_fd, name, flags);

	if (races && mkfifoat(dir_fd, name, 0600) == -1)
		abort();
	return rc;
}

static bool
is_new_file(int fd)
{
	struct stat st;

	return fd != -1 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1 &&
	       st.st_size == 0 && (st.st_mode & 07777) == 0600;
}

/* It would wait for ever on a FIFO, and empty what a link leads to. */
static int
child_makes(void)
{
	NEED(is_new_file(fresh_make(dir, "nothing", O_WRONLY)));
	NEED(mkfifoat(dir, "fifo", 0600) == 0);
	NEED(is_new_file(fresh_make(dir, "fifo", O_WRONLY)));
	NEED(symlinkat("nothing", dir, "link") == 0);
	NEED(is_new_file(fresh_make(dir, "link", O_WRONLY)));
	NEED(linkat(dir, "nothing", dir, "other", 0) == 0);
	NEED(is_new_file(fresh_make(dir, "other", O_WRONLY)));
	return 0;
}

static int
child_races(void)
{
	races = true;
	NEED_ERROR(fresh_make(dir, "nothing", O_WRONLY), EEXIST);
	NEED_ERROR(fresh_make(dir, "fifo", O_WRONLY), EEXIST);
	return 0;
}

static void
clear(void)
{
	static const char *const names[] = {"nothing", "fifo", "link", "other"};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)unlinkat(dir, names[i], 0);
}

static void
test_makes(void)
{
	CU_ASSERT_EQUAL(child_run(child_makes), 0);
	clear();
}

static void
test_races(void)
{
	CU_ASSERT_EQUAL(child_run(child_races), 0);
	clear();
}

static const struct unit_test tests[] = {
    {"what stands at the name goes", test_makes},
    {"what comes to the name meanwhile", test_races},
    {NULL, NULL},
};

int
main(void)
{
	int status;

	if (mkdtemp(folder) == NULL || (dir = open(folder, O_RDONLY | O_DIRECTORY)) == -1)
		abort();
	status = unit_run("fresh", tests);
	(void)rmdir(folder);
	return status;
}
