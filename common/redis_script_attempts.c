/* redis_script_attempts.c - the scripts for send attempts and rate limits; see redis_script.h.
 *
 * An attempt is a hash <base>e:<event>. For each of its keys ("all:", "server:mx1.example.com" ...)
 * and its reply code it is a member, scored by its time, of a sorted set <base>z:<code>:<key>,
 * which counts a window in O(log n); the set <base>c:<key> holds the codes that a key has. Indexes
 * and attempts also expire by themselves, a day after they must, should nothing be recorded any
 * more to push them out.
 *
 * "now" is -1 for the server's own clock; tests bring theirs. */
#include "common/redis_script_text.h"

#define NOW                                                \
	"local function clock(now)\n"                      \
	"  now = tonumber(now)\n"                          \
	"  if now >= 0 then return now end\n"              \
	"  local t = redis.call('TIME')\n"                 \
	"  return t[1] * 1000 + math.floor(t[2] / 1000)\n" \
	"end\n"

/* Lua 5.1 compares strings by the locale that Redis runs in, not by their bytes. */
#define LESS                                                      \
	"local function less(a, b)\n"                             \
	"  for i = 1, math.min(#a, #b) do\n"                      \
	"    local x, y = string.byte(a, i), string.byte(b, i)\n" \
	"    if x ~= y then return x < y end\n"                   \
	"  end\n"                                                 \
	"  return #a < #b\n"                                      \
	"end\n"

/* trim(base, before, most, budget): remove attempts older than `before`, then the oldest while
 * there are more than `most`; no more than `budget` in all. Returns how many. */
#define TRIM                                                                                      \
	"local names = {'server', 'address', 'domain', 'provider'}\n"                             \
	"local function unindex(base, key, code, event)\n"                                        \
	"  local z = base .. 'z:' .. code .. ':' .. key\n"                                        \
	"  redis.call('ZREM', z, event)\n"                                                        \
	"  if redis.call('EXISTS', z) == 0 then\n"                                                \
	"    redis.call('SREM', base .. 'c:' .. key, code)\n"                                     \
	"  end\n"                                                                                 \
	"end\n"                                                                                   \
	"local function remove(base, code, event)\n"                                              \
	"  local row = base .. 'e:' .. event\n"                                                   \
	"  local keys = redis.call('HMGET', row, unpack(names))\n"                                \
	"  for i, name in ipairs(names) do\n"                                                     \
	"    if keys[i] and keys[i] ~= '' then\n"                                                 \
	"      unindex(base, name .. ':' .. keys[i], code, event)\n"                              \
	"    end\n"                                                                               \
	"  end\n"                                                                                 \
	"  unindex(base, 'all:', code, event)\n"                                                  \
	"  redis.call('DEL', row)\n"                                                              \
	"end\n"                                                                                   \
	"local function head(base, code)\n"                                                       \
	"  local first = redis.call('ZRANGE', base .. 'z:' .. code .. ':all:', 0, 0,"             \
	" 'WITHSCORES')\n"                                                                        \
	"  if first[1] then return {event = first[1], time = tonumber(first[2])} end\n"           \
	"end\n"                                                                                   \
	"local function trim(base, before, most, budget)\n"                                       \
	"  local heads, total, removed = {}, 0, 0\n"                                              \
	"  for _, code in ipairs(redis.call('SMEMBERS', base .. 'c:all:')) do\n"                  \
	"    heads[code] = head(base, code)\n"                                                    \
	"    total = total + redis.call('ZCARD', base .. 'z:' .. code .. ':all:')\n"              \
	"  end\n"                                                                                 \
	"  while removed < budget do\n"                                                           \
	"    local oldest\n"                                                                      \
	"    for code, h in pairs(heads) do\n"                                                    \
	"      local o = oldest and heads[oldest]\n"                                              \
	"      if not o or h.time < o.time or h.time == o.time and less(h.event, o.event) then\n" \
	"        oldest = code\n"                                                                 \
	"      end\n"                                                                             \
	"    end\n"                                                                               \
	"    if not oldest then break end\n"                                                      \
	"    if heads[oldest].time >= before and total <= most then break end\n"                  \
	"    remove(base, oldest, heads[oldest].event)\n"                                         \
	"    heads[oldest] = head(base, oldest)\n"                                                \
	"    total, removed = total - 1, removed + 1\n"                                           \
	"  end\n"                                                                                 \
	"  return removed\n"                                                                      \
	"end\n"

/* KEYS: the attempt. ARGV: base, event, now, time, code, keep ms, keep count, budget, number of
 * keys, the keys, then field and value pairs. Returns 1 if recorded now. */
