/* arguments.c - see arguments.h. */
#include "common/daemon/arguments.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#define EXIT_USAGE 2

static int usage(
    FILE *out, int status, const char *program, const char *purpose, const char *signals)
{
	fprintf(out,
	    "usage: %s [-f] [-c FILE] [-o SECTION.NAME=VALUE]...\n"
	    "\n"
	    "%s\n"
	    "\n"
	    "  -c FILE   configuration (default " CONFIG_DEFAULT_PATH ")\n"
	    "  -o N=V    override a setting; may be given more than once\n"
	    "  -f        stay in the foreground, log to standard error\n"
	    "  -h, -V    this text, the version\n"
	    "\n"
	    "%s\n",
	    program, purpose, signals);
	return status;
}

int arguments_parse(struct daemon_arguments *a, int argc, char **argv, const char *program,
    const char *purpose, const char *signals)
{
	static const struct option options[] = {{"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'}, {NULL, 0, NULL, 0}};
	int c;

	while ((c = getopt_long(argc, argv, "c:o:fhV", options, NULL)) != -1) {
		switch (c) {
		case 'c':
			a->config_path = optarg;
			break;
		case 'o':
			strlist_add(&a->overrides.items, optarg);
			break;
		case 'f':
			a->foreground = true;
			break;
		case 'h':
			return usage(stdout, EXIT_SUCCESS, program, purpose, signals);
		case 'V':
			printf("%s " MAILHOOKS_VERSION "\n", program);
			return EXIT_SUCCESS;
		default:
			return usage(stderr, EXIT_USAGE, program, purpose, signals);
		}
	}
	if (optind == argc)
		return -1;
	fprintf(stderr, "%s: unexpected argument \"%s\"\n", program, argv[optind]);
	return usage(stderr, EXIT_USAGE, program, purpose, signals);
}

void arguments_clear(struct daemon_arguments *a)
{
	strlist_clear(&a->overrides.items);
}
