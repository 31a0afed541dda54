/* main.c - mailhooks-milter: command line, configuration, into the background, supervise. */
#include "common/daemon/background.h"
#include "common/config.h"
#include "common/list.h"
#include "common/log.h"
#include "milter/supervisor.h"
#include "milter/worker.h"

#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define EXIT_USAGE 2

static const char usage_text[] =
    "usage: mailhooks-milter [-f] [-c FILE] [-o SECTION.NAME=VALUE]...\n"
    "\n"
    "Runs smtpsvr.lua for every SMTP session of Postfix or Sendmail.\n"
    "\n"
    "  -c FILE   configuration (default " CONFIG_DEFAULT_PATH ")\n"
    "  -o N=V    override a setting; may be given more than once\n"
    "  -f        stay in the foreground, log to standard error\n"
    "  -h, -V    this text, the version\n"
    "\n"
    "SIGHUP reloads scripts and settings, SIGTERM finishes what is in progress and stops,\n"
    "SIGUSR1 reopens the logs. Exit status 78: configuration or script unusable.\n";

static bool foreground;

static int usage(FILE *out, int status)
{
	fputs(usage_text, out);
	return status;
}

/* -1: go on; otherwise the exit status. */
static int parse_arguments(int argc, char **argv, struct worker_options *o)
{
	int c;

	while ((c = getopt(argc, argv, "c:o:fhV")) != -1) {
		switch (c) {
		case 'c':
			o->config_path = optarg;
			break;
		case 'o':
			strlist_add(&o->overrides.items, optarg);
			break;
		case 'f':
			foreground = true;
			break;
		case 'h':
			return usage(stdout, EXIT_SUCCESS);
		case 'V':
			puts("mailhooks-milter " MAILHOOKS_VERSION);
			return EXIT_SUCCESS;
		default:
			return usage(stderr, EXIT_USAGE);
		}
	}
	if (optind < argc) {
		fprintf(stderr, "mailhooks-milter: unexpected argument \"%s\"\n", argv[optind]);
		return usage(stderr, EXIT_USAGE);
	}
	return -1;
}

int main(int argc, char **argv)
{
	static struct worker_options options;
	char error[1024];
	int status = parse_arguments(argc, argv, &options);

	if (status >= 0)
		return status;
	options.config = config_load(options.config_path, &options.overrides, error, sizeof error);
	if (options.config == NULL) {
		fprintf(stderr, "mailhooks-milter: %s\n", error);
		return EX_CONFIG;
	}
	log_open("mailhooks-milter", foreground ? LOG_TO_STDERR : options.config->log.target,
	    options.config->log.format, options.config->log.facility, options.config->log.level);
	if (!foreground)
		background_enter();
	worker_configure(&options);
	status = supervise(options.config, worker_run, background_ready);
	background_failed(status);
	config_unref(options.config);
	strlist_clear(&options.overrides.items);
	return status;
}
