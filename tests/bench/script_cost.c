/* script_cost - what scripts cost apart from the work they do: a connection with a prepared
 * instance against a new Lua state, the memory of an idle session, and the budgets.
 *
 *   script_cost [ROUNDS]
 *
 * Everything is measured in one run, in turns, as processor time, and the best of the rounds
 * counts: other programs can only make a round slower. Figures are for this machine; the ratios
 * travel. */
#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr.h"

#include <arpa/inet.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 2000 /* of one measurement */
#define SESSIONS 1000	 /* that are idle at once */
#define ROUNDS 9

static char directory[] = "/tmp/script_cost.XXXXXX";

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* 200 lines: 39 functions of five lines, among them hooks, and a table. */
static char *make_script(void)
{
	static const char *const hooks[] = {"Start", "DoHELO", "DoMAILFROM", "DoRCPTTO", "End"};
	char *text = xstrdup("local lists, count = {}, 0\nlists.good = { 'one.test', 'two.test' }\n"
			     "lists.bad = { 'bad.test' }\nlists.limits = { size = 1000000 }\n\n");

	for (int i = 0; i < 39; i++) {
		char *name = i < 5 ? xstrdup(hooks[i]) : xasprintf("local function helper%d", i);
		char *more = xasprintf("%s%s%s(a, b)\n    count = count + %d\n"
				       "    if a == lists.good[1] then return '' end\n"
				       "    return b and 'no' .. i or nil\nend\n",
		    text, i < 5 ? "function " : "", name, i);

		free(text);
		free(name);
		text = more;
	}
	return text;
}

static struct script_set *load(const char *text)
{
	struct config_overrides o = {STRLIST_INIT};
	char error[500], *item = xasprintf("scripts=%s", directory);
	char *path = xasprintf("%s/smtpsvr.lua", directory);
	FILE *f = fopen(path, "w");
	struct config *config;
	struct script_set *set = NULL;

	if (f != NULL) {
		fputs(text, f);
		fclose(f);
	}
	strlist_add(&o.items, item);
	config = config_load("/dev/null", &o, error, sizeof error);
	if (config != NULL)
		set = script_set_load(config, error, sizeof error);
	if (set == NULL)
		fprintf(stderr, "%s\n", error);
	config_unref(config);
	strlist_clear(&o.items);
	free(item);
	unlink(path);
	free(path);
	return set;
}

/* ---- one connection ---- */

static void prepared(struct script_set *set, const char *text)
{
	struct runtime *rt = runtime_acquire(set, NULL);
	struct run_budget b = runtime_budget(set, SCRIPT_SMTPSVR, INT64_MAX);

	(void)text;
	runtime_script(rt, SCRIPT_SMTPSVR, &b, NULL, 0);
	runtime_release(rt);
}

/* As an embedder does it that compiles once. */
static void new_state(struct script_set *set, const char *text)
{
	const struct script *s = script_set_script(set, SCRIPT_SMTPSVR);
	lua_State *L = luaL_newstate();

	(void)text;
	luaL_openlibs(L);
	if (luaL_loadbufferx(L, s->bytecode, s->size, s->name, "b") != LUA_OK ||
	    lua_pcall(L, 0, 0, 0) != LUA_OK)
		abort();
	lua_close(L);
}

static void new_state_and_source(struct script_set *set, const char *text)
{
	lua_State *L = luaL_newstate();

	(void)set;
	luaL_openlibs(L);
	if (luaL_loadbufferx(L, text, strlen(text), "=s", "t") != LUA_OK ||
	    lua_pcall(L, 0, 0, 0) != LUA_OK)
		abort();
	lua_close(L);
}

static const struct {
	const char *name;
	void (*connection)(struct script_set *, const char *text);
} ways[] = {
    {"prepared instance, acquired, script run, released", prepared},
    {"new Lua state, libraries, bytecode, run, closed", new_state},
    {"new Lua state, libraries, source, run, closed", new_state_and_source},
};

#define WAYS (sizeof ways / sizeof *ways)

static void connections(struct script_set *set, const char *text, int rounds)
{
	double best[WAYS];

	for (int round = 0; round < rounds; round++)
		for (size_t w = 0; w < WAYS; w++) {
			int64_t begin = now_ns();
			double us;

			for (int i = 0; i < CONNECTIONS; i++)
				ways[w].connection(set, text);
			us = (double)(now_ns() - begin) / CONNECTIONS / 1000;
			if (round == 0 || us < best[w])
				best[w] = us;
		}
	puts("A connection, with a script of 200 lines:");
	for (size_t w = 0; w < WAYS; w++)
		printf("  %-52s %7.2f us  x %.1f\n", ways[w].name, best[w], best[w] / best[0]);
}

