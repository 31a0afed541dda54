/* library.h - private to lua-bindings/: how a library is declared, and the stock functions behind
 * some of them.
 *
 * A library is a const table of rows; sandbox.c copies them into fresh tables for each life. A
 * row's function has no upvalues, so it holds nothing of a life. Every row has a comment that
 * begins with slash and three stars, then the call ("name.function(arguments) -> results"), then
 * lines that say what it does; it stands directly above the C function, or above the row when that
 * is the stock function as it is. The function reference is generated from these
 * (doc/gen-reference), and the build fails (tests/check-docs) when a script can reach a function
 * that has none. */
#pragma once

#include <lua.h>

struct library_row {
	const char *name;
	lua_CFunction function; /* NULL: what stock Lua 5.4 has under this name */
};

struct library {
	const char *name;		/* "_G": functions without a prefix */
	const struct library_row *rows; /* ends with a row of NULLs */
};

extern const struct library library_base;
extern const struct library library_bit32;
extern const struct library library_compat_base;
extern const struct library library_compat_env;
extern const struct library library_compat_load;
extern const struct library library_compat_match;
extern const struct library library_compat_math;
extern const struct library library_compat_table;
extern const struct library library_coroutine;
extern const struct library library_debug;
extern const struct library library_io;
extern const struct library library_load;
extern const struct library library_mailhooks;
extern const struct library library_mailhooks_rates;
extern const struct library library_mailhooks_sql;
extern const struct library library_mailhooks_store;
extern const struct library library_mailhooks_return_path;
extern const struct library library_match;
extern const struct library library_math;
extern const struct library library_os;
extern const struct library library_os_vpop3;
extern const struct library library_string;
extern const struct library library_table;
extern const struct library library_utf8;
extern const struct library library_vpop3_bytes;
extern const struct library library_vpop3_settings;
extern const struct library library_vpop3_sql;
extern const struct library library_vpop3_url;
extern const struct library library_vpop3_users;
extern const struct library library_vpop3net_dns;
extern const struct library library_vpop3net_http;
extern const struct library library_vpop3net_whois;
extern const struct library library_vpop3_message;

/* Stock functions that ours build on: accounted for before or after, or with other arguments. They
 * are constants of liblua, the same in every state. */
enum stock_function {
	STOCK_ERROR,
	STOCK_SELECT,
	STOCK_SETMETATABLE,
	STOCK_TONUMBER,
	STOCK_XPCALL,
	STOCK_MATH_FMOD,
	STOCK_MATH_MAX,
	STOCK_MATH_MIN,
	STOCK_COROUTINE_CLOSE,
	STOCK_COROUTINE_CREATE,
	STOCK_COROUTINE_RESUME,
	STOCK_STRING_BYTE,
	STOCK_STRING_CHAR,
	STOCK_STRING_FORMAT,
	STOCK_STRING_LOWER,
	STOCK_STRING_PACK,
	STOCK_STRING_PACKSIZE,
	STOCK_STRING_REVERSE,
	STOCK_STRING_SUB,
	STOCK_STRING_UNPACK,
	STOCK_STRING_UPPER,
	STOCK_UTF8_CHAR,
	STOCK_UTF8_CODEPOINT,
	STOCK_UTF8_CODES,
	STOCK_UTF8_LEN,
	STOCK_UTF8_NEXT, /* the iterators that utf8.codes() gives */
	STOCK_UTF8_NEXT_LAX,
	STOCK_UTF8_OFFSET,
	STOCK_DEBUG_TRACEBACK,
	STOCK_OS_DATE,
	STOCK_OS_DIFFTIME,
	STOCK_OS_TIME,
	STOCK_FILE_READ,
	STOCK_FILE_SEEK,
	STOCK_FILE_SETVBUF,
	STOCK_FILE_WRITE,
	STOCK_FUNCTIONS
};

/* Push a table of the stock libraries by name ("_G", "string", "file" ...) and make l_stock() work.
 * While a state is prepared; leaves nothing of them in the state but this table. */
void l_stock_open(lua_State *L);
/* Run the stock function on the arguments of the C function that calls this. */
int l_stock(lua_State *L, enum stock_function);
