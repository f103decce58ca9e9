/*
 * pop3ctl adopt uids: the unique-ids of all users are taken over, by several processes at once, and
 * each mailbox is compared with what the other server tells of it.
 *
 * Runs as:  root, for the daemon's jobs and for the other server's own programs.
 * Sees:     what they say of each user's unique-ids.
 * May never: open a mailbox: a session of its owner does, and the other server.
 */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/ctl_words.h"
#include "daemon/auth/userfile.h"
#include "daemon/ctl/adopt.h"
#include "daemon/ctl/effective.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/request.h"

enum {
	WORKERS = 4,
	WORKERS_MAX = 8, /* half of the jobs that the daemon does at once */
	BAR_WIDTH = 40,
	COLUMNS = 80, /* of a terminal that does not tell */
	ACCOUNT_NOBODY = 65534
};

/* How it ended for a user, in the order of the report. */
enum outcome {
	SAME,	    /* taken over, and as the other server says */
	AGAIN_SAME, /* taken over before, the same */
	UNUSED,	    /* the other server has told no unique-ids there */
	UNVERIFIED, /* taken over; the other server does not say */
	DIFFERENT,
	FAILED,
	OUTCOMES
};

static const char *const outcomes[OUTCOMES] = {
    [SAME] = "taken over and the same",
    [AGAIN_SAME] = "taken over before and the same",
    [UNUSED] = "without unique-ids of the other server",
    [UNVERIFIED] = "taken over and not compared",
    [DIFFERENT] = "different",
    [FAILED] = "failed",
};

/* A worker's word of one user; shorter than PIPE_BUF, so that it is written whole. */
struct result {
	size_t user;
	enum outcome outcome;
	size_t messages, again;
	char text[1024]; /* what was said, a line; printable */
};

struct order {
	const char *socket_path;
	const struct adopt_peer *peer;
	const char *config; /* the folder of its files; NULL: the usual */
	char source[ADOPT_VALUE_SIZE];
	char *server;
	bool force;
	unsigned workers;
	char **users;
	size_t n;
};

/* ---- one user, in a worker */

/* Have the daemon do a job; what it said in *text, malloc'ed.  The exit status. */
static int
job_ask(const struct order *o, size_t n, char *const words[], int input, char **text)
{
	size_t len;
	FILE *to = open_memstream(text, &len);
	int status;

	if (to == NULL)
		return CTL_FAILED;
	status = job_gather_with(o->socket_path, n, words, input, to, "");
	fclose(to);
	return status;
}

/* What went wrong, in one line. */
static void
say(struct result *r, const char *text)
{
	(void)snprintf(r->text, sizeof(r->text), "%.*s", (int)strcspn(text, "\n"), text);
}

/* "N of M messages" and the words behind it: N, M.  False: there is no such line. */
static bool
count_find(const char *text, const char *words, size_t *n, size_t *of)
{
	for (; text != NULL; text = strchr(text, '\n')) {
		int end = 0;

		text += *text == '\n';
		if (sscanf(text, "%zu of %zu messages%n", n, of, &end) == 2 && end > 0 &&
		    strncmp(text + end, words, strlen(words)) == 0)
			return true;
	}
	return false;
}

