/* The tree against GMime's own parser (R8), sections cut out and read again, many threads, and
 * the cost of messages made to be slow (R6). */
#include "common/limits.h"
#include "tests/unit/mime_rig.h"
#include "tests/unit/random.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

struct text {
	char s[65536];
	size_t n;
	uint64_t seed;
	unsigned boundaries;
};

static void add(struct text *t, const char *line)
{
	size_t n = strlen(line);

	if (t->n + n + 2 > sizeof t->s)
		return;
	memcpy(t->s + t->n, line, n);
	memcpy(t->s + t->n + n, "\r\n", 2);
	t->n += n + 2;
}

static void add_line(struct text *t, const char *before, unsigned number, const char *after)
{
	char *line = xasprintf("%s%u%s", before, number, after);

	add(t, line);
	free(line);
}

static const char *one_of(struct text *t, const char *const *lines, size_t n)
{
	return lines[random_next(&t->seed) % n];
}
#define ONE_OF(t, lines) one_of(t, lines, sizeof(lines) / sizeof *(lines))

/* A well-formed entity; message: with a header of its own before the Content-Type. */
static void add_entity(struct text *t, unsigned depth)
{
	static const char *const leaves[] = {"Content-Type: text/plain; charset=utf-8",
	    "Content-Type: image/png; name=a.png", "X-Other: no type",
	    "Content-Type: application/pdf;\r\n\tname*=utf-8''%C3%A4.pdf",
	    "Content-Disposition: attachment; filename=\"=?utf-8?q?x?=\""};
	static const char *const bodies[] = {"text", "", "--", "--no boundary", "-", " --b0"};
	unsigned kind = random_next(&t->seed) % (depth < 5 ? 4 : 1), b = t->boundaries++;

	if (kind == 3) {
		add(t, "Content-Type: message/rfc822\r\n");
		add_entity(t, depth + 1);
		return;
	}
	if (kind == 0 || kind == 1) {
		add(t, ONE_OF(t, leaves));
		add(t, "");
		for (unsigned n = random_next(&t->seed) % 4; n > 0; n--)
			add(t, ONE_OF(t, bodies));
		return;
	}
	add_line(t, "Content-Type: multipart/mixed; boundary=\"b", b, "=\"\r\n");
	if (random_next(&t->seed) % 2)
		add(t, "preamble");
	for (unsigned n = 1 + random_next(&t->seed) % 3; n > 0; n--) {
		add_line(t, "--b", b, "=");
		add_entity(t, depth + 1);
	}
	add_line(t, "--b", b, "=--");
	if (random_next(&t->seed) % 2)
		add(t, "epilogue");
}

/* Lines in no order. */
static void add_soup(struct text *t)
{
	static const char *const lines[] = {"", "", "text", "--b", "--b", "--b--", "--c", "--c--",
	    "--c ", "--bb", "Content-Type: multipart/mixed; boundary=b",
	    "Content-Type: multipart/mixed; boundary=c",
	    "Content-Type: multipart/digest; boundary=b", "Content-Type: message/rfc822",
	    "Content-Type: text/html", " folded", "no field", "Content-Transfer-Encoding: base64",
	    "begin 644 x", "#86)C", "end"};

	for (unsigned n = random_next(&t->seed) % 40; n > 0; n--)
		add(t, ONE_OF(t, lines));
}

/* Each section with a body, cut out of the message, is read as the same tree again. In a digest
 * a part has another default type than a message. */
static void check_cuts(const struct mime *m, const struct rig_bytes *b)
{
	for (size_t i = 1; i < mime_section_count(m); i++) {
		const struct mime_section *s = mime_section(m, i), *a, *c;
		struct rig_bytes cut = {b->s + s->start, (size_t)(s->end - s->start), 0, 0};
		const struct mime_section *around = mime_section(m, s->parent - 1);
		struct mime *again;
		size_t k;

		if (s->body == s->end || strcmp(around->subtype, "digest") == 0)
			continue;
		again = rig_parse(&cut);
		for (k = 0; k < mime_section_count(again); k++) {
			a = mime_section(again, k);
			c = mime_section(m, i + k);
			assert_non_null(c);
			assert_string_equal(a->type, c->type);
			assert_string_equal(a->subtype, c->subtype);
			assert_int_equal(a->start + s->start, c->start);
			assert_int_equal(a->body + s->start, c->body);
			assert_int_equal(a->end + s->start, c->end);
		}
		c = mime_section(m, i + k);
		assert_true(c == NULL || c->start >= s->end);
		mime_free(again);
	}
}

/* True when the message was clear enough to be compared. */
static bool check_message(struct text *t)
{
	struct rig_bytes b = {t->s, t->n, 0, 0};
	struct mime *m = rig_parse(&b);
	bool clear = mime_flags(m) == 0;
	char *unlike;

	assert_null(rig_broken(m, b.n));
	assert_null(rig_unsaved(m));
	check_cuts(m, &b);
	if (clear) {
		unlike = rig_unlike_gmime(m, b.s, b.n);
		if (unlike != NULL)
			print_error("%s in\n%.*s", unlike, (int)b.n, b.s);
		assert_null(unlike);
	}
	mime_free(m);
	return clear;
}

static void test_well_formed(void **state)
{
	static struct text t = {.seed = 42};
	size_t clear = 0;

	(void)state;
	for (int i = 0; i < 1500; i++) {
		t.n = t.boundaries = 0;
		add(&t, "Subject: s");
		add_entity(&t, 0);
		clear += check_message(&t);
	}
	assert_int_equal(clear, 1500);
}

