/* Log lines that go to another process: see log.h. */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"

static struct {
	struct channel *channel;
	unsigned long lost; /* lines that the full channel did not take */
} out;

static int
line_put(const struct msg_log *line)
{
	return channel_put(out.channel, MSG_LOG, line,
			   offsetof(struct msg_log, text) + strlen(line->text) + 1);
}

static void
line_write(struct msg_log *line, int prio, conn_id id, const char *text)
{
	memset(line, 0, offsetof(struct msg_log, text));
	line->prio = (uint32_t)(prio & LOG_PRIMASK);
	line->id = id;
	(void)snprintf(line->text, sizeof(line->text), "%s", text);
}

static void
line_send(const struct msg_log *line)
{
	if (out.lost > 0) {
		struct msg_log lost;
		char text[64];

		(void)snprintf(text, sizeof(text), "lost %lu log lines: channel full", out.lost);
		line_write(&lost, LOG_WARNING, 0, text);
		if (line_put(&lost) == 0)
			out.lost = 0;
	}
	/* Half of the queue is kept for what must not get lost. */
	if (out.channel->queued > out.channel->queue_max / 2 || line_put(line) < 0)
		out.lost++;
}

static void
channel_line(int prio, conn_id id, const char *text)
{
	struct msg_log line;

	line_write(&line, prio, id, text);
	line_send(&line);
}

static bool
channel_is_ready(void)
{
	return true;
}

static int
channel_wait_fd(void)
{
	return -1;
}

static const struct log_sink sink = {channel_line, channel_is_ready, channel_wait_fd,
				     channel_is_ready};

void
log_to_channel(struct channel *c)
{
	out.channel = c;
	out.lost = 0;
	log_to(&sink);
}

void
log_forward(enum role role, long pid, struct msg_log *line)
{
	line->role = role;
	line->pid = (int32_t)pid;
	line_send(line);
}