const char redis_script_attempt_add[] = NOW LESS TRIM
    "local base, event, now, time, code = ARGV[1], ARGV[2], clock(ARGV[3]),"
    " tonumber(ARGV[4]), ARGV[5]\n"
    "local keep, most, keys = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[9])\n"
    "if time < now - keep or redis.call('EXISTS', KEYS[1]) == 1 then return 0 end\n"
    "local life = keep + 86400000\n"
    "redis.call('HSET', KEYS[1], unpack(ARGV, 10 + keys))\n"
    "redis.call('PEXPIRE', KEYS[1], life)\n"
    "for i = 10, 9 + keys do\n"
    "  local z, c = base .. 'z:' .. code .. ':' .. ARGV[i], base .. 'c:' .. ARGV[i]\n"
    "  redis.call('ZADD', z, time, event)\n"
    "  redis.call('SADD', c, code)\n"
    "  redis.call('PEXPIRE', z, life)\n"
    "  redis.call('PEXPIRE', c, life)\n"
    "end\n"
    "trim(base, now - keep, most, tonumber(ARGV[8]))\n"
    "return 1\n";

/* KEYS: <base>c:all:. ARGV: base, now, keep ms, keep count, budget. Returns how many were removed.
 */
const char redis_script_attempt_trim[] =
    NOW LESS TRIM "return trim(ARGV[1], clock(ARGV[2]) - tonumber(ARGV[3]), tonumber(ARGV[4]),"
		  " tonumber(ARGV[5]))\n";

/* Does a code begin with what is wanted? */
#define IN_RANGE "string.sub(code, 1, #ARGV[3]) == ARGV[3]"

/* KEYS: <base>c:<key>. ARGV: base, key, beginning of the code, since, before ("(n" or "+inf"), text
 * to compare or "", most to compare. Returns the number, or -1: too many to compare. */
const char redis_script_attempt_count[] =
    "local base, key, since, before, text = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]\n"
    "local count = 0\n"
    "for _, code in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n"
    "  local z = base .. 'z:' .. code .. ':' .. key\n"
    "  if " IN_RANGE " then\n"
    "    local n = redis.call('ZCOUNT', z, since, before)\n"
    "    if text ~= '' and n > tonumber(ARGV[7]) then return -1 end\n"
    "    if text == '' then\n"
    "      count = count + n\n"
    "    elseif n > 0 then\n"
    "      for _, event in ipairs(redis.call('ZRANGEBYSCORE', z, since, before)) do\n"
    "        local result = redis.call('HGET', base .. 'e:' .. event, 'result')\n"
    "        if result and string.sub(result, 1, #text) == text then count = count + 1 end\n"
    "      end\n"
    "    end\n"
    "  end\n"
    "end\n"
    "return count\n";

/* KEYS: <base>c:<key>. ARGV: base, key, beginning of the code, since, before, text to compare or
 * "", most, cursor time ("" = none), cursor event. Newest first. Returns {time, event} of the last
 * attempt looked at, or {} at the end, followed by {event, {field, value ...}} for each. */
const char redis_script_attempt_page[] =
    LESS "local base, key, since, before, text = ARGV[1], ARGV[2], ARGV[4], ARGV[5], ARGV[6]\n"
	 "local most, time, event = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9]\n"
	 "local found, full = {}, false\n"
	 "for _, code in ipairs(redis.call('SMEMBERS', KEYS[1])) do\n"
	 "  if " IN_RANGE " then\n"
	 "    local z, limit, from = base .. 'z:' .. code .. ':' .. key, most + 1, before\n"
	 "    if time then\n" /* what the cursor has passed comes again at its very time */
	 "      from = ARGV[8]\n"
	 "      limit = limit + redis.call('ZCOUNT', z, from, from)\n"
	 "    end\n"
	 "    local got = redis.call('ZREVRANGEBYSCORE', z, from, since, 'WITHSCORES', 'LIMIT', 0,"
	 " limit)\n"
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
	 "  local result = ''\n"
	 "  for k = 1, #row, 2 do if row[k] == 'result' then result = row[k + 1] end end\n"
	 "  if #row > 0 and (text == '' or string.sub(result, 1, #text) == text) then\n"
	 "    reply[#reply + 1] = {found[i][2], row}\n"
	 "  end\n"
	 "end\n"
	 "if #found > most then\n"
	 "  reply[1] = {string.format('%.0f', found[most][1]), found[most][2]}\n"
	 "end\n"
	 "return reply\n";

/* The arithmetic of gcra.c, operation by operation. w = {period, count, burst}. */
#define GCRA                                                                           \
	"local function charge(w, tat, now, cost)\n"                                   \
	"  local interval = w[1] / w[2]\n"                                             \
	"  local depth = w[3] * interval\n"                                            \
	"  local slack = math.min(interval / 2, 0.5)\n"                                \
	"  local start = math.min(math.max(tat, now), now + depth)\n"                  \
	"  local next = start + cost * interval\n"                                     \
	"  local over = 0\n"                                                           \
	"  if next - now > depth + slack then over = next - now - depth end\n"         \
	"  return next, over, math.floor((depth + slack - (next - now)) / interval)\n" \
	"end\n"

/* KEYS: the windows (hash of tats by period), the ids of takes, the ids of merges. ARGV: now, id,
 * take (1) or peek (0), cost, number of windows, period, count and burst of each. Returns {1 passes
 * or 0 over, retry ms, remaining, window, now, tat of each window}. An id that was charged passes
 * again without a charge. */
