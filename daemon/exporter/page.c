#include "config.h"

#include "daemon/exporter/page.h"

#include <stdbool.h>
#include <string.h>
#include <time.h>

#include "common/count.h"
#include "daemon/exporter/history.h"
#include "daemon/exporter/scrape.h"

enum { DAY = 86400, WARN_DAYS = 14 };

static const char head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
    "<meta http-equiv=\"refresh\" content=\"60\"><title>pop3d</title>\n<style>\n"
    ":root{color-scheme:light dark;--back:#fff;--text:#1b1f24;--soft:#5a6472;--line:#d5dae0;"
    "--bar:#1f6feb;--warn:#9a3412;--warnback:#fff1e6}\n"
    "@media(prefers-color-scheme:dark){:root{--back:#14171b;--text:#e6e9ed;--soft:#9aa4b1;"
    "--line:#333a43;--bar:#6ea8fe;--warn:#ffb38a;--warnback:#3a2114}}\n"
    "body{margin:0 auto;padding:1rem;max-width:60rem;background:var(--back);color:var(--text);"
    "font:16px/1.4 system-ui,sans-serif}\n"
    "h1{font-size:1.4rem;margin:0 0 .5rem}h2{font-size:1.05rem;margin:1.5rem 0 .5rem}\n"
    ".grid{display:grid;gap:.75rem;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr))}\n"
    ".plots{grid-template-columns:repeat(auto-fit,minmax(min(100%,22rem),1fr))}\n"
    ".box{border:1px solid var(--line);border-radius:.5rem;padding:.6rem .8rem}\n"
    ".box b{display:block;font-size:1.5rem}.soft,.box span{color:var(--soft);font-size:.85rem}\n"
    "svg{display:block;width:100%;height:5rem;margin-top:.4rem}rect{fill:var(--bar)}"
    "rect.none{fill:var(--line)}\n"
    ".warn{color:var(--warn);background:var(--warnback);border-radius:.5rem;padding:.5rem .8rem;"
    "margin:.4rem 0}\n"
    "table{border-collapse:collapse;width:100%}td,th{text-align:left;padding:.3rem .6rem .3rem 0;"
    "border-bottom:1px solid var(--line);overflow-wrap:anywhere;vertical-align:top}\n"
    "</style></head><body>\n";

static void
escaped(FILE *out, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (strchr("<>&\"'", text[i]) != NULL)
			fprintf(out, "&#%d;", text[i]);
		else
			putc(text[i], out);
}

/* A number as people read it: 12.3 k, 4.56 M. */
static const char *
amount(char dst[32], double n)
{
	static const char *const units[] = {"", " k", " M", " G", " T", " P"};
	size_t u = 0;

	for (; n >= 1000 && u + 1 < COUNT_OF(units); u++)
		n /= 1000;
	(void)snprintf(dst, 32, u == 0 ? "%.0f%s" : "%.3g%s", n, units[u]);
	return dst;
}

/* ---- now ---- */

static void
now_write(FILE *out, const char *text)
{
	static const struct {
		const char *title, *name, *with;
	} boxes[] = {
	    {"sessions", "pop3d_connections", "state=\"session\""},
	    {"before login", "pop3d_connections", "state=\"login\""},
	    {"waiting for a session", "pop3d_connections", "state=\"granted\""},
	    {"workers", "pop3d_workers", NULL},
	    {"logins since the start", "pop3d_logins_total", "result=\"ok\""},
	    {"messages retrieved", "pop3d_messages_retrieved_total", NULL},
	    {"messages deleted", "pop3d_messages_deleted_total", NULL},
	    {"clients refused", "pop3d_connections_refused_total", NULL},
	};
	char n[32];

	fputs("<h2>Now</h2><div class=\"grid\">\n", out);
	for (size_t i = 0; i < COUNT_OF(boxes); i++)
		fprintf(out, "<div class=\"box\"><b>%s</b><span>%s</span></div>\n",
			amount(n, scrape_sum(text, boxes[i].name, boxes[i].with)), boxes[i].title);
	fputs("</div>\n", out);
}

/* ---- the last hour ---- */

