/* users.c - `mailhooks users`: who is local, what can be set for users, and what they have set.
 *
 * As root it becomes the user of the configuration before it looks at scripts or opens the store,
 * so that nothing there belongs to root afterwards. */
#include "cli/cli.h"

#include "common/daemon/privileges.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/redirect.h"
#include "common/store/store_shared.h"
#include "common/users.h"
#include "lua-bindings/script_set.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define STORE_MS 5000

struct job {
	struct config *config;
	struct script_set *set; /* settings() only */
	struct users *users;
	char **argv;
	int argc;
};

static bool drop_root(const struct config *cfg)
{
	struct identity id;
	char why[512];

	if (privileges_identity(cfg, &id, why, sizeof why) &&
	    privileges_drop(cfg, &id, why, sizeof why))
		return true;
	fprintf(stderr, "mailhooks: %s\n", why);
	return false;
}

static int no_answer(void)
{
	fputs("mailhooks: the store or the name service does not answer\n", stderr);
	return EXIT_FAILURE;
}

/* A user by whatever case he was typed in; NULL was reported with its *status. */
static char *known_user(struct job *j, const char *name, int *status)
{
	char *lower = xstrdup(name);

	for (char *p = lower; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	switch (users_exist(j->users, name)) {
	case USERS_YES:
		return lower;
	case USERS_NO:
		fprintf(
		    stderr, "mailhooks: \"%s\" is no user (`mailhooks users` lists them)\n", name);
		*status = EXIT_FAILURE;
		break;
	case USERS_UNKNOWN:
		*status = no_answer();
	}
	free(lower);
	return NULL;
}

/* Whose setting: a user's, or the service's, *user NULL, for "-", which no user is called. False
 * was reported with its *status. */
static bool whose(struct job *j, char **user, int *status)
{
	*user = NULL;
	if (strcmp(j->argv[0], "-") == 0)
		return true;
	*user = known_user(j, j->argv[0], status);
	return *user != NULL;
}

/* ---- list, expand ---- */

static int list(struct job *j)
{
	struct strlist names = STRLIST_INIT;
	int status = EXIT_SUCCESS;

	if (users_are_off(j->users))
		fputs("mailhooks: users.source is \"\": nobody is a user\n", stderr);
	if (users_list(j->users, &names) == USERS_UNKNOWN)
		status = no_answer();
	for (size_t i = 0; i < names.n; i++) {
		struct strlist addresses = STRLIST_INIT;

		users_addresses(j->users, names.v[i], &addresses);
		printf("%s:", names.v[i]);
		for (size_t k = 0; k < addresses.n; k++)
			printf(" %s", addresses.v[k]);
		putchar('\n');
		strlist_clear(&addresses);
	}
	strlist_clear(&names);
	return status;
}

static int expand(struct job *j)
{
	static const char *const kinds[] = {
	    [USERS_USER] = "user",
	    [USERS_ALIAS] = "alias",
	    [USERS_NOBODY] = "nobody",
	    [USERS_REMOTE] = "remote",
	    [USERS_FORWARD] = "forward",
	};
	struct users_expansion e;
	int status = EXIT_SUCCESS;

	if (users_expand(j->users, j->argv[0], true, STORE_MS, &e) == USERS_UNKNOWN)
		status = no_answer();
	for (size_t i = 0; i < e.n; i++)
		printf("%s %s%s%s%s\n", kinds[e.v[i].kind], e.v[i].address,
		    e.v[i].user != NULL ? " of " : "", e.v[i].user != NULL ? e.v[i].user : "",
		    e.v[i].kind == USERS_ALIAS && !e.v[i].whole
			? " (and more that only the MTA follows)"
			: "");
	users_expansion_clear(&e);
	return status;
}

/* ---- settings ---- */

static void show_setting(
    const struct strlist *pairs, const char *name, const char *preset, const char *help)
{
	const char *value = pairs != NULL ? users_pair(pairs, name) : NULL;

	printf("%s = %s%s%s%s\n", name, value != NULL ? value : preset,
	    value == NULL && pairs != NULL ? "\t(default)" : "", *help != '\0' ? "\t# " : "", help);
}

/* Of the scripts that a user's mail goes through, or of all. */
static void show_declared(struct job *j, const char *user, const struct strlist *pairs)
{
	enum script_id own = SCRIPT_USER_REDIRECT;
	const struct script_setting *s;

	if (user != NULL)
		script_set_for_user(j->set, SCRIPT_USER_REDIRECT, user, &own);
	for (int id = 0; id < script_set_count(j->set); id++) {
		if (user != NULL && id != (int)own)
			continue;
		for (size_t i = 0; (s = script_set_setting(j->set, (enum script_id)id, i)) != NULL;
		     i++) {
			if (i == 0)
				printf("\n# declared by %s\n",
				    script_set_path(j->set, (enum script_id)id));
			show_setting(pairs, s->name, s->preset, s->help);
		}
	}
}

static int settings(struct job *j)
{
	struct strlist pairs = STRLIST_INIT;
	int status = EXIT_SUCCESS;
	const char *name, *preset, *help;
	char *user = NULL;

	if (j->argc > 0) {
		user = known_user(j, j->argv[0], &status);
		if (user == NULL)
			return status;
		if (users_settings(j->users, user, &pairs, STORE_MS) == USERS_UNKNOWN)
			status = no_answer();
	}
	for (size_t i = 0; (name = redirect_setting(i, &preset, &help)) != NULL; i++)
		show_setting(user != NULL ? &pairs : NULL, name, preset, help);
	show_declared(j, user, user != NULL ? &pairs : NULL);
	strlist_clear(&pairs);
	free(user);
	return status;
}

static int get(struct job *j)
{
	int status = EXIT_FAILURE;
	char *user, *value;

	if (!whose(j, &user, &status))
		return status;
	switch (users_setting(j->users, user, j->argv[1], &value, STORE_MS)) {
	case USERS_YES:
		puts(value);
		status = EXIT_SUCCESS;
		break;
	case USERS_NO:
		fprintf(stderr, "mailhooks: %s%s has not set %s\n", user != NULL ? "user " : "",
		    user != NULL ? user : "the service", j->argv[1]);
		status = EXIT_FAILURE;
		break;
	case USERS_UNKNOWN:
		status = no_answer();
	}
	free(value);
	free(user);
	return status;
}

/* ---- changes, in the store ---- */

static int told(enum store_answer answer, const char *absent)
{
	if (answer == STORE_UNKNOWN)
		return no_answer();
	if (answer == STORE_ABSENT)
		fprintf(stderr, "mailhooks: %s\n", absent);
	return answer == STORE_FOUND ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* value NULL: take it away. */
static int put(struct job *j, const char *user, const char *name, const char *value)
{
	struct store *store = store_shared_get(j->config->store);
	int status;

	if (store == NULL)
		return no_answer();
	if (value != NULL)
		status = told(store_setting_set(store, user, name, value, STORE_MS),
		    "not kept: there are too many settings");
	else
		status = told(store_setting_delete(store, user, name, STORE_MS),
		    "it is not set in the store");
	store_shared_put(store);
	return status;
}

static int set_or_unset(struct job *j)
{
	int status = EXIT_FAILURE;
	char *user;

	if (!whose(j, &user, &status))
		return status;
	if (user == NULL && strcmp(j->argv[1], USERS_STORE_SETTING) == 0) {
		fputs("mailhooks: " USERS_STORE_SETTING
		      " is the list of users: `mailhooks users import FILE` sets it\n",
		    stderr);
	} else if (j->argv[1][0] == '\0' || strlen(j->argv[1]) > LIMIT_STORE_KEY_BYTES) {
		fprintf(stderr, "mailhooks: the name of a setting has 1 to %d bytes\n",
		    LIMIT_STORE_KEY_BYTES);
		status = EXIT_USAGE;
	} else {
		status = put(j, user, j->argv[1], j->argc > 2 ? j->argv[2] : NULL);
	}
	free(user);
	return status;
}

/* The file becomes the setting Users, for users.source = "store". The administrator may read it,
 * the daemons need not. */
static int import(struct job *j)
{
	char error[500];
	char *text = users_check_file(j->argv[0], error, sizeof error);
	int status;

	if (text == NULL) {
		fprintf(stderr, "mailhooks: %s\n", error);
		return EXIT_FAILURE;
	}
	status = drop_root(j->config) ? put(j, NULL, USERS_STORE_SETTING, text) : EX_CONFIG;
	free(text);
	return status;
}

static const struct {
	const char *name, *arguments;
	int least, most;
	int (*run)(struct job *);
} commands[] = {
    {"list", "", 0, 0, list},
    {"settings", "[USER]", 0, 1, settings},
    {"get", "USER|- NAME", 2, 2, get},
    {"set", "USER|- NAME VALUE", 3, 3, set_or_unset},
    {"unset", "USER|- NAME", 2, 2, set_or_unset},
    {"expand", "ADDRESS", 1, 1, expand},
    {"import", "FILE", 1, 1, import},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

static int usage(void)
{
	for (size_t i = 0; i < NCOMMANDS; i++)
		fprintf(stderr, "%s mailhooks users %s %s\n", i == 0 ? "usage:" : "      ",
		    commands[i].name, commands[i].arguments);
	return EXIT_USAGE;
}

int cmd_users(struct config *cfg, int argc, char **argv)
{
	const char *name = argc > 0 ? argv[0] : commands[0].name;
	struct job j = {.config = cfg, .argv = argv + 1, .argc = argc > 0 ? argc - 1 : 0};
	char error[1024];
	int status;
	size_t i;

	for (i = 0; i < NCOMMANDS && strcmp(commands[i].name, name) != 0; i++)
		;
	if (i == NCOMMANDS || j.argc < commands[i].least || j.argc > commands[i].most)
		return usage();
	if (commands[i].run != import && !drop_root(cfg))
		return EX_CONFIG;
	j.users = users_load(cfg, error, sizeof error);
	if (j.users != NULL && commands[i].run == settings)
		j.set = script_set_load(cfg, error, sizeof error);
	if (j.users != NULL && (j.set != NULL || commands[i].run != settings)) {
		status = commands[i].run(&j);
	} else {
		fprintf(stderr, "mailhooks: %s\n", error);
		status = EX_CONFIG;
	}
	script_set_unref(j.set);
	users_free(j.users);
	store_shared_close();
	return status;
}
