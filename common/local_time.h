/* local_time.h - a moment as people read it: "2026-11-21 22:45:00", local time. Thread-safe. */
#pragma once

#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define LOCAL_TIME_BYTES 40

/* ms: since 1970. "?" when it is no date. */
static inline void local_time_text(char out[static LOCAL_TIME_BYTES], int64_t ms)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL ||
	    strftime(out, LOCAL_TIME_BYTES, "%Y-%m-%d %H:%M:%S", &tm) == 0)
		snprintf(out, LOCAL_TIME_BYTES, "?");
}
