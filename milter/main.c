/* main.c - mailhooks-milter: command line, configuration, into the background, supervise. */
#include "common/daemon/arguments.h"
#include "common/daemon/background.h"
#include "common/config.h"
#include "common/log.h"
#include "milter/supervisor.h"
#include "milter/worker.h"

#include <stdio.h>
#include <sysexits.h>

static const char signals_text[] =
    "SIGHUP reloads scripts and settings, SIGTERM finishes what is in progress and stops,\n"
    "SIGUSR1 reopens the logs. Exit status 78: configuration or script unusable.";

static int run(const struct daemon_arguments *arguments)
{
	static struct worker_options options;
	char error[1024];
	int status;

	options.arguments = arguments;
	options.config =
	    config_load(arguments->config_path, &arguments->overrides, error, sizeof error);
	if (options.config == NULL) {
		fprintf(stderr, "mailhooks-milter: %s\n", error);
		return EX_CONFIG;
	}
	log_open("mailhooks-milter",
	    arguments->foreground ? LOG_TO_STDERR : options.config->log.target,
	    options.config->log.format, options.config->log.facility, options.config->log.level);
	if (!arguments->foreground)
		background_enter();
	worker_configure(&options);
	status = supervise(options.config, worker_run, background_ready);
	background_failed(status);
	config_unref(options.config);
	return status;
}

int main(int argc, char **argv)
{
	static struct daemon_arguments arguments;
	int status = arguments_parse(&arguments, argc, argv, "mailhooks-milter",
	    "Runs smtpsvr.lua for every SMTP session of Postfix or Sendmail.", signals_text);

	if (status < 0)
		status = run(&arguments);
	arguments_clear(&arguments);
	return status;
}
