/* lib_vpop3_sql.c - VPOP3.PostgresQuery, and literals for it. What it understands: doc/sql.md. */
#include "common/sql.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/store_call.h"
#include "lua-bindings/lib/work.h"

#include <lauxlib.h>

#include <string.h>

#define NAME "VPOP3.PostgresQuery"
#define WORK_ROW 200 /* of a query's answer, on SQLite's side */

struct asked {
	struct sql_rows rows;
	enum sql_answer answer;
	char why[400];
};

static void clear(void *arg)
{
	struct asked *a = arg;

	sql_rows_clear(&a->rows);
}

static void l_ask(lua_State *L, struct asked *a, const char *text, size_t n)
{
	struct store_call call;

	a->answer = SQL_NO_STORE;
	if (!store_call_begin(L, &call))
		return;
	a->answer =
	    sql_query(call.store, text, n, &a->rows, a->why, sizeof a->why, store_call_ms(&call));
	if (a->answer == SQL_ROWS)
		store_call_end(&call, STORE_FOUND, a->rows.local);
	else if (a->answer == SQL_NO_STORE)
		store_call_end(&call, STORE_UNKNOWN, false);
	else
		store_call_drop(&call);
}

/* A table of column name to text; NULL is nil. */
static void l_push_row(lua_State *L, const struct sql_rows *r, size_t row)
{
	lua_createtable(L, 0, (int)r->names.n);
	for (size_t i = 0; i < r->names.n; i++) {
		lua_pushstring(L, r->cells[row * r->names.n + i]);
		lua_setfield(L, -2, r->names.v[i]);
	}
	l_iterable(L, -1);
}

static int l_push_answer(lua_State *L, const struct asked *a)
{
	size_t pending = 0;

	if (a->answer != SQL_ROWS) {
		lua_pushnil(L);
		lua_pushfstring(
		    L, NAME ": %s", a->why[0] != '\0' ? a->why : "the store does not answer");
		return 2;
	}
	lua_createtable(L, (int)a->rows.n, 0);
	for (size_t i = 0; i < a->rows.n; i++) {
		l_meter(L, &pending, WORK_ROW);
		l_push_row(L, &a->rows, i);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
	if (!a->rows.local)
		return 1;
	lua_pushliteral(L, "local");
	return 2;
}

/*** VPOP3.PostgresQuery(sql) -> list of rows or nil, why
 * Asks the store with one SELECT in PostgreSQL's words: outqueue.sendattempts has the send
 * attempts, outqueue.holds the holds. Each row is a table of column name -> text, as PostgreSQL
 * writes it; NULL is nil. SQL that is not understood is an error; nil means that there is no answer
 * (the store is away or slow, a division by zero, more than 10000 rows), which is never shown as no
 * rows. A second result "local" says that Redis is away and only attempts that this process knows
 * of were counted. Quote what is not yours with mailhooks.sql_quote. Refused in safety mode. See
 * doc/sql.md. */
static int l_postgres_query(lua_State *L)
{
	const char *text;
	struct asked *a;
	int results;
	size_t n;

	l_refuse_in_safety_mode(L, NAME);
	lua_settop(L, 1);
	if (lua_type(L, 1) != LUA_TSTRING)
		return luaL_error(L, NAME "(sql): a string is wanted");
	text = lua_tolstring(L, 1, &n);
	a = l_owned(L, sizeof *a, clear);
	l_ask(L, a, text, n);
	if (a->answer == SQL_WRONG)
		return luaL_error(L, NAME ": %s", a->why);
	results = l_push_answer(L, a);
	l_owned_clear(L, 2);
	return results;
}

/*** mailhooks.sql_quote(text) -> string
 * The text as a literal for VPOP3.PostgresQuery, with the quotes around it: whatever it holds, it
 * is one value and nothing else of the query. A text with a zero byte cannot be one and is an
 * error.
 */
static int l_sql_quote(lua_State *L)
{
	const char *text, *quote;
	luaL_Buffer b;
	size_t n;

	if (l_to_string(L, 1, &text, &n) != GIVEN)
		return luaL_error(L, "mailhooks.sql_quote(text): a string is wanted");
	if (memchr(text, '\0', n) != NULL)
		return luaL_error(L, "mailhooks.sql_quote: the text has a zero byte in it");
	l_charge(L, n / WORK_BYTE);
	luaL_buffinit(L, &b);
	luaL_addchar(&b, '\'');
	while ((quote = memchr(text, '\'', n)) != NULL) {
		size_t part = (size_t)(quote - text) + 1;

		luaL_addlstring(&b, text, part);
		luaL_addchar(&b, '\'');
		text += part;
		n -= part;
	}
	luaL_addlstring(&b, text, n);
	luaL_addchar(&b, '\'');
	luaL_pushresult(&b);
	return 1;
}

static const struct library_row rows[] = {
    {"PostgresQuery", l_postgres_query},
    {NULL, NULL},
};

const struct library library_vpop3_sql = {"VPOP3", rows};

static const struct library_row own_rows[] = {
    {"sql_quote", l_sql_quote},
    {NULL, NULL},
};

const struct library library_mailhooks_sql = {"mailhooks", own_rows};
