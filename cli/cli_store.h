/* cli_store.h - the store, for a command. */
#pragma once

#include "common/config.h"
#include "common/store.h"

/* Opens it as the user that the daemons run as: a file that root made would be closed to them. The
 * process stays that user. NULL: told on standard error. */
struct store *cli_store_open(struct config *);
/* "It did not answer", on standard error; returns the exit status. */
int cli_store_unknown(void);
