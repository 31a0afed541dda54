/* mail_mxout.c - see mail_mxout.h. */
#include "lua-bindings/mail/mail_mxout.h"

#include "common/list.h"
#include "lua-bindings/outbound/checkfile_instance.h"

#include <stdlib.h>

struct mail_mxout {
	struct instance instance;
	enum instance_end opened;
};

enum instance_end mail_mxout(struct mail *m, struct instance **out)
{
	if (m->mxout == NULL) {
		m->mxout = xcalloc(1, sizeof *m->mxout);
		m->mxout->opened = instance_open(&m->mxout->instance, m->set, SCRIPT_MXOUT, m->id,
		    m->deadline_ms, l_checkfile_globals, NULL);
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
