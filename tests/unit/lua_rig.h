/* lua_rig.h - Lua code for tests: run in a runtime of ours, or in stock Lua to compare with. */
#pragma once

#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stddef.h>

#define RIG_MEMORY (32u << 20)
#define RIG_INSTRUCTIONS 50000000
#define RIG_MS 5000

/* The results of the last run, as tostring() shows them, joined by '|' ; or the error message. */
extern char rig_text[65536];
extern size_t rig_text_n;

/* What print() wrote since rig_printed_clear(), one line after the other; rig_listen() begins. */
extern char rig_printed[65536];
void rig_listen(void);
void rig_printed_clear(void);

/* A runtime with a life begun, without a script set. */
struct runtime *rig_open(void);
/* The same with the scripts of a configuration; the test fails where they are wrong. *set is the
 * caller's to unref, after rig_close(). */
struct runtime *rig_load(struct config *, struct script_set **set);
void rig_close(struct runtime *);

/* Run code as the body of a function, named rig, in the environment. */
enum run_result rig_run(struct runtime *, const char *code);
enum run_result rig_run_budget(struct runtime *, const char *code, int64_t instructions, int ms);
/* Run it and fail the test unless it ends well with these results. */
void rig_expect(struct runtime *, const char *code, const char *results);
/* Run it and fail the test unless it raises an error with this text in it. */
void rig_expect_error(struct runtime *, const char *code, const char *part);

/* Stock Lua with all its libraries. */
struct lua_State *rig_stock_open(void);
/* Run the same code in both and fail the test when the results differ. */
void rig_same(struct runtime *, struct lua_State *stock, const char *code);

/* A string argument; define a function first, then call it with up to four of them. */
struct rig_bytes {
	const char *s;
	size_t n;
};
void rig_define(struct runtime *, struct lua_State *stock, const char *name, const char *body);
void rig_same_call(struct runtime *, struct lua_State *stock, const char *name,
    const struct rig_bytes *arguments, int n);
