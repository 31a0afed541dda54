/* attempts.c - `mailhooks attempts`: what became of each attempt to send, newest first, or how many
 * there were. */
#include "cli/cli.h"
#include "cli/cli_store.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/local_time.h"
#include "common/log.h"
#include "common/store.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#define STORE_MS 10000 /* a person waits */
#define MOST_LISTED 50 /* without -n */
#define MINUTE_MS 60000ll

static const char usage_text[] =
    "usage: mailhooks attempts [--server NAME] [--address IP] [--domain NAME] [--provider NAME]\n"
    "           [--result TEXT] [--since TIME] [-n NUMBER] [--json] [--count]\n"
    "\n"
    "  --result TEXT  whose result begins so: 4, 421, \"450 4.2.1\"\n"
    "  --since TIME   15m, 2h, 7d (minutes, hours, days ago) or \"2026-11-21 13:00\"\n"
    "  -n NUMBER      at most so many (default 50; 0: all)\n"
    "  --json         one object per line, with everything that is known\n"
    "  --count        numbers for some windows of time, or since TIME, instead of a list\n";

struct query {
	const char *wanted[STORE_DIMENSIONS]; /* NULL: any */
	const char *result;
	int64_t since_ms;
	size_t most, shown;
	bool json, count;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return EXIT_USAGE;
}

/* ---- arguments ---- */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* "15m" and the like */
static bool parse_ago(const char *s, int64_t *since)
{
	static const struct {
		char letter;
		int64_t ms;
	} units[] = {{'s', 1000}, {'m', MINUTE_MS}, {'h', 60 * MINUTE_MS}, {'d', 1440 * MINUTE_MS}};
	size_t digits = strspn(s, "0123456789");

	if (digits == 0 || digits > 9 || s[digits] == '\0' || s[digits + 1] != '\0')
		return false;
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (units[i].letter == s[digits]) {
			*since = now_ms() - strtoll(s, NULL, 10) * units[i].ms;
			return true;
		}
	}
	return false;
}

static bool parse_since(const char *s, int64_t *since)
{
	static const char *const formats[] = {
	    "%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d"};

	if (parse_ago(s, since))
		return true;
	for (size_t i = 0; i < sizeof formats / sizeof *formats; i++) {
		struct tm tm = {.tm_isdst = -1};
		const char *end = strptime(s, formats[i], &tm);

		if (end != NULL && *end == '\0') {
			*since = (int64_t)mktime(&tm) * 1000;
			return true;
		}
	}
	return false;
}

static bool parse_number(const char *s, size_t *n)
{
	char *end;
	unsigned long long v = strtoull(s, &end, 10);

	*n = v == 0 ? SIZE_MAX : (size_t)v;
	return *s >= '0' && *s <= '9' && *end == '\0';
}

enum argument { OPT_RESULT = 1000, OPT_SINCE, OPT_JSON, OPT_COUNT, OPT_FIRST_DIMENSION };

static const struct option options[] = {{"result", required_argument, NULL, OPT_RESULT},
    {"since", required_argument, NULL, OPT_SINCE}, {"json", no_argument, NULL, OPT_JSON},
    {"count", no_argument, NULL, OPT_COUNT},
    {"server", required_argument, NULL, OPT_FIRST_DIMENSION + STORE_SERVER},
    {"address", required_argument, NULL, OPT_FIRST_DIMENSION + STORE_ADDRESS},
    {"domain", required_argument, NULL, OPT_FIRST_DIMENSION + STORE_DOMAIN},
    {"provider", required_argument, NULL, OPT_FIRST_DIMENSION + STORE_PROVIDER},
    {NULL, 0, NULL, 0}};

static bool wrong(const char *option, const char *value, const char *what)
{
	fprintf(stderr, "mailhooks attempts: %s \"%s\" is no %s\n", option, value, what);
	return false;
}

static bool take_option(struct query *q, int c)
{
	switch (c) {
	case 'n':
		return parse_number(optarg, &q->most) || wrong("-n", optarg, "number");
	case OPT_RESULT:
		q->result = optarg;
		return true;
	case OPT_SINCE:
		return parse_since(optarg, &q->since_ms) || wrong("--since", optarg, "time");
	case OPT_JSON:
		return q->json = true;
	case OPT_COUNT:
		return q->count = true;
	default:
		if (c < OPT_FIRST_DIMENSION)
			return false;
		q->wanted[c - OPT_FIRST_DIMENSION] = optarg;
		return true;
	}
}

