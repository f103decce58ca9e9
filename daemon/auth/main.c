/*
 * pop3d-auth, the auth gate: has passwords checked, and tells master whose they
 * are; its children are the back ends, pre-forked.
 *
 * Runs as:   root (rootless: the daemon's user).  Children of the user file
 *            become the user `auth_user` before they see a request; see child.c.
 * Sees:      checks that the dispatcher asks for, rows of master's connection
 *            table, what the children say of accounts.
 * May never: touch a mailbox, hold a client's socket, hear a worker; in the gate:
 *            call PAM or NSS, wait for anything.
 */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/channel.h"
#include "common/check.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/auth/check.h"
#include "daemon/auth/checked.h"
#include "daemon/auth/child.h"
#include "daemon/auth/gate.h"
#include "daemon/auth/spawn.h"

/* Is there a channel where one must be? */
static int
channel_is_there(void)
{
	int type;
	socklen_t len = sizeof(type);

	return getsockopt(CHANNEL_FD, SOL_SOCKET, SO_TYPE, &type, &len) == 0 &&
	       type == SOCK_SEQPACKET;
}

int
main(int argc, char *argv[], char *envp[])
{
	/* run by a checkpassword program, as another user and without a channel */
	if (argc == 2 && strcmp(argv[1], CHECKED_WORD) == 0)
		_exit(checked_main());
	if (argc > 1 && strcmp(argv[1], CHECK_WORD) == 0)
		return check_main(argv + 2);
	if (argc > 1 && strcmp(argv[1], CHECK_USER_WORD) == 0)
		return check_user_main(argv + 2);
	title_init(argc, argv, envp);
	privs_role_start(CHANNEL_FD + 1);
	if (!channel_is_there()) {
		fprintf(stderr, "pop3d-auth: started by pop3d(8) only\n");
		return EXIT_FAILURE;
	}
	if (argc == 2 && strcmp(argv[1], SPAWN_CHILD_WORD) == 0)
		return child_main();
	if (spawn_init() == -1)
		return EXIT_FAILURE;
	return gate_main();
}