/* ---- idle sessions ---- */

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static void sessions(struct script_set *set)
{
	static struct smtpsvr *open[SESSIONS];
	struct smtpsvr_client client = {.listen = "", .hostname = (char *)"client.test"};
	struct log_id id = {"", ""};
	struct verdict v;
	size_t before;

	ip_address_parse(&client.address, "192.0.2.1");
	before = in_use();
	for (int i = 0; i < SESSIONS; i++) {
		verdict_init(&v);
		open[i] = smtpsvr_open(set, NULL, &id);
		smtpsvr_connect(open[i], &client, &v);
		verdict_reset(&v);
	}
	printf("An idle session with its instance, %d open: %.1f KiB each\n", SESSIONS,
	    (double)(in_use() - before) / SESSIONS / 1024);
	for (int i = 0; i < SESSIONS; i++)
		smtpsvr_close(open[i]);
}

/* ---- budgets ---- */

static const struct {
	const char *name, *prepare, *work;
} loads[] = {
    {"arithmetic", "", "local x = 0 for i = 1, 3e6 do x = x + i % 7 end"},
    {"calls and tables", "",
	"local function f(t, i) t[i % 64] = i return t end local t = {} for i = 1, 6e5 do f(t, i) end"},
    {"strings", "", "for i = 1, 1e5 do local s = ('user' .. i):upper():find('R7', 1, true) end"},
    {"arithmetic, a string of 64 KiB", "keep = ('x'):rep(65536)",
	"local x = 0 for i = 1, 3e6 do x = x + i % 7 end"},
    {"arithmetic, a string of 1 MiB", "keep = ('x'):rep(1048576)",
	"local x = 0 for i = 1, 3e6 do x = x + i % 7 end"},
    {"arithmetic, a table of 2^16 entries", "keep = {} for i = 1, 2^16 do keep[i] = i end",
	"local x = 0 for i = 1, 3e6 do x = x + i % 7 end"},
    {"arithmetic, a table of 2^20 entries", "keep = {} for i = 1, 2^20 do keep[i] = i end",
	"local x = 0 for i = 1, 3e6 do x = x + i % 7 end"},
};

#define LOADS (sizeof loads / sizeof *loads)

struct work {
	size_t load;
	int64_t ns;
};

static void l_define(lua_State *L, void *arg)
{
	const struct work *w = arg;

	l_push_env(L);
	if (luaL_loadstring(L, loads[w->load].prepare) != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
	if (luaL_loadstring(L, loads[w->load].work) != LUA_OK)
		lua_error(L);
	lua_setfield(L, -2, "work");
}

/* Without a budget: runtime_inside() arms no hook. */
static void l_work_alone(lua_State *L, void *arg)
{
	struct work *w = arg;
	int64_t begin;

	l_define(L, arg);
	lua_getfield(L, -1, "work");
	begin = now_ns();
	lua_call(L, 0, 0);
	w->ns = now_ns() - begin;
}

static int64_t measure(struct script_set *set, size_t load_number, bool budget)
{
	struct runtime *rt = runtime_new(set, 64 << 20);
	struct work w = {.load = load_number};
	struct run_call call = {.function = "work"};
	struct run_budget b = {clock_ms() + 5000, INT64_MAX};
	int64_t begin;

	if (rt == NULL || !runtime_begin(rt, NULL))
		abort();
	if (!budget) {
		runtime_inside(rt, l_work_alone, &w);
	} else {
		runtime_inside(rt, l_define, &w);
		begin = now_ns();
		if (runtime_call(rt, &call, &b, NULL, 0) != RUN_OK)
			abort();
		w.ns = now_ns() - begin;
	}
	runtime_end(rt);
	runtime_free(rt);
	return w.ns;
}

static void budgets(struct script_set *set, int rounds)
{
	puts("Budgets, as the ratio of the time with them to the time without:");
	for (size_t i = 0; i < LOADS; i++) {
		int64_t best[2] = {INT64_MAX, INT64_MAX};

		for (int round = 0; round < rounds; round++)
			for (int with = 0; with < 2; with++) {
				int64_t ns = measure(set, i, with);

				if (ns < best[with])
					best[with] = ns;
			}
		printf("  %-36s %6.1f ms without  x %.3f\n", loads[i].name,
		    (double)best[0] / 1000000, (double)best[1] / (double)best[0]);
	}
}

int main(int argc, char **argv)
{
	int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS;
	char *text = make_script();
	struct script_set *set;

	if (rounds < 1 || mkdtemp(directory) == NULL) {
		fputs("usage: script_cost [ROUNDS]\n", stderr);
		return 2;
	}
	set = load(text);
	if (set == NULL)
		return 1;
	connections(set, text, rounds);
	sessions(set);
	budgets(set, rounds);
	script_set_unref(set);
	free(text);
	rmdir(directory);
	return 0;
}
