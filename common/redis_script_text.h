/* redis_script_text.h - texts of the scripts; private to redis_script.c. Their arguments are told
 * above each in redis_script_attempts.c and redis_script_records.c. */
#pragma once

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
