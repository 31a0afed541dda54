/* lib_math.c - the math library: stock functions, and random numbers whose state belongs to the
 * life.
 *
 * By hand because the stock generator keeps its state in the functions, which outlive a life: what
 * one session seeds or draws would show in the next. The generator is xoshiro256**, as in Lua 5.4,
 * seeded from the kernel when a script first asks. */
#include "lua-bindings/lib/compat_help.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/life.h"
#include "lua-bindings/lib/work.h"

#include <lauxlib.h>

#include <string.h>
#include <sys/random.h>
#include <time.h>

#define WARM_UP \
	16 /* numbers thrown away after seeding: a seed of few bits spreads over the state */

static uint64_t rotate(uint64_t x, int n)
{
	return (x << n) | (x >> (64 - n));
}

static uint64_t next_random(struct life *life)
{
	uint64_t *s = life->random;
	uint64_t result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;

	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rotate(s[3], 45);
	return result;
}

static void seed(struct life *life, uint64_t a, uint64_t b)
{
	life->random[0] = a;
	life->random[1] = 0xff; /* never all zero */
	life->random[2] = b;
	life->random[3] = 0;
	for (int i = 0; i < WARM_UP; i++)
		next_random(life);
	life->random_seeded = true;
}

static void seed_from_kernel(struct life *life, uint64_t v[2])
{
	struct timespec now;

	if (getrandom(v, 2 * sizeof *v, GRND_NONBLOCK) != (ssize_t)(2 * sizeof *v)) {
		clock_gettime(CLOCK_REALTIME, &now); /* a kernel that has just booted */
		v[0] = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
		v[1] = (uint64_t)(uintptr_t)life;
	}
	seed(life, v[0], v[1]);
}

/* A number in 0 ... most, each as likely: numbers beyond are drawn again, under the smallest mask.
 */
static uint64_t random_up_to(struct life *life, uint64_t most)
{
	uint64_t mask = most, x;

	for (int shift = 1; shift < 64; shift *= 2)
		mask |= mask >> shift;
	do {
		x = next_random(life) & mask;
	} while (x > most);
	return x;
}

/*** math.random([m [, n]]) -> number
 * As in Lua 5.4: a float in [0, 1), an integer in 1 ... m or m ... n; random(0) gives 64 random
 * bits. Starts from a random state in each life. */
static int l_random(lua_State *L)
{
	struct life *life = l_life(L);
	lua_Integer low = 1, high;
	uint64_t v[2];

	if (!life->random_seeded)
		seed_from_kernel(life, v);
	l_old_integers(L, 1, 2);
	switch (lua_gettop(L)) {
	case 0:
		lua_pushnumber(L, (lua_Number)(next_random(life) >> 11) * 0x1p-53);
		return 1;
	case 1:
		high = luaL_checkinteger(L, 1);
		if (high == 0) {
			lua_pushinteger(L, (lua_Integer)next_random(life));
			return 1;
		}
		break;
	case 2:
		low = luaL_checkinteger(L, 1);
		high = luaL_checkinteger(L, 2);
		break;
	default:
		return luaL_error(L, "wrong number of arguments");
	}
	luaL_argcheck(L, low <= high, lua_gettop(L), "interval is empty");
	lua_pushinteger(
	    L, (lua_Integer)((uint64_t)low + random_up_to(life, (uint64_t)high - (uint64_t)low)));
	return 1;
}

/*** math.randomseed([x [, y]]) -> x, y
 * As in Lua 5.4; the seed is gone at the end of the life. */
