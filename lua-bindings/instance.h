/* instance.h - private to lua-bindings/: one live instance of a script, for its binding.
 *
 * A binding (smtprules.c, mxout.c ...) opens an instance, sets the script's global variables, calls
 * hooks with C arguments and reads C results; what is the same for every script stands here: the
 * pooled state, the budgets, results of a wrong type. An instance belongs to one caller at a time
 * and shares nothing with another one. smtpsvr.lua has a session of its own (smtpsvr/). */
#pragma once

#include "common/log.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

struct instance {
	struct script_set *set; /* borrowed */
	enum script_id script;
	struct runtime *rt; /* NULL: closed */
	const struct log_id *id;
	int64_t deadline_ms; /* monotonic; every call ends there, or after its own budget */
	const char *wanted;  /* an l_results sets it: what a result should have been and was not */
};

enum instance_end {
	INSTANCE_ABSENT, /* no such script, or no such hook */
	INSTANCE_DONE,
	INSTANCE_FAILED, /* logged; lua.on_error says what that means, see instance_must_fail() */
};

/* One call. l_args pushes the arguments and returns their number; l_results finds n results from
 * index first on. Both may be NULL, and may raise. */
struct instance_call {
	const char *hook;
	int (*l_args)(lua_State *L, void *arg);
	void (*l_results)(lua_State *L, int first, int n, struct instance *, void *arg);
	void *arg;
};

/* Take a state, let l_globals (may be NULL) set the global variables, run the top-level code.
 * Unless it is DONE the instance is closed. */
enum instance_end instance_open(struct instance *, struct script_set *, enum script_id,
    const struct log_id *, int64_t deadline_ms, void (*l_globals)(lua_State *L, void *arg),
    void *arg);
/* What follows is about another message: id (NULL: none) in place of the one before. Open only. */
void instance_concerns(struct instance *, const struct log_id *id);
/* A result of a wrong type makes the call FAILED, and is logged once for each generation. */
enum instance_end instance_call(struct instance *, const struct instance_call *);
/* C code within the environment, to set or read global variables. False: out of memory. */
bool instance_inside(struct instance *, void (*l_body)(lua_State *L, void *arg), void *arg);
/* Closing a closed instance is fine. */
void instance_close(struct instance *);

/* Does lua.on_error say that mail must not go on as if the hook were absent? */
bool instance_must_fail(const struct script_set *);
