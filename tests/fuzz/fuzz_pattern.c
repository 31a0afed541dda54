/* String patterns: what stock Lua says, while stock Lua can answer at all; an end within the budget
 * otherwise (R5). Input: pattern, line end, replacement, line end, subject. */
#include "common/clock.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/runtime.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

#define COMPARED \
	24 /* bytes of pattern and of subject; more may keep the stock matcher busy for ever */

static const char code[] =
    "local p, r, s = ...\n"
    "local out = {}\n"
    "local function note(...)\n"
    "  for i = 1, select('#', ...) do out[#out + 1] = tostring((select(i, ...))) end\n"
    "end\n"
    "note(pcall(string.find, s, p)) note(pcall(string.find, s, p, -3, true))\n"
    "note(pcall(string.match, s, p, 2)) note(pcall(string.gsub, s, p, r))\n"
    "note(pcall(string.gsub, s, p, {a = 'A', [1] = 'one'}))\n"
    "note(pcall(string.gsub, s, p, function(...) note(...) return ... end, 4))\n"
    "note(pcall(function() for a, b in string.gmatch(s, p) do note(a, b) end end))\n"
    "return table.concat(out, '\\0')\n";

struct input {
	const char *part[3];
	size_t n[3];
	char *result;
	size_t result_n;
};

static struct runtime *rt;
static lua_State *stock;

static void l_define(lua_State *L, void *arg)
{
	(void)arg;
	l_push_env(L);
	MUST(luaL_loadbufferx(L, code, strlen(code), "=fuzz", "t") == LUA_OK);
	lua_setfield(L, -2, "all");
}

static int l_push(lua_State *L, void *arg)
{
	const struct input *in = arg;

	for (int i = 0; i < 3; i++)
		lua_pushlstring(L, in->part[i], in->n[i]);
	return 3;
}

static void l_take(lua_State *L, int first, int n, void *arg)
{
	struct input *in = arg;
	const char *s = lua_tolstring(L, first, &in->result_n);

	MUST(n == 1);
	in->result = malloc(in->result_n + 1);
	memcpy(in->result, s, in->result_n);
}

static void split(struct input *in, const char *s, size_t n)
{
	for (int i = 0; i < 3; i++) {
		const char *end = i < 2 ? memchr(s, '\n', n) : NULL;

		in->part[i] = s;
		in->n[i] = end != NULL ? (size_t)(end - s) : n;
		s += in->n[i];
		n -= in->n[i];
		if (end != NULL) {
			s++;
			n--;
		}
	}
}

static void must_equal_stock(struct input *in)
{
	size_t n;
	const char *s;

	lua_settop(stock, 1);
	lua_pushvalue(stock, 1);
	MUST(lua_pcall(stock, l_push(stock, in), 1, 0) == LUA_OK);
	s = lua_tolstring(stock, -1, &n);
	MUST(n == in->result_n && memcmp(s, in->result, n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {.result = NULL};
	const struct run_call call = {"all", l_push, l_take, &in};
	struct run_budget budget = {clock_ms() + 5000, 2000000};
	enum run_result result;

	if (rt == NULL) {
		log_open("fuzz", LOG_TO_STDERR, LOG_AS_TEXT, 0, LOG_LVL_BUG);
		rt = runtime_new(NULL, 8u << 20);
		MUST(runtime_begin(rt, NULL) && runtime_inside(rt, l_define, NULL) == RUN_OK);
		stock = luaL_newstate();
		luaL_openlibs(stock);
		compat_without_set(COMPAT_54);
		MUST(luaL_loadbufferx(stock, code, strlen(code), "=fuzz", "t") == LUA_OK);
	}
	split(&in, (const char *)data, size);
	result = runtime_call(rt, &call, &budget, NULL, 0);
	MUST(result != RUN_ERROR && result != RUN_DEADLINE);
	if (result == RUN_OK && in.n[0] <= COMPARED && in.n[1] <= COMPARED && in.n[2] <= COMPARED)
		must_equal_stock(&in);
	free(in.result);
	return 0;
}
