/* dry.c - see dry.h. */
#include "lua-bindings/lib/dry.h"

#include "lua-bindings/runtime.h"

#include <string.h>

/* What a function answers on trial: n nil, f false, t an empty table, 2 and - the numbers 2 (DNS:
 * failure) and -1. All others: nil and a message. */
static const struct {
	const char *function, *results;
} answers[] = {
    {"VPOP3.ExpandAddress", "t"},
    {"VPOP3.GetSetting", "fn"},
    {"VPOP3.GetUserList", "t"},
    {"VPOP3.GetUserSetting", "n"},
    {"VPOP3.PostgresQuery", "t"},
    {"VPOP3.SaveAttachment", "f"},
    {"VPOP3.SetSetting", "f"},
    {"VPOP3.SetUserSetting", "f"},
    {"VPOP3Net.GetDNSRecords", "2f"},
    {"VPOP3Net.GetHTTP", "fn"},
    {"VPOP3Net.GetWHOIS", "fn"},
    {"os.sleep", ""},
    {"os.timedexecute", "-"},
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

static int l_answer(lua_State *L, const char *results)
{
	int n = (int)strlen(results);

	for (; *results != '\0'; results++)
		switch (*results) {
		case 'n':
			lua_pushnil(L);
			break;
		case 'f':
			lua_pushboolean(L, 0);
			break;
		case 't':
			lua_newtable(L);
			break;
		default:
			lua_pushinteger(L, *results == '-' ? -1 : *results - '0');
		}
	return n;
}

/* Upvalues: the function, its name. The function is called in this frame, so that its messages name
 * the script's line; functions of libraries have no upvalues of their own. */
static int l_switched(lua_State *L)
{
	struct runtime *rt = runtime_of(L);
	const char *name;

	if (!runtime_is_dry(rt))
		return lua_tocfunction(L, lua_upvalueindex(1))(L);
	name = lua_tostring(L, lua_upvalueindex(2));
	runtime_note_dry(rt, name);
	for (size_t i = 0; i < COUNT(answers); i++)
		if (strcmp(answers[i].function, name) == 0)
			return l_answer(L, answers[i].results);
	lua_pushnil(L);
	lua_pushfstring(L, "%s does nothing in a call on trial", name);
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