const char redis_script_rate[] =
    NOW GCRA "local now, id, take, cost, n = clock(ARGV[1]), ARGV[2], ARGV[3] == '1',"
	     " tonumber(ARGV[4]), tonumber(ARGV[5])\n"
	     "local windows, tats, periods = {}, {}, {}\n"
	     "for i = 1, n do\n"
	     "  periods[i] = ARGV[3 + 3 * i]\n"
	     "  windows[i] = {tonumber(ARGV[3 + 3 * i]), tonumber(ARGV[4 + 3 * i]),"
	     " tonumber(ARGV[5 + 3 * i])}\n"
	     "end\n"
	     "local stored = redis.call('HMGET', KEYS[1], unpack(periods))\n"
	     "for i = 1, n do tats[i] = tonumber(stored[i] or '0') end\n"
	     "local known = take and redis.call('ZSCORE', KEYS[2], id)\n"
	     "if known then cost = 0 end\n"
	     "local retry, window, longest = 0, 0, 0\n"
	     "for i = 1, n do\n"
	     "  local _, over = charge(windows[i], tats[i], now, cost)\n"
	     "  if over > 0 and cost > windows[i][3] then\n"
	     "    retry, window, longest = -1, i - 1, math.huge\n"
	     "    break\n"
	     "  elseif over > longest then\n"
	     "    retry, window, longest = math.ceil(over), i - 1, over\n"
	     "  end\n"
	     "end\n"
	     "local passes, least, life = longest == 0, math.huge, 3600000\n"
	     "take = take and passes and not known\n"
	     "for i = 1, n do\n"
	     "  local next, _, left = charge(windows[i], tats[i], now, take and cost or 0)\n"
	     "  if left < least then\n"
	     "    least = left\n"
	     "    if passes then window = i - 1 end\n"
	     "  end\n"
	     "  if take then\n"
	     "    tats[i] = next\n"
	     "    redis.call('HSET', KEYS[1], periods[i], string.format('%.17g', next))\n"
	     "    life = math.max(life, math.ceil(next - now))\n"
	     "  end\n"
	     "end\n"
	     "if take then\n" /* only the latest ids can be in doubt, see STORE_RATE_DOUBTS */
	     "  redis.call('ZADD', KEYS[2], now, id)\n"
	     "  redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -65)\n"
	     "  redis.call('PEXPIRE', KEYS[1], life)\n"
	     "  redis.call('PEXPIRE', KEYS[2], life)\n"
	     "end\n"
	     "local reply = {passes and 1 or 0, retry, math.max(least, 0), window, now}\n"
	     "for i = 1, n do reply[5 + i] = string.format('%.17g', tats[i]) end\n"
	     "return reply\n";

/* KEYS as above. ARGV: now, id, number of windows, period, count, burst and owed ms of each, then
 * id, cost and time of each take in doubt. Those that were charged are taken off what is owed;
 * those that were not can no longer be. A doubt older than the ids that are kept counts as charged.
 * Returns as above. */
const char redis_script_rate_merge[] = NOW GCRA
    "local now, id, n = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])\n"
    "local again = redis.call('ZSCORE', KEYS[3], id)\n"
    "local charged, life = 0, 3600000\n"
    "local full = redis.call('ZCARD', KEYS[2]) >= 64\n"
    "local oldest = full and tonumber(redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]) or 0\n"
    "for i = 4 + 4 * n, #ARGV, 3 do\n"
    "  local at = tonumber(ARGV[i + 2])\n"
    "  if redis.call('ZSCORE', KEYS[2], ARGV[i]) or at <= oldest then\n"
    "    charged = charged + tonumber(ARGV[i + 1])\n"
    "  elseif not again then\n"
    "    redis.call('ZADD', KEYS[2], now, ARGV[i])\n"
    "  end\n"
    "end\n"
    "local reply = {1, 0, 0, 0, now}\n"
    "for i = 1, n do\n"
    "  local p = 4 * i\n"
    "  local w = {tonumber(ARGV[p]), tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])}\n"
    "  local interval = w[1] / w[2]\n"
    "  local tat = tonumber(redis.call('HGET', KEYS[1], ARGV[p]) or '0')\n"
    "  local owed = tonumber(ARGV[p + 3]) - charged * interval\n"
    "  if not again and owed > 0 then\n"
    "    tat = math.min(math.max(tat, now) + owed, now + w[3] * interval)\n"
    "    redis.call('HSET', KEYS[1], ARGV[p], string.format('%.17g', tat))\n"
    "  end\n"
    "  life = math.max(life, math.ceil(tat - now))\n"
    "  reply[5 + i] = string.format('%.17g', tat)\n"
    "end\n"
    "redis.call('ZADD', KEYS[3], now, id)\n"
    "redis.call('ZREMRANGEBYRANK', KEYS[3], 0, -65)\n"
    "redis.call('ZREMRANGEBYRANK', KEYS[2], 0, -65)\n"
    "redis.call('PEXPIRE', KEYS[1], life)\n"
    "redis.call('PEXPIRE', KEYS[2], life)\n"
    "redis.call('PEXPIRE', KEYS[3], 604800000)\n"
    "return reply\n";
