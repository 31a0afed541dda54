/* holds.c - `mailhooks holds`: which hosts are held, holding and releasing them by hand. */
#include "cli/cli.h"
#include "cli/cli_store.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "common/store.h"
#include "lua-bindings/mx_servers.h"

#include <math.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STORE_MS 5000 /* a person waits */

static const char usage_text[] =
    "usage: mailhooks holds [list]\n"
    "       mailhooks holds add DIMENSION KEY MINUTES [REASON]\n"
    "       mailhooks holds release DIMENSION KEY\n"
    "\n"
    "DIMENSION KEY: server NAME, address IP, domain NAME, provider NAME, or all (without KEY).\n";

static int usage(void)
{
	fputs(usage_text, stderr);
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
	time_t t = (time_t)(h->until_ms / 1000);
	int64_t left = (h->until_ms - now_ms() + 999) / 1000;
	char until[40] = "?";
	struct tm tm;

	(void)arg;
	if (localtime_r(&t, &tm) != NULL)
		strftime(until, sizeof until, "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s%s", store_dimension_name(h->dimension), h->dimension == STORE_ALL ? "" : " ");
	print_escaped(h->key);
	printf(" until %s (%lld s left) by ", until, (long long)(left > 0 ? left : 0));
	print_escaped(h->who);
	fputs(": ", stdout);
	print_escaped(h->reason);
	putchar('\n');
	return true;
}

static int list(struct store *store)
{
	switch (store_hold_list(store, print_hold, NULL, STORE_MS)) {
	case STORE_FOUND:
		return EXIT_SUCCESS;
	case STORE_ABSENT:
		puts("nothing is held");
		return EXIT_SUCCESS;
	case STORE_UNKNOWN:
		break;
	}
	return cli_store_unknown();
}

/* ---- add and release ---- */

/* DIMENSION KEY at the beginning of argv; the number of words taken, 0: wrong. *key malloc'ed. */
static int take_target(int argc, char **argv, enum store_dimension *dimension, char **key)
{
	*key = NULL;
	if (argc < 1 || !store_dimension_parse(argv[0], dimension))
		return 0;
	if (*dimension == STORE_ALL) {
		*key = xstrdup("");
		return 1;
	}
	*key = argc >= 2 ? mx_server_host(argv[1]) : NULL;
	return *key != NULL ? 2 : 0;
}

static char who[64]; /* asked, as a name */

static void remember_who(void)
{
	const struct passwd *p = getpwuid(getuid());

	snprintf(who, sizeof who, "%s", p != NULL ? p->pw_name : "administrator");
}

static int add(struct store *store, int argc, char **argv)
{
	struct store_hold h = {.reason = "held by hand"};
	int n, status = EXIT_USAGE;
	double minutes = 0;
	char *key, *end = NULL;

	n = take_target(argc, argv, &h.dimension, &key);
	if (n > 0 && argc > n)
		minutes = strtod(argv[n], &end);
	if (end == NULL || *end != '\0' || !(minutes > 0 && minutes <= LIMIT_HOLD_MINUTES) ||
	    argc > n + 2) {
		free(key);
		return usage();
	}
	h.key = key;
	h.until_ms = now_ms() + (int64_t)ceil(minutes * 60000);
	h.who = who;
	if (argc == n + 2)
		h.reason = argv[n + 1];
	status =
	    store_hold_set(store, &h, STORE_MS) == STORE_FOUND ? EXIT_SUCCESS : cli_store_unknown();
	free(key);
	return status;
}

static int release(struct store *store, int argc, char **argv)
{
	enum store_dimension dimension;
	char *key;
	int n = take_target(argc, argv, &dimension, &key);
	enum store_answer answer;

	if (n == 0 || n != argc) {
		free(key);
		return usage();
	}
	answer = store_hold_release(store, dimension, key, STORE_MS);
	if (answer == STORE_ABSENT)
		fprintf(stderr, "mailhooks: there is no hold on %s %s\n", argv[0], key);
	free(key);
	if (answer == STORE_UNKNOWN)
		return cli_store_unknown();
	return answer == STORE_FOUND ? EXIT_SUCCESS : EXIT_FAILURE;
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
		status = list(store);
	else if (strcmp(argv[0], "add") == 0)
		status = add(store, argc - 1, argv + 1);
	else if (strcmp(argv[0], "release") == 0)
		status = release(store, argc - 1, argv + 1);
	else
		status = usage();
	store_close(store);
	return status;
}
