/* runtime.c - see runtime.h: the only lua_pcall of the project, and what runs inside it. The life
 * of a state is runtime_life.c. */
#include "lua-bindings/runtime_private.h"

#include "common/clock.h"
#include "common/limits.h"
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/load.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>
#include <string.h>

const char runtime_env_key; /* that of a script's main function is its struct script */

struct runtime *runtime_of(lua_State *L)
{
	struct runtime *rt;

	memcpy(&rt, lua_getextraspace(L), sizeof rt); /* Lua copies it to every coroutine */
	return rt;
}

struct guard *guard_of(lua_State *L)
{
	return &runtime_of(L)->guard;
}

void runtime_set_log_id(struct runtime *rt, const struct log_id *id)
{
	rt->id = id;
}

const struct log_id *runtime_log_id(struct runtime *rt)
{
	return rt->id;
}

struct script_set *runtime_set(struct runtime *rt)
{
	return rt->set;
}

void runtime_show_message(struct runtime *rt, struct message_view *view)
{
	rt->view = view;
}

struct message_view *runtime_message(struct runtime *rt)
{
	return rt->view;
}

void runtime_set_dry(struct runtime *rt, enum runtime_dry dry)
{
	rt->dry = dry;
	rt->asked[0] = '\0';
}

enum runtime_dry runtime_dry(const struct runtime *rt)
{
	return rt->dry;
}

void runtime_note_dry(struct runtime *rt, const char *function)
{
	if (rt->asked[0] == '\0')
		snprintf(rt->asked, sizeof rt->asked, "%s", function);
}

const char *runtime_dry_asked(const struct runtime *rt)
{
	return rt->asked[0] != '\0' ? rt->asked : NULL;
}

int runtime_left_ms(struct runtime *rt)
{
	int64_t left = rt->guard.deadline_ms - clock_ms();

	if (left <= 0 || rt->guard.spent != GUARD_NOTHING)
		return 0;
	return left > INT32_MAX ? INT32_MAX : (int)left;
}

_Noreturn void l_deadline(lua_State *L)
{
	l_guard_raise(L, guard_of(L), GUARD_DEADLINE);
}

void l_work(lua_State *L, int64_t n)
{
	l_guard_work(L, guard_of(L), n);
}

void runtime_running(lua_State *co)
{
	guard_enter(guard_of(co), co);
}

void l_push_env(lua_State *L)
{
	lua_rawgetp(L, LUA_REGISTRYINDEX, &runtime_env_key);
}

const char *run_result_text(enum run_result r)
{
	static const char *const text[] = {
	    [RUN_OK] = "done",
	    [RUN_ABSENT] = "no such function",
	    [RUN_ERROR] = "script error",
	    [RUN_DEADLINE] = "time budget used up",
	    [RUN_INSTRUCTIONS] = "instruction budget used up",
	    [RUN_MEMORY] = "memory budget used up",
	};

	return text[r];
}

/* Message handler: the error as text with a traceback; never raises by itself. */
static int l_traceback(lua_State *L)
{
	const char *text = lua_tostring(L, 1);
	lua_Debug ar;
	int level;

	if (text == NULL) {
		if (luaL_callmeta(L, 1, "__tostring") && lua_type(L, -1) == LUA_TSTRING)
			text = lua_tostring(L, -1);
		else
			text =
			    lua_pushfstring(L, "(error object is a %s value)", luaL_typename(L, 1));
	}
	level = lua_getstack(L, 1, &ar) && l_compat_is_helper(L, &ar) ? 2 : 1;
	luaL_traceback(L, L, text, level);
	return 1;
}

static int l_gate(lua_State *L)
{
	struct gate *g = lua_touserdata(L, 1);

	g->l_body(L, g);
	return 0;
}

static enum run_result classify(const struct runtime *rt, int status)
{
	if (rt->guard.spent == GUARD_DEADLINE)
		return RUN_DEADLINE;
	if (rt->guard.spent == GUARD_INSTRUCTIONS)
		return RUN_INSTRUCTIONS;
	if (status == LUA_OK)
		return RUN_OK;
	if (status == LUA_ERRMEM || (status == LUA_ERRERR && rt->guard.memory_refused))
		return RUN_MEMORY;
	return RUN_ERROR;
}