static size_t dimensions_wanted(const struct query *q, enum store_dimension *first)
{
	size_t n = 0;

	*first = STORE_ALL;
	for (int d = STORE_DIMENSIONS - 1; d > STORE_ALL; d--) {
		if (q->wanted[d] == NULL)
			continue;
		*first = (enum store_dimension)d;
		n++;
	}
	return n;
}

/* argv[-1] is the name of the command. */
static bool parse(struct query *q, int argc, char **argv)
{
	enum store_dimension first;
	int c;

	*q = (struct query){.most = MOST_LISTED};
	optind = 0;
	while ((c = getopt_long(argc + 1, argv - 1, "+n:", options, NULL)) != -1)
		if (!take_option(q, c))
			return false;
	if (optind != argc + 1) {
		fprintf(stderr, "mailhooks attempts: \"%s\" is no option\n", argv[optind - 1]);
		return false;
	}
	if (q->count && dimensions_wanted(q, &first) > 1) {
		fputs("mailhooks: --count takes one of --server, --address, --domain, --provider\n",
		    stderr);
		return false;
	}
	return true;
}

/* ---- printing ---- */

static void print(const char *text)
{
	size_t n = strlen(text), size = 4 * n + 1;
	char *out = xmalloc(size);

	log_escape(out, size, text, n);
	fputs(out, stdout);
	free(out);
}

/* before: what stands in front of the name, "" or ", ". */
static void print_json(const char *before, const char *name, const char *text)
{
	size_t n = strlen(text), size = 6 * n + 1;
	char *out = xmalloc(size);

	log_escape_json(out, size, text, n);
	printf("%s\"%s\": \"%s\"", before, name, out);
	free(out);
}

