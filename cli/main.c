/* main.c - `mailhooks`, the administrator's command: options, configuration, subcommand. */
#include "cli/cli.h"

#include "common/list.h"
#include "common/log.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <syslog.h>

static const struct {
	const char *name, *arguments, *help;
	int (*run)(struct config *, int argc, char **argv);
} commands[] = {
    {"attempts", "[OPTION]...", "what became of each attempt to send, or how many there were",
	cmd_attempts},
    {"check", "[--errors] [--json]",
	"what is wrong or doubtful in the configuration and the scripts", cmd_check},
    {"holds", "[add|release ...]", "which mail servers are held now; hold and release them",
	cmd_holds},
    {"lua", "[--limits] FILE [ARGUMENT]...", "run a script in the environment of the mail scripts",
	cmd_lua},
    {"passwd-check", "[USER]", "ask passwordcheck.lua about the password on standard input",
	cmd_passwd_check},
    {"replay", "[FILE]", "run an SMTP dialogue through the scripts and show each verdict",
	cmd_replay},
    {"route", "ADDRESS", "what would be decided for mail to this address now, and why", cmd_route},
    {"setup", "[--write DIRECTORY]", "the lines of Postfix's configuration for what is in use",
	cmd_setup},
    {"users", "[list|settings|get|set|unset|expand|import ...]",
	"who is local, and the settings of users", cmd_users},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

static int usage(FILE *out, int status)
{
	fputs("usage: mailhooks [-c FILE] [-o SECTION.NAME=VALUE]... [-v] COMMAND [ARGUMENT]...\n\n"
	      "  -c FILE   configuration (default " CONFIG_DEFAULT_PATH ")\n"
	      "  -o N=V    override a setting; may be given more than once\n"
	      "  -v        show what a daemon would log\n"
	      "  -h, -V    this text, the version\n\n",
	    out);
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(out, "  %-13s %s\n", commands[i].name, commands[i].help);
	fputs("\nmailhooks(1) describes each command.\n", out);
	return status;
}

static bool wants_help(int argc, char **argv)
{
	return argc == 1 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0);
}

static int run(const char *name, const char *path, const struct config_overrides *overrides,
    bool verbose, int argc, char **argv)
{
	char error[1024];
	struct config *cfg;
	int status = EXIT_USAGE;

	for (size_t i = 0; i < NCOMMANDS; i++) {
		if (strcmp(commands[i].name, name) != 0)
			continue;
		if (wants_help(argc, argv)) {
			printf("usage: mailhooks %s %s\n\n%s; see mailhooks(1)\n", name,
			    commands[i].arguments, commands[i].help);
			return EXIT_SUCCESS;
		}
		log_open("mailhooks", LOG_TO_STDERR, LOG_AS_TEXT, LOG_MAIL,
		    verbose ? LOG_LVL_DEBUG : LOG_LVL_WARN);
		cfg = config_load(path, overrides, error, sizeof error);
		if (cfg == NULL && commands[i].run == cmd_check)
			return cmd_check_bad_config(error, argc, argv);
		if (cfg == NULL) {
			fprintf(stderr, "mailhooks: %s\n", error);
			return EX_CONFIG;
		}
		status = commands[i].run(cfg, argc, argv);
		config_unref(cfg);
		return status;
	}
	fprintf(stderr, "mailhooks: unknown command \"%s\"\n", name);
	return usage(stderr, EXIT_USAGE);
}

int main(int argc, char **argv)
{
	struct config_overrides overrides = {STRLIST_INIT};
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	const char *path = NULL;
	bool verbose = false;
	int c, status = EXIT_USAGE;

	while ((c = getopt_long(argc, argv, "+c:o:vhV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			path = optarg;
			break;
		case 'o':
			strlist_add(&overrides.items, optarg);
			break;
		case 'v':
			verbose = true;
			break;
		case 'h':
			status = usage(stdout, EXIT_SUCCESS);
			goto out;
		case 'V':
			puts("mailhooks " MAILHOOKS_VERSION);
			status = EXIT_SUCCESS;
			goto out;
		default:
			usage(stderr, EXIT_USAGE);
			goto out;
		}
	}
	if (optind >= argc)
		usage(stderr, EXIT_USAGE);
	else
		status = run(
		    argv[optind], path, &overrides, verbose, argc - optind - 1, argv + optind + 1);
out:
	strlist_clear(&overrides.items);
	return status;
}
