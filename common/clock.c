#include "config.h"

#include <string.h>
#include <time.h>

#include "common/clock.h"

uint64_t
clock_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

struct timeval
clock_timeval(uint64_t ms)
{
	return (struct timeval){(time_t)(ms / 1000), (suseconds_t)(ms % 1000 * 1000)};
}

const char *
clock_utc(char dst[CLOCK_UTC_SIZE], int64_t t)
{
	time_t when = (time_t)t;
	struct tm tm;

	if (t < 0 || gmtime_r(&when, &tm) == NULL ||
	    strftime(dst, CLOCK_UTC_SIZE, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		memcpy(dst, "unknown", sizeof("unknown"));
	return dst;
}
