/* check.c - `mailhooks check`: would a daemon start with this? */
#include "cli/cli.h"

#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

static void list_script(const struct script_set *set, enum script_id id)
{
	const char *hook;

	if (!script_set_has(set, id)) {
		printf("%s: no script\n", script_set_file_name(id));
		return;
	}
	printf("%s: hooks", script_set_path(set, id));
	for (size_t i = 0; (hook = script_set_hook(id, i)) != NULL; i++)
		if (script_set_has_hook(set, id, hook))
			printf(" %s", hook);
	putchar('\n');
}

int cmd_check(struct config *cfg, int argc, char **argv)
{
	char error[1024];
	struct script_set *set;

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
	for (int id = 0; id < script_set_count(set); id++)
		list_script(set, (enum script_id)id);
	script_set_unref(set);
	return EXIT_SUCCESS;
}
