/* redis_script_attempts.c - the scripts for send attempts; see redis_script.h.
 *
 * An attempt is a hash <base>e:<event>. For each of its keys ("all:", "server:mx1.example.com" ...)
 * and its reply code it is a member, scored by its time, of a sorted set <base>z:<code>:<key>,
 * which counts a window in O(log n); the set <base>c:<key> holds the codes that a key has. All of
 * it also expires by itself, a day after it must, should nothing be recorded any more to push it
 * out. */
#include "common/store/redis_script_text.h"

/* The lines below are those of another language. */
/* clang-format off */

#define CLOCK REDIS_SCRIPT_CLOCK
#define TRY_AGAIN REDIS_SCRIPT_TRY_AGAIN

/* Lua 5.1 compares strings by the locale that Redis runs in, not by their bytes. */
#define LESS                                                      \
	"local function less(a, b)\n"                             \
	"  for i = 1, math.min(#a, #b) do\n"                      \
	"    local x, y = string.byte(a, i), string.byte(b, i)\n" \
	"    if x ~= y then return x < y end\n"                   \
	"  end\n"                                                 \
	"  return #a < #b\n"                                      \
	"end\n"

/* remove(base, code, event): an attempt and its place in every index. */
#define REMOVE                                                        \
	"local names = {'server', 'address', 'domain', 'provider'}\n" \
	"local function unindex(base, key, code, event)\n"            \
	"  local z = base .. 'z:' .. code .. ':' .. key\n"            \
	"  redis.call('ZREM', z, event)\n"                            \
	"  if redis.call('EXISTS', z) == 0 then\n"                    \
	"    redis.call('SREM', base .. 'c:' .. key, code)\n"         \
	"  end\n"                                                     \
	"end\n"                                                       \
	"local function remove(base, code, event)\n"                  \
	"  local row = base .. 'e:' .. event\n"                       \
	"  local keys = redis.call('HMGET', row, unpack(names))\n"    \
	"  for i, name in ipairs(names) do\n"                         \
	"    if keys[i] and keys[i] ~= '' then\n"                     \
	"      unindex(base, name .. ':' .. keys[i], code, event)\n"  \
	"    end\n"                                                   \
	"  end\n"                                                     \
	"  unindex(base, 'all:', code, event)\n"                      \
	"  redis.call('DEL', row)\n"                                  \
	"end\n"

/* trim(base, before, most, budget): remove attempts older than `before`, then the oldest while
 * there are more than `most`; no more than `budget` in all. Returns how many. */
#define TRIM                                                                                \
	LESS REMOVE                                                                         \
	    "local function head(base, code)\n"                                             \
	    "  local z = base .. 'z:' .. code .. ':all:'\n"                                 \
	    "  local first = redis.call('ZRANGE', z, 0, 0, 'WITHSCORES')\n"                 \
	    "  if first[1] then return {event = first[1], time = tonumber(first[2])} end\n" \
	    "end\n"                                                                         \
	    "local function older(a, b)\n"                                                  \
	    "  return a.time < b.time or a.time == b.time and less(a.event, b.event)\n"     \
	    "end\n"                                                                         \
	    "local function trim(base, before, most, budget)\n"                             \
	    "  local heads, total, removed = {}, 0, 0\n"                                    \
	    "  for _, code in ipairs(redis.call('SMEMBERS', base .. 'c:all:')) do\n"        \
	    "    heads[code] = head(base, code)\n"                                          \
	    "    total = total + redis.call('ZCARD', base .. 'z:' .. code .. ':all:')\n"    \
	    "  end\n"                                                                       \
	    "  while removed < budget do\n"                                                 \
	    "    local oldest\n"                                                            \
	    "    for code, h in pairs(heads) do\n"                                          \
	    "      if not oldest or older(h, heads[oldest]) then oldest = code end\n"       \
	    "    end\n"                                                                     \
	    "    if not oldest then break end\n"                                            \
	    "    if heads[oldest].time >= before and total <= most then break end\n"        \
	    "    remove(base, oldest, heads[oldest].event)\n"                               \
	    "    heads[oldest] = head(base, oldest)\n"                                      \
	    "    total, removed = total - 1, removed + 1\n"                                 \
	    "  end\n"                                                                       \
	    "  return removed\n"                                                            \
	    "end\n"

/* KEYS: the attempt, then the index and the codes of each of its keys. ARGV: base, event, now,
 * time, code, keep ms, keep count, budget, then field and value pairs. Returns 1 if recorded now.
 */