/* The other server's listing of now, in memory.  -1: said. */
static int
listing_get(const struct order *o, const char *user, struct result *r)
{
	int fd = memfd_create("listing", MFD_CLOEXEC);

	if (fd == -1) {
		say(r, strerror(errno));
		return -1;
	}
	if (o->peer->listing(user, fd, r->text, sizeof(r->text)) && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Take them over.  SAME, AGAIN_SAME, UNUSED or FAILED (said). */
static enum outcome
import(const struct order *o, char *user, struct result *r)
{
	static char job[] = "job", none[] = "", uidl[] = "uidl", word[] = "import",
		    from[] = "--from", force[] = "--force";
	char *words[] = {
	    job, o->server, user, none, uidl, word, from, (char *)(uintptr_t)o->source, force};
	char *text = NULL;
	enum outcome outcome = FAILED;
	int status = job_ask(o, o->force ? 9 : 8, words, -1, &text);
	size_t taken;

	if (text == NULL)
		return FAILED;
	if (status == CTL_DONE && count_find(text, ": unique-id", &taken, &r->messages))
		outcome = SAME;
	else if (strncmp(text, "there is no ", 12) == 0)
		outcome = UNUSED;
	else if (strncmp(text, "unique-ids were taken over before", 33) == 0)
		outcome = AGAIN_SAME;
	else
		say(r, text);
	free(text);
	return outcome;
}

/* Compare with the listing.  `outcome` if they are the same. */
static enum outcome
compare(const struct order *o, char *user, int listing, enum outcome outcome, struct result *r)
{
	static char job[] = "job", none[] = "", uidl[] = "uidl", word[] = "verify";
	char *words[] = {job, o->server, user, none, uidl, word}, *text = NULL;

	(void)job_ask(o, 6, words, listing, &text);
	if (text == NULL)
		return FAILED;
	if (!count_find(text, " would be fetched again", &r->again, &r->messages)) {
		say(r, text);
		outcome = FAILED;
	} else if (r->again > 0) {
		(void)snprintf(r->text, sizeof(r->text),
			       "%zu of %zu messages would be fetched again", r->again, r->messages);
		outcome = DIFFERENT;
	} else if (strstr(text, "the order is not the same") != NULL) {
		(void)snprintf(r->text, sizeof(r->text), "the order is not the same");
		outcome = DIFFERENT;
	}
	free(text);
	return outcome;
}

static void
user_take(const struct order *o, size_t i, struct result *r)
{
	/* It is asked first: then it has given unique-ids to the newest messages, too. */
	int listing = listing_get(o, o->users[i], r);
	enum outcome outcome = import(o, o->users[i], r);

	if (outcome == SAME || outcome == AGAIN_SAME)
		outcome = listing != -1 ? compare(o, o->users[i], listing, outcome, r) : UNVERIFIED;
	else if (outcome == UNUSED)
		r->text[0] = '\0';
	if (listing != -1)
		close(listing);
	r->user = i;
	r->outcome = outcome;
}

/* ---- all of them */

static void
worker(const struct order *o, unsigned number, int out)
{
	for (size_t i = number; i < o->n; i += o->workers) {
		static struct result r;

		r = (struct result){.user = i};
		user_take(o, i, &r);
		if (write(out, &r, sizeof(r)) != (ssize_t)sizeof(r))
			_exit(CTL_FAILED);
	}
	_exit(CTL_DONE);
}

/* Start the workers.  Where they write; -1: said. */
static int
workers_start(const struct order *o)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) == -1) {
		fprintf(stderr, "pop3ctl: %s\n", strerror(errno));
		return -1;
	}
	fflush(stdout);
	for (unsigned i = 0; i < o->workers; i++) {
		pid_t pid = fork();

		if (pid == 0)
			worker(o, i, ends[1]);
		else if (pid == -1)
			fprintf(stderr, "pop3ctl: fork: %s\n", strerror(errno));
	}
	close(ends[1]);
	return ends[0];
}

/* How far it is, in a line that fits the terminal: the last column stays free, as a cursor behind
 * it would be in the next line. */
static void
bar_show(size_t done, size_t all)
{
	struct winsize size = {.ws_col = 0};
	char text[64];
	int width, full;

	(void)snprintf(text, sizeof(text), "%zu of %zu users", done, all);
	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == -1 || size.ws_col == 0)
		size.ws_col = COLUMNS;
	width = size.ws_col - 1 - (int)strlen(text) - (int)strlen("[] ");
	width = width > BAR_WIDTH ? BAR_WIDTH : width;
	full = width > 0 ? (int)(done * (size_t)width / all) : 0;
	if (width > 0)
		fprintf(stderr, "\r[%.*s%*s] %s", full, "########################################",
			width - full, "", text);
	else
		fprintf(stderr, "\r%.*s", size.ws_col - 1, text);
}

/* A line of a user: all of them where nobody looks at a bar, else what is not well. */
static void
user_show(const struct order *o, const struct result *r, bool bar)
{
	if (bar && r->outcome < UNVERIFIED)
		return;
	if (bar)
		fputs("\r\033[K", stderr);
	printf("%s: %s, %zu messages%s%s\n", o->users[r->user], outcomes[r->outcome], r->messages,
	       r->text[0] != '\0' ? ": " : "", r->text);
	fflush(stdout);
}

/* The exit status. */
static int
report(const struct order *o, const size_t count[OUTCOMES], size_t messages, size_t again)
{
	size_t heard = 0;

	for (int i = 0; i < OUTCOMES; i++)
		heard += count[i];
	printf("%zu users, %zu messages, %zu would be fetched again\n", o->n, messages, again);
	for (int i = 0; i < OUTCOMES; i++)
		if (count[i] > 0)
			printf("%zu of %zu users: %s\n", count[i], o->n, outcomes[i]);
	if (heard < o->n)
		printf("%zu of %zu users: not done, as a process of pop3ctl ended\n", o->n - heard,
		       o->n);
	return heard == o->n && count[UNVERIFIED] + count[DIFFERENT] + count[FAILED] == 0
		   ? CTL_DONE
		   : CTL_FAILED;
}

