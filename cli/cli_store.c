/* cli_store.c - see cli_store.h. */
#include "cli/cli_store.h"

#include "common/daemon/privileges.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct store *cli_store_open(struct config *cfg)
{
	bool is_root = geteuid() == 0;
	struct store *store = NULL;
	struct identity id;
	char why[512];

	if (privileges_identity(cfg, &id, why, sizeof why) &&
	    privileges_drop(cfg, &id, why, sizeof why))
		store = store_open(cfg->store, NULL, why, sizeof why);
	if (store == NULL)
		fprintf(stderr, "mailhooks: %s%s\n", why,
		    is_root ? "; see the settings store and user"
			    : "; only root and the user of the daemons may use the store");
	return store;
}

/* Its URL is not shown, it may hold a password. */
int cli_store_unknown(void)
{
	fputs("mailhooks: the store did not answer; is the setting store right, and its server "
	      "running?\n",
	    stderr);
	return EXIT_FAILURE;
}
