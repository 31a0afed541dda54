/* where.c - see where.h. */
#include "lua-bindings/outbound/where.h"

#include "common/list.h"
#include "lua-bindings/runtime.h"

#include <stdio.h>

struct place {
	const char *hook;
	char text[300];
};

static void l_find(lua_State *L, void *arg)
{
	struct place *p = arg;
	lua_Debug d;

	l_push_env(L);
	lua_pushstring(L, p->hook);
	lua_rawget(L, -2);
	if (lua_isfunction(L, -1) && lua_getinfo(L, ">S", &d) != 0)
		snprintf(p->text, sizeof p->text, "%s:%d", d.short_src, d.linedefined);
}

char *instance_where(struct instance *in, const char *hook)
{
	struct place p = {.hook = hook};

	if (!instance_inside(in, l_find, &p) || p.text[0] == '\0')
		return NULL;
	return xstrdup(p.text);
}
