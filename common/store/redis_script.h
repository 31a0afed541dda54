/* redis_script.h - the scripts that run inside Redis, for the store's Redis engine.
 *
 * These fixed texts are all that ever reaches Redis's own Lua, always by digest (EVALSHA) and
 * loaded with SCRIPT LOAD when a server does not have them: no script text is ever built, and
 * nothing of a policy script or of mail is part of one (R12). Values arrive as KEYS and ARGV only.
 *
 * All keys of one call share one hash tag, so that it works on a cluster:
 *   <prefix>{a}...       send attempts: one is in up to five indexes, and in all of them or in none
 *   <prefix>{r:<key>}    one rate limit     <prefix>{s:<user>}  the settings of one user
 *   <prefix>{h}...       holds              <prefix>{f}...      message facts
 * Some scripts compute names of further keys of that tag. They work on Redis 5 and later, which
 * must not evict keys (maxmemory-policy noeviction). The commands and keys that a Redis user of
 * ours needs are in contrib/redis/users.acl. */
#pragma once

enum redis_script_id {
	REDIS_SCRIPT_ATTEMPT_ADD,
	REDIS_SCRIPT_ATTEMPT_COUNT,
	REDIS_SCRIPT_ATTEMPT_PAGE,
	REDIS_SCRIPT_ATTEMPT_TRIM,
	REDIS_SCRIPT_RATE,
	REDIS_SCRIPT_RATE_MERGE,
	REDIS_SCRIPT_HOLD_SET,
	REDIS_SCRIPT_HOLD_GET,
	REDIS_SCRIPT_HOLD_LIST,
	REDIS_SCRIPT_HOLD_RELEASE,
	REDIS_SCRIPT_SETTING_SET,
	REDIS_SCRIPT_FACTS_PUT,
	REDIS_SCRIPT_FACTS_GET,
	REDIS_SCRIPT_FACTS_TRIED,
	REDIS_SCRIPT_FACTS_DELETE,
	REDIS_SCRIPT_FACTS_HOP,
	REDIS_SCRIPTS
};

struct redis_script {
	const char *name, *text;
	char digest[41]; /* SHA-1 in hex, Redis's name for it */
};

/* Thread-safe. */
const struct redis_script *redis_script(enum redis_script_id);
