/* check.c - `mailhooks check`: would a daemon start with this? */
#include "cli/cli.h"

#include "common/return_path.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static void list_script(const struct script_set *set, enum script_id id, bool *broken)
{
	const char *hook;

	if (script_set_broken(set, id) != NULL) {
		printf("%s\n  left out: user %s has no script of his own until it is right\n",
		    script_set_broken(set, id), script_set_user(set, id));
		*broken = true;
		return;
	}
	if (!script_set_has(set, id)) {
		printf("%s: no script\n", script_set_file_name(script_set_kind(set, id)));
		return;
	}
	printf("%s: hooks", script_set_path(set, id));
	for (size_t i = 0; (hook = script_set_hook(script_set_kind(set, id), i)) != NULL; i++)
		if (script_set_has_hook(set, id, hook))
			printf(" %s", hook);
	putchar('\n');
}

int cmd_check(struct config *cfg, int argc, char **argv)
{
	char error[1024];
	struct script_set *set;
	bool broken = false;

	(void)argv;
	if (argc != 0) {
		fputs("usage: mailhooks check\n", stderr);
		return EXIT_USAGE;
	}
	printf("configuration %s: good\n", *cfg->path != '\0' ? cfg->path : "(built-in defaults)");
	set = script_set_load(cfg, error, sizeof error);
	if (set == NULL) {
		printf("%s\n", error);
		return EX_CONFIG;
	}
	if (!return_path_usable(cfg, error, sizeof error)) {
		printf("%s\n", error);
		broken = true;
	}
	for (int id = 0; id < script_set_count(set); id++)
		list_script(set, (enum script_id)id, &broken);
	script_set_unref(set);
	return broken ? EXIT_FAILURE : EXIT_SUCCESS;
}
