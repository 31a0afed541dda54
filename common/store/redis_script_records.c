/* redis_script_records.c - the scripts for holds, settings and message facts; see redis_script.h.
 *
 * Holds: a hash <base>v:<key> each, and their ends in the sorted set <base>i.
 * Settings: one hash per user.
 * Message facts: a hash <base>m:<id>, lists <base>r:<id> of recipients and <base>h:<id> of next
 * hops; for each next hop a sorted set <base>n:<hop> of ids, scored by when their facts expire.
 *
 * "now" is the client's clock. All of it also expires by Redis's, a day after it must. A script
 * that writes begins with a command that Redis refuses when it is out of memory: after any other
 * write it would refuse none. */
#include "common/store/redis_script_text.h"

/* The lines below are those of another language. */
/* clang-format off */

#define TRY_AGAIN REDIS_SCRIPT_TRY_AGAIN

/* KEYS: <base>i, <base>v:<key>. ARGV: key, now, until, set, who, reason. */
const char redis_script_hold_set[] =
    "local key, now, until_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])\n"
    "if until_ms <= now then\n"
    "  redis.call('DEL', KEYS[2])\n"
    "  redis.call('ZREM', KEYS[1], key)\n"
    "  return 0\n"
    "end\n"
    "redis.call('HSET', KEYS[2], 'until', ARGV[3], 'set', ARGV[4], 'who', ARGV[5],"
    " 'reason', ARGV[6])\n"
    "redis.call('PEXPIRE', KEYS[2], until_ms - now + 86400000)\n"
    "redis.call('ZADD', KEYS[1], until_ms, key)\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)\n"
    "return 1\n";

/* KEYS: <base>v:<key>. ARGV: now. Returns {until, set, who, reason} or nil. */
const char redis_script_hold_get[] =
    "local h = redis.call('HMGET', KEYS[1], 'until', 'set', 'who', 'reason')\n"
    "if not h[1] or tonumber(h[1]) <= tonumber(ARGV[1]) then return false end\n"
    "return h\n";

/* KEYS: <base>i. ARGV: base, now, most. Returns {key, until, set, who, reason} of each. */
const char redis_script_hold_list[] =
    "local reply = {}\n"
    "local keys = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. ARGV[2], '+inf', 'LIMIT', 0,"
    " ARGV[3])\n"
    "for _, key in ipairs(keys) do\n"
    "  local h = redis.call('HMGET', ARGV[1] .. 'v:' .. key, 'until', 'set', 'who', 'reason')\n"
    "  if not h[1] then return " TRY_AGAIN " end\n"
    "  reply[#reply + 1] = {key, h[1], h[2], h[3], h[4]}\n"
    "end\n"
    "return reply\n";

/* KEYS: <base>i, <base>v:<key>. ARGV: key, now. Returns 1 if there was one. */
const char redis_script_hold_release[] =
    "local ends = redis.call('HGET', KEYS[2], 'until')\n"
    "redis.call('DEL', KEYS[2])\n"
    "redis.call('ZREM', KEYS[1], ARGV[1])\n"
    "return ends and tonumber(ends) > tonumber(ARGV[2]) and 1 or 0\n";

/* KEYS: the user's settings. ARGV: name, value, most names. Returns 1, or 0: no room. */
const char redis_script_setting_set[] =
    "if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 and\n"
    "  redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return 0 end\n"
    "redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])\n"
    "return 1\n";

/* renew(base, id, now, keep): let everything about a message live on. */
#define RENEW                                                                          \
	"local function renew(base, id, now, keep)\n"                                  \
	"  redis.call('HSET', base .. 'm:' .. id, 'expires', now + keep)\n"            \
	"  local life = keep + 86400000\n"                                             \
	"  for _, kind in ipairs({'m:', 'r:', 'h:'}) do\n"                             \
	"    redis.call('PEXPIRE', base .. kind .. id, life)\n"                        \
	"  end\n"                                                                      \
	"  for _, hop in ipairs(redis.call('LRANGE', base .. 'h:' .. id, 0, -1)) do\n" \
	"    local n = base .. 'n:' .. hop\n"                                          \
	"    redis.call('ZADD', n, now + keep, id)\n"                                  \
	"    redis.call('ZREMRANGEBYSCORE', n, '-inf', '(' .. now)\n"                  \
	"    redis.call('PEXPIRE', n, life)\n"                                         \
	"  end\n"                                                                      \
	"end\n"

