/* dry.c - see dry.h. */
#include "lua-bindings/lib/dry.h"

#include "lua-bindings/runtime.h"

#include <string.h>

#define REAL "=" /* the function itself */

/* What a function answers: n nil, t and f true and false, { an empty table, 2 and - the numbers 2
 * (DNS: failure) and -1; NULL: nil and a message. */
static const struct row {
	const char *function, *trial, *looking;
} rows[] = {
    {"VPOP3.ExpandAddress", "{", REAL},
    {"VPOP3.GetSetting", "fn", REAL},
    {"VPOP3.GetUserList", "{", REAL},
    {"VPOP3.GetUserSetting", "n", REAL},
    {"VPOP3.PostgresQuery", "{", REAL}, /* takes no statement that writes */
    {"VPOP3.SaveAttachment", "f", "f"},
    {"VPOP3.SetSetting", "f", "t"},
    {"VPOP3.SetUserSetting", "f", "t"},
    {"VPOP3Net.GetDNSRecords", "2f", REAL},
    {"VPOP3Net.GetHTTP", "fn", REAL},
    {"VPOP3Net.GetWHOIS", "fn", REAL},
    {"file:close", NULL, REAL},
    {"file:lines", NULL, REAL},
    {"file:read", NULL, REAL},
    {"file:seek", NULL, REAL},
    {"io.close", NULL, REAL},
    {"io.input", NULL, REAL},
    {"io.lines", NULL, REAL},
    {"io.open", NULL, REAL}, /* to read, see may_look() */
    {"io.read", NULL, REAL},
    {"mailhooks.attempts", NULL, REAL},
    {"mailhooks.batv_check", NULL, REAL},
    {"mailhooks.batv_sign", NULL, REAL},
    {"mailhooks.count_attempts", NULL, REAL},
    {"mailhooks.held", NULL, REAL},
    {"mailhooks.hold", NULL, "t"},
    {"mailhooks.rate_peek", NULL, REAL},
    {"mailhooks.rate_take", NULL, REAL}, /* which peeks then */
    {"mailhooks.release", NULL, "f"},
    {"mailhooks.sql_quote", NULL, REAL},
    {"mailhooks.srs_forward", NULL, REAL},
    {"mailhooks.srs_reverse", NULL, REAL},
    {"os.getdirectory", NULL, REAL},
    {"os.sleep", "", REAL},
    {"os.timedexecute", "-", "-"},
};

/* They neither look nor reach out, or raise an error anyway. */
static const char *const harmless[] = {
    "VPOP3.GetMessageLine",
    "VPOP3.GetMessageLines",
    "VPOP3.GetMessagePart",
    "VPOP3.GetMessagePartBody",
    "VPOP3.GetMessagePartHeader",
    "VPOP3.HMAC",
    "VPOP3.HexString",
    "VPOP3.MD5",
    "VPOP3.MessageReset",
    "VPOP3.MessageSeek",
    "VPOP3.ParseURL",
    "VPOP3.SHA1",
    "VPOP3.SHA256",
    "VPOP3.SHA512",
    "VPOP3.UnHexString",
    "io.popen",
    "io.type",
    "mailhooks.headers",
    "mailhooks.remove_auth_results",
    "mailhooks.remove_header",
    "os.clearsafety",
    "os.clock",
    "os.date",
    "os.difftime",
    "os.execute",
    "os.exit",
    "os.getenv",
    "os.popen",
    "os.setlocale",
    "os.setsafety",
    "os.time",
};

static const char *const libraries[] = {"VPOP3", "VPOP3Net", "io", "mailhooks", "os"};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static bool is_harmless(const char *function)
{
	for (size_t i = 0; i < COUNT(harmless); i++)
		if (strcmp(harmless[i], function) == 0)
			return true;
	return false;
}

static const char *answer_of(const char *function, enum runtime_dry dry)
{
	for (size_t i = 0; i < COUNT(rows); i++)
		if (strcmp(rows[i].function, function) == 0)
			return dry == RUNTIME_TRIAL ? rows[i].trial : rows[i].looking;
	return NULL;
}

static int l_answer(lua_State *L, const char *results)
{
	int n = (int)strlen(results);

	for (; *results != '\0'; results++)
		switch (*results) {
		case 'n':
			lua_pushnil(L);
			break;
		case 'f':
		case 't':
			lua_pushboolean(L, *results == 't');
			break;
		case '{':
			lua_newtable(L);
			break;
		default:
			lua_pushinteger(L, *results == '-' ? -1 : *results - '0');
		}
	return n;
}

/* io.open() to write is no looking. */
static bool may_look(lua_State *L, const char *name)
{
	return strcmp(name, "io.open") != 0 || strpbrk(luaL_optstring(L, 2, "r"), "wa+") == NULL;
}

/* Upvalues: the function, its name. The function is called in this frame, so that its messages name
 * the script's line; functions of libraries have no upvalues of their own. */
static int l_switched(lua_State *L)
{
	struct runtime *rt = runtime_of(L);
	enum runtime_dry dry = runtime_dry(rt);
	const char *name = lua_tostring(L, lua_upvalueindex(2));
	const char *answer = dry == RUNTIME_REAL ? REAL : answer_of(name, dry);

	if (answer != NULL && strcmp(answer, REAL) == 0 &&
	    (dry == RUNTIME_REAL || may_look(L, name)))
		return lua_tocfunction(L, lua_upvalueindex(1))(L);
	runtime_note_dry(rt, name);
	if (answer != NULL && strcmp(answer, REAL) != 0)
		return l_answer(L, answer);
	lua_pushnil(L);
	lua_pushfstring(L, "%s does nothing in %s", name,
	    dry == RUNTIME_TRIAL ? "a call on trial" : "a call that only looks");
	return 2;
}

/* The functions of the table on top. */
static void l_wrap_table(lua_State *L, const char *library, const char *between)
{
	lua_pushnil(L);
	while (lua_next(L, -2)) {
		if (!lua_iscfunction(L, -1) || lua_type(L, -2) != LUA_TSTRING) {
			lua_pop(L, 1);
			continue;
		}
		lua_pushfstring(L, "%s%s%s", library, between, lua_tostring(L, -2));
		if (is_harmless(lua_tostring(L, -1))) {
			lua_pop(L, 2);
			continue;
		}
		lua_pushcclosure(L, l_switched, 2);
		lua_pushvalue(L, -2);
		lua_insert(L, -2);
		lua_rawset(L, -4); /* an entry that exists may be changed on the way */
	}
}

void l_dry_wrap(lua_State *L)
{
	l_push_env(L);
	for (size_t i = 0; i < COUNT(libraries); i++) {
		lua_pushstring(L, libraries[i]);
		if (lua_rawget(L, -2) == LUA_TTABLE)
			l_wrap_table(L, libraries[i], ".");
		lua_pop(L, 1);
	}
	luaL_getmetatable(L, LUA_FILEHANDLE);
	if (lua_getfield(L, -1, "__index") == LUA_TTABLE)
		l_wrap_table(L, "file", ":");
	lua_pop(L, 3);
}
