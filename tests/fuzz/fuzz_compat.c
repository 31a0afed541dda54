/* Texts of scripts, old and new: whatever stock Lua loads, it loads when it has been rewritten
 * under "auto" and "5.2" too, with as many lines; nothing is changed under "5.4". */
#include "lua-bindings/compat/compat.h"
#include "tests/fuzz/must.h"

#include <lauxlib.h>
#include <lua.h>

#include <stdint.h>
#include <string.h>

static lua_State *stock;

static bool loads(const char *text, size_t n)
{
	bool fine = luaL_loadbufferx(stock, text, n, "=fuzz", "t") == LUA_OK;

	lua_settop(stock, 0);
	return fine;
}

static size_t line_ends(const char *text, size_t n)
{
	size_t ends = 0;

	for (size_t i = 0; i < n; i++)
		ends += text[i] == '\n' || text[i] == '\r';
	return ends;
}

/* The parser of liblua is limited in other things than its syntax. */
static bool is_small(const char *text, size_t n)
{
	size_t nesting = 0;

	for (size_t i = 0; i < n; i++)
		nesting += text[i] == '(' || text[i] == '{' || text[i] == '[' || text[i] == '.';
	return n < 2000 && nesting < 100;
}

static void check(const char *text, size_t n, enum compat_mode mode, bool fine)
{
	struct compat_source source;

	MUST(compat_rewrite(text, n, mode, false, &source));
	for (size_t i = 0; i < source.notices.n; i++) {
		char line[300];

		MUST(source.notices.v[i].line > 0);
		MUST(i == 0 || source.notices.v[i - 1].line <= source.notices.v[i].line);
		compat_notice_text(&source.notices.v[i], "fuzz", line, sizeof line);
	}
	if (source.text != NULL) {
		MUST(mode != COMPAT_54);
		MUST(source.text[source.size] == '\0');
		if (memchr(text, 26, n) == NULL) /* Ctrl-Z ends the text */
			MUST(line_ends(source.text, source.size) ==
			     line_ends(text, n) + source.wrapped);
		if (fine && mode != COMPAT_50)
			MUST(loads(source.text, source.size));
	}
	compat_source_free(&source);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	bool fine;

	if (stock == NULL)
		stock = luaL_newstate();
	MUST(stock != NULL);
	text = compat_text_start(text, &size);
	fine = is_small(text, size) && loads(text, size);
	for (int mode = COMPAT_AUTO; mode <= COMPAT_54; mode++)
		check(text, size, (enum compat_mode)mode, fine);
	return 0;
}
