/* The tags of both schemes: what they look like, how long they are valid, what is refused (R5,
 * R10).
 *
 * Made by others: those of BATV by Exim 4.96's ${prvs}, those of SRS by Mail::SRS 0.31 of Perl. */
#include "common/batv.h"
#include "common/return_path/keys.h"
#include "common/srs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define DAY 86400
#define EXIM_DAY 20778	     /* the day on which Exim signed, for seven days */
#define PERL_TIME 1700000000 /* the time at which Mail::SRS rewrote */

static struct keys *keys_of(enum keys_format format, const char *text)
{
	char error[256];
	struct keys *k = keys_parse(format, text, strlen(text), error, sizeof error);

	if (k == NULL)
		fail_msg("%s", error);
	return k;
}

static void must_be(char *got, const char *expected)
{
	if (expected == NULL)
		assert_null(got);
	else
		assert_string_equal(got, expected);
	free(got);
}

/* ---- BATV ---- */

static const char batv_keys[] = "# the newest first\n3 0123456789abcdef\n\n9 another long secret\n";

static void test_batv_as_exim(void **state)
{
	struct keys *k = keys_of(KEYS_NUMBERED, batv_keys);
	time_t now = (time_t)EXIM_DAY * DAY + 3600;
	static const struct {
		const char *tagged, *original;
	} exim[] = {
	    {"prvs=3785a95563=user@example.com", "user@example.com"},
	    {"prvs=37853e5a0e=User@Example.com", "User@Example.com"}, /* case as it was */
	    {"prvs=978583b302=prvs-list@d.example", "prvs-list@d.example"},
	};
	const char *why;
	char *original;

	(void)state;
	for (size_t i = 0; i < sizeof exim / sizeof *exim; i++) {
		assert_int_equal(batv_check(k, exim[i].tagged, now, &original), BATV_VALID);
		must_be(original, exim[i].original);
	}
	must_be(batv_sign(k, "user@example.com", now, 7, &why), exim[0].tagged);
	keys_unref(k);
}

static void test_batv_case(void **state)
{
	struct keys *k = keys_of(KEYS_NUMBERED, batv_keys);
	time_t now = (time_t)EXIM_DAY * DAY;
	const char *why;
	char *tagged = batv_sign(k, "User.Name@Example.com", now, 7, &why), *original;

	(void)state;
	for (char *p = tagged; *p != '\0'; p++) /* a server on the way makes small letters of it */
		if (*p >= 'A' && *p <= 'Z')
			*p |= 0x20;
	assert_int_equal(batv_check(k, tagged, now, &original), BATV_VALID);
	must_be(original, "user.name@example.com");
	free(tagged);
	assert_int_equal(
	    batv_check(k, "PRVS=3785A95563=USER@EXAMPLE.COM", now, &original), BATV_VALID);
	must_be(original, "USER@EXAMPLE.COM");
	keys_unref(k);
}

static void test_batv_days(void **state)
{
	struct keys *k = keys_of(KEYS_NUMBERED, batv_keys);
	const char *why;
	char *original;

	(void)state; /* all days of a turn, so also across the end of the 1000 */
	for (time_t day = 20000; day < 21000; day++) {
		char *tagged = batv_sign(k, "a@b.example", day * DAY, 7, &why);

		for (int later = 0; later <= 7; later++) {
			assert_int_equal(
			    batv_check(k, tagged, (day + later) * DAY + DAY - 1, &original),
			    BATV_VALID);
			free(original);
		}
		for (int later = 8; later < 900; later += 97)
			assert_int_equal(
			    batv_check(k, tagged, (day + later) * DAY, &original), BATV_EXPIRED);
		assert_null(original);
		free(tagged);
	}
	keys_unref(k);
}

