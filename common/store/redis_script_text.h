/* redis_script_text.h - texts of the scripts; private to redis_script*.c. Their arguments are told
 * above each in redis_script_attempts.c, redis_script_rates.c and redis_script_records.c. */
#pragma once

/* clock(now): the time in milliseconds; -1 asks the server's clock, tests bring theirs. */
#define REDIS_SCRIPT_CLOCK                                 \
	"local function clock(now)\n"                      \
	"  now = tonumber(now)\n"                          \
	"  if now >= 0 then return now end\n"              \
	"  local t = redis.call('TIME')\n"                 \
	"  return t[1] * 1000 + math.floor(t[2] / 1000)\n" \
	"end\n"

/* While a cluster moves the slot of some keys, part of them are elsewhere. Keys that a caller can
 * know are declared, so that Redis says TRYAGAIN; a script that misses another one says so itself:
 * never is a part taken for the whole. */
#define REDIS_SCRIPT_TRY_AGAIN "redis.error_reply('TRYAGAIN some keys of this slot are elsewhere')"

extern const char redis_script_attempt_add[];
extern const char redis_script_attempt_count[];
extern const char redis_script_attempt_page[];
extern const char redis_script_attempt_trim[];
extern const char redis_script_rate[];
extern const char redis_script_rate_merge[];
extern const char redis_script_hold_set[];
extern const char redis_script_hold_get[];
extern const char redis_script_hold_list[];
extern const char redis_script_hold_release[];
extern const char redis_script_setting_set[];
extern const char redis_script_facts_put[];
extern const char redis_script_facts_get[];
extern const char redis_script_facts_tried[];
extern const char redis_script_facts_delete[];
extern const char redis_script_facts_hop[];
