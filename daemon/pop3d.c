/*
 * pop3d, the master.
 *
 * Runs as:  root (or, rootless, as the user who starts it: every role then runs as that user).
 * Sees:     configuration, listening sockets, accepted sockets until their login is decided,
 *           one channel to each child.
 * May never: parse what a client sent, call PAM or a name service, read a private key.
 *
 * The other roles: worker/login/main.c before login, daemon/auth/main.c for passwords,
 * worker/session/main.c after login.
 */
#include "config.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/conf/conf.h"
#include "common/log.h"
#include "common/output.h"
#include "daemon/last.h"
#include "daemon/log/recent.h"
#include "daemon/log/syslog.h"
#include "common/privs.h"
#include "common/title.h"
#include "daemon/background.h"
#include "daemon/inspect.h"
#include "daemon/master.h"
#include "daemon/notify.h"
#include "daemon/remember.h"
#include "daemon/runtime.h"
#include "daemon/serve/serve.h"

struct options {
	const char *conf_path;
	bool foreground, to_stderr, check, print, print_changed;
};

static const char usage_text[] =
    "usage: pop3d [-Fe] [-c file] [-n | -t | -T | -V]\n"
    "  -c file  configuration, else " SYSCONFDIR "/pop3d.conf\n"
    "  -F       stay in the foreground\n"
    "  -e       log to standard error\n"
    "  -n       print the settings that differ from the defaults and exit\n"
    "  -t       check the configuration and exit\n"
    "  -T       print every effective setting and exit\n"
    "  -V       print the version and exit\n"
    "       pop3d --serve path [...]   one archive to one user, see pop3d(8)\n";

static void
options_read(int argc, char *argv[], struct options *o)
{
	static const struct option words[] = {{"help", no_argument, NULL, 'h'},
					      {"version", no_argument, NULL, 'V'},
					      {NULL, 0, NULL, 0}};
	int c;

	*o = (struct options){.conf_path = SYSCONFDIR "/pop3d.conf"};
	while ((c = getopt_long(argc, argv, "FVTc:ehnt", words, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->conf_path = optarg;
			break;
		case 'F':
			o->foreground = true;
			break;
		case 'e':
			o->to_stderr = true;
			break;
		case 't':
			o->check = true;
			break;
		case 'T':
			o->print = true;
			break;
		case 'n':
			o->print_changed = true;
			break;
		case 'V':
			puts("pop3d " PACKAGE_VERSION);
			exit(0);
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			fputs(usage_text, stderr);
			exit(2);
		}
	}
	if (optind != argc) {
		fputs(usage_text, stderr);
		exit(2);
	}
}

static int
check(const struct options *o, const struct conf *conf)
{
	if (inspect(conf) == -1)
		return 1;
	printf("%s: good\n", o->conf_path);
	return 0;
}

/* What every login will need of the host is looked at before anybody is told that we serve. */
static int
check_host(void)
{
	char missing[MSG_TEXT_MAX / 4];

	if (geteuid() != 0 || privs_check_caps(missing, sizeof(missing)) == 0)
		return 0;
	log_error(0, "cannot run as root without the capabilities %s: see CONTAINERS in pop3d(8)",
		  missing);
	return -1;
}

static void
conf_hear(void *arg, bool is_fault, const char *line)
{
	(void)arg;
	log_line(is_fault ? LOG_ERR : LOG_WARNING, 0, "%s", line);
}

int
main(int argc, char *argv[], char *envp[])
{
	static const struct conf_hearer hearer = {conf_hear, NULL};
	struct master_options master = {0};
	struct conf *conf;
	struct options o;
	int status;

	privs_fill_standard_fds();
	output_watch("pop3d");
	if (serve_is_asked(argc, argv)) {
		status = master_run(&master, serve_prepare(argc, argv, envp));
		serve_report_end();
		return status;
	}
	title_init(argc, argv, envp);
	notify_init();
	options_read(argc, argv, &o);
	log_to_terminal();
	master.conf_read = (int64_t)time(NULL);
	if ((conf = calloc(1, sizeof(*conf))) == NULL ||
	    conf_load(o.conf_path, conf, &hearer) == -1)
		return 1;
	if (o.check)
		return check(&o, conf);
	if (o.print_changed) {
		conf_print_changed(conf, stdout);
		return 0;
	}
	if (o.print) {
		conf_print(conf, stdout);
		return 0;
	}
	log_set_level(conf->log_level);
	recent_open();
	if (o.to_stderr || conf->log == CONF_LOG_STDERR)
		log_to_stderr();
	else
		log_to_syslog("pop3d");
	/* A later reload must find it, wherever we stand then. */
	if ((o.conf_path = realpath(o.conf_path, NULL)) == NULL || chdir("/") == -1) {
		perror("pop3d");
		return 1;
	}
	if (!o.foreground)
		background_start();
	if (check_host() == -1 || runtime_take(conf, geteuid() != 0) == -1)
		return 1;
	runtime_state(conf, geteuid() != 0);
	remember_open(conf->state_dir, geteuid() != 0);
	last_open(conf->state_dir, conf->last_logins, geteuid() != 0);
	title_detail(conf->ps_titles);
	title_set("master", "%s", o.conf_path);
	master.conf_path = o.conf_path;
	status = master_run(&master, conf);
	last_close();
	runtime_release();
	return status;
}