static void utc_text(int64_t ms, char *out, size_t size)
{
	time_t t = (time_t)(ms / 1000);
	struct tm tm;

	if (gmtime_r(&t, &tm) == NULL || strftime(out, size, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, size, "?");
}

static void list_json(const struct store_attempt *a)
{
	char time_text[40];

	utc_text(a->time_ms, time_text, sizeof time_text);
	const struct {
		const char *name, *text;
	} members[] = {{"queue_id", a->queue_id}, {"server", a->server}, {"address", a->address},
	    {"domain", a->domain}, {"provider", a->provider}, {"connection", a->connection},
	    {"sender", a->sender}, {"stage", a->stage}, {"result", a->result}, {"tls", a->tls}};

	print_json("{", "time", time_text);
	for (size_t i = 0; i < sizeof members / sizeof *members; i++)
		print_json(", ", members[i].name, members[i].text);
	printf(", \"delay_ms\": %" PRId64 ", \"recipients\": [", a->delay_ms);
	for (size_t i = 0; i < a->nrecipients; i++) {
		print_json(i > 0 ? ", {" : "{", "address", a->recipients[i].address);
		print_json(", ", "result", a->recipients[i].result);
		putchar('}');
	}
	puts("]}");
}

/* "2026-11-21 13:43:11 4E63A60F mx1.one.test[192.0.2.1] one.test RCPT TO: 450 4.2.1 later" and a
 * line for each recipient. */
static void list_text(const struct store_attempt *a)
{
	char time_text[40];

	local_time_text(time_text, a->time_ms);
	printf("%s ", time_text);
	print(*a->queue_id != '\0' ? a->queue_id : "-");
	putchar(' ');
	print(a->server);
	putchar('[');
	print(a->address);
	fputs("] ", stdout);
	print(*a->domain != '\0' ? a->domain : "-");
	putchar(' ');
	if (*a->stage != '\0') {
		print(a->stage);
		fputs(": ", stdout);
	}
	print(a->result);
	putchar('\n');
	for (size_t i = 0; i < a->nrecipients; i++) {
		fputs("    <", stdout);
		print(a->sender);
		fputs("> to <", stdout);
		print(a->recipients[i].address);
		fputs(">: ", stdout);
		print(a->recipients[i].result);
		putchar('\n');
	}
}

/* ---- asking ---- */

static bool fits(const struct query *q, const struct store_attempt *a)
{
	const char *const has[STORE_DIMENSIONS] = {[STORE_SERVER] = a->server,
	    [STORE_ADDRESS] = a->address,
	    [STORE_DOMAIN] = a->domain,
	    [STORE_PROVIDER] = a->provider};

	for (int d = STORE_ALL + 1; d < STORE_DIMENSIONS; d++)
		if (q->wanted[d] != NULL && strcasecmp(q->wanted[d], has[d]) != 0)
			return false;
	return true;
}

static bool visit(const struct store_attempt *a, void *arg)
{
	struct query *q = arg;

	if (!fits(q, a))
		return true;
	(q->json ? list_json : list_text)(a);
	return ++q->shown < q->most;
}

static int list(struct store *store, struct query *q)
{
	struct store_window window = {
	    .result = q->result != NULL ? q->result : "", .since_ms = q->since_ms};
	enum store_answer answer;

	dimensions_wanted(q, &window.dimension);
	window.key = q->wanted[window.dimension] != NULL ? q->wanted[window.dimension] : "";
	answer = store_attempt_find(store, &window, SIZE_MAX, visit, q, STORE_MS);
	if (answer == STORE_UNKNOWN)
		return cli_store_unknown();
	if (q->shown == q->most && !q->json)
		fprintf(stderr, "mailhooks: the newest %zu; -n 0 shows all\n", q->most);
	return EXIT_SUCCESS;
}

static int count_one(
    struct store *store, struct store_window *window, const char *name, const struct query *q)
{
	struct store_count count;

	if (store_attempt_count(store, window, &count, STORE_MS) != STORE_FOUND)
		return cli_store_unknown();
	if (q->json)
		printf("{\"window\": \"%s\", \"attempts\": %" PRIu64 "}\n", name, count.n);
	else
		printf("%-8s %" PRIu64 "\n", name, count.n);
	return EXIT_SUCCESS;
}

static int count(struct store *store, const struct query *q)
{
	static const struct {
		const char *name;
		int64_t minutes;
	} windows[] = {
	    {"5m", 5}, {"15m", 15}, {"1h", 60}, {"4h", 240}, {"1d", 1440}, {"7d", 10080}};
	struct store_window window = {
	    .result = q->result != NULL ? q->result : "", .since_ms = q->since_ms};
	int status = EXIT_SUCCESS;

	dimensions_wanted(q, &window.dimension);
	window.key = q->wanted[window.dimension] != NULL ? q->wanted[window.dimension] : "";
	if (q->since_ms != 0)
		return count_one(store, &window, "since", q);
	for (size_t i = 0; i < sizeof windows / sizeof *windows && status == EXIT_SUCCESS; i++) {
		window.since_ms = now_ms() - windows[i].minutes * MINUTE_MS;
		status = count_one(store, &window, windows[i].name, q);
	}
	return status;
}

/* Nothing to show may mean that nothing is recorded. */
static void explain_nothing(const struct config *cfg, const struct query *q)
{
	enum store_dimension first;

	if (cfg->maillog.source[0] == '\0')
		fputs("mailhooks: no attempts are recorded: maillog.source is empty\n", stderr);
	else if (dimensions_wanted(q, &first) > 0 || q->result != NULL || q->since_ms != 0)
		fputs("mailhooks: no such attempt is kept\n", stderr);
	else
		fprintf(stderr,
		    "mailhooks: no attempt so far; mailhooks-policy records them from %s, and its log "
		    "says whether it can read that\n",
		    cfg->maillog.source);
}

int cmd_attempts(struct config *cfg, int argc, char **argv)
{
	struct store *store;
	struct query query;
	int status;

	if (!parse(&query, argc, argv))
		return usage();
	store = cli_store_open(cfg);
	if (store == NULL)
		return EXIT_FAILURE;
	status = query.count ? count(store, &query) : list(store, &query);
	if (status == EXIT_SUCCESS && query.shown == 0 &&
	    (!query.count || cfg->maillog.source[0] == '\0'))
		explain_nothing(cfg, &query);
	store_close(store);
	return status;
}
