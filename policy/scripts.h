/* scripts.h - the script set of this daemon: loaded at the start, replaced as a transaction.
 *
 * A reload runs in a thread of its own, because a script's top-level code may take its time; until
 * it has succeeded the set and the settings in force stay. The last good set is kept under the name
 * "policy". */
#pragma once

#include "common/config.h"

struct event_base;
struct scripts;

/* Load and publish the first set: the scripts of the directory, else the last good ones. Returns 0
 * or an exit status. */
int scripts_load_first(struct config *);

/* For reloads. path and overrides as for config_load(), they must stay valid. reloaded is called in
 * the loop when a reload is over, whether it succeeded or not (which is logged). NULL: out of
 * descriptors. */
struct scripts *scripts_new(struct event_base *, const char *path,
    const struct config_overrides *overrides, void (*reloaded)(void));
/* Begin a reload; one that is asked for while another runs begins after it. */
void scripts_reload(struct scripts *);
void scripts_free(struct scripts *); /* waits for a reload that runs */
