/* lua.c - `mailhooks lua`: a script on demand, in the environment of the mail scripts.
 *
 * What VPOP3 calls "on demand from the command line". Output goes to the terminal; there is no time
 * limit, as somebody sits before it, unless --limits asks for those of a hook. */
#include "cli/cli.h"

#include "common/limits.h"
#include "common/list.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/on_demand.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static int usage(void)
{
	fputs("usage: mailhooks lua [--limits] FILE [ARGUMENT]...\n", stderr);
	return EXIT_USAGE;
}

static void print_line(const char *text, size_t n, void *arg)
{
	FILE *out = arg;

	fwrite(text, 1, n, out);
	putc('\n', out);
}

/* NULL: said why. */
static char *read_all(FILE *in, const char *name, size_t *size)
{
	size_t cap = LIMIT_SCRIPT_BYTES + 1;
	char *text = xmalloc(cap + 1);

	*size = fread(text, 1, cap, in);
	text[*size] = '\0';
	if (!ferror(in) && *size < cap)
		return text;
	fprintf(stderr, "mailhooks: %s: %s\n", name,
	    ferror(in) ? strerror(errno) : "larger than 4 MiB");
	free(text);
	return NULL;
}

static char *read_script(const char *name, size_t *size)
{
	bool standard = strcmp(name, "-") == 0;
	FILE *in = standard ? stdin : fopen(name, "re");
	char *text;

	if (in == NULL) {
		fprintf(stderr, "mailhooks: %s: %m\n", name);
		return NULL;
	}
	text = read_all(in, name, size);
	if (!standard)
		fclose(in);
	return text;
}

static int run(struct config *cfg, const struct on_demand *script)
{
	static const int status[] = {
	    [ON_DEMAND_DONE] = EXIT_SUCCESS,
	    [ON_DEMAND_FAILED] = EXIT_FAILURE,
	    [ON_DEMAND_UNUSABLE] = EX_CONFIG,
	};
	char error[1024];
	struct script_set *set = script_set_open(cfg, error, sizeof error);
	enum on_demand_end end = ON_DEMAND_UNUSABLE;

	if (set != NULL) {
		luaout_capture(print_line, stdout);
		luaout_capture_errors(print_line, stderr);
		end = on_demand_run(set, script, error, sizeof error);
		luaout_capture(NULL, NULL);
		luaout_capture_errors(NULL, NULL);
	}
	if (end == ON_DEMAND_UNUSABLE)
		fprintf(stderr, "mailhooks: %s\n", error);
	script_set_unref(set);
	return status[end];
}

int cmd_lua(struct config *cfg, int argc, char **argv)
{
	struct on_demand script = {.name = NULL};
	char *text;
	int status;

	if (argc > 0 && strcmp(argv[0], "--limits") == 0) {
		script.limits = true;
		argc--, argv++;
	}
	if (argc > 0 && strcmp(argv[0], "--") == 0)
		argc--, argv++;
	else if (argc > 0 && argv[0][0] == '-' && argv[0][1] != '\0')
		return usage();
	if (argc == 0)
		return usage();
	text = read_script(argv[0], &script.size);
	if (text == NULL)
		return EXIT_FAILURE;
	script.name = strcmp(argv[0], "-") == 0 ? "stdin" : argv[0];
	script.text = text;
	script.arguments = argv + 1;
	script.narguments = argc - 1;
	status = run(cfg, &script);
	free(text);
	return status;
}
