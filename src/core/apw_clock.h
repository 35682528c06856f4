/* Clocks: monotonic for deadlines, wall time for people. */
#ifndef APW_CLOCK_H
#define APW_CLOCK_H

#include <stddef.h>
#include <stdint.h>

int64_t	apw_now_ms(void);		/* CLOCK_MONOTONIC */
int64_t	apw_now_us(void);		/* CLOCK_MONOTONIC */
int64_t	apw_boot_ms(void);		/* CLOCK_BOOTTIME: suspension counts */
int64_t	apw_wall_ms(void);		/* CLOCK_REALTIME */

#define APW_ISO8601_SIZE 25		/* "2030-01-31T12:00:01.204Z" and NUL */
/* UTC, milliseconds; returns buf. */
char	*apw_iso8601(int64_t wall_ms, char buf[APW_ISO8601_SIZE]);

#endif
