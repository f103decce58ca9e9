#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/ctl_words.h"
#include "common/job.h"
#include "daemon/ctl/job.h"
#include "daemon/ctl/request.h"

enum {
	WORDS_MAX = 64,
	BLOCK = 16384,
	GATHER_MAX = 1 << 28 /* octets of a table, which is printed when it is whole */
};

struct talk {
	int fd;		  /* the job's stream */
	int input;	  /* -1: none */
	bool asked, sent; /* the job wants its input; has all of it */
	bool begun;	  /* a line of it is under way */
	char out[JOB_ROOM(BLOCK)];
	size_t out_pos, out_len;
	struct job_reader reader;
	FILE *to;	  /* standard output, or what is gathered */
	FILE *errors;	  /* where lines of what went wrong go, */
	const char *mark; /* and what stands before them */
	size_t gathered;
	bool in_error; /* a line of what went wrong is under way */
};

bool
job_is_one(const char *word)
{
	for (const struct ctl_words *w = ctl_words; w->word != NULL; w++)
		if (w->job != NULL && strcmp(w->word, word) == 0)
			return true;
	return false;
}

/* ---- the stream ---- */

static void
show_error(struct talk *t, enum job_octet what, unsigned char octet)
{
	if (!t->in_error)
		fputs(t->mark, t->errors);
	t->in_error = what == JOB_OCTET_ERROR;
	if (t->in_error)
		job_escape(t->errors, octet);
	else
		putc('\n', t->errors);
}

/* 1: the job has ended; 0: go on; -1: it is no job of ours any more. */
static int
hear_octet(struct talk *t, unsigned char octet)
{
	enum job_octet what = job_read(&t->reader, octet);

	if (what == JOB_OCTET_TEXT)
		job_escape(t->to, octet);
	else if (what == JOB_OCTET_TEXT_END)
		putc('\n', t->to);
	else if (what == JOB_OCTET_ERROR || what == JOB_OCTET_ERROR_END)
		show_error(t, what, octet);
	else if (what == JOB_OCTET_ASK)
		t->asked = true;
	t->gathered += t->to != stdout;
	if (what == JOB_OCTET_BROKEN || t->gathered > GATHER_MAX)
		return -1;
	return what == JOB_OCTET_END;
}

/* As above; -1 also when the stream ends before the job has said how it ended. */
static int
hear(struct talk *t)
{
	char block[BLOCK];
	ssize_t n = recv(t->fd, block, sizeof(block), MSG_DONTWAIT);
	int r = 0;

	if (n == -1 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return 0;
	if (n <= 0)
		return -1;
	for (ssize_t i = 0; i < n && r == 0; i++)
		r = hear_octet(t, (unsigned char)block[i]);
	fflush(stdout);
	return r;
}

/* Read a block of the input.  0 or -1: it cannot be read. */
static int
input_read(struct talk *t)
{
	char block[BLOCK];
	ssize_t n = read(t->input, block, sizeof(block));

	if (n == -1)
		return errno == EINTR || errno == EAGAIN ? 0 : -1;
	t->out_pos = 0;
	t->out_len = n > 0 ? job_input(block, (size_t)n, &t->begun, t->out)
			   : job_input_end(t->begun, t->out);
	t->sent = n == 0;
	return 0;
}

/* What the job does not take any more is lost; it will say why. */
static void
input_send(struct talk *t)
{
	ssize_t n =
	    send(t->fd, t->out + t->out_pos, t->out_len - t->out_pos, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n > 0)
		t->out_pos += (size_t)n;
	else if (n == -1 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		t->out_pos = t->out_len;
		t->sent = true;
	}
}

/* Until the end.  As hear(). */
static int
converse(struct talk *t)
{
	int r = 0;

	while (r == 0) {
		bool waiting = t->out_pos < t->out_len;
		bool wanted = t->asked && !t->sent && !waiting && t->input != -1;
		struct pollfd p[2] = {{t->fd, POLLIN, 0}, {wanted ? t->input : -1, POLLIN, 0}};

		if (waiting)
			p[0].events |= POLLOUT;
		if (poll(p, 2, -1) == -1 && errno != EINTR)
			return -1;
		if ((p[0].revents & POLLOUT) != 0)
			input_send(t);
		if ((p[0].revents & ~POLLOUT) != 0)
			r = hear(t);
		if (p[1].revents != 0 && input_read(t) == -1) {
			fprintf(stderr, "pop3ctl: input: %s\n", strerror(errno));
			return -1;
		}
	}
	return r;
}

static int
talk_run(struct talk *t, const struct ctl_job *j, enum answer_form form)
{
	char *text = NULL;
	size_t len = 0;
	bool gather = form != FORM_TEXT || j->answer == ANSWER_TABLE;
	int r;

	t->to = gather ? open_memstream(&text, &len) : stdout;
	if (t->to == NULL) {
		fprintf(stderr, "pop3ctl: %s\n", strerror(errno));
		return CTL_FAILED;
	}
	r = converse(t);
	if (r == -1)
		fprintf(t->errors, "%s%sthe job was ended before it was done\n",
			t->in_error ? "\n" : "", t->mark);
	if (gather) {
		fclose(t->to);
		if (r == 1 && (t->reader.status == JOB_DONE || (len > 0 && j->anyway)))
			answer_print(text, j->answer, form);
		free(text);
	}
	return r == 1 ? t->reader.status : CTL_FAILED;
}

/* ---- the words ---- */

static int
usage(const char *word, const struct ctl_words *w)
{
	char text[CTL_TEXT_SIZE];

	if (w != NULL)
		fprintf(stderr, "pop3ctl: wrong # args: should be \"pop3ctl %s\"\n",
			ctl_synopsis(text, word, w->second));
	else
		fprintf(stderr, "pop3ctl: bad option: %s must be followed by %s\n", word,
			ctl_choices(text, word));
	return CTL_USAGE;
}

/* The descriptor to read for the job, or -1: it cannot be had (said). */
static int
input_open(const char *path)
{
	int fd;

	if (path == NULL || strcmp(path, "-") == 0)
		return STDIN_FILENO;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1)
		fprintf(stderr, "pop3ctl: %s: %s\n", path, strerror(errno));
	return fd;
}

