/* Every function a script can reach, with any values as arguments: errors are fine, crashes and
 * overruns are not. Input: function number, number of arguments, a value number for each, and
 * again. */
#include "common/clock.h"
#include "common/waiting.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/lib/sandbox.h"
#include "tests/fuzz/must.h"

#include <string.h>

#define HOOK_MS 2000

/* Safety mode keeps the file functions from the file system of the machine. */
static const char code[] =
    "local input = ...\n"
    "local chosen = {}\n"
    "for i, name in ipairs(names) do\n"
    "  local library, key = name:match('^(%w+)[.:](%w+)$')\n"
    "  local f = library and library ~= 'file' and _G[library] and _G[library][key] or _G[name]\n"
    "  if type(f) == 'function' and f ~= os.clearsafety then chosen[#chosen + 1] = f end\n"
    "end\n"
    "local proxy = setmetatable({}, {__index = function(_, k) return k end, __len = function() return 1 << 40 end,\n"
    "  __newindex = function() end, __call = function() return 1 end, __tostring = function() return 'T' end,\n"
    "  __lt = function() return true end, __concat = function() return 'c' end, __name = 'N'})\n"
    "local values = {0, 1, -1, 2, 3.5, -0.0, 1e300, 0/0, 1/0, math.maxinteger, math.mininteger, 1 << 31, '', 'a',\n"
    "  '%', '%d', '%s%5.1f', '(.-)%1', 'i4z', 'c100000', '*t', '!%c', 'return 1', 'x =', ('ab'):rep(1000), '\\0\\255\\200',\n"
    "  '10', '0x7f', true, false, {}, {3, 1, 2}, {n = 5, 'a'}, proxy, print, function(...) return ... end,\n"
    "  function() error(proxy) end, coroutine.create(function() coroutine.yield(1) end), coroutine.wrap(print),\n"
    "  io.open('/dev/null', 'r+'), _G, string, {year = 2020, month = 1, day = 1}, 'collect', 'count', 'set', 'k'}\n"
    "os.setsafety('k')\n"
    "local at = 1\n"
    "local function byte() at = at + 1 return input:byte(at - 1) or 0 end\n"
    "while at <= #input do\n"
    "  local f, arguments = chosen[byte() % #chosen + 1], {}\n"
    "  local n = byte() % 6\n"
    "  for i = 1, n do arguments[i] = values[byte() % (#values + 1) + 1] end\n"
    "  local ok, result = pcall(f, table.unpack(arguments, 1, n))\n"
    "  if ok and result ~= nil and #values < 200 then values[#values + 1] = result end\n"
    "end\n";

struct input {
	const char *s;
	size_t n;
};

static struct runtime *rt;

static void hear(const char *text, size_t n, void *arg)
{
	(void)text, (void)n, (void)arg;
}

static void l_define(lua_State *L, void *arg)
{
	(void)arg;
	l_push_env(L);
	l_sandbox_list(L);
	lua_setfield(L, -2, "names");
	MUST(luaL_loadbufferx(L, code, strlen(code), "=fuzz", "t") == LUA_OK);
	lua_setfield(L, -2, "all");
}

static int l_push(lua_State *L, void *arg)
{
	const struct input *in = arg;

	lua_pushlstring(L, in->s, in->n);
	return 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {(const char *)data, size};
	const struct run_call call = {"all", l_push, NULL, &in};
	int64_t start = clock_ms();
	struct run_budget budget = {start + HOOK_MS, 1000000};

	if (rt == NULL) {
		log_open("fuzz", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_BUG);
		luaout_capture(hear, NULL);
		waiting_limit(0); /* os.sleep() returns at once */
		rt = runtime_new(NULL, 8u << 20);
	}
	MUST(runtime_begin(rt, NULL) && runtime_inside(rt, l_define, NULL) == RUN_OK);
	runtime_call(rt, &call, &budget, NULL, 0);
	MUST(runtime_end(rt));
	MUST(clock_ms() - start < HOOK_MS + 1000);
	return 0;
}
