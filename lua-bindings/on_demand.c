/* on_demand.c - see on_demand.h. */
#include "lua-bindings/on_demand.h"

#include "common/clock.h"
#include "lua-bindings/lib/load.h"
#include "lua-bindings/runtime.h"

#include <string.h>

#define FUNCTION "script" /* what the compiled script is called while it waits to be run */

struct job {
	const struct on_demand *script;
	bool unusable;
	char *error;
	size_t size;
};

/* arg[0] is the script, arg[1] and so on its arguments, as lua(1) has it. */
static void l_set_arg(lua_State *L, const struct on_demand *script)
{
	lua_createtable(L, script->narguments, 1);
	lua_pushstring(L, script->name);
	lua_rawseti(L, -2, 0);
	for (int i = 0; i < script->narguments; i++) {
		lua_pushstring(L, script->arguments[i]);
		lua_rawseti(L, -2, i + 1);
	}
	lua_setfield(L, -2, "arg");
}

/* Compile it; the function waits in the environment for the call. */
static void l_load(lua_State *L, void *arg)
{
	struct job *job = arg;
	const struct on_demand *script = job->script;

	l_push_env(L);
	l_set_arg(L, script);
	if (l_load_text(L, script->text, script->size, lua_pushfstring(L, "@%s", script->name)) !=
	    LUA_OK) {
		job->unusable = true;
		snprintf(job->error, job->size, "%s", lua_tostring(L, -1));
		return;
	}
	lua_setfield(L, -3, FUNCTION);
}

/* It is gone from the environment before it runs. */
static int l_arguments(lua_State *L, void *arg)
{
	const struct job *job = arg;

	l_push_env(L);
	lua_pushnil(L);
	lua_setfield(L, -2, FUNCTION);
	lua_pop(L, 1);
	luaL_checkstack(L, job->script->narguments, "too many arguments");
	for (int i = 0; i < job->script->narguments; i++)
		lua_pushstring(L, job->script->arguments[i]);
	return job->script->narguments;
}

enum on_demand_end on_demand_run(
    struct script_set *set, const struct on_demand *script, char *error, size_t size)
{
	const struct config *c = script_set_config(set);
	struct job job = {script, false, error, size};
	struct run_call call = {.function = FUNCTION, .l_push = l_arguments, .arg = &job};
	struct run_budget budget = {.deadline_ms = INT64_MAX};
	struct runtime *rt = runtime_new(set, script->limits ? c->lua.memory_bytes : SIZE_MAX / 2);
	enum on_demand_end end = ON_DEMAND_FAILED;

	snprintf(error, size, "out of memory");
	if (rt != NULL && runtime_begin(rt, NULL)) {
		runtime_name(rt, script->name);
		if (runtime_inside(rt, l_load, &job) == RUN_OK && !job.unusable) {
			if (script->limits)
				budget = (struct run_budget){
				    clock_ms() + c->lua.hook_ms, c->lua.instructions};
			if (runtime_call(rt, &call, &budget, error, size) == RUN_OK)
				end = ON_DEMAND_DONE;
		}
		runtime_end(rt);
	}
	runtime_free(rt);
	return job.unusable ? ON_DEMAND_UNUSABLE : end;
}
