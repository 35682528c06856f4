/* Clocks.  Room: any. */
#include "core/apw_clock.h"

#include <stdio.h>
#include <time.h>

static int64_t
clock_us(clockid_t id)
{
	struct timespec	ts;

	clock_gettime(id, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
apw_now_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

int64_t
apw_now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

int64_t
apw_boot_ms(void)
{
	return clock_us(CLOCK_BOOTTIME) / 1000;
}

int64_t
apw_wall_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

char *
apw_iso8601(int64_t wall_ms, char buf[APW_ISO8601_SIZE])
{
	time_t		sec = wall_ms / 1000;
	struct tm	tm;
	char		date[20];

	gmtime_r(&sec, &tm);
	strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(buf, APW_ISO8601_SIZE, "%s.%03uZ", date,
	    (unsigned)(wall_ms % 1000) % 1000);
	return buf;
}
