/* Signed and rewritten return paths: the tags of both schemes, key files and their rotation.
 *
 * The tags were made by others: those of BATV by Exim 4.96's ${prvs}, those of SRS by Mail::SRS
 * 0.31 of Perl. */
#include "common/batv.h"
#include "common/list.h"
#include "common/log.h"
#include "common/return_path.h"
#include "common/return_path/keys.h"
#include "common/srs.h"
#include "tests/unit/config_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* ---- key files ---- */

static void test_key_texts(void **state)
{
	static const struct {
		enum keys_format format;
		const char *text, *wrong; /* NULL: fine */
	} cases[] = {
	    {KEYS_NUMBERED, "1 0123456789abcdef", NULL},
	    {KEYS_NUMBERED, "1\t 0123456789 abcdef \r\n", NULL},
	    {KEYS_NUMBERED, "", "no key"},
	    {KEYS_NUMBERED, "# nothing\n\n", "no key"},
	    {KEYS_NUMBERED, "1 0123456789abcde", "line 1"},
	    {KEYS_NUMBERED, "\n10123456789abcdef0", "line 2"},
	    {KEYS_NUMBERED, "a 0123456789abcdef", "line 1"},
	    {KEYS_NUMBERED, "10 123456789abcdef", "line 1"},
	    {KEYS_NUMBERED, "1 0123456789abcdef\n1 fedcba9876543210\n", "line 2"},
	    {KEYS_LINES, "a\n\nb\r\n", NULL},
	    {KEYS_LINES, "\n\n", "no key"},
	};
	char error[256], huge[2000];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct keys *k = keys_parse(
		    cases[i].format, cases[i].text, strlen(cases[i].text), error, sizeof error);

		if ((k == NULL) != (cases[i].wrong != NULL) ||
		    (k == NULL && strstr(error, cases[i].wrong) == NULL))
			fail_msg("\"%s\": %s", cases[i].text, k == NULL ? error : "taken");
		keys_unref(k);
	}
	memset(huge, 'x', sizeof huge);
	assert_null(keys_parse(KEYS_LINES, huge, sizeof huge, error, sizeof error));
	assert_null(keys_parse(KEYS_LINES, "a\0b", 3, error, sizeof error));
	memset(huge, '\n', sizeof huge);
	for (int i = 0; i < 1000; i++)
		huge[2 * i] = 'x';
	assert_null(keys_parse(KEYS_LINES, huge, sizeof huge, error, sizeof error));
}

static char directory[] = "/tmp/return-path.XXXXXX";
static char key_path[64], secret_path[64];

static void write_file(const char *path, const char *text, mode_t mode)
{
	char new[80];
	FILE *f;

	snprintf(new, sizeof new, "%s.new", path);
	f = fopen(new, "w");
	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(new, mode), 0);
	assert_int_equal(rename(new, path), 0);
}

static int make_directory(void **state)
{
	if (rig_setup(state) != 0 || mkdtemp(directory) == NULL)
		return -1;
	snprintf(key_path, sizeof key_path, "%s/batv", directory);
	snprintf(secret_path, sizeof secret_path, "%s/srs", directory);
	return 0;
}

static int remove_directory(void **state)
{
	unlink(key_path);
	unlink(secret_path);
	return rmdir(directory) | rig_teardown(state);
}

static struct config *settings(const char *more)
{
	char *text =
	    xasprintf("batv { key_file = \"%s\" domains = { \"ours.test\", \".ours.test\" } %s }\n"
		      "srs { secret_file = \"%s\" domain = \"srs.test\" "
		      "exclude = { \"kept.test\" } }\n",
		key_path, more, secret_path);
	struct config *c = rig_load_ok(text, NULL);

	free(text);
	return c;
}

static void test_key_file_modes(void **state)
{
	static const mode_t refused[] = {0644, 0604, 0660, 0602}, fine[] = {0600, 0640, 0400};
	char error[256];
	struct keys *k;

	(void)state;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		write_file(secret_path, "secret", refused[i]);
		assert_null(keys_read(KEYS_LINES, secret_path, error, sizeof error));
		assert_non_null(strstr(error, "chmod"));
	}
	for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) {
		write_file(secret_path, "secret", fine[i]);
		k = keys_read(KEYS_LINES, secret_path, error, sizeof error);
		assert_non_null(k);
		keys_unref(k);
	}
	assert_null(keys_read(KEYS_LINES, directory, error, sizeof error));
	assert_null(keys_read(KEYS_LINES, "/nonexistent/keys", error, sizeof error));
	assert_non_null(strstr(error, "No such file"));
	if (geteuid() == 0) {
		write_file(secret_path, "secret", 0600);
		assert_int_equal(chown(secret_path, 12345, 0), 0);
		assert_null(keys_read(KEYS_LINES, secret_path, error, sizeof error));
		assert_non_null(strstr(error, "chown"));
	}
}

static unsigned complaints;

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)arg;
	assert_null(strstr(line, "0123456789"));
	complaints += level == LOG_LVL_ERROR;
}

static enum return_path check(const struct config *c, const char *address)
{
	char *original;
	enum return_path answer =
	    return_path_do(c, RETURN_PATH_BATV_CHECK, address, &original, NULL);

	free(original);
	return answer;
}

