/* worker.h - the process that runs libmilter for one listen address. */
#pragma once

#include "common/config.h"
#include "common/daemon/arguments.h"

#include <stdbool.h>

struct worker_options {
	const struct daemon_arguments *arguments; /* to read the configuration again at a reload */
	struct config *config;
};

/* Must be set before the workers are forked; stays valid. */
void worker_configure(const struct worker_options *);

/* Returns the exit status: EX_CONFIG when there is no usable script set, EX_OSERR ... */
int worker_run(const char *address, int control, bool again);
