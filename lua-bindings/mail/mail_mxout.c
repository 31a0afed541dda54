/* mail_mxout.c - see mail_mxout.h. */
#include "lua-bindings/mail/mail_mxout.h"

#include "common/list.h"
#include "lua-bindings/convert.h"

#include <stdlib.h>

struct mail_mxout {
	struct instance instance;
	enum instance_end opened;
};

static void l_globals(lua_State *L, void *arg)
{
	(void)arg; /* which connection it will be is not known yet */
	l_push_env(L);
	lua_pushinteger(L, 0);
	lua_setfield(L, -2, "ConnectionId");
	lua_pushliteral(L, "");
	lua_setfield(L, -2, "ConnectionName");
	lua_pop(L, 1);
}

enum instance_end mail_mxout(struct mail *m, struct instance **out)
{
	if (m->mxout == NULL) {
		m->mxout = xcalloc(1, sizeof *m->mxout);
		m->mxout->opened = instance_open(&m->mxout->instance, m->set, SCRIPT_MXOUT, m->id,
		    m->deadline_ms, l_globals, NULL);
	}
	*out = &m->mxout->instance;
	return m->mxout->opened;
}

void mail_mxout_close(struct mail *m)
{
	if (m->mxout != NULL && m->mxout->opened == INSTANCE_DONE)
		instance_close(&m->mxout->instance);
	free(m->mxout);
	m->mxout = NULL;
}