/* A new key above the old one, then without the old one; then a file that is no good. */
static void test_rotation(void **state)
{
	struct config *c = settings("");
	char *first, *second, *third;

	(void)state;
	complaints = 0;
	log_capture(hear, NULL);
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &first, NULL);
	assert_memory_equal(first, "prvs=1", 6);
	write_file(key_path, "2 0123456789ABCDEF\n1 0123456789abcdef\n", 0600);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &second, NULL);
	assert_memory_equal(second, "prvs=2", 6);
	assert_int_equal(check(c, first), RETURN_PATH_DONE);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	write_file(key_path, "2 0123456789ABCDEF\n", 0600);
	assert_int_equal(check(c, first), RETURN_PATH_FORGED);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	assert_int_equal(complaints, 0);

	write_file(key_path, "2 short\n", 0600); /* the keys before stay, said once */
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	unlink(key_path);
	assert_int_equal(check(c, second), RETURN_PATH_DONE);
	return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &third, NULL);
	assert_string_equal(third, second);
	assert_int_equal(complaints, 2);
	log_capture(NULL, NULL);
	free(first);
	free(second);
	free(third);
	config_unref(c);
}

/* ---- settings ---- */

static void note_unusable(void *arg, const char *path, const char *why)
{
	char *text = arg;
	size_t n = strlen(text);

	snprintf(text + n, 1000 - n, "%s: %s\n", path, why);
}

static void test_off_and_unknown(void **state)
{
	struct config *off = rig_load_ok("", NULL), *on = settings("");
	char *out, error[1000] = "";

	(void)state;
	assert_int_equal(
	    return_path_do(off, RETURN_PATH_BATV_SIGN, "a@b.test", &out, NULL), RETURN_PATH_OFF);
	assert_int_equal(
	    return_path_do(off, RETURN_PATH_SRS_FORWARD, "a@b.test", &out, NULL), RETURN_PATH_OFF);
	return_path_check(off, note_unusable, error);
	assert_string_equal(error, "");

	complaints = 0;
	log_capture(hear, NULL);
	unlink(secret_path); /* never readable: we do not know, and say so once */
	for (int i = 0; i < 3; i++)
		assert_int_equal(return_path_reverse(on, "SRS0=R8ha=G3=a.example=b@srs.test", &out),
		    RETURN_PATH_UNKNOWN);
	assert_int_equal(return_path_reverse(on, "ann@ours.test", &out), RETURN_PATH_NOT);
	assert_int_equal(return_path_reverse(on, "SRS0=x@elsewhere.test", &out), RETURN_PATH_NOT);
	assert_int_equal(complaints, 1);
	return_path_check(on, note_unusable, error);
	assert_non_null(strstr(error, secret_path));
	assert_non_null(strstr(error, "No such file"));
	log_capture(NULL, NULL);
	config_unref(off);
	config_unref(on);
}

static void test_reverse_both(void **state)
{
	struct config *c = settings("");
	char *tagged, *rewritten, *out;

	(void)state;
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	write_file(secret_path, "topsecret\n", 0600);
	assert_int_equal(return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &tagged, NULL),
	    RETURN_PATH_DONE);
	assert_int_equal(
	    return_path_do(c, RETURN_PATH_SRS_FORWARD, "bob@there.test", &rewritten, NULL),
	    RETURN_PATH_DONE);
	assert_int_equal(return_path_reverse(c, tagged, &out), RETURN_PATH_DONE);
	must_be(out, "ann@ours.test");
	assert_int_equal(return_path_reverse(c, rewritten, &out), RETURN_PATH_DONE);
	must_be(out, "bob@there.test");
	/* of others: not even looked at */
	assert_int_equal(
	    return_path_reverse(c, "prvs=1000abcdef=x@theirs.test", &out), RETURN_PATH_NOT);
	assert_int_equal(
	    return_path_reverse(c, "prvs=1000abcdef=x@ours.test", &out), RETURN_PATH_FORGED);
	assert_true(return_path_is_kept(c, "x@kept.test"));
	assert_true(return_path_is_kept(c, "x@mail.ours.test"));
	assert_true(return_path_is_kept(c, rewritten));
	assert_true(return_path_is_kept(c, "nobody"));
	assert_false(return_path_is_kept(c, "bob@there.test"));
	assert_false(return_path_is_ours(c, "x@notours.test"));
	free(tagged);
	free(rewritten);
	config_unref(c);
}

static void test_bounces(void **state)
{
	static const struct {
		const char *bounces, *recipient;
		bool refused;
	} cases[] = {
	    {"accept", "prvs=1000abcdef=ann@ours.test", false},
	    {"forged", "prvs=1000abcdef=ann@ours.test", true},
	    {"forged", "prvs=1000abcdef=ann@theirs.test", false},
	    {"forged", "ann@ours.test", false},
	    {"untagged", "ann@ours.test", true},
	    {"untagged", "ann@sub.ours.test", true},
	    {"untagged", "ann@theirs.test", false},
	    {"untagged", "Postmaster@ours.test", false},
	    {"untagged", "prvs=1000abcdef=ann@ours.test", true},
	};

	(void)state;
	write_file(key_path, "1 0123456789abcdef\n", 0600);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char *more = xasprintf("bounces = \"%s\"", cases[i].bounces), *tagged;
		struct config *c = settings(more);

		if ((return_path_refuses(c, cases[i].recipient) != NULL) != cases[i].refused)
			fail_msg("%s: %s", cases[i].bounces, cases[i].recipient);
		return_path_do(c, RETURN_PATH_BATV_SIGN, "ann@ours.test", &tagged, NULL);
		assert_null(return_path_refuses(c, tagged));
		free(tagged);
		free(more);
		config_unref(c);
	}
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
	    cmocka_unit_test(test_key_texts),
	    cmocka_unit_test(test_key_file_modes),
	    cmocka_unit_test(test_off_and_unknown),
	    cmocka_unit_test(test_rotation),
	    cmocka_unit_test(test_reverse_both),
	    cmocka_unit_test(test_bounces),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
