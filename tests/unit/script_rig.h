/* script_rig.h - a script directory of its own for a test, and a configuration that points to it.
 */
#pragma once

#include "common/config.h"

struct script_rig {
	char directory[64]; /* temporary, made by mkdtemp (R4) */
	struct config *config;
};

/* settings: NULL-terminated -o values besides the paths; NULL for none. */
void script_rig_open(struct script_rig *, const char *const *settings);
void script_rig_close(struct script_rig *);
void script_rig_write(const struct script_rig *, const char *name, const char *text);
void script_rig_remove(const struct script_rig *, const char *name);
/* Contents of LUAERRORS.LOG, malloc'ed, "" when there is none. */
char *script_rig_errors(const struct script_rig *);
