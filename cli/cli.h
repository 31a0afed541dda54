/* cli.h - the subcommands of `mailhooks`. Each gets the arguments after its name and the loaded
 * configuration, and returns the exit status: 0 done, 1 failure, 2 usage, 78 bad configuration or
 * script. */
#pragma once

#include "common/config.h"

#define EXIT_USAGE 2

int cmd_attempts(struct config *, int argc, char **argv);
int cmd_check(struct config *, int argc, char **argv);
int cmd_check_bad_config(const char *error, int argc, char **argv); /* there is none to check */
int cmd_passwd_check(struct config *, int argc, char **argv);
int cmd_holds(struct config *, int argc, char **argv);
int cmd_lua(struct config *, int argc, char **argv);
int cmd_route(struct config *, int argc, char **argv);
int cmd_replay(struct config *, int argc, char **argv);
int cmd_setup(struct config *, int argc, char **argv);
int cmd_users(struct config *, int argc, char **argv);