/* known(base, id, now): are there facts that have not expired? Expired ones are removed. */
#define KNOWN                                                                               \
	"local function forget(base, id)\n"                                                 \
	"  for _, hop in ipairs(redis.call('LRANGE', base .. 'h:' .. id, 0, -1)) do\n"      \
	"    redis.call('ZREM', base .. 'n:' .. hop, id)\n"                                 \
	"  end\n"                                                                           \
	"  redis.call('DEL', base .. 'm:' .. id, base .. 'r:' .. id, base .. 'h:' .. id)\n" \
	"end\n"                                                                             \
	"local function known(base, id, now)\n"                                             \
	"  local expires = redis.call('HGET', base .. 'm:' .. id, 'expires')\n"             \
	"  if expires and tonumber(expires) >= now then return true end\n"                  \
	"  if expires then forget(base, id) end\n"                                          \
	"  return false\n"                                                                  \
	"end\n"

/* KEYS: <base>m:<id>, <base>r:<id>, <base>h:<id>. ARGV: base, id, now, keep ms, number of field and
 * value pairs, these, recipients to set or -1, these, next hops to set or -1, these. */
const char redis_script_facts_put[] = KNOWN RENEW
    "local base, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
    "known(base, id, now)\n"
    "local at = 6\n"
    "for _ = 1, tonumber(ARGV[5]) do\n"
    "  redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])\n"
    "  at = at + 2\n"
    "end\n"
    "for _, kind in ipairs({'r:', 'h:'}) do\n"
    "  local n = tonumber(ARGV[at])\n"
    "  at = at + 1\n"
    "  if n >= 0 then\n"
    "    if kind == 'h:' then\n"
    "      for _, hop in ipairs(redis.call('LRANGE', base .. kind .. id, 0, -1)) do\n"
    "        redis.call('ZREM', base .. 'n:' .. hop, id)\n"
    "      end\n"
    "    end\n"
    "    redis.call('DEL', base .. kind .. id)\n"
    "    if n > 0 then\n"
    "      redis.call('RPUSH', base .. kind .. id, unpack(ARGV, at, at + n - 1))\n"
    "    end\n"
    "    at = at + n\n"
    "  end\n"
    "end\n"
    "renew(base, id, now, tonumber(ARGV[4]))\n"
    "return 1\n";

/* KEYS as above. ARGV: base, id, now. Returns {sender, size, arrival, retries, last try,
 * {recipients}, {next hops}} or nil. */
const char redis_script_facts_get[] =
    "local base, id = ARGV[1], ARGV[2]\n"
    "local f = redis.call('HMGET', KEYS[1], 'sender', 'size', 'arrival', 'retries', 'last_try',"
    " 'expires')\n"
    "if not f[6] or tonumber(f[6]) < tonumber(ARGV[3]) then return false end\n"
    "return {f[1] or '', f[2] or '0', f[3] or '0', f[4] or '0', f[5] or '0',"
    " redis.call('LRANGE', base .. 'r:' .. id, 0, -1),"
    " redis.call('LRANGE', base .. 'h:' .. id, 0, -1)}\n";

/* KEYS as above. ARGV: base, id, now, keep ms, time of the try. Returns 1 if known. */
const char redis_script_facts_tried[] = KNOWN RENEW
    "local base, id, now = ARGV[1], ARGV[2], tonumber(ARGV[3])\n"
    "if not known(base, id, now) then return 0 end\n"
    "local last = redis.call('HGET', KEYS[1], 'last_try')\n"
    "if tonumber(ARGV[5]) > tonumber(last or '0') then\n"
    "  redis.call('HINCRBY', KEYS[1], 'retries', 1)\n"
    "  redis.call('HSET', KEYS[1], 'last_try', ARGV[5])\n"
    "end\n"
    "renew(base, id, now, tonumber(ARGV[4]))\n"
    "return 1\n";

/* KEYS as above. ARGV: base, id, now. Returns 1 if there were any. */
const char redis_script_facts_delete[] = KNOWN
    "local was = known(ARGV[1], ARGV[2], tonumber(ARGV[3]))\n"
    "forget(ARGV[1], ARGV[2])\n"
    "return was and 1 or 0\n";

/* KEYS: <base>n:<hop>. ARGV: base, now, most. Returns {messages, most retries, largest size}. */
const char redis_script_facts_hop[] =
    "local ids = redis.call('ZREVRANGEBYSCORE', KEYS[1], '+inf', ARGV[2], 'LIMIT', 0, ARGV[3])\n"
    "local retries, size = 0, 0\n"
    "for _, id in ipairs(ids) do\n"
    "  local f = redis.call('HMGET', ARGV[1] .. 'm:' .. id, 'retries', 'size', 'expires')\n"
    "  if not f[3] then return " TRY_AGAIN " end\n"
    "  retries = math.max(retries, tonumber(f[1] or '0'))\n"
    "  size = math.max(size, tonumber(f[2] or '0'))\n"
    "end\n"
    "return {#ids, retries, size}\n";
