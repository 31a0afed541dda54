/* check_private.h - private to lua-bindings/: what the files check*.c share.
 *
 *   check.c         every script in turn
 *   check_code.c    reads compiled code: which names it uses
 *   check_names.c   names that do not exist
 *   check_hooks.c   functions that are nearly hooks, and their parameters
 *   check_dry.c     calls on trial
 *   check_values.c  tables and global variables that a script leaves
 *   check_report.c  findings
 */
#pragma once

#include "lua-bindings/check/check.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"

#include <stdbool.h>
#include <stddef.h>

/* One use of a name in the code. */
struct code_use {
	char *table; /* the global variable whose field it is; NULL: a global variable itself */
	char *name;
	int line;
	bool assigned; /* it gets a value, else it is read */
	bool tested;   /* "if name then", "name or other", "name == nil" */
};

struct code_uses {
	struct code_use *v;
	size_t n;
};

struct checked_file { /* parallel to script_set_files() */
	struct code_uses uses;
	bool is_script;
};

struct checker {
	struct script_set *set;
	struct check_report *report;
	struct checked_file *files;
	/* "name" and "table.name": of the environment as every script finds it; of the documented
	 * global variables of all scripts */
	struct strlist given, documented;
};

/* check_report.c: what is malloc'ed and taken over. The same finding is kept once. */
void check_add(struct check_report *, enum check_kind, const char *file, int line, char *what,
    const char *way_out, ...) __attribute__((format(printf, 6, 7)));
/* A message of Lua, "file:line: text": with its place when the file is one of the set. */
void check_add_error(struct checker *, enum check_kind, const char *path, const char *error,
    const char *prefix, const char *way_out);
void check_sort(struct check_report *);

/* check.c */
bool check_is_file(const struct checker *, const char *name); /* of the script directory */

/* check_code.c: false when the bytecode is none of this Lua. */
bool code_scan(struct code_uses *, const void *bytecode, size_t n);
void code_uses_clear(struct code_uses *);

/* check_names.c: env has the names that the script has left in its environment, or is NULL. */
void check_names(struct checker *, size_t file, const struct strlist *env);
/* The names of the environment table on top, as struct checker has them. */
void l_check_list_names(lua_State *L, struct strlist *);
bool check_uses(const struct checker *, const char *name); /* does any code read this variable? */

bool check_is_hook(const char *name); /* check_hooks.c: of any script */
/* check_hooks.c: inside, with the environment as the script left it. */
void l_check_hooks(lua_State *L, struct checker *, const struct script *, struct strlist *hooks);

/* check_values.c */
struct wrong_values { /* parallel */
	struct strlist what, way_out;
};
void wrong_values_clear(struct wrong_values *);
/* Is it the name (n bytes) of a table whose fields have fixed names? */
bool check_is_record(const char *name, size_t n);
/* The value at one index is compared with the sample at the other; both are absolute. */
void l_check_value(lua_State *L, int value, int sample, const char *name, struct wrong_values *);
/* What the environment holds besides these names are samples of documented variables: kept. */
void l_check_keep_samples(lua_State *L, const struct strlist *given);
/* The documented variables as the script left them; names becomes parallel to what is found. */
void l_check_globals(lua_State *L, struct wrong_values *, struct strlist *names);

/* check_names.c: where a global variable first gets a value, as malloc'ed path and line; the
 * script itself and 0 when no file assigns to it. */
char *check_assigned_at(const struct checker *, const struct script *, const char *name, int *line);

/* check_dry.c: global variables as the script left them; its hooks, called on trial. */
void check_variables(struct checker *, struct runtime *, const struct script *);
void check_calls(struct checker *, struct runtime *, enum script_id, const struct strlist *hooks);
