/* passwd_check.c - `mailhooks passwd-check`: may this user have the password on standard input?
 *
 * For PAM, and for programs of one's own. Fails closed: whatever goes wrong, the exit status is
 * not 0. As root it becomes the user of the daemons before any script is looked at, so that a
 * script has no more rights than there, and the log files keep their owner. */
#include "cli/cli.h"

#include "common/daemon/privileges.h"
#include "common/log.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/passwordcheck.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#define PASSWORD_BYTES 1024 /* PAM hands over 512 at most */
#define MESSAGE_BYTES 512

/* A password is one line; pam_exec ends it with a NUL, others with a line feed or nothing. */
static const char *read_password(char password[PASSWORD_BYTES + 2])
{
	size_t have = 0;
	ssize_t n;

	while (have < PASSWORD_BYTES + 2 &&
	       (n = read(STDIN_FILENO, password + have, PASSWORD_BYTES + 2 - have)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return "The password could not be read";
		have += (size_t)n;
	}
	if (have > 0 && (password[have - 1] == '\0' || password[have - 1] == '\n'))
		have--;
	if (have == 0)
		return "The password is empty";
	if (have > PASSWORD_BYTES)
		return "The password is too long";
	password[have] = '\0';
	if (strlen(password) != have || strpbrk(password, "\r\n") != NULL)
		return "The password has characters that it cannot have";
	return NULL;
}

static int ask(struct config *cfg, const char *user, const char *password)
{
	char message[MESSAGE_BYTES], escaped[4 * MESSAGE_BYTES];
	struct script_set *set = script_set_load(cfg, message, sizeof message);
	enum passwordcheck answer;

	if (set == NULL) {
		log_error(NULL, "%s", message);
		puts("The password could not be checked and is refused");
		return EX_CONFIG;
	}
	luaout_configure(cfg);
	answer = passwordcheck(set, user, password, message, sizeof message);
	script_set_unref(set);
	if (answer == PASSWORDCHECK_ALLOWED)
		return EXIT_SUCCESS;
	log_escape(escaped, sizeof escaped, message, strlen(message));
	puts(escaped);
	log_info(NULL, "password of %.100s refused: %s", user, message);
	return EXIT_FAILURE;
}

static int drop(const struct config *cfg)
{
	struct identity id;
	char error[512];

	if (privileges_identity(cfg, &id, error, sizeof error) &&
	    privileges_drop(cfg, &id, error, sizeof error))
		return 0;
	log_error(NULL, "%s", error);
	puts("The password could not be checked and is refused");
	return EX_CONFIG;
}

static int usage(void)
{
	fputs("usage: mailhooks passwd-check [USER]\n"
	      "The password is read from standard input. Without USER the environment's PAM_USER "
	      "is taken.\n",
	    stderr);
	return EXIT_USAGE;
}

int cmd_passwd_check(struct config *cfg, int argc, char **argv)
{
	const char *user = argc == 1 ? argv[0] : getenv("PAM_USER"), *wrong;
	char password[PASSWORD_BYTES + 2];
	int status;

	if (argc > 1 || user == NULL || *user == '\0')
		return usage();
	if (!isatty(STDERR_FILENO)) /* PAM shows the user what we say */
		log_open("mailhooks", cfg->log.target, cfg->log.format, cfg->log.facility,
		    cfg->log.level);
	wrong = read_password(password);
	if (wrong != NULL) {
		puts(wrong);
		status = EXIT_FAILURE;
	} else {
		status = drop(cfg);
		if (status == 0)
			status = ask(cfg, user, password);
	}
	explicit_bzero(password, sizeof password);
	return status;
}
