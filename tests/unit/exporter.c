#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/exporter/history.h"
#include "daemon/exporter/http.h"
#include "daemon/exporter/page.h"
#include "daemon/exporter/scrape.h"
#include "tests/unit/unit.h"

static int
judged(const char *text, struct http_request *r, bool *head)
{
	static const struct http http = {.hosts = {"localhost", "[::1]", "mail.example"}};
	static char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	return http_judge(&http, copy, r, head);
}

static void
test_requests(void)
{
	static const struct {
		int status;
		const char *text;
	} table[] = {
	    {200, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	    {200, "GET / HTTP/1.0\r\nhost:LOCALHOST:19110\r\n\r\n"},
	    {200, "HEAD /metrics?x=1 HTTP/1.1\r\nAccept: */*\r\nHost: [::1]:19110 \r\n\r\n"},
	    {200, "GET / HTTP/1.1\r\nHost: mail.example\r\n\r\n"},
	    {403, "GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"},
	    {403, "GET / HTTP/1.1\r\nHost: localhost.evil.example\r\n\r\n"},
	    {403, "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n"},
	    {403, "GET / HTTP/1.1\r\nHost:\r\n\r\n"},
	    {403, "POST / HTTP/1.1\r\nHost: evil.example\r\n\r\n"},
	    {405, "POST / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	    {405, "get / HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\nHost : localhost\r\n\r\n"},
	    {400, "GET / HTTP/1.1\r\nHost: localhost\r\n folded\r\n\r\n"},
	    {400, "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n"},
	    {400, "GET /\r\n\r\n"},
	    {400, "\r\n\r\n"},
	    {505, "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n"},
	};
	struct http_request r;
	bool head;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		CU_ASSERT_EQUAL(judged(table[i].text, &r, &head), table[i].status);
	judged(table[2].text, &r, &head);
	CU_ASSERT(head);
	CU_ASSERT_STRING_EQUAL(r.path, "/metrics");
	CU_ASSERT(!r.openmetrics);
	judged("GET / HTTP/1.1\r\nAccept: application/openmetrics-text;version=1.0.0,*/*;q=0.1\r\n"
	       "Host: localhost\r\n\r\n",
	       &r, &head);
	CU_ASSERT(r.openmetrics);
}

static const char text[] = "# HELP a_total Help of a_total.\n# TYPE a_total counter\n"
			   "a_total{x=\"1\"} 3\na_total{x=\"2\"} 4\n# HELP b B.\n# TYPE b gauge\n"
			   "b 5\nbb 6\nb{p=\"}\\\"\"} 7\n";

static void
test_sums(void)
{
	CU_ASSERT_EQUAL(scrape_sum(text, "a_total", NULL), 7);
	CU_ASSERT_EQUAL(scrape_sum(text, "a_total", "x=\"2\""), 4);
	CU_ASSERT_EQUAL(scrape_sum(text, "b", NULL), 12);
	CU_ASSERT_EQUAL(scrape_sum(text, "b", "p=\"}"), 7);
	CU_ASSERT_EQUAL(scrape_sum(text, "none", NULL), 0);
}

static void
test_openmetrics(void)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (f == NULL)
		abort();
	scrape_openmetrics(text, f);
	fclose(f);
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "# HELP a Help of a_total.\n# TYPE a counter\n"
					   "a_total{x=\"1\"} 3\n"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "# HELP b B.\n# TYPE b gauge\nb 5\n"));
	CU_ASSERT_STRING_EQUAL(out + len - 6, "# EOF\n");
	free(out);
}

/* An hour goes round; what is not known stays so; a daemon that is new begins at 0. */
static void
test_history(void)
{
	static const int counts[] = {10, 12, 12, -1, 20, 5};
	static const double wanted[] = {2, 0, -1, -1, 5};
	double rates[HISTORY_MINUTES];
	char line[64];

	CU_ASSERT_EQUAL(history_rates(HISTORY_RETRIEVED, rates), 0);
	for (size_t i = 0; i < 70; i++)
		history_add("");
	CU_ASSERT_EQUAL(history_rates(HISTORY_RETRIEVED, rates), HISTORY_MINUTES);
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		snprintf(line, sizeof(line), "pop3d_messages_retrieved_total %d\n", counts[i]);
		history_add(counts[i] < 0 ? NULL : line);
	}
	CU_ASSERT_EQUAL(history_rates(HISTORY_RETRIEVED, rates), HISTORY_MINUTES);
	for (size_t i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(rates[HISTORY_MINUTES - 5 + i], wanted[i]);
}

static void
test_page_escapes(void)
{
	char *out = NULL;
	size_t len;
	FILE *f = open_memstream(&out, &len);

	if (f == NULL)
		abort();
	page_write(f,
		   "pop3d_certificate_not_after_timestamp_seconds{server=\"<b>\","
		   "certificate=\"/x\"} 1\n",
		   "");
	fclose(f);
	CU_ASSERT_PTR_NULL(strstr(out, "<b>\""));
	CU_ASSERT_PTR_NULL(strstr(out, "<script"));
	CU_ASSERT_PTR_NOT_NULL(strstr(out, "A certificate has expired: &#60;b&#62;: /x</p>"));
	free(out);
}

int
main(void)
{
	static const struct unit_test tests[] = {
	    {"requests", test_requests},       {"sums", test_sums},
	    {"OpenMetrics", test_openmetrics}, {"the last hour", test_history},
	    {"the page", test_page_escapes},   {NULL, NULL}};

	return unit_run("exporter", tests);
}