static int
take_all(const struct order *o)
{
	size_t count[OUTCOMES] = {0}, messages = 0, again = 0, done = 0;
	int from = workers_start(o);
	bool bar = isatty(STDERR_FILENO) && isatty(STDOUT_FILENO);
	struct result r;

	if (from == -1)
		return CTL_FAILED;
	if (bar)
		bar_show(done, o->n);
	while (read(from, &r, sizeof(r)) == (ssize_t)sizeof(r)) {
		count[r.outcome]++;
		messages += r.messages;
		again += r.again;
		user_show(o, &r, bar);
		if (bar)
			bar_show(++done, o->n);
	}
	if (bar)
		fputs("\n", stderr);
	close(from);
	while (wait(NULL) != -1 || errno == EINTR)
		continue;
	return report(o, count, messages, again);
}

/* ---- who they are */

static int
user_add(struct order *o, const char *name)
{
	char **users = reallocarray(o->users, o->n + 1, sizeof(*users));

	if (users == NULL)
		return -1;
	o->users = users;
	if ((users[o->n] = strdup(name)) == NULL)
		return -1;
	o->n++;
	return 0;
}

static int
users_of_file(struct order *o, const char *path)
{
	struct userfile u = {0};
	char why[256], *text;
	size_t len;
	int r = 0;

	if (userfile_read(path, &text, &len, why, sizeof(why)) == -1) {
		fprintf(stderr, "pop3ctl: %s\n", why);
		return -1;
	}
	r = userfile_parse(&u, text, len, true, NULL, NULL);
	for (size_t i = 0; r == 0 && i < u.n; i++)
		r = user_add(o, u.entries[i].name);
	userfile_free(&u);
	return r;
}

/* The accounts that the daemon lets in. */
static int
users_of_host(struct order *o)
{
	struct effective e;
	const struct passwd *p;
	char word[16] = "";
	unsigned long minimum;
	int r = effective_read(&e, o->socket_path, NULL);

	minimum = strtoul(effective_word(&e, 0, "minimum_uid", 0, word, sizeof(word)) ? word : "1",
			  NULL, 10);
	effective_free(&e);
	setpwent();
	while (r == 0 && (p = getpwent()) != NULL)
		if (p->pw_uid != 0 && p->pw_uid >= minimum && p->pw_uid != ACCOUNT_NOBODY)
			r = user_add(o, p->pw_name);
	endpwent();
	return r;
}

/* All users of the server.  CTL_DONE, or the exit status: said. */
static int
users_find(struct order *o)
{
	static char cget[] = "cget", option[] = "-auth", file[] = "file:";
	char *words[] = {cget, o->server, option};
	struct answer a;
	int status = request(o->socket_path, 3, words, &a), r = 0;

	if (status == CTL_DONE) {
		a.text[strcspn(a.text, "\n")] = '\0';
		r = strncmp(a.text, file, strlen(file)) == 0
			? users_of_file(o, a.text + strlen(file))
			: users_of_host(o);
	} else if (status != CTL_UNREACHABLE)
		fprintf(stderr, "pop3ctl: %s", a.text);
	free(a.text);
	return r == -1 ? CTL_FAILED : status;
}

/* ---- the words */

/* "courier --jobs 4 --config /etc/courier --force server user ..."; argv behind "uids".  False: it
 * is none. */
static bool
words_take(struct order *o, int argc, char *argv[])
{
	int i = 1;

	if (argc < 2 || (o->peer = adopt_peer_find(argv[0])) == NULL)
		return false;
	for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++)
		if (strcmp(argv[i], "--force") == 0)
			o->force = true;
		else if (strcmp(argv[i], "--jobs") == 0 && i + 1 < argc)
			o->workers = (unsigned)strtoul(argv[++i], NULL, 10);
		else if (strcmp(argv[i], "--config") == 0 && i + 1 < argc && o->peer->has_folder)
			o->config = argv[++i];
		else
			return false;
	if (i == argc || o->workers < 1 || o->workers > WORKERS_MAX)
		return false;
	o->server = argv[i++];
	for (; i < argc; i++)
		if (user_add(o, argv[i]) == -1)
			return false;
	return true;
}

int
adopt_uids(const char *socket_path, int argc, char *argv[])
{
	struct order o = {.socket_path = socket_path, .workers = WORKERS};
	char text[CTL_TEXT_SIZE];
	int status;

	if (!words_take(&o, argc - 1, argv + 1)) {
		fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
			ctl_synopsis(text, "adopt", "uids"));
		return CTL_USAGE;
	}
	if (o.n == 0 && (status = users_find(&o)) != CTL_DONE)
		return status;
	if (!o.peer->begin(o.config, o.source))
		return CTL_FAILED;
	if (o.n == 0)
		printf("no users\n");
	status = o.n > 0 ? take_all(&o) : CTL_DONE;
	for (size_t i = 0; i < o.n; i++)
		free(o.users[i]);
	free(o.users);
	return status;
}
