/* where.h - private to lua-bindings/: where in a script a hook stands. */
#pragma once

#include "lua-bindings/instance.h"

/* "mxserverrules.lua:12", malloc'ed; NULL: there is no such function. */
char *instance_where(struct instance *, const char *hook);
