/* script_start.c - the scripts that a daemon starts with (script_set.h): those of the directory, or
 * the last good ones when somebody broke them since. */
#include "common/log.h"
#include "lua-bindings/script_set.h"

struct script_set *script_set_start(struct config *cfg, const char *name, bool keep)
{
	char error[1024], kept[1024];
	struct script_set *set = script_set_load(cfg, error, sizeof error);

	if (set != NULL) {
		if (keep && !script_set_keep(set, name, error, sizeof error))
			log_warn(NULL, "%s", error);
		return set;
	}
	log_error(NULL, "scripts not loaded: %s", error);
	set = script_set_load_kept(cfg, name, kept, sizeof kept);
	if (set == NULL)
		log_error(NULL, "there is no earlier set of scripts to fall back to; correct the "
				"script and start again");
	else
		log_error(NULL,
		    "RUNNING THE LAST GOOD SCRIPTS from %s until the error is corrected and the "
		    "daemon reloaded",
		    cfg->state_dir);
	return set;
}