const char redis_script_attempt_add[] = CLOCK TRIM
    "local base, event, now, time = ARGV[1], ARGV[2], clock(ARGV[3]), tonumber(ARGV[4])\n"
    "local code, keep, most, budget = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7]),"
    " tonumber(ARGV[8])\n"
    "if time < now - keep or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
    "local life = keep + 86400000\n"
    "redis.call('HSET', KEYS[1], unpack(ARGV, 9))\n"
    "redis.call('PEXPIRE', KEYS[1], life)\n"
    "for i = 2, #KEYS, 2 do\n"
    "  redis.call('ZADD', KEYS[i], time, event)\n"
    "  redis.call('SADD', KEYS[i + 1], code)\n"
    "  redis.call('PEXPIRE', KEYS[i], life)\n"
    "  redis.call('PEXPIRE', KEYS[i + 1], life)\n"
    "end\n"
    "trim(base, now - keep, most, budget)\n"
    "return 1\n";

/* KEYS: <base>c:all:. ARGV: base, now, keep ms, keep count, budget. Returns how many
 * were removed. */
const char redis_script_attempt_trim[] = CLOCK TRIM
    "return trim(ARGV[1], clock(ARGV[2]) - tonumber(ARGV[3]), tonumber(ARGV[4]),"
    " tonumber(ARGV[5]))\n";

/* Does a code begin with what is wanted? */
#define WANTED "string.sub(code, 1, #ARGV[3]) == ARGV[3]"

/* KEYS: <base>c:<key>. ARGV: base, key, beginning of the code, since, before ("(n" or "+inf"), text
 * to compare or "", most to compare. Returns the number, or -1: too many to compare. */
const char redis_script_attempt_count[] =
    "local base, key, since, before, text = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]\n"
    "local count = 0\n"
    "for _, code in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n"
    "  local z = base .. 'z:' .. code .. ':' .. key\n"
    "  if " WANTED " then\n"
    "    local n = redis.call('ZCOUNT', z, since, before)\n"
    "    if n == 0 and redis.call('EXISTS', z) == 0 then return " TRY_AGAIN " end\n"
    "    if text ~= '' and n > tonumber(ARGV[7]) then return -1 end\n"
    "    if text == '' then\n"
    "      count = count + n\n"
    "    elseif n > 0 then\n"
    "      for _, event in ipairs(redis.call('ZRANGEBYSCORE', z, since, before)) do\n"
    "        local result = redis.call('HGET', base .. 'e:' .. event, 'result')\n"
    "        if not result then return " TRY_AGAIN " end\n"
    "        if string.sub(result, 1, #text) == text then count = count + 1 end\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return count\n";

/* KEYS: <base>c:<key>. ARGV: base, key, beginning of the code, since, before, text to compare or
 * "", most, cursor time ("" = none), cursor event. Newest first. Returns {time, event} of the last
 * attempt looked at, or {} at the end, followed by {event, {field, value ...}} for each. */
const char redis_script_attempt_page[] = LESS
    "local base, key, since, before, text = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]\n"
    "local most, time, event = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]\n"
    "local found = {}\n"
    "for _, code in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n"
    "  if " WANTED " then\n"
    "    local z, limit, from = base .. 'z:' .. code .. ':' .. key, most + 1, before\n"
    "    if time then\n" /* what the cursor has passed comes again at its very time */
    "      from = ARGV[8]\n"
    "      limit = limit + redis.call('ZCOUNT', z, from, from)\n"
    "    end\n"
    "    local got = redis.call('ZREVRANGEBYSCORE', z, from, since, 'WITHSCORES', 'LIMIT', 0,"
    " limit)\n"
    "    if #got == 0 and redis.call('EXISTS', z) == 0 then return " TRY_AGAIN " end\n"
    "    for i = 1, #got, 2 do\n"
    "      local t = tonumber(got[i + 1])\n"
    "      if not time or t < time or less(got[i], event) then\n"
    "        found[#found + 1] = {t, got[i]}\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "table.sort(found, function(a, b)\n"
    "  if a[1] ~= b[1] then return a[1] > b[1] end\n"
    "  return less(b[2], a[2])\n"
    "end)\n"
    "local reply = {{}}\n"
    "for i = 1, math.min(#found, most) do\n"
    "  local row = redis.call('HGETALL', base .. 'e:' .. found[i][2])\n"
    "  if #row == 0 then return " TRY_AGAIN " end\n"
    "  local result = ''\n"
    "  for k = 1, #row, 2 do if row[k] == 'result' then result = row[k + 1] end end\n"
    "  if text == '' or string.sub(result, 1, #text) == text then\n"
    "    reply[#reply + 1] = {found[i][2], row}\n"
    "  end\n"
    "end\n"
    "if #found > most then\n"
    "  reply[1] = {string.format('%.0f', found[most][1]), found[most][2]}\n"
    "end\n"
    "return reply\n";