static void test_batv_refuses(void **state)
{
	struct keys *k = keys_of(KEYS_NUMBERED, batv_keys);
	time_t now = (time_t)EXIM_DAY * DAY;
	static const struct {
		const char *address;
		enum batv_tag tag;
	} cases[] = {
	    {"prvs=3785a95564=user@example.com", BATV_FORGED},	/* another hash */
	    {"prvs=3786a95563=user@example.com", BATV_FORGED},	/* another day */
	    {"prvs=3785a95563=user2@example.com", BATV_FORGED}, /* somebody else */
	    {"prvs=3785a95563=user@example.org", BATV_FORGED},
	    {"prvs=4785a95563=user@example.com", BATV_FORGED}, /* no such key */
	    {"prvs=3785a95563=user", BATV_FORGED},
	    {"prvs=3785a95563=@example.com", BATV_UNTAGGED},
	    {"prvs=3785a9556=user@example.com", BATV_UNTAGGED},
	    {"prvs=3785a95563user@example.com", BATV_UNTAGGED},
	    {"prvs=x785a95563=user@example.com", BATV_UNTAGGED},
	    {"prvs=37", BATV_UNTAGGED},
	    {"prvs=", BATV_UNTAGGED},
	    {"", BATV_UNTAGGED},
	    {"user@example.com", BATV_UNTAGGED},
	};
	static const char *const unsigned_ones[] = {"", "user", "@example.com", "a b@example.com",
	    "\"a b\"@example.com", "a@[192.0.2.1]", "prvs=3785a95563=user@example.com",
	    "a@b@example.com", "a@exa=mple.com"};
	const char *why;
	char *original, longest[300];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (batv_check(k, cases[i].address, now, &original) != cases[i].tag)
			fail_msg("%s", cases[i].address);
		assert_null(original);
	}
	for (size_t i = 0; i < sizeof unsigned_ones / sizeof *unsigned_ones; i++) {
		assert_null(batv_sign(k, unsigned_ones[i], now, 7, &why));
		assert_non_null(why);
	}
	memset(longest, 'a', sizeof longest);
	memcpy(longest + 240, "@b.example", sizeof "@b.example");
	assert_null(batv_sign(k, longest, now, 7, &why));
	keys_unref(k);
}

/* ---- SRS ---- */

static struct srs srs_with(const struct keys *k, const char *domain, char separator, int chars)
{
	return (struct srs){k, domain, separator, chars, 4, 21};
}

static void test_srs_as_perl(void **state)
{
	static const struct {
		char separator;
		int chars;
		const char *original, *first, *again;
	} perl[] = {
	    {'=', 4, "alice@example.com", "SRS0=R8ha=G3=example.com=alice@srs.test",
		"SRS1=e/4f=srs.test==R8ha=G3=example.com=alice@other.test"},
	    {'=', 10, "Alice.B+x@Example.COM", "SRS0=WGybLN1tw8=G3=Example.COM=Alice.B+x@srs.test",
		"SRS1=gvRT0CMM16=srs.test==WGybLN1tw8=G3=Example.COM=Alice.B+x@other.test"},
	    {'+', 4, "a=b=c@x.example", "SRS0+cFan=G3=x.example=a=b=c@srs.test",
		"SRS1+eM6Y=srs.test=+cFan=G3=x.example=a=b=c@other.test"},
	    {'-', 10, "a=b=c@x.example", "SRS0-cFano2f+ez=G3=x.example=a=b=c@srs.test",
		"SRS1-w+AU4csFFG=srs.test=-cFano2f+ez=G3=x.example=a=b=c@other.test"},
	};
	struct keys *k = keys_of(KEYS_LINES, "topsecret\nold\n");
	const char *why;
	char *original, *third;

	(void)state;
	for (size_t i = 0; i < sizeof perl / sizeof *perl; i++) {
		struct srs first = srs_with(k, "srs.test", perl[i].separator, perl[i].chars),
			   second = srs_with(k, "other.test", perl[i].separator, perl[i].chars),
			   last = srs_with(k, "third.test", perl[i].separator, perl[i].chars);

		must_be(srs_forward(&first, perl[i].original, PERL_TIME, &why), perl[i].first);
		must_be(srs_forward(&second, perl[i].first, PERL_TIME, &why), perl[i].again);
		assert_int_equal(
		    srs_reverse(&first, perl[i].first, PERL_TIME, &original), SRS_VALID);
		must_be(original, perl[i].original);
		assert_int_equal(
		    srs_reverse(&second, perl[i].again, PERL_TIME, &original), SRS_VALID);
		must_be(original, perl[i].first);
		/* a chain stays as long as two: the first host and the last */
		third = srs_forward(&last, perl[i].again, PERL_TIME, &why);
		assert_int_equal(strlen(third), strlen(perl[i].again));
		assert_int_equal(srs_reverse(&last, third, PERL_TIME, &original), SRS_VALID);
		must_be(original, perl[i].first);
		free(third);
	}
	keys_unref(k);
}

static void test_srs_days(void **state)
{
	struct keys *k = keys_of(KEYS_LINES, "topsecret");
	struct srs s = srs_with(k, "srs.test", '=', 4);
	const char *why;
	char *original;

	(void)state;
	for (time_t day = 19456; day < 19456 + 1024; day++) {
		char *f = srs_forward(&s, "a@b.example", day * DAY, &why);

		for (int later = -1; later <= 21; later++) {
			assert_int_equal(
			    srs_reverse(&s, f, (day + later) * DAY, &original), SRS_VALID);
			free(original);
		}
		for (int later = 22; later < 1000; later += 97)
			assert_int_equal(
			    srs_reverse(&s, f, (day + later) * DAY, &original), SRS_EXPIRED);
		free(f);
	}
	keys_unref(k);
}

