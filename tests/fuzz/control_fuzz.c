/*
 * libFuzzer: any octets as a request of pop3ctl.  An even first octet: the rest is
 * the request, sent in two pieces; odd: it is the words of one, whose number goes
 * before them.  Master survives it, and what it answers has the form of an answer.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/control/control.h"
#include "tests/fuzz/quiet.h"
#include "tests/unit/fake_master.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { REQUEST_MAX = 4096 };

static char settings[512];
static struct sockaddr_un address = {.sun_family = AF_UNIX};

static void
remove_all(void)
{
	(void)unlink(address.sun_path);
	*strrchr(address.sun_path, '/') = '\0';
	(void)rmdir(address.sun_path);
}

static void
prepare(void)
{
	char dir[] = "/tmp/pop3d-fuzz-XXXXXX";

	if (mkdtemp(dir) == NULL)
		abort();
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/control", dir);
	(void)snprintf(settings, sizeof(settings),
		       "log = stderr log_level = error login_workers = 1 session_spares = 1\n"
		       "runtime_dir = '%s' server main { port = 1100 socket = plain auth = '' }\n",
		       dir);
	(void)atexit(remove_all);
}

/* The request of these octets. */
static size_t
request(char out[REQUEST_MAX + 16], const uint8_t *data, size_t size)
{
	size_t words = 0, head = 0;

	if (data[0] % 2 == 1) {
		for (size_t i = 1; i < size; i++)
			words += data[i] == '\0';
		head = (size_t)snprintf(out, 16, "%zu", words) + 1;
	}
	memcpy(out + head, data + 1, size - 1);
	return head + size - 1;
}

static void
check_answer(int fd)
{
	static char answer[1 << 16];
	ssize_t n = recv(fd, answer, sizeof(answer) - 1, MSG_DONTWAIT);

	if (n <= 0)
		return;
	answer[n] = '\0';
	if (n < 2 || strchr("012", answer[0]) == NULL || strchr("-vnblpt\n", answer[1]) == NULL)
		abort();
	if (answer[0] != '0' && (answer[1] != '-' || answer[n - 1] != '\n'))
		abort();
}

static void
ask(const char *octets, size_t len)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	size_t cut = len > 0 ? (size_t)(unsigned char)octets[len - 1] % len : 0;

	if (fd == -1 || connect(fd, (struct sockaddr *)&address, sizeof(address)) == -1)
		abort();
	(void)send(fd, octets, cut, MSG_NOSIGNAL);
	fake_loop();
	(void)send(fd, octets + cut, len - cut, MSG_NOSIGNAL);
	fake_loop();
	fake_all_ready();
	fake_pass(1000);
	check_answer(fd);
	(void)close(fd);
	fake_loop();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char octets[REQUEST_MAX + 16];

	quiet();
	if (settings[0] == '\0')
		prepare();
	if (size == 0 || size > REQUEST_MAX)
		return 0;
	fake_begin_serving(settings);
	fake.m.conf_path = "/nonexistent";
	if (control_open(&fake.m) == -1)
		abort();
	ask(octets, request(octets, data, size));
	control_close(&fake.m);
	fake_end();
	return 0;
}
