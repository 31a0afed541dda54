/* What a Redis server may say to any operation of the store (R13): whatever bytes come, there is an
 * answer of three values, its values are within their bounds, and no memory is misused. The first
 * byte chooses the operation; the rest is what the server says before it closes, the part after
 * a NUL byte on the next connection. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/store/store_redis.h"
#include "common/store/store_text.h"
#include "tests/fuzz/must.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SAYS_MOST 100000 /* fits a socket's buffer, so that nobody has to read meanwhile */
#define TALKS 3		 /* commands that one operation may need: EVALSHA, SCRIPT LOAD, EVALSHA */

static const struct store_window window = {
    .dimension = STORE_SERVER, .key = "mx", .result = "450 x", .before_ms = INT64_MAX};
static const struct store_rate_window windows[] = {{10, 1000, 10}, {99, 60000, 5}};
static const struct store_rate_limit limit = {"k", windows, 2};
static const struct store_rate_doubt doubt = {"d", 1, 5};

static bool visit_attempt(const struct store_attempt *a, void *arg)
{
	size_t n = strlen(a->event) + strlen(a->queue_id) + strlen(a->server) + strlen(a->address) +
		   strlen(a->domain) + strlen(a->provider) + strlen(a->sender) + strlen(a->stage) +
		   strlen(a->result) + strlen(a->tls) + strlen(a->connection);

	MUST(a->nrecipients <= LIMIT_STORE_RECIPIENTS);
	for (size_t i = 0; i < a->nrecipients; i++)
		n += strlen(a->recipients[i].address) + strlen(a->recipients[i].result);
	MUST(n <= SAYS_MOST);
	++*(size_t *)arg;
	return true;
}

static void see_hold(const struct store_hold *h, void *arg)
{
	MUST((unsigned)h->dimension < STORE_DIMENSIONS);
	MUST(strlen(h->key) + strlen(h->who) + strlen(h->reason) <= SAYS_MOST);
	++*(size_t *)arg;
}

static bool visit_hold(const struct store_hold *h, void *arg)
{
	see_hold(h, arg);
	return true;
}

static void rates(struct store_engine *e, bool merge, int64_t until)
{
	const struct store_rate_request request = {&limit, 1, true, "id"};
	const struct store_rate_debt debt = {&limit, "m", {5, 6}, &doubt, 1};
	struct store_rate_reply reply = {0};

	if (merge)
		e->ops->rate_merge(e, &debt, &reply, until);
	else
		e->ops->rate(e, &request, &reply, until);
	if (reply.answer != STORE_RATE_UNKNOWN)
		MUST(reply.state.window < limit.nwindows);
}

static void attempts(struct store_engine *e, unsigned what, int64_t until)
{
	const struct store_attempt a = {.event = "e",
	    .queue_id = "",
	    .server = "mx",
	    .address = "",
	    .domain = "",
	    .provider = "",
	    .sender = "",
	    .stage = "",
	    .result = "450",
	    .tls = "",
	    .connection = ""};
	struct store_cursor cursor = {0};
	struct store_count count = {0};
	enum store_answer answer;
	size_t seen = 0;
	bool fresh;

	if (what == 0) {
		MUST(e->ops->attempt_add(e, &a, &fresh, until) != STORE_ABSENT);
	} else if (what == 1) {
		MUST(e->ops->attempt_count(e, &window, &count, until) != STORE_ABSENT);
	} else {
		answer = e->ops->attempt_page(e, &window, &cursor, 50, visit_attempt, &seen, until);
		MUST(answer == STORE_UNKNOWN || cursor.set || cursor.end);
		MUST(strlen(cursor.event) < sizeof cursor.event);
	}
}

static void records(struct store_engine *e, unsigned what, int64_t until)
{
	struct strlist names = STRLIST_INIT;
	struct store_facts facts = {0};
	struct store_hop_facts hop = {0};
	enum store_answer answer = STORE_UNKNOWN;
	char *value = NULL;
	size_t seen = 0;

	switch (what) {
	case 0:
		answer = e->ops->hold_get(e, STORE_SERVER, "mx", see_hold, &seen, until);
		MUST((answer == STORE_FOUND) == (seen == 1));
		break;
	case 1:
		answer = e->ops->hold_list(e, visit_hold, &seen, until);
		MUST(answer == STORE_UNKNOWN || (answer == STORE_FOUND) == (seen > 0));
		break;
	case 2:
		answer = e->ops->setting_get(e, "u", "n", &value, until);
		MUST((answer == STORE_FOUND) == (value != NULL));
		free(value);
		break;
	case 3:
		answer = e->ops->setting_list(e, "u", &names, until);
		MUST(names.n == 0 || answer == STORE_FOUND);
		break;
	case 4:
		answer = e->ops->facts_get(e, "q", &facts, until);
		MUST(answer != STORE_FOUND || facts.sender != NULL);
		break;
	default:
		answer = e->ops->facts_hop(e, "h", &hop, until);
		break;
	}
	MUST(answer == STORE_FOUND || answer == STORE_ABSENT || answer == STORE_UNKNOWN);
	strlist_clear(&names);
	store_facts_clear(&facts);
}

/* ---- the server ---- */

/* A connection whose server has said all it will ever say. */
static void talk(const uint8_t *says, size_t n, int *ours, int *theirs)
{
	int fds[2];

	MUST(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
	MUST(fcntl(fds[0], F_SETFL, O_NONBLOCK) == 0);
	MUST(send(fds[1], says, n, MSG_NOSIGNAL) == (ssize_t)n);
	shutdown(fds[1], SHUT_WR);
	*ours = fds[0];
	*theirs = fds[1];
}

static void ignore_line(enum log_level level, const char *line, void *arg)
{
	(void)level;
	(void)line;
	(void)arg;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	int ours[TALKS], theirs[TALKS];
	struct store_options options;
	struct store_engine *e;
	size_t n = 0;

	if (size < 1 || size > SAYS_MOST)
		return 0;
	log_capture(ignore_line, NULL);
	store_options_default(&options);
	options.breaker_failures = 0;
	for (const uint8_t *p = data + 1, *end = data + size; n < TALKS; n++) {
		const uint8_t *nul = memchr(p, 0, (size_t)(end - p));
		const uint8_t *stop = nul != NULL ? nul : end;

		talk(p, (size_t)(stop - p), &ours[n], &theirs[n]);
		p = nul != NULL ? nul + 1 : end;
	}
	e = store_redis_adopt(ours, n, &options);
	if (data[0] % 11 < 3)
		attempts(e, data[0] % 11, clock_ms() + 5000);
	else if (data[0] % 11 < 5)
		rates(e, data[0] % 11 == 4, clock_ms() + 5000);
	else
		records(e, data[0] % 11 - 5, clock_ms() + 5000);
	e->ops->close(e);
	while (n > 0)
		close(theirs[--n]);
	return 0;
}