/* A bar a minute, the newest at the right; grey where nothing is known. */
static void
plot_write(FILE *out, const char *title, enum history_value v)
{
	double rates[HISTORY_MINUTES], most = 0, sum = 0;
	size_t n = history_rates(v, rates);
	char a[32], b[32];

	for (size_t i = 0; i < n; i++) {
		most = rates[i] > most ? rates[i] : most;
		sum += rates[i] > 0 ? rates[i] : 0;
	}
	fprintf(out,
		"<div class=\"box\"><strong>%s</strong> <span>%s in all, at most %s a minute</span>"
		"<svg viewBox=\"0 0 600 100\" preserveAspectRatio=\"none\" role=\"img\" "
		"aria-label=\"%s, a bar a minute\">",
		title, amount(a, sum), amount(b, most), title);
	for (size_t i = 0; i < HISTORY_MINUTES; i++) {
		size_t missing = HISTORY_MINUTES - n;
		double rate = i < missing ? -1 : rates[i - missing];
		double height = rate > 0 ? 2 + 98 * rate / most : 2;

		fprintf(out, "<rect%s x=\"%zu\" y=\"%.1f\" width=\"8\" height=\"%.1f\"/>",
			rate < 0 ? " class=\"none\"" : "", i * 10 + 1, 100 - height, height);
	}
	fputs("</svg></div>\n", out);
}

static void
hour_write(FILE *out)
{
	static const char *const titles[HISTORY_VALUES] = {[HISTORY_LOGINS] = "Logins",
							   [HISTORY_FAILED] = "Wrong passwords",
							   [HISTORY_RETRIEVED] =
							       "Messages retrieved",
							   [HISTORY_OCTETS] = "Octets retrieved"};

	fputs("<h2>The last hour</h2><div class=\"grid plots\">\n", out);
	for (enum history_value v = 0; v < HISTORY_VALUES; v++)
		plot_write(out, titles[v], v);
	fputs("</div>\n", out);
}

/* ---- certificates ---- */

static double
days_left(double expires)
{
	return (expires - (double)time(NULL)) / DAY;
}

/* The values of its labels, the server and the file. */
static void
certificate_name(FILE *out, const char *labels, size_t len)
{
	bool inside = false, begun = false;

	for (size_t i = 0; i < len; i++) {
		if (labels[i] == '"') {
			inside = !inside;
			if (inside && begun)
				fputs(": ", out);
			begun = true;
		} else if (inside) {
			i += labels[i] == '\\' && i + 1 < len;
			escaped(out, labels + i, 1);
		}
	}
}

static void
certificate_write(void *arg, const char *labels, size_t len, double value)
{
	FILE *out = arg;

	fputs("<tr><td>", out);
	certificate_name(out, labels, len);
	fprintf(out, "</td><td>%.0f days</td></tr>\n", days_left(value));
}

static void
certificates_write(FILE *out, const char *text)
{
	fputs("<h2>Certificates</h2><table><tr><th>Certificate</th><th>Valid for</th></tr>\n", out);
	scrape_each(text, "pop3d_certificate_not_after_timestamp_seconds", certificate_write, out);
	fputs("</table>\n", out);
}

/* ---- warnings ---- */

static void
warn(FILE *out, const char *what)
{
	fprintf(out, "<p class=\"warn\">%s</p>\n", what);
}

static void
certificate_warn(void *arg, const char *labels, size_t len, double value)
{
	FILE *out = arg;
	double days = days_left(value);

	if (days >= WARN_DAYS)
		return;
	fputs("<p class=\"warn\">", out);
	if (days < 0)
		fputs("A certificate has expired: ", out);
	else
		fprintf(out, "A certificate expires in %.0f days: ", days);
	certificate_name(out, labels, len);
	fputs("</p>\n", out);
}

static void
warnings_write(FILE *out, const char *text)
{
	static const struct {
		const char *name, *what;
	} counts[] = {
	    {"pop3d_session_crashes_total", "Sessions have crashed: see session-crash in the log."},
	    {"pop3d_processes_lost_total", "Processes were lost and started again: see the log."},
	    {"pop3d_log_lines_lost_total", "Lines did not reach the log."},
	};
	double all = scrape_sum(text, "pop3d_connections", NULL);
	double most = scrape_sum(text, "pop3d_connections_limit", NULL);

	scrape_each(text, "pop3d_certificate_not_after_timestamp_seconds", certificate_warn, out);
	if (most > 0 && all > 0.9 * most)
		warn(out, "Nearly as many connections as max_connections allows.");
	for (size_t i = 0; i < COUNT_OF(counts); i++)
		if (scrape_sum(text, counts[i].name, NULL) > 0)
			warn(out, counts[i].what);
}

void
page_write(FILE *out, const char *text, const char *why)
{
	char when[64] = "";
	time_t now = time(NULL);
	struct tm tm;

	if (gmtime_r(&now, &tm) != NULL)
		(void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	fputs(head, out);
	fprintf(out, "<h1>pop3d</h1><p class=\"soft\">%s, renewed each minute</p>\n", when);
	if (text == NULL) {
		fputs("<p class=\"warn\">The daemon does not answer: ", out);
		escaped(out, why, strlen(why));
		fputs("</p>\n", out);
	} else {
		warnings_write(out, text);
		now_write(out, text);
	}
	hour_write(out);
	if (text != NULL)
		certificates_write(out, text);
	fputs("</body></html>\n", out);
}
