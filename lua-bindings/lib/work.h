/* work.h - private to lua-bindings/: what C loops cost.
 *
 * The count hook sees VM instructions only, so a C function that a script can keep busy accounts
 * for its work with l_work(). One unit is about one VM instruction, some 5 ns. Small amounts are
 * not worth a look at the clock: the instruction that called the function pays for them. */
#pragma once

#include "lua-bindings/runtime.h"

#include <stddef.h>
#include <stdint.h>

#define WORK_COPY 64	 /* bytes of memcpy, memchr or strcmp per unit */
#define WORK_BYTE 8	 /* bytes looked at one by one per unit */
#define WORK_LEAST 64	 /* units below this are not accounted */
#define WORK_BATCH 1000	 /* units between two looks at the clock inside of a loop */
#define WORK_SYSCALL 200 /* a cheap system call: about a microsecond */
#define WORK_NUMBER 50	 /* a number as text */
#define WORK_COLLECT 100 /* a full garbage collection, per KiB in use */

/* Before or after a piece of work. */
static inline void l_charge(lua_State *L, size_t units)
{
	if (units >= WORK_LEAST)
		l_work(L, units > INT64_MAX ? INT64_MAX : (int64_t)units);
}

/* Inside of a loop: *pending collects, starting at 0. */
static inline void l_meter(lua_State *L, size_t *pending, size_t units)
{
	*pending += units;
	if (*pending >= WORK_BATCH) {
		size_t due = *pending;

		*pending = 0;
		l_charge(L, due);
	}
}

/* Bytes of the value if it is a string. */
static inline size_t l_string_bytes(lua_State *L, int index)
{
	return lua_type(L, index) == LUA_TSTRING ? lua_rawlen(L, index) : 0;
}

/* A full garbage collection. */
static inline void l_collect(lua_State *L)
{
	l_charge(L, (size_t)lua_gc(L, LUA_GCCOUNT) * WORK_COLLECT);
	lua_gc(L, LUA_GCCOLLECT);
}
