#include "config.h"

#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/change.h"
#include "daemon/control/control.h"
#include "tests/unit/fake_master.h"
#include "tests/unit/unit.h"

static char dir[] = "/tmp/pop3d-control-XXXXXX", path[64], settings[512];

/* The mode of the socket, and the group that it is for. */
static mode_t
mode(gid_t *group)
{
	struct stat st = {0};
	char name[64];

	snprintf(name, sizeof(name), "%s/control", dir);
	CU_ASSERT_EQUAL(lstat(name, &st), 0);
	*group = st.st_gid;
	return st.st_mode & 07777;
}

static void
reload(const char *group)
{
	FILE *f = fopen(path, "we");

	if (f == NULL)
		abort();
	fprintf(f, "%scontrol_group = '%s'\n", settings, group);
	fclose(f);
	change_settings(&fake.m);
	fake_loop();
	fake_all_ready();
}

/* Root's alone, or also control_group's, from the reload on that says so. */
static void
test_group_of_the_socket(void)
{
	const struct group *own = getgrgid(getegid());
	gid_t group;

	CU_ASSERT_PTR_NOT_NULL_FATAL(own);
	fake_begin_serving(settings);
	fake.m.conf_path = path;
	CU_ASSERT_EQUAL_FATAL(control_open(&fake.m), 0);
	CU_ASSERT_EQUAL(mode(&group), 0600);
	reload(own->gr_name);
	CU_ASSERT_EQUAL(mode(&group), 0660);
	CU_ASSERT_EQUAL(group, own->gr_gid);
	reload("");
	CU_ASSERT_EQUAL(mode(&group), 0600);
	control_close(&fake.m);
	fake_end();
}

int
main(void)
{
	static const struct unit_test tests[] = {{"the socket's group", test_group_of_the_socket},
						 {NULL, NULL}};
	int status;

	if (mkdtemp(dir) == NULL)
		return EXIT_FAILURE;
	snprintf(path, sizeof(path), "%s/conf", dir);
	snprintf(settings, sizeof(settings),
		 "log = stderr log_level = error login_workers = 1 session_spares = 1\n"
		 "runtime_dir = '%s'\nserver main { port = 1100 socket = plain auth = '' }\n",
		 dir);
	status = unit_run("control", tests);
	unlink(path);
	rmdir(dir);
	return status;
}