/* There is no message with its place from liblua. */
static const char *memory_text(const struct guard *g, char *out, size_t size)
{
	snprintf(out, size, "%s%s%s%s", g->where, g->where[0] != '\0' ? ": " : "",
	    run_result_text(RUN_MEMORY),
	    g->string_refused ? ": a string is longer than the time of the hook allows (8 KiB for "
				"each millisecond)"
			      : "");
	return out;
}

/* First line of the message to error and the log, everything to LUAERRORS.LOG. */
static void report(struct runtime *rt, enum run_result result, char *error, size_t size)
{
	lua_State *L = rt->L;
	const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
	char memory[300];
	int first;

	if (result == RUN_MEMORY)
		text = memory_text(&rt->guard, memory, sizeof memory);
	else if (text == NULL)
		text = run_result_text(result);
	first = (int)strcspn(text, "\n");
	if (error != NULL)
		snprintf(error, size, "%.*s", first, text);
	if (!luaout_error(rt->id, rt->script, rt->hook, text))
		log_error(rt->id, "script %s, %s: %.*s", rt->script, rt->hook, first, text);
}

struct run_budget runtime_budget(
    const struct script_set *set, enum script_id id, int64_t deadline_ms)
{
	const struct script_budget *b = script_set_budget(set, id);
	int64_t end = clock_ms() + b->hook_ms;

	return (struct run_budget){
	    .deadline_ms = end < deadline_ms ? end : deadline_ms,
	    .instructions = b->instructions,
	};
}

enum run_result runtime_enter(struct runtime *rt, struct gate *g, const struct run_budget *budget,
    char *error, size_t error_size)
{
	lua_State *L = rt->L;
	enum run_result result;
	int status;

	if (error != NULL && error_size > 0)
		error[0] = '\0';
	lua_settop(L, 0);
	if (budget != NULL)
		guard_start(&rt->guard, L, budget->deadline_ms,
		    budget->instructions > 0 ? budget->instructions : INT64_MAX);
	lua_pushcfunction(L, l_traceback); /* neither push allocates */
	lua_pushcfunction(L, l_gate);
	lua_pushlightuserdata(L, g);
	status = lua_pcall(L, 1, 0, 1);
	result = classify(rt, status);
	if (result != RUN_OK)
		report(rt, result, error, error_size);
	guard_stop(&rt->guard);
	rt->guard.spent = GUARD_NOTHING;
	lua_settop(L, 0);
	return g->absent ? RUN_ABSENT : result;
}

/* ---- calls ---- */

static void l_call_body(lua_State *L, struct gate *g)
{
	const struct run_call *call = g->arg;
	int base, n;

	l_push_env(L);
	lua_pushstring(L, call->function);
	lua_rawget(L, -2); /* a metatable of _G is for the script, as "strict" modules do it */
	if (!lua_isfunction(L, -1)) {
		g->absent = true;
		return;
	}
	base = lua_gettop(L);
	n = call->l_push != NULL ? call->l_push(L, call->arg) : 0;
	lua_call(L, n, LUA_MULTRET);
	if (call->l_take != NULL) {
		int nresults = lua_gettop(L) - base + 1;

		luaL_checkstack(L, 20, "results of a hook");
		call->l_take(L, base, nresults, call->arg);
	}
}

enum run_result runtime_call(struct runtime *rt, const struct run_call *call,
    const struct run_budget *budget, char *error, size_t error_size)
{
	struct gate g = {.l_body = l_call_body, .arg = (void *)call};

	rt->hook = call->function;
	return runtime_enter(rt, &g, budget, error, error_size);
}

struct inside {
	void (*l_body)(lua_State *L, void *arg);
	void *arg;
};

static void l_inside_body(lua_State *L, struct gate *g)
{
	struct inside *in = g->arg;

	in->l_body(L, in->arg);
}

