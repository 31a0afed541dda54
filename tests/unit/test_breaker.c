/* The breaker: opens after failures in a row, lets one trial through, closes on success. */
#include "common/breaker.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void opens_after_failures_in_a_row(void **state)
{
	struct breaker b = {.limit = 3, .open_ms = 1000};

	(void)state;
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	assert_int_equal(breaker_report(&b, BREAKER_OK, 0), BREAKER_UNCHANGED);
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	assert_int_equal(breaker_report(&b, BREAKER_NO_EVIDENCE, 0), BREAKER_UNCHANGED);
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	assert_true(breaker_allows(&b, 0));
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 5000), BREAKER_OPENED);
	assert_false(breaker_allows(&b, 5000));
	assert_false(breaker_allows(&b, 5999));
	assert_true(breaker_allows(&b, 6000));
}

static struct breaker opened_at(int64_t now)
{
	struct breaker b = {.limit = 1, .open_ms = 1000};

	breaker_report(&b, BREAKER_FAILED, now);
	return b;
}

static void one_trial_at_a_time(void **state)
{
	struct breaker b = opened_at(0);

	(void)state;
	assert_true(breaker_allows(&b, 1000));
	assert_false(breaker_allows(&b, 1000));
	assert_false(breaker_allows(&b, 99000));
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 1500), BREAKER_UNCHANGED); /* once */
	assert_false(breaker_allows(&b, 2499));
	assert_true(breaker_allows(&b, 2500));
	assert_int_equal(breaker_report(&b, BREAKER_OK, 2600), BREAKER_CLOSED);
	assert_true(breaker_allows(&b, 2600));
	assert_true(breaker_allows(&b, 2600));
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 2600), BREAKER_OPENED);
}

static void a_trial_without_evidence_is_repeated(void **state)
{
	struct breaker b = opened_at(0);

	(void)state;
	assert_true(breaker_allows(&b, 1000));
	assert_int_equal(breaker_report(&b, BREAKER_NO_EVIDENCE, 1100), BREAKER_UNCHANGED);
	assert_true(breaker_allows(&b, 1100));
}

static void late_reports_of_older_calls(void **state)
{
	struct breaker b = opened_at(0);

	(void)state;
	assert_int_equal(breaker_report(&b, BREAKER_FAILED, 900), BREAKER_UNCHANGED);
	assert_true(breaker_allows(&b, 1000)); /* it is not open for longer */

	b = opened_at(0);
	assert_int_equal(breaker_report(&b, BREAKER_OK, 10), BREAKER_CLOSED); /* it lives */
	assert_true(breaker_allows(&b, 10));
}

static void limit_0_never_opens(void **state)
{
	struct breaker b = {.limit = 0, .open_ms = 1000};

	(void)state;
	for (int i = 0; i < 1000; i++) {
		assert_true(breaker_allows(&b, 0));
		assert_int_equal(breaker_report(&b, BREAKER_FAILED, 0), BREAKER_UNCHANGED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(opens_after_failures_in_a_row),
	    cmocka_unit_test(one_trial_at_a_time),
	    cmocka_unit_test(a_trial_without_evidence_is_repeated),
	    cmocka_unit_test(late_reports_of_older_calls),
	    cmocka_unit_test(limit_0_never_opens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