static void test_soup(void **state)
{
	static struct text t = {.seed = 43};
	size_t clear = 0;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		t.n = 0;
		add(&t, "Subject: s");
		add_soup(&t);
		clear += check_message(&t);
	}
	assert_true(clear > 100);
	assert_true(clear < 3000);
}

static void check_difference(const char *text, unsigned flag)
{
	struct rig_bytes b = {0};
	struct mime *m;
	char *unlike;

	b.s = rig_crlf(text, &b.n);
	m = rig_parse(&b);
	unlike = rig_unlike_gmime(m, b.s, b.n);
	assert_true(mime_flags(m) & flag);
	assert_non_null(unlike);
	free(unlike);
	mime_free(m);
	free((char *)b.s);
}

/* Where the two readers differ a flag says so; and the comparison does see differences. */
static void test_differences(void **state)
{
	static const char level[] = "Content-Type: message/rfc822\n\n";
	char deep[(LIMIT_MIME_DEPTH + 8) * sizeof level];
	size_t n = 0;

	(void)state;
	/* GMime leaves out a part without a header and a body */
	check_difference("Content-Type: multipart/mixed; boundary=b\n\n--b\n--b\n\nx\n--b--\n",
	    MIME_NO_BLANK_LINE);
	/* it takes the second type */
	check_difference(
	    "Content-Type: text/plain\nContent-Type: text/html\n\nx\n", MIME_DUPLICATE_FIELD);
	/* it goes deeper */
	for (int i = 0; i < LIMIT_MIME_DEPTH + 8; i++)
		n += (size_t)snprintf(deep + n, sizeof deep - n, "%s", level);
	snprintf(deep + n, sizeof deep - n, "A: b\n\nx\n");
	check_difference(deep, MIME_TOO_DEEP);
}

static void *parse_many(void *arg)
{
	struct text *t = arg;

	for (int i = 0; i < 100; i++) {
		struct rig_bytes b = {t->s, t->n, 0, 0};
		struct mime *m;

		t->n = t->boundaries = 0;
		add_entity(t, 0);
		b.n = t->n;
		m = rig_parse(&b);
		if (m == NULL || mime_flags(m) != 0 || rig_broken(m, b.n) != NULL)
			return t;
		mime_free(m);
	}
	return NULL;
}

static void test_threads(void **state)
{
	static struct text texts[8];
	pthread_t threads[8];

	(void)state;
	for (size_t i = 0; i < 8; i++) {
		texts[i].seed = 100 + i;
		assert_int_equal(pthread_create(&threads[i], NULL, parse_many, &texts[i]), 0);
	}
	for (size_t i = 0; i < 8; i++) {
		void *failed;

		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
}

/* A message of one piece repeated without end, made on reading. */
struct endless {
	const char *before, *each;
	uint64_t n;
};

static ssize_t read_endless(void *arg, uint64_t offset, void *out, size_t n)
{
	const struct endless *e = arg;
	size_t nbefore = strlen(e->before), each = strlen(e->each);
	char *p = out;

	if (offset >= e->n)
		return 0;
	if (n > e->n - offset)
		n = (size_t)(e->n - offset);
	for (size_t i = 0; i < n; i++, offset++)
		p[i] = offset < nbefore ? e->before[offset] : e->each[(offset - nbefore) % each];
	return (ssize_t)n;
}

/* 5 MB of what each part of the code likes least: a generous ceiling, and the bounds hold. */
static void test_slow_messages(void **state)
{
#define MULTIPART "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
	static const struct endless messages[] = {
	    {MULTIPART, "--b\r\n", 0},
	    {MULTIPART, "--\r\n", 0},
	    {MULTIPART, "\r\n", 0},
	    {MULTIPART "--b\r\n\r\n", "x", 0},
	    {"Content-Type: text/plain;\r\n", " a=b;\r\n", 0},
	    {"Content-Type: text/plain;\r\n", " ((((((", 0},
	    {"Content-Type: text/plain; name=\"", "\\\"", 0},
	    {"", "Content-Type: message/rfc822\r\n\r\n", 0},
	    {"\r\n", "begin 644 x\r\n#86)C\r\n", 0},
	    {"\r\n", "(This file must be converted with BinHex)\r\n:!!!!\r\n", 0},
	    {"Content-Type: a/b\r\nContent-Transfer-Encoding: base64\r\n\r\n", "=", 0},
	};

	(void)state;
	for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
		struct endless e = messages[i];
		const struct mime_source source = {read_endless, &e};
		struct timespec from, to;
		struct mime *m;

		e.n = 5000000;
		clock_gettime(CLOCK_MONOTONIC, &from);
		m = mime_parse_source(&source);
		clock_gettime(CLOCK_MONOTONIC, &to);
		assert_non_null(m);
		assert_null(rig_broken(m, e.n));
		assert_true(mime_section_count(m) <= LIMIT_MIME_SECTIONS);
		assert_true(to.tv_sec - from.tv_sec <= 10);
		mime_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_threads), /* first, so that they meet in the initialisation */
	    cmocka_unit_test(test_well_formed),
	    cmocka_unit_test(test_soup),
	    cmocka_unit_test(test_differences),
	    cmocka_unit_test(test_slow_messages),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