enum run_result runtime_inside(
    struct runtime *rt, void (*l_body)(lua_State *L, void *arg), void *arg)
{
	struct inside in = {l_body, arg};
	struct gate g = {.l_body = l_inside_body, .arg = &in};

	rt->hook = "(host)";
	return runtime_enter(rt, &g, NULL, NULL, 0);
}

/* ---- scripts ---- */

/* The compiled main function is loaded once per state; each life gives it its environment. Those of
 * users are not kept: hundreds of them in each state would cost more than loading one again. */
static void l_script_body(lua_State *L, struct gate *g)
{
	enum script_id id = *(enum script_id *)g->arg;
	const struct script *script = script_set_script(runtime_of(L)->set, id);

	if (script->bytecode == NULL) {
		g->absent = true;
		return;
	}
	if (lua_rawgetp(L, LUA_REGISTRYINDEX, script) != LUA_TFUNCTION) {
		lua_pop(L, 1);
		if (luaL_loadbufferx(L, script->bytecode, script->size, script->name, "b") !=
		    LUA_OK)
			lua_error(L);
		if (script->wrapped)
			l_compat_unwrap(L);
		if (script->user == NULL) {
			lua_pushvalue(L, -1);
			lua_rawsetp(L, LUA_REGISTRYINDEX, script);
		}
	}
	if (script->user != NULL)
		l_sandbox_restrict(L);
	l_push_env(L);
	l_set_env(L);
	lua_call(L, 0, 0);
}

enum run_result runtime_script(struct runtime *rt, enum script_id id,
    const struct run_budget *budget, char *error, size_t error_size)
{
	struct gate g = {.l_body = l_script_body, .arg = &id};
	const struct script_budget *b = script_set_budget(rt->set, id);

	guard_limit(&rt->guard, rt->base, b->memory_bytes, b->hook_ms);
	rt->script = script_set_script(rt->set, id)->label;
	rt->hook = "main chunk";
	return runtime_enter(rt, &g, budget, error, error_size);
}

void runtime_name(struct runtime *rt, const char *script)
{
	rt->script = script;
}

struct compile {
	const struct script_file *file;
	const char *name;
	char *bytecode;
	size_t size, cap;
	bool failed, wrapped;
};

static int dump_writer(lua_State *L, const void *p, size_t n, void *arg)
{
	struct compile *c = arg;

	(void)L;
	if (n > c->cap - c->size) {
		size_t cap = 2 * (c->size + n);
		char *grown = realloc(c->bytecode, cap);

		if (grown == NULL)
			return 1;
		c->bytecode = grown;
		c->cap = cap;
	}
	memcpy(c->bytecode + c->size, p, n);
	c->size += n;
	return 0;
}

static void l_compile_body(lua_State *L, struct gate *g)
{
	struct compile *c = g->arg;
	size_t n = c->file->size;
	const char *text = compat_text_start(c->file->text, &n);

	if (l_load_source(L, text, n, &c->file->compat, c->name, &c->wrapped) != LUA_OK)
		lua_error(L);
	c->failed = lua_dump(L, dump_writer, c, 0) != 0;
}

bool runtime_compile(struct runtime *rt, const struct script_file *file, const char *name,
    void **bytecode, size_t *size, bool *wrapped, char *error, size_t error_size)
{
	struct compile c = {.file = file, .name = name};
	struct gate g = {.l_body = l_compile_body, .arg = &c};
	char why[1024];

	rt->script = name[0] == '@' ? name + 1 : name;
	rt->hook = "compile";
	if (runtime_enter(rt, &g, NULL, why, sizeof why) != RUN_OK || c.failed) {
		bool named = strncmp(why, rt->script, strlen(rt->script)) == 0;

		snprintf(error, error_size, "%s%s%s", named ? "" : rt->script, named ? "" : ": ",
		    c.failed ? run_result_text(RUN_MEMORY) : why);
		free(c.bytecode);
		return false;
	}
	*bytecode = c.bytecode;
	*size = c.size;
	*wrapped = c.wrapped;
	return true;
}