static int l_randomseed(lua_State *L)
{
	struct life *life = l_life(L);
	uint64_t v[2] = {0, 0};
	lua_Number x;
	int fits;

	if (lua_isnone(L, 1)) {
		seed_from_kernel(life, v);
	} else {
		v[0] = (uint64_t)lua_tointegerx(L, 1, &fits);
		if (!fits) {
			x = luaL_checknumber(L, 1);
			memcpy(&v[0], &x, sizeof x);
		}
		v[1] = (uint64_t)luaL_optinteger(L, 2, 0);
		seed(life, v[0], v[1]);
	}
	lua_pushinteger(L, (lua_Integer)v[0]);
	lua_pushinteger(L, (lua_Integer)v[1]);
	return 2;
}

/*** math.fmod(x, y) -> number
 * As in Lua 5.4. As in Lua 5.1, the remainder of a division by zero is no number (not with
 * lua.compat = "5.4"). */
static int l_fmod(lua_State *L)
{
	if (lua_isinteger(L, 2) && lua_tointeger(L, 2) == 0 && l_compat_mode(L) != COMPAT_54) {
		lua_pushnumber(L, 0);
		lua_replace(L, 2);
	}
	return l_stock(L, STOCK_MATH_FMOD);
}

/*** math.max(x, ...) -> number
 * As in Lua 5.4; accounted. */
static int l_max(lua_State *L)
{
	l_charge(L, (size_t)lua_gettop(L));
	return l_stock(L, STOCK_MATH_MAX);
}

/*** math.min(x, ...) -> number
 * As in Lua 5.4; accounted. */
static int l_min(lua_State *L)
{
	l_charge(L, (size_t)lua_gettop(L));
	return l_stock(L, STOCK_MATH_MIN);
}

static const struct library_row rows[] = {
    /*** math.abs(x) -> number
     * As in Lua 5.4. */
    {"abs", NULL},
    /*** math.acos(x) -> number
     * As in Lua 5.4. */
    {"acos", NULL},
    /*** math.asin(x) -> number
     * As in Lua 5.4. */
    {"asin", NULL},
    /*** math.atan(y [, x]) -> number
     * As in Lua 5.4. */
    {"atan", NULL},
    /*** math.ceil(x) -> number
     * As in Lua 5.4. */
    {"ceil", NULL},
    /*** math.cos(x) -> number
     * As in Lua 5.4. */
    {"cos", NULL},
    /*** math.deg(x) -> number
     * As in Lua 5.4. */
    {"deg", NULL},
    /*** math.exp(x) -> number
     * As in Lua 5.4. */
    {"exp", NULL},
    /*** math.floor(x) -> number
     * As in Lua 5.4. */
    {"floor", NULL},
    {"fmod", l_fmod},
    /*** math.huge
     * Infinity. */
    {"huge", NULL},
    /*** math.log(x [, base]) -> number
     * As in Lua 5.4. */
    {"log", NULL},
    {"max", l_max},
    /*** math.maxinteger
     * The largest integer. */
    {"maxinteger", NULL},
    {"min", l_min},
    /*** math.mininteger
     * The smallest integer. */
    {"mininteger", NULL},
    /*** math.modf(x) -> integral part, fraction
     * As in Lua 5.4. */
    {"modf", NULL},
    /*** math.pi
     * The number pi. */
    {"pi", NULL},
    /*** math.rad(x) -> number
     * As in Lua 5.4. */
    {"rad", NULL},
    {"random", l_random},
    {"randomseed", l_randomseed},
    /*** math.sin(x) -> number
     * As in Lua 5.4. */
    {"sin", NULL},
    /*** math.sqrt(x) -> number
     * As in Lua 5.4. */
    {"sqrt", NULL},
    /*** math.tan(x) -> number
     * As in Lua 5.4. */
    {"tan", NULL},
    /*** math.tointeger(x) -> integer or nil
     * As in Lua 5.4. */
    {"tointeger", NULL},
    /*** math.type(x) -> "integer", "float" or nil
     * As in Lua 5.4. */
    {"type", NULL},
    /*** math.ult(m, n) -> boolean
     * As in Lua 5.4. */
    {"ult", NULL},
    {NULL, NULL},
};

const struct library library_math = {"math", rows};
