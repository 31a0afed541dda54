/* holds.c - `mailhooks holds`: which hosts and messages are held, holding and releasing them by
 * hand. Who ends a hold that a script sets again at once says for how long it must not. */
#include "cli/cli.h"
#include "cli/cli_store.h"
#include "cli/held_messages.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/local_time.h"
#include "common/log.h"
#include "common/store.h"
#include "common/store/holds.h"
#include "lua-bindings/mx_servers.h"

#include <math.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STORE_MS 5000 /* a person waits */

static const char usage_text[] =
    "usage: mailhooks holds [list]\n"
    "       mailhooks holds add DIMENSION KEY MINUTES [REASON]\n"
    "       mailhooks holds release DIMENSION KEY [MINUTES]\n"
    "\n"
    "DIMENSION KEY: server NAME, address IP, domain NAME, provider NAME, or all (without KEY).\n"
    "release ends a hold; with MINUTES no script holds it again before they are over.\n";

static int usage(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* What is wrong, and how it is done. */
static int usage(const char *fmt, ...)
{
	va_list ap;

	fputs("mailhooks holds: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\n%s", usage_text);
	return EXIT_USAGE;
}

static int64_t now_ms(void)
{
	return (int64_t)time(NULL) * 1000;
}

/* ---- list ---- */

static void print_escaped(const char *text)
{
	char out[4 * LIMIT_STORE_HOLD_TEXT_BYTES + 1];

	log_escape(out, sizeof out, text, strlen(text));
	fputs(out, stdout);
}

static bool print_hold(const struct store_hold *h, void *arg)
{
	int64_t left = (h->until_ms - now_ms() + 999) / 1000;
	bool exempt = h->key[0] == HOLDS_EXEMPT;
	char until[LOCAL_TIME_BYTES];

	(void)arg;
	local_time_text(until, h->until_ms);
	printf("%s%s", store_dimension_name(h->dimension), h->dimension == STORE_ALL ? "" : " ");
	print_escaped(exempt ? h->key + 1 : h->key);
	printf("%s until %s (%lld s left) by ", exempt ? " released" : "", until,
	    (long long)(left > 0 ? left : 0));
	print_escaped(h->who);
	fputs(": ", stdout);
	print_escaped(h->reason);
	putchar('\n');
	return true;
}

static int list(struct store *store, const struct config *cfg)
{
	enum store_answer answer = store_hold_list(store, print_hold, NULL, STORE_MS);
	bool messages = held_messages_print(cfg);

	if (answer == STORE_UNKNOWN)
		return cli_store_unknown();
	if (answer == STORE_ABSENT && !messages)
		puts("nothing is held");
	return EXIT_SUCCESS;
}

/* ---- add and release ---- */

/* DIMENSION KEY at the beginning of argv; the number of words taken, 0: wrong, and said so. *key is
 * malloc'ed. */
static int take_target(int argc, char **argv, enum store_dimension *dimension, char **key)
{
	*key = NULL;
	if (argc < 1) {
		usage("what?");
		return 0;
	}
	if (!store_dimension_parse(argv[0], dimension)) {
		usage("\"%s\" is none of server, address, domain, provider and all", argv[0]);
		return 0;
	}
	if (*dimension == STORE_ALL) {
		*key = xstrdup("");
		return 1;
	}
	*key = argc >= 2 ? mx_server_host(argv[1]) : NULL;
	if (*key == NULL && argc >= 2)
		usage("\"%s\" cannot be the name of a host, nor an address", argv[1]);
	else if (*key == NULL)
		usage("which %s?", argv[0]);
	return *key != NULL ? 2 : 0;
}

static bool take_minutes(const char *text, double *minutes)
{
	char *end;

	*minutes = strtod(text, &end);
	if (end != text && *end == '\0' && *minutes > 0 && *minutes <= LIMIT_HOLD_MINUTES)
		return true;
	usage("\"%s\" is no number of minutes, or more than %d", text, LIMIT_HOLD_MINUTES);
	return false;
}

static char who[64]; /* asked, as a name */

static void remember_who(void)
{
	const struct passwd *p = getpwuid(getuid());

	snprintf(who, sizeof who, "%s", p != NULL ? p->pw_name : "administrator");
}

static int set(struct store *store, enum store_dimension dimension, const char *key, double minutes,
    const char *reason)
{
	const struct store_hold h = {.dimension = dimension,
	    .key = key,
	    .until_ms = now_ms() + (int64_t)ceil(minutes * 60000),
	    .who = who,
	    .reason = reason};

	return store_hold_set(store, &h, STORE_MS) == STORE_FOUND ? EXIT_SUCCESS
								  : cli_store_unknown();
}

/* A hold by hand counts at once, whatever was released before. */
static bool end_exemption(struct store *store, enum store_dimension dimension, const char *key)
{
	char *exempt = xasprintf("%c%s", HOLDS_EXEMPT, key);
	bool known = dimension == STORE_ALL ||
		     store_hold_release(store, dimension, exempt, STORE_MS) != STORE_UNKNOWN;

	free(exempt);
	return known;
}

static int add(struct store *store, int argc, char **argv)
{
	enum store_dimension dimension;
	int n, status = EXIT_USAGE;
	double minutes;
	char *key;

	n = take_target(argc, argv, &dimension, &key);
	if (n == 0)
		return EXIT_USAGE;
	if (argc == n)
		usage("for how many minutes?");
	else if (argc > n + 2)
		usage("\"%s\" is too much: quote the reason", argv[n + 2]);
	else if (!take_minutes(argv[n], &minutes))
		status = EXIT_USAGE;
	else if (!end_exemption(store, dimension, key))
		status = cli_store_unknown();
	else
		status = set(
		    store, dimension, key, minutes, argc == n + 2 ? argv[n + 1] : "held by hand");
	free(key);
	return status;
}

/* For minutes, if there are any. */
static int end_hold(
    struct store *store, enum store_dimension dimension, const char *key, double minutes)
{
	enum store_answer answer = store_hold_release(store, dimension, key, STORE_MS);
	int status = answer == STORE_FOUND ? EXIT_SUCCESS : EXIT_FAILURE;
	char *exempt;

	if (answer == STORE_UNKNOWN)
		return cli_store_unknown();
	if (answer == STORE_ABSENT && !(minutes > 0))
		fprintf(stderr, "mailhooks: there is no hold on %s %s\n",
		    store_dimension_name(dimension), key);
	if (minutes > 0) {
		exempt = xasprintf("%c%s", HOLDS_EXEMPT, key);
		status = set(store, dimension, exempt, minutes, "released by hand");
		free(exempt);
	}
	if (status == EXIT_SUCCESS)
		puts(
		    "released; mail that waits is tried when the mail server has it in its schedule "
		    "(at once: postqueue -f of Postfix, sendmail -q of Sendmail)");
	return status;
}

static int release(struct store *store, int argc, char **argv)
{
	enum store_dimension dimension;
	double minutes = 0;
	char *key;
	int n = take_target(argc, argv, &dimension, &key), status = EXIT_USAGE;

	if (n == 0)
		return EXIT_USAGE;
	if (argc > n + 1)
		usage("\"%s\" is too much", argv[n + 1]);
	else if (argc > n && dimension == STORE_ALL)
		usage("MINUTES go with the name of what is released, not with all");
	else if (argc == n || take_minutes(argv[n], &minutes))
		status = end_hold(store, dimension, key, minutes);
	free(key);
	return status;
}

int cmd_holds(struct config *cfg, int argc, char **argv)
{
	struct store *store;
	int status;

	remember_who();
	store = cli_store_open(cfg);
	if (store == NULL)
		return EXIT_FAILURE;
	if (argc == 0 || (argc == 1 && strcmp(argv[0], "list") == 0))
		status = list(store, cfg);
	else if (strcmp(argv[0], "add") == 0)
		status = add(store, argc - 1, argv + 1);
	else if (strcmp(argv[0], "release") == 0)
		status = release(store, argc - 1, argv + 1);
	else
		status = usage("\"%s\" is none of list, add and release", argv[0]);
	store_close(store);
	return status;
}
