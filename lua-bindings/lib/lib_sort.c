/* lib_sort.c - table.sort: quicksort on a list of any table, each comparison accounted for.
 *
 * By hand for the same reason as lib_table.c. A comparison function that contradicts itself can
 * drive the scans over the ends of the range: that is noticed and raised, as in stock Lua. */
#include "lua-bindings/lib/table.h"
#include "lua-bindings/lib/work.h"

#include <limits.h>

#define RANDOM_FROM 100 /* elements; from here on the pivot is chosen at random */

struct sort {
	lua_State *L; /* stack: 1 the list, 2 the comparison function or nil */
	size_t pending;
	unsigned seed;
};

/* Is the value at a less than the value at b? Both are counted from the top. */
static bool l_less(struct sort *s, int a, int b)
{
	lua_State *L = s->L;
	bool less;

	l_meter(L, &s->pending, 4 + l_string_bytes(L, a) / WORK_COPY);
	if (lua_isnil(L, 2))
		return lua_compare(L, a, b, LUA_OPLT);
	lua_pushvalue(L, 2);
	lua_pushvalue(L, a - 1);
	lua_pushvalue(L, b - 2);
	lua_call(L, 2, 1);
	less = lua_toboolean(L, -1);
	lua_pop(L, 1);
	return less;
}

/* Elements i and j, which are on top in this order, change places. */
static void l_exchange(struct sort *s, lua_Integer i, lua_Integer j)
{
	lua_seti(s->L, 1, i);
	lua_seti(s->L, 1, j);
}

/* Make element i no greater than element j. */
static void l_order(struct sort *s, lua_Integer i, lua_Integer j)
{
	lua_geti(s->L, 1, i);
	lua_geti(s->L, 1, j);
	if (l_less(s, -1, -2))
		l_exchange(s, i, j);
	else
		lua_pop(s->L, 2);
}

/* Push the next element from *i on, upwards or downwards, that does not belong to the side of the
 * pivot on which the scan began. limit: an element that stops any honest comparison. */
static void l_scan(struct sort *s, lua_Integer *i, int step, lua_Integer limit, int pivot)
{
	for (;;) {
		bool on;

		*i += step;
		lua_geti(s->L, 1, *i);
		lua_pushvalue(s->L, pivot);
		on = step > 0 ? l_less(s, -2, -1) : l_less(s, -1, -2);
		lua_pop(s->L, 1);
		if (!on)
			return;
		if (*i == limit)
			luaL_error(s->L, "invalid order function for sorting");
		lua_pop(s->L, 1);
	}
}

/* low <= middle <= high hold for the three; the pivot is the middle one. Returns its final place.
 */
static lua_Integer l_partition(
    struct sort *s, lua_Integer low, lua_Integer middle, lua_Integer high)
{
	lua_Integer i = low, j = high - 1;
	int pivot;

	lua_geti(s->L, 1, middle);
	pivot = lua_gettop(s->L);
	lua_geti(s->L, 1, middle); /* out of the way, next to the end */
	lua_geti(s->L, 1, high - 1);
	l_exchange(s, middle, high - 1);
	for (;;) {
		l_scan(s, &i, 1, high - 1, pivot);
		l_scan(s, &j, -1, low, pivot);
		if (j < i)
			break;
		l_exchange(s, i, j);
	}
	lua_settop(s->L, pivot - 1);
	lua_geti(s->L, 1, i);
	lua_geti(s->L, 1, high - 1);
	l_exchange(s, i, high - 1);
	return i;
}

static lua_Integer choose_middle(struct sort *s, lua_Integer low, lua_Integer high)
{
	lua_Integer quarter = (high - low) / 4;

	if (high - low < RANDOM_FROM)
		return low + (high - low) / 2;
	s->seed = s->seed * 1103515245 + 12345;
	return low + quarter + (lua_Integer)(s->seed >> 8) % (2 * quarter);
}

static void l_sort_range(struct sort *s, lua_Integer low, lua_Integer high)
{
	while (low < high) {
		lua_Integer middle = choose_middle(s, low, high);

		l_order(s, low, high);
		if (high - low == 1)
			return;
		l_order(s, low, middle);
		l_order(s, middle, high);
		if (high - low == 2)
			return;
		middle = l_partition(s, low, middle, high);
		if (middle - low < high - middle) { /* recursion on the smaller part: log n deep */
			l_sort_range(s, low, middle - 1);
			low = middle + 1;
		} else {
			l_sort_range(s, middle + 1, high);
			high = middle - 1;
		}
	}
}

/*** table.sort(list [, comparison])
 * As in Lua 5.4; accounted. A comparison function that contradicts itself raises "invalid order
 * function for sorting" or leaves some order, never more. */
int l_table_sort(lua_State *L)
{
	struct sort s = {.L = L, .seed = 1};
	lua_Integer n = l_table_length(L, 1, TABLE_READ | TABLE_WRITE);

	if (n > 1) {
		luaL_argcheck(L, n < INT_MAX, 1, "array too big");
		if (!lua_isnoneornil(L, 2))
			luaL_checktype(L, 2, LUA_TFUNCTION);
		lua_settop(L, 2);
		luaL_checkstack(L, 40 + LUA_MINSTACK, "too many elements");
		l_sort_range(&s, 1, n);
	}
	return 0;
}
