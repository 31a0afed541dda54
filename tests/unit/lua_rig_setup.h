/* lua_rig_setup.h - setup and teardown of a group of tests that share a runtime of ours, rt, and a
 * stock Lua to compare with, stock. For one test program each. */
#pragma once

#include "tests/unit/lua_rig.h"

#include <lua.h>

static struct runtime *rt;
static struct lua_State *stock;

static int setup(void **state)
{
	(void)state;
	rig_listen();
	rt = rig_open();
	stock = rig_stock_open();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_close(rt);
	lua_close(stock);
	return 0;
}
