/* on_demand.h - one script run by hand: `mailhooks lua`.
 *
 * The environment is that of an administrator's script: the same functions, the same limits of what
 * they may reach. No Lua type appears here. One thread. */
#pragma once

#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stddef.h>

struct on_demand {
	const char *name; /* of the file, for messages and arg[0] */
	const char *text;
	size_t size;
	char *const *arguments; /* arg[1] ... */
	int narguments;
	bool limits; /* those of a hook (lua.*); else the script may take what it wants */
};

enum on_demand_end {
	ON_DEMAND_DONE,
	ON_DEMAND_FAILED,   /* it raised an error, or used up a limit */
	ON_DEMAND_UNUSABLE, /* it cannot be compiled */
};

/* Sibling scripts come from the set (script_set_open()). What the script prints goes to
 * luaout_print(), an error with traceback to luaout_error(); error gets its first line. */
enum on_demand_end on_demand_run(
    struct script_set *, const struct on_demand *, char *error, size_t size);
