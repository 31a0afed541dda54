/* lib_mailhooks_return_path.c - BATV and SRS for scripts, with the keys and settings of the host.
 *
 * Each function gives the new address, or nil, a text that says why not, and a code: "not"
 * (signing: it cannot be done to this address; checking: the address has no tag), "forged",
 * "expired", "off" (not set up) or "unknown" (the keys cannot be read). Reads a key file when it
 * has changed. */
#include "common/return_path.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/work.h"

#include <stdlib.h>
#include <string.h>

#define WORK_HMAC (10 * WORK_SYSCALL) /* some 10 us for OpenSSL to find and run it */

static const char *const codes[] = {
    [RETURN_PATH_NOT] = "not",
    [RETURN_PATH_FORGED] = "forged",
    [RETURN_PATH_EXPIRED] = "expired",
    [RETURN_PATH_OFF] = "off",
    [RETURN_PATH_UNKNOWN] = "unknown",
};

struct made {
	char *address;
};

static void clear(void *arg)
{
	struct made *m = arg;

	free(m->address);
}

/* A state without scripts has no settings. */
static enum return_path ask(const struct script_set *set, enum return_path_op op,
    const char *address, char **out, const char **why)
{
	if (set != NULL)
		return return_path_do(script_set_config(set), op, address, out, why);
	*why = "there are no settings";
	return RETURN_PATH_OFF;
}

static int l_do(lua_State *L, enum return_path_op op, const char *call)
{
	struct script_set *set = runtime_set(runtime_of(L));
	const char *address, *why;
	enum return_path answer;
	struct made *m;
	size_t n;

	lua_settop(L, 1);
	if (l_to_string(L, 1, &address, &n) != GIVEN)
		return luaL_error(L, "%s: a string is wanted", call);
	m = l_owned(L, sizeof *m, clear);
	l_charge(L, WORK_HMAC);
	answer = RETURN_PATH_NOT;
	why = "there is a zero byte in the address";
	if (strlen(address) == n)
		answer = ask(set, op, address, &m->address, &why);
	if (answer == RETURN_PATH_DONE) {
		lua_pushstring(L, m->address);
		l_owned_clear(L, 2);
		return 1;
	}
	lua_pushnil(L);
	lua_pushstring(L, why);
	lua_pushstring(L, codes[answer]);
	return 3;
}

/*** mailhooks.batv_sign(address) -> string or nil, why, code
 * The address with a tag that only this host can have made (BATV), valid for batv.days. code is
 * "not" when the address cannot have one: no domain, a quoted local part, too long, or a tag
 * already; "off" when batv.key_file is not set, "unknown" when it cannot be read. */
static int l_batv_sign(lua_State *L)
{
	l_refuse_in_safety_mode(L, "mailhooks.batv_sign"); /* it signs with the server's key */
	return l_do(L, RETURN_PATH_BATV_SIGN, "mailhooks.batv_sign(address)");
}

/*** mailhooks.batv_check(address) -> string or nil, why, code
 * The address without its tag when the tag is valid. code is "not" when it has none, "forged" when
 * none of our keys has made it, "expired" when it is too old, otherwise as mailhooks.batv_sign. */
static int l_batv_check(lua_State *L)
{
	return l_do(L, RETURN_PATH_BATV_CHECK, "mailhooks.batv_check(address)");
}

/*** mailhooks.srs_forward(address) -> string or nil, why, code
 * The address rewritten into srs.domain (SRS), so that mail can be forwarded in its name and
 * bounces find back. code is "not" when that cannot be done: no domain, a quoted local part, too
 * long, or an address of srs.domain already; "off" when srs.secret_file or srs.domain is not set,
 * "unknown" when the file cannot be read. */
static int l_srs_forward(lua_State *L)
{
	l_refuse_in_safety_mode(L, "mailhooks.srs_forward");
	return l_do(L, RETURN_PATH_SRS_FORWARD, "mailhooks.srs_forward(address)");
}

/*** mailhooks.srs_reverse(address) -> string or nil, why, code
 * The address that was rewritten. code is "not" when this is no SRS address of srs.domain, "forged"
 * when none of our secrets has made it, "expired" when it is older than srs.days, otherwise as
 * mailhooks.srs_forward. */
static int l_srs_reverse(lua_State *L)
{
	return l_do(L, RETURN_PATH_SRS_REVERSE, "mailhooks.srs_reverse(address)");
}

static const struct library_row rows[] = {
    {"batv_check", l_batv_check},
    {"batv_sign", l_batv_sign},
    {"srs_forward", l_srs_forward},
    {"srs_reverse", l_srs_reverse},
    {NULL, NULL},
};

const struct library library_mailhooks_return_path = {"mailhooks", rows};
