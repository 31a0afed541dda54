/* maillog_time.h - the time at the beginning of a log line. Pure, but for the time zone. */
#pragma once

#include "common/maillog.h"

/* Take "Nov 21 08:44:11 " or "2026-11-21T08:44:11.123456+01:00 " off. The first form is local time
 * of the year that brings it nearest to now_ms. */
bool maillog_time(struct maillog_text *, int64_t now_ms, int64_t *time_ms);