/* Options that stand before the server; of these --from alone has a value. */
static int
options_len(int argc, char *argv[])
{
	int n = 0;

	while (n < argc && strncmp(argv[n], "--", 2) == 0)
		n += strcmp(argv[n], "--from") == 0 ? 2 : 1;
	return n < argc ? n : argc;
}

int
job_command(const char *socket_path, enum answer_form form, int argc, char *argv[])
{
	static char none[] = "", job[] = "job";
	static struct talk t;
	const struct ctl_words *w = ctl_find(argv[0], argc > 1 ? argv[1] : NULL);
	const struct ctl_job *j = w != NULL ? w->job : NULL;
	int names = w != NULL && w->second != NULL ? 2 : 1, status;
	int options = w != NULL ? options_len(argc - names, argv + names) : 0;
	char **args = argv + names + options + 2, *words[WORDS_MAX];
	int nargs = argc - names - options - 2, n = 0;
	struct answer a;

	if (j == NULL || nargs < 0 || nargs + options + names + 4 > WORDS_MAX)
		return usage(argv[0], w);
	t.fd = t.input = -1;
	t.errors = stderr;
	t.mark = "pop3ctl: ";
	if (j->input != CTL_NO_INPUT &&
	    (t.input = input_open(j->input < nargs ? args[j->input] : NULL)) == -1)
		return CTL_FAILED;
	words[n++] = job;
	words[n++] = argv[names + options];
	words[n++] = argv[names + options + 1];
	words[n++] = j->other && nargs > 0 ? args[0] : none;
	for (int i = 0; i < names; i++)
		words[n++] = argv[i];
	for (int i = 0; i < options; i++)
		words[n++] = argv[names + i];
	for (int i = 0; i < nargs; i++)
		words[n++] = args[i];
	status = request(socket_path, (size_t)n, words, &a);
	if (status == CTL_DONE && a.fd != -1) {
		t.fd = a.fd;
		status = talk_run(&t, j, form);
	} else if (status != CTL_UNREACHABLE) {
		fprintf(stderr, "pop3ctl: %s",
			status == CTL_DONE ? "the daemon sent no stream for the job\n" : a.text);
		status = status == CTL_DONE ? CTL_FAILED : status;
	}
	free(a.text);
	return status;
}

int
job_gather_with(const char *socket_path, size_t n, char *const words[], int input, FILE *to,
		const char *mark)
{
	static struct talk t;
	struct answer a;
	int status = request_quietly(socket_path, n, words, &a);

	if (status == CTL_DONE && a.fd != -1) {
		t = (struct talk){.fd = a.fd, .input = input, .to = to, .errors = to, .mark = mark};
		if (converse(&t) == -1)
			fprintf(to, "%s%sthe job was ended before it was done\n",
				t.in_error ? "\n" : "", mark);
		status = t.reader.status;
		close(a.fd);
	} else
		fprintf(to, "%s%s\n", mark, a.text != NULL ? a.text : strerror(ENOMEM));
	free(a.text);
	return status;
}

int
job_gather(const char *socket_path, size_t n, char *const words[], FILE *to, const char *mark)
{
	return job_gather_with(socket_path, n, words, -1, to, mark);
}
