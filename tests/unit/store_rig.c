/* store_rig.c - see store_rig.h. */
#include "tests/unit/store_rig.h"

#include "common/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *engine = "sqlite", *engine_prefix = "";
static unsigned rigs;

void store_rig_engine(const char *url)
{
	engine = url;
}

void store_rig_prefix(const char *prefix)
{
	engine_prefix = prefix;
}

static int64_t rig_clock(void *arg)
{
	return ((struct store_rig *)arg)->now_ms;
}

static void rig_open(struct store_rig *r)
{
	char why[300] = "";

	r->store = store_open(r->url, &r->options, why, sizeof why);
	if (r->store == NULL)
		fail_msg("%s: %s", r->url, why);
}

static void remove_file(const struct store_rig *r)
{
	static const char *const endings[] = {"", "-wal", "-shm"};
	char path[120];

	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", r->file, endings[i]);
		unlink(path);
	}
}

int store_rig_setup(void **state)
{
	struct store_rig *r = xcalloc(1, sizeof *r);

	r->now_ms = START_MS;
	store_options_default(&r->options);
	r->options.clock = rig_clock;
	r->options.clock_arg = r;
	snprintf(r->prefix, sizeof r->prefix, "%st%u:", engine_prefix, ++rigs);
	r->options.prefix = r->prefix;
	if (strcmp(engine, "sqlite") == 0) {
		snprintf(
		    r->file, sizeof r->file, "/tmp/mailhooks-store-%d-%u.db", (int)getpid(), rigs);
		remove_file(r);
		snprintf(r->url, sizeof r->url, "sqlite:%s", r->file);
	} else {
		snprintf(r->url, sizeof r->url, "%s", engine);
	}
	rig_open(r);
	*state = r;
	return 0;
}

int store_rig_teardown(void **state)
{
	struct store_rig *r = *state;

	store_close(r->store);
	if (r->file[0] != '\0')
		remove_file(r);
	free(r);
	return 0;
}

void store_rig_again(struct store_rig *r)
{
	store_close(r->store);
	rig_open(r);
}

struct store_attempt store_rig_attempt(
    char event[static 24], unsigned n, int64_t time_ms, const char *server, const char *result)
{
	snprintf(event, 24, "log:%08u", n);
	return (struct store_attempt){
	    .event = event,
	    .time_ms = time_ms,
	    .queue_id = "4XyZ12abcde",
	    .server = server,
	    .address = "192.0.2.1",
	    .domain = "example.com",
	    .provider = "provider.example",
	    .sender = "sender@example.org",
	    .stage = "RCPT",
	    .result = result,
	    .tls = "TLSv1.3",
	    .connection = "7",
	    .delay_ms = 1234,
	};
}

void store_rig_add(
    struct store_rig *r, unsigned n, int64_t time_ms, const char *server, const char *result)
{
	char event[24];
	struct store_attempt a = store_rig_attempt(event, n, time_ms, server, result);

	assert_int_equal(store_attempt_add(r->store, &a, NULL, WAIT_MS), STORE_FOUND);
}

uint64_t store_rig_count(struct store_rig *r, enum store_dimension d, const char *key,
    const char *result, int64_t since_ms)
{
	struct store_window w = {
	    .dimension = d, .key = key, .result = result, .since_ms = since_ms};
	struct store_count count = {.n = 999};

	assert_int_equal(store_attempt_count(r->store, &w, &count, WAIT_MS), STORE_FOUND);
	assert_false(count.local);
	return count.n;
}

int store_contract(const char *name)
{
	const struct {
		const char *subject;
		const struct CMUnitTest *tests;
		size_t n;
	} groups[] = {
	    {"attempts", store_attempt_tests, store_attempt_test_count},
	    {"rates", store_rate_tests, store_rate_test_count},
	    {"records", store_record_tests, store_record_test_count},
	};
	char title[64];
	int failed = 0;

	for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++) {
		snprintf(title, sizeof title, "%s, %s", name, groups[i].subject);
		printf("--- %s\n", title);
		failed += _cmocka_run_group_tests(title, groups[i].tests, groups[i].n, NULL, NULL);
	}
	return failed;
}