static void test_srs_refuses(void **state)
{
	static const struct {
		const char *address;
		enum srs_tag tag;
	} cases[] = {
	    {"SRS0=R8hb=G3=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G4=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G3=example.org=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G3=example.com=bob@srs.test", SRS_FORGED},
	    {"SRS0=R8h=G3=example.com=alice@srs.test", SRS_FORGED}, /* too short a hash */
	    {"SRS0==G3=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G3=example.com@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G3=example.com=@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=\x80\x80=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=====@srs.test", SRS_FORGED}, {"SRS0=x@srs.test", SRS_FORGED},
	    {"SRS1=e/4f=srs.test=xR8ha=G3=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS1=e/4g=srs.test==R8ha=G3=example.com=alice@srs.test", SRS_FORGED},
	    {"SRS0=R8ha=G3=example.com=alice@elsewhere.test", SRS_UNTAGGED},
	    {"SRS0@srs.test", SRS_UNTAGGED}, {"SRS0=@srs.test", SRS_UNTAGGED},
	    {"SRS2=R8ha=G3=example.com=alice@srs.test", SRS_UNTAGGED}, {"SRS", SRS_UNTAGGED},
	    {"", SRS_UNTAGGED},
	    {"srs0=r8HA=g3=EXAMPLE.com=Alice@SRS.test", SRS_VALID}, /* case has changed */
	};
	static const char *const unchanged[] = {"", "a", "a@srs.test", "SRS1=x@b.example",
	    "SRS1=x=y=z@b.example", "SRS1=x=y%==z@b.example", "\"a b\"@b.example", "a@[192.0.2.1]",
	    "a@b.example\r\nDATA"};
	struct keys *k = keys_of(KEYS_LINES, "topsecret");
	struct srs s = srs_with(k, "srs.test", '=', 4);
	const char *why;
	char *original;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (srs_reverse(&s, cases[i].address, PERL_TIME, &original) != cases[i].tag)
			fail_msg("%s", cases[i].address);
		assert_true((original != NULL) == (cases[i].tag == SRS_VALID));
		free(original);
	}
	for (size_t i = 0; i < sizeof unchanged / sizeof *unchanged; i++) {
		assert_null(srs_forward(&s, unchanged[i], PERL_TIME, &why));
		assert_non_null(why);
	}
	s.hash_chars = 10; /* longer ones from now on, but what is out there still counts */
	assert_int_equal(
	    srs_reverse(&s, "SRS0=R8ha=G3=example.com=alice@srs.test", PERL_TIME, &original),
	    SRS_VALID);
	free(original);
	s.least_hash_chars = 10;
	assert_int_equal(
	    srs_reverse(&s, "SRS0=R8ha=G3=example.com=alice@srs.test", PERL_TIME, &original),
	    SRS_FORGED);
	keys_unref(k);
}

/* R5: a name of 64 KiB, and one that is all separators, cost no more than looking at them. */
static void test_long_names(void **state)
{
	static const char *const beginnings[] = {"SRS0=", "SRS1=x=y=", "prvs=1000abcdef=", "a"};
	struct keys *k = keys_of(KEYS_LINES, "topsecret"), *b = keys_of(KEYS_NUMBERED, batv_keys);
	struct srs s = srs_with(k, "srs.test", '=', 4);
	clock_t began = clock();
	char *address = malloc(70000), *original;
	const char *why;

	(void)state;
	for (size_t i = 0; i < 2 * sizeof beginnings / sizeof *beginnings; i++) {
		const char *beginning = beginnings[i / 2];

		memset(address, i % 2 == 0 ? 'A' : '=', 65536);
		memcpy(address, beginning, strlen(beginning));
		memcpy(address + 65536, "@srs.test", sizeof "@srs.test");
		for (int n = 0; n < 100; n++) {
			assert_int_not_equal(
			    srs_reverse(&s, address, PERL_TIME, &original), SRS_VALID);
			assert_int_not_equal(
			    batv_check(b, address, PERL_TIME, &original), BATV_VALID);
			assert_null(srs_forward(&s, address, PERL_TIME, &why));
			assert_null(batv_sign(b, address, PERL_TIME, 7, &why));
		}
	}
	assert_true(clock() - began < 5 * CLOCKS_PER_SEC);
	free(address);
	keys_unref(k);
	keys_unref(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_batv_as_exim),
	    cmocka_unit_test(test_batv_case),
	    cmocka_unit_test(test_batv_days),
	    cmocka_unit_test(test_batv_refuses),
	    cmocka_unit_test(test_srs_as_perl),
	    cmocka_unit_test(test_srs_days),
	    cmocka_unit_test(test_srs_refuses),
	    cmocka_unit_test(test_long_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
