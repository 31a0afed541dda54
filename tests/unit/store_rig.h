/* store_rig.h - the contract of common/store.h as tests that run against any engine. */
#pragma once

#include "common/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define WAIT_MS 20000			  /* a deadline that only a hanging test reaches */
#define START_MS ((int64_t)1700000000000) /* where the tests' clock begins */
#define MINUTE_MS ((int64_t)60000)
#define DAY_MS ((int64_t)86400000)

/* Tests get a struct store_rig: an empty store with a clock of its own. */
struct store_rig {
	struct store *store;
	struct store_options options; /* change before store_rig_again() */
	int64_t now_ms;
	char url[400], prefix[32], file[96];
};

/* The engine under test: a URL, or "sqlite". Set before a group of tests runs. */
void store_rig_engine(const char *url);
/* Prefixes begin with this; "" by default. */
void store_rig_prefix(const char *prefix);

int store_rig_setup(void **state);
int store_rig_teardown(void **state);
void store_rig_again(struct store_rig *); /* close and open again, with the present options */

/* An attempt: number n is the event, the rest is a plain example. */
struct store_attempt store_rig_attempt(
    char event[static 24], unsigned n, int64_t time_ms, const char *server, const char *result);
void store_rig_add(
    struct store_rig *, unsigned n, int64_t time_ms, const char *server, const char *result);
uint64_t store_rig_count(struct store_rig *, enum store_dimension, const char *key,
    const char *result, int64_t since_ms);

/* The tests. */
extern const struct CMUnitTest store_attempt_tests[], store_rate_tests[], store_record_tests[];
extern const size_t store_attempt_test_count, store_rate_test_count, store_record_test_count;

/* All of them, one group each. Returns the number of failures. */
int store_contract(const char *engine);
