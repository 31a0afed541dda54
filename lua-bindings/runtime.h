/* runtime.h - private to lua-bindings/: one Lua state under control, and the only gate into it.
 *
 * runtime_call() is the only place that runs script code. Functions whose name starts with l_ may
 * raise Lua errors (longjmp) and are called from inside the gate only; they must not hold
 * resources that a longjmp would leak: userdata first, resource second. Nothing else raises.
 *
 * One thread at a time per runtime; which thread may change between calls. The runtime of a
 * lua_State is found with runtime_of(), also from coroutines. */
#pragma once

#include "common/config.h"
#include "common/log.h"
#include "lua-bindings/script_set.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>

#include <stdbool.h>
#include <stdint.h>

#if LUA_VERSION_NUM != 504
#error "mailhooks is written for Lua 5.4"
#endif

struct runtime;
struct message_view;

enum run_result {
	RUN_OK,
	RUN_ABSENT,	  /* no such function */
	RUN_ERROR,	  /* the script raised an error */
	RUN_DEADLINE,	  /* wall clock used up */
	RUN_INSTRUCTIONS, /* VM instructions used up */
	RUN_MEMORY,	  /* memory used up */
};

struct run_budget {
	int64_t deadline_ms;  /* monotonic clock (clock.h) */
	int64_t instructions; /* 0 = unlimited */
};

/* What one call of this script may spend (script_set_budget()), ending at deadline_ms at the
 * latest. */
struct run_budget runtime_budget(const struct script_set *, enum script_id, int64_t deadline_ms);

/* One call of a script function. push leaves the arguments on the stack and returns their number;
 * take finds nresults values at index first... Both run inside the gate and may raise. */
struct run_call {
	const char *function;
	int (*l_push)(lua_State *L, void *arg);
	void (*l_take)(lua_State *L, int first, int nresults, void *arg);
	void *arg;
};

/* A new state with an empty environment. memory_bytes caps what scripts may allocate on top of
 * what the prepared state itself needs. set is borrowed: whoever holds the runtime holds the set.
 * NULL when out of memory. */
struct runtime *runtime_new(struct script_set *set, size_t memory_bytes);
void runtime_free(struct runtime *);

/* Begin a life: a fresh environment (all libraries, host tables, none of the globals of an earlier
 * life). id is used for logging until runtime_end() and may be NULL. End drops every trace of the
 * life. False: the state is unusable: free it. */
bool runtime_begin(struct runtime *, const struct log_id *id);
bool runtime_end(struct runtime *);
/* Between two lives: is it worth keeping, or did one of them take much memory? */
bool runtime_is_lean(const struct runtime *);
/* A life that runs nothing but the files of its set, which is cheaper when these are known to leave
 * the libraries alone. */
bool runtime_begin_with_the_set(struct runtime *, const struct log_id *id);

/* Run the top-level code of a script in the environment; then calls of its functions. Errors are
 * logged to LUAERRORS.LOG with traceback and as one line to the log; error (may be NULL) gets the
 * message. */
enum run_result runtime_script(
    struct runtime *, enum script_id, const struct run_budget *, char *error, size_t error_size);
enum run_result runtime_call(struct runtime *, const struct run_call *, const struct run_budget *,
    char *error, size_t error_size);
/* The same gate for C code that touches the environment without calling a script function. */
enum run_result runtime_inside(
    struct runtime *, void (*l_body)(lua_State *L, void *arg), void *arg);
/* Compile a script (text only) and give the bytecode, malloc'ed; *wrapped as in struct
 * compat_source. False: error holds "name:line: what". */
bool runtime_compile(struct runtime *, const struct script_file *, const char *name,
    void **bytecode, size_t *size, bool *wrapped, char *error, size_t error_size);

/* What messages call the script whose functions are called next; runtime_script() says it itself.
 */
void runtime_name(struct runtime *, const char *script);

const char *run_result_text(enum run_result);

/* A pool of prepared runtimes belongs to each script set (pool.c). acquire() gives one whose life
 * has begun, or NULL when out of memory; release() ends the life and keeps the runtime for the
 * next. */
struct runtime *runtime_acquire(struct script_set *, const struct log_id *id);
void runtime_release(struct runtime *);

/* The message that the VPOP3.GetMessage* functions look at, NULL = none; the caller keeps it until
 * it takes it away again. */
void runtime_show_message(struct runtime *, struct message_view *);
struct message_view *runtime_message(struct runtime *);

/* Calls on trial and such that only look (lib/dry.h). set forgets what was noted; asked gives the
 * first function that would have reached out since then, NULL = none did. */
enum runtime_dry { RUNTIME_REAL, RUNTIME_TRIAL, RUNTIME_LOOKING };

void runtime_set_dry(struct runtime *, enum runtime_dry);
/* Right after runtime_begin(), for the rest of this runtime, which is not used again: it only
 * looks. False: out of memory. */
bool runtime_only_looks(struct runtime *);
enum runtime_dry runtime_dry(const struct runtime *);
void runtime_note_dry(struct runtime *, const char *function);
const char *runtime_dry_asked(const struct runtime *);

/* A runtime around a state that belongs to somebody else (module/): no budgets, no gate; what is
 * called in it runs with the rights of its host. set may change (borrowed, NULL at first). The
 * table on top is popped by l_guest_environment(), and is what l_push_env() gives from then on.
 * abandon: when the state is closed. */
struct runtime *runtime_adopt(lua_State *L);
void runtime_guest_set(struct runtime *, struct script_set *);
void l_guest_environment(lua_State *L);
void runtime_abandon(struct runtime *);
bool runtime_is_guest(const struct runtime *);

struct runtime *runtime_of(lua_State *L);
const struct log_id *runtime_log_id(struct runtime *);
/* From now on it is this one, which was given to acquire() before; NULL: none. */
void runtime_set_log_id(struct runtime *, const struct log_id *);
struct script_set *runtime_set(struct runtime *);
/* For helpers that wait: milliseconds left of the running call, 0 when over. A helper that
 * finds none left raises through l_deadline(). */
int runtime_left_ms(struct runtime *);
_Noreturn void l_deadline(lua_State *L);
/* For C loops driven by a script (pattern matching ...): account n units of work, one unit being
 * about one VM instruction; raises when the instruction budget or the deadline is gone. */
void l_work(lua_State *L, int64_t n);
/* The coroutine co begins to run, or goes on, the caller keeps it from being collected. Shortens
 * the time between two looks at the clock where there are long strings. */
void runtime_running(lua_State *co);
/* Push the environment table (the script's _G). */
void l_push_env(lua_State *L);
