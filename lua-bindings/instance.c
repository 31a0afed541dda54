/* instance.c - see instance.h. */
#include "lua-bindings/instance.h"

#include "common/list.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>

bool instance_must_fail(const struct script_set *set)
{
	return script_set_config(set)->lua.on_error != ON_ERROR_ACCEPT;
}

enum instance_end instance_open(struct instance *in, struct script_set *set, enum script_id script,
    const struct log_id *id, int64_t deadline_ms, void (*l_globals)(lua_State *L, void *arg),
    void *arg)
{
	struct run_budget budget = runtime_budget(set, script, deadline_ms);
	bool fine;

	*in = (struct instance){.set = set, .script = script, .id = id, .deadline_ms = deadline_ms};
	if (!script_set_has(set, script))
		return INSTANCE_ABSENT;
	in->rt = runtime_acquire(set, id);
	if (in->rt == NULL) {
		log_error(id, "script %s: no memory for an instance; lua.on_error decides",
		    script_set_script(set, script)->label);
		return INSTANCE_FAILED;
	}
	fine = l_globals == NULL || instance_inside(in, l_globals, arg);
	if (fine && runtime_script(in->rt, script, &budget, NULL, 0) == RUN_OK)
		return INSTANCE_DONE;
	instance_close(in);
	return INSTANCE_FAILED;
}

void instance_concerns(struct instance *in, const struct log_id *id)
{
	in->id = id;
	runtime_set_log_id(in->rt, id);
}

/* runtime_call() knows one argument; the caller's results function gets the instance as well. */
struct passage {
	struct instance *in;
	const struct instance_call *call;
};

static int l_push(lua_State *L, void *arg)
{
	const struct passage *p = arg;

	return p->call->l_args != NULL ? p->call->l_args(L, p->call->arg) : 0;
}

static void l_take(lua_State *L, int first, int n, void *arg)
{
	const struct passage *p = arg;

	if (p->call->l_results != NULL)
		p->call->l_results(L, first, n, p->in, p->call->arg);
}

static void notice_wrong(struct instance *in, const char *hook)
{
	const char *label = script_set_script(in->set, in->script)->label;
	char *key = xasprintf("%s %s: wrong result", label, hook);

	if (script_set_first(in->set, key))
		log_warn(in->id,
		    "script %s, %s: a result is not %s; the call counts as failed, see "
		    "lua.on_error (logged once for each loading of the scripts)",
		    label, hook, in->wanted);
	free(key);
}

enum instance_end instance_call(struct instance *in, const struct instance_call *call)
{
	struct passage p = {in, call};
	struct run_call rc = {
	    .function = call->hook, .l_push = l_push, .l_take = l_take, .arg = &p};
	struct run_budget budget = runtime_budget(in->set, in->script, in->deadline_ms);
	enum run_result end;

	in->wanted = NULL;
	end = runtime_call(in->rt, &rc, &budget, NULL, 0);
	if (end == RUN_ABSENT)
		return INSTANCE_ABSENT;
	if (end != RUN_OK)
		return INSTANCE_FAILED;
	if (in->wanted == NULL)
		return INSTANCE_DONE;
	notice_wrong(in, call->hook);
	return INSTANCE_FAILED;
}

bool instance_inside(struct instance *in, void (*l_body)(lua_State *L, void *arg), void *arg)
{
	return runtime_inside(in->rt, l_body, arg) == RUN_OK;
}

void instance_close(struct instance *in)
{
	if (in->rt != NULL)
		runtime_release(in->rt);
	in->rt = NULL;
}
