/* arguments.h - the command line that both daemons share: -c FILE, -o NAME=VALUE, -f, -h, -V. */
#pragma once

#include "common/config.h"

#include <stdbool.h>

struct daemon_arguments {
	const char *config_path; /* NULL = default; belongs to argv */
	struct config_overrides overrides;
	bool foreground;
};

/* program: its name; purpose, signals: lines of the usage text. The result is -1 to go on,
 * otherwise the exit status: 0 after -h and -V, 2 after wrong usage, which is said on standard
 * error. */
int arguments_parse(struct daemon_arguments *, int argc, char **argv, const char *program,
    const char *purpose, const char *signals);
void arguments_clear(struct daemon_arguments *);
