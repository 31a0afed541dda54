/* redis_script_rates.c - the scripts for rate limits; see redis_script.h.
 *
 * A limit is one hash, so that it is always whole: the tat (gcra.h) of each window by its period;
 * in "ids" the latest takes that were charged, in "merges" the latest debts that were merged, each
 * as " <id>@<time>". A "+" in front says that older ones were forgotten. */
#include "common/store/redis_script_text.h"

/* The lines below are those of another language. */
/* clang-format off */

#define CLOCK REDIS_SCRIPT_CLOCK

/* Only the latest ids can be in doubt, see STORE_RATE_DOUBTS; some 60 of them fit. */
#define IDS                                                                              \
	"local function has(ids, id)\n"                                                  \
	"  return string.find(ids, ' ' .. id .. '@', 1, true) ~= nil\n"                  \
	"end\n"                                                                          \
	"local function with(ids, id, now)\n"                                            \
	"  ids = ids .. ' ' .. id .. string.format('@%.0f', now)\n"                      \
	"  if #ids > 2560 then\n"                                                        \
	"    ids = '+' .. string.sub(ids, (string.find(ids, ' ', #ids - 2048, true)))\n" \
	"  end\n"                                                                        \
	"  return ids\n"                                                                 \
	"end\n"                                                                          \
	"local function forgotten(ids, at)\n"                                            \
	"  local oldest = string.match(ids, '^%+ [^@]*@(%d+)')\n"                        \
	"  return oldest ~= nil and at <= tonumber(oldest)\n"                            \
	"end\n"

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

/* KEYS: the limit. ARGV: now, id, take (1) or peek (0), cost, number of windows, period, count and
 * burst of each. Returns {1 passes or 0 over, retry ms, remaining, window, now, tat of each
 * window}. An id that was charged passes again without a charge. */
const char redis_script_rate[] = CLOCK IDS GCRA
    "local now, id, take, cost, n = clock(ARGV[1]), ARGV[2], ARGV[3] == '1',"
    " tonumber(ARGV[4]), tonumber(ARGV[5])\n"
    "local windows, tats, fields = {}, {}, {}\n"
    "for i = 1, n do\n"
    "  local p = 3 + 3 * i\n"
    "  fields[i] = ARGV[p]\n"
    "  windows[i] = {tonumber(ARGV[p]), tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])}\n"
    "end\n"
    "fields[n + 1] = 'ids'\n"
    "local stored = redis.call('HMGET', KEYS[1], unpack(fields))\n"
    "for i = 1, n do tats[i] = tonumber(stored[i] or '0') end\n"
    "local ids = stored[n + 1] or ''\n"
    "local known = take and has(ids, id)\n"
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
    "    redis.call('HSET', KEYS[1], fields[i], string.format('%.17g', next))\n"
    "    life = math.max(life, math.ceil(next - now))\n"
    "  end\n"
    "end\n"
    "if take then\n"
    "  redis.call('HSET', KEYS[1], 'ids', with(ids, id, now))\n"
    "  redis.call('PEXPIRE', KEYS[1], life)\n"
    "end\n"
    "local reply = {passes and 1 or 0, retry, math.max(least, 0), window, now}\n"
    "for i = 1, n do reply[5 + i] = string.format('%.17g', tats[i]) end\n"
    "return reply\n";

/* KEYS: the limit. ARGV: now, id, number of windows, period, count, burst and owed ms of each, then
 * id, cost and time of each take in doubt. What is owed comes on top of what the windows
 * would be without those that were charged; those that were not can no longer be. A doubt older
 * than the ids that are kept counts as charged. Returns as above. */
const char redis_script_rate_merge[] = CLOCK IDS
    "local now, id, n = clock(ARGV[1]), ARGV[2], tonumber(ARGV[3])\n"
    "local stored = redis.call('HMGET', KEYS[1], 'ids', 'merges')\n"
    "local ids, merges = stored[1] or '', stored[2] or ''\n"
    "local again, charged, life = has(merges, id), 0, 604800000\n"
    "for i = 4 + 4 * n, #ARGV, 3 do\n"
    "  if has(ids, ARGV[i]) or forgotten(ids, tonumber(ARGV[i + 2])) then\n"
    "    charged = charged + tonumber(ARGV[i + 1])\n"
    "  else\n"
    "    ids = with(ids, ARGV[i], now)\n"
    "  end\n"
    "end\n"
    "local reply = {1, 0, 0, 0, now}\n"
    "for i = 1, n do\n"
    "  local p = 4 * i\n"
    "  local w = {tonumber(ARGV[p]), tonumber(ARGV[p + 1]), tonumber(ARGV[p + 2])}\n"
    "  local interval = w[1] / w[2]\n"
    "  local tat = tonumber(redis.call('HGET', KEYS[1], ARGV[p]) or '0')\n"
    "  local owed = tonumber(ARGV[p + 3])\n"
    "  if not again and owed > 0 then\n"
    "    local without = math.max(tat - charged * interval, now)\n"
    "    tat = math.max(tat, math.min(without + owed, now + w[3] * interval))\n"
    "    redis.call('HSET', KEYS[1], ARGV[p], string.format('%.17g', tat))\n"
    "  end\n"
    "  life = math.max(life, math.ceil(tat - now))\n"
    "  reply[5 + i] = string.format('%.17g', tat)\n"
    "end\n"
    "if not again then\n"
    "  redis.call('HSET', KEYS[1], 'ids', ids, 'merges', with(merges, id, now))\n"
    "  redis.call('PEXPIRE', KEYS[1], life)\n"
    "end\n"
    "return reply\n";
