/* VPOP3Net.GetHTTP against a real web server, with TLS, and against pages that are an attack (R5,
 * R6): endless, dripping, huge, redirecting to where nobody should go. */
#include "common/clock.h"
#include "common/http.h"
#include "common/log.h"
#include "common/waiting.h"
#include "tests/unit/lua_rig.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/script_rig.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define GRACE_MS 1000 /* a loaded machine */

struct web {
	pid_t pid;
	int input; /* its standard input, which ends it */
	unsigned port;
};

static struct web plain, good, other, expired;
static char certificates[64];

/* ---- servers ---- */

static _Noreturn void run_server(int in, int out, const char *certificate)
{
	const char *source = getenv("MAILHOOKS_SOURCE");
	char program[500], pem[200], key[200];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(in, 0);
	dup2(out, 1);
	snprintf(
	    program, sizeof program, "%s/tests/unit/web_server.py", source != NULL ? source : ".");
	if (certificate == NULL) {
		execl("/usr/bin/python3", "python3", program, (char *)NULL);
	} else {
		snprintf(pem, sizeof pem, "%s/%s.pem", certificates, certificate);
		snprintf(key, sizeof key, "%s/%s.key", certificates, certificate);
		execl("/usr/bin/python3", "python3", program, pem, key, (char *)NULL);
	}
	_exit(127);
}

static void web_start(struct web *w, const char *certificate)
{
	int in[2], out[2];
	char line[20] = "";

	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	w->pid = fork();
	if (w->pid == 0)
		run_server(in[0], out[1], certificate);
	close(in[0]);
	close(out[1]);
	w->input = in[1];
	assert_true(read(out[0], line, sizeof line - 1) > 0);
	close(out[0]);
	w->port = (unsigned)atoi(line);
	assert_int_not_equal(w->port, 0);
}

static void web_stop(struct web *w)
{
	close(w->input);
	kill(w->pid, SIGKILL);
	waitpid(w->pid, NULL, 0);
}

/* ---- the rig ---- */

static struct script_rig rig;
static struct script_set *set;
static struct runtime *rt;
static char last_log[2000];

static void hear(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)arg;
	snprintf(last_log, sizeof last_log, "%s", line);
}

static void open_rig(const char *allow_private, const char *max_kb)
{
	char allow[100], ca[200];
	const char *const settings[] = {allow, ca, max_kb, "http.timeout_ms=4000", NULL};

	snprintf(allow, sizeof allow, "http.allow_private=%s", allow_private);
	snprintf(ca, sizeof ca, "http.ca_file=%s/ca.pem", certificates);
	script_rig_open(&rig, settings);
	rt = rig_load(rig.config, &set);
	log_capture(hear, NULL);
}

static void close_rig(void)
{
	log_capture(NULL, NULL);
	rig_close(rt);
	script_set_unref(set);
	script_rig_close(&rig);
}

static int start(void **state)
{
	(void)state;
	redis_certificates_make(certificates);
	web_start(&plain, NULL);
	web_start(&good, "good");
	web_start(&other, "other");
	web_start(&expired, "expired");
	return 0;
}

static int stop(void **state)
{
	(void)state;
	web_stop(&plain);
	web_stop(&good);
	web_stop(&other);
	web_stop(&expired);
	redis_certificates_remove(certificates);
	return 0;
}

static int open_private(void **state)
{
	(void)state;
	open_rig("true", "http.max_kb=4");
	return 0;
}

static int open_large(void **state)
{
	(void)state;
	open_rig("true", "http.max_kb=1024");
	return 0;
}

static int open_public(void **state)
{
	(void)state;
	open_rig("false", "http.max_kb=4");
	return 0;
}

static int close_it(void **state)
{
	(void)state;
	close_rig();
	return 0;
}

/* code sees get(path) and the URLs P (plain), S (TLS); ok and t are the results of get. */
static const char *with(const char *code)
{
	static char text[4000];

	snprintf(text, sizeof text,
	    "local PORT, P, S = %u, 'http://127.0.0.1:%u', 'https://localhost:%u' "
	    "local function get(path) return VPOP3Net.GetHTTP(P .. path) end %s",
	    plain.port, plain.port, good.port, code);
	return text;
}

static void expect(const char *code, const char *results)
{
	rig_expect(rt, with(code), results);
}

/* ---- pages ---- */

static void test_pages(void **state)
{
	(void)state;
	expect("local ok, t = get('/lines?q=1') return ok, t.Host, t.File, t.HTTPResult, "
	       "table.concat(t.Body, '|'), #t.Body, t.StatedLength, t.ActualLength, t.ErrorInfo",
	    "true|127.0.0.1|/lines?q=1|200|one|two||four|4|14|14|");
	expect("local n = 0 local ok, t = get('/lines') for i, h in ipairs(t.Headers) do "
	       "if h == 'X-Test: a' or h == 'X-Test: b' then n = n + 1 end "
	       "assert(not h:find('^HTTP/')) end return n",
	    "2");
	expect("local ok, t = get('/nowhere') return ok, t.HTTPResult, t.Body[1]",
	    "true|404|not here");
	expect("local ok, t = get('/empty') return ok, #t.Body, t.StatedLength", "true|0|0");
	expect("local ok, t = get('/nolength') return t.Body[1], t.StatedLength, t.ActualLength",
	    "to the end|-1|10");
	expect(
	    "local ok, t = get('/chunked') return t.Body[1], #t.Headers, t.ErrorInfo", "abcde|1|");
	expect("local ok, t = get('/continue') return t.Body[1], t.Headers[1], t.HTTPResult",
	    "ok|X-Late: 1|200");
	expect("local ok, t = get('/binary') return #table.concat(t.Body, '\\n')", "256");
	expect("local ok, t = get('/echo') local s = table.concat(t.Body, '\\n') "
	       "return s:find('User%-Agent: mailhooks/') ~= nil, s:find('Encoding')",
	    "true|nil");
	expect("local ok, t = VPOP3Net.GetHTTP('http://localhost:' .. PORT .. '/empty') "
	       "return ok, t.Host",
	    "true|localhost");
	expect("return (VPOP3Net.GetHTTP('127.0.0.1:' .. PORT .. '/empty'))", "true");
	expect("local ok, t = get('/lines') for name, value in t do end "
	       "for i, line in t.Body do end return ok",
	    "true");
}

static void test_no_proxy_of_the_environment(void **state)
{
	(void)state;
	setenv("http_proxy", "http://127.0.0.1:1/", 1);
	setenv("ALL_PROXY", "http://127.0.0.1:1/", 1);
	expect("return (get('/empty'))", "true");
	unsetenv("http_proxy");
	unsetenv("ALL_PROXY");
}

static void test_no_answer(void **state)
{
	(void)state;
	expect("return VPOP3Net.GetHTTP('http://127.0.0.1:1/')", "false|nil");
	assert_non_null(strstr(last_log, "VPOP3Net.GetHTTP: no answer: 127.0.0.1: "));
	expect("return VPOP3Net.GetHTTP('http://127.0.0.1:1/%s%n')", "false|nil");
	expect("return get('/nonsense')", "false|nil");
	expect("return select('#', get('/nonsense'))", "2");
	expect("return VPOP3Net.GetHTTP('file:///etc/passwd')", "false|nil");
	assert_non_null(strstr(last_log, "only http and https"));
	expect("return VPOP3Net.GetHTTP('ftp://127.0.0.1/')", "false|nil");
	expect("return VPOP3Net.GetHTTP('gopher://127.0.0.1:' .. PORT .. '/_x')", "false|nil");
	expect("return VPOP3Net.GetHTTP('')", "false|nil");
	expect("return VPOP3Net.GetHTTP('http://')", "false|nil");
	expect("return VPOP3Net.GetHTTP(P .. '/a\\r\\nX-Injected: 1')", "false|nil");
	expect("return VPOP3Net.GetHTTP(P .. ('/'):rep(10000))", "false|nil");
	expect("return VPOP3Net.GetHTTP(\"http://x' OR '1'='1/\")", "false|nil");
	rig_expect_error(rt, "VPOP3Net.GetHTTP()", "VPOP3Net.GetHTTP(url): a string is wanted");
	rig_expect_error(rt, "VPOP3Net.GetHTTP('a\\0b')", "a string is wanted");
	waiting_limit(0);
	expect("return get('/lines')", "false|nil");
	waiting_limit(100);
}

/* ---- TLS ---- */

static void test_tls(void **state)
{
	char code[200];

	(void)state;
	expect("local ok, t = VPOP3Net.GetHTTP(S .. '/lines') return ok, t.Host, t.Body[1]",
	    "true|localhost|one");
	/* the name in the certificate is localhost, and it is verified */
	snprintf(
	    code, sizeof code, "return VPOP3Net.GetHTTP('https://localhost:%u/lines')", other.port);
	expect(code, "false|nil");
	assert_non_null(strstr(last_log, "ertificate"));
	snprintf(code, sizeof code, "return VPOP3Net.GetHTTP('https://localhost:%u/lines')",
	    expired.port);
	expect(code, "false|nil");
	assert_non_null(strstr(last_log, "ertificate"));
	expect("return VPOP3Net.GetHTTP('https://127.0.0.1:' .. PORT .. '/')", "false|nil");
}

/* ---- redirects ---- */

static void test_redirects(void **state)
{
	(void)state;
	expect("local ok, t = get('/to?/lines') return t.HTTPResult, t.File, t.Body[1]",
	    "200|/lines|one");
	expect("local ok, t = get('/to?' .. S .. '/lines') return t.HTTPResult, t.Host",
	    "200|localhost");
	expect("local ok, t = get('/loop') return ok, t.HTTPResult, t.ErrorInfo",
	    "true|301|more than 5 redirects");
	expect("local ok, t = get('/to?file:///etc/passwd') return ok, t.HTTPResult, t.Body[1], "
	       "t.ErrorInfo",
	    "true|302|moved|redirect not followed: file:///etc/passwd: only http and https are "
	    "allowed");
	expect("local ok, t = get('/to?http://127.0.0.1:1/') return ok, t", "false|nil");
}

/* ---- hostile pages ---- */

static void test_sizes(void **state)
{
	(void)state;
	expect("local ok, t = get('/large') return t.StatedLength, t.ActualLength, #t.Body[1], "
	       "t.ErrorInfo",
	    "5000|4096|4096|cut behind 4096 bytes (http.max_kb)");
	expect("local ok, t = get('/endless') return ok, t.ActualLength", "true|4096");
	expect("local ok, t = get('/short') return ok, t.StatedLength, t.ActualLength, "
	       "t.ErrorInfo ~= ''",
	    "true|100|9|true");
	expect("return get('/hugeline')", "false|nil");
	expect("return get('/manylines')", "false|nil");
	expect("local ok, t = get('/negative') return not ok or t.StatedLength == -1", "true");
}

static void test_lines_are_bounded(void **state)
{
	(void)state;
	expect("local ok, t = get('/newlines') return #t.Body, t.ActualLength, t.Body[1], "
	       "t.ErrorInfo",
	    "100000|150000||only the first 100000 lines are in Body");
}

/* A page that does not fit ends the hook, and nothing is lost with it (LeakSanitizer looks). */
static void test_memory_is_bounded(void **state)
{
	struct runtime *whole = rt;

	(void)state;
	rt = runtime_new(set, 1u << 20);
	assert_true(runtime_begin(rt, NULL));
	assert_int_equal(rig_run(rt, with("return get('/newlines')")), RUN_MEMORY);
	expect("return (get('/lines'))", "true");
	rig_close(rt);
	rt = whole;
}

static void test_slow_servers_end_with_the_hook(void **state)
{
	static const struct {
		const char *path, *results;
	} cases[] = {{"/silent", "false"}, {"/drip", "true"}, {"/dripheader", "false"}};
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t begin = clock_ms();

		snprintf(code, sizeof code, "return (get('%s'))", cases[i].path);
		assert_int_equal(rig_run_budget(rt, with(code), 0, 1000), RUN_OK);
		assert_string_equal(rig_text, cases[i].results);
		assert_in_range(clock_ms() - begin, 0, 1000 + GRACE_MS);
	}
	assert_int_equal(rig_run_budget(rt,
			     with("local ok, t = get('/drip') return t.HTTPResult, "
				  "t.StatedLength, t.ActualLength < 1000000, t.ErrorInfo ~= ''"),
			     0, 1000),
	    RUN_OK);
	assert_string_equal(rig_text, "200|1000000|true|true");
}

/* ---- the guard ---- */

static void test_private_addresses_are_refused(void **state)
{
	static const char *const forms[] = {"127.0.0.1", "localhost", "127.1", "2130706433",
	    "0x7f.0.0.1", "0177.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "10.1.2.3",
	    "169.254.169.254", "[fe80::1]", "[fd00::1]", "[::ffff:a00:1]", "[64:ff9b::7f00:1]",
	    "[2002:7f00:1::]"};
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		int64_t begin = clock_ms();

		snprintf(code, sizeof code,
		    "return VPOP3Net.GetHTTP('http://%s:' .. PORT .. '/empty')", forms[i]);
		expect(code, "false|nil");
		if (strstr(last_log, "not an address on the internet") == NULL)
			fail_msg("%s: %s", forms[i], last_log);
		assert_in_range(clock_ms() - begin, 0, GRACE_MS);
	}
}

static bool all_but_two(const struct ip_address *a)
{
	return a->family == AF_INET && memcmp(a->bytes, "\177\0\0\2", 4) != 0;
}

/* The server listens on 127.0.0.2 as well; here that is the forbidden place. */
static void test_redirect_to_a_refused_address(void **state)
{
	struct dns_options dns = {.breaker_failures = 5, .breaker_ms = 1000};
	struct http_options options = {
	    .ms = 3000, .body_bytes = 1000, .dns = &dns, .allowed = all_but_two};
	struct http_answer answer = {0};
	char url[200];

	(void)state;
	snprintf(url, sizeof url, "http://127.0.0.1:%u/to?http://127.0.0.2:%u/lines", plain.port,
	    plain.port);
	assert_true(http_get(url, &options, &answer));
	assert_int_equal(answer.status, 302);
	assert_non_null(strstr(answer.error, "redirect not followed: 127.0.0.2"));
	assert_string_equal(answer.body, "moved");
	http_answer_clear(&answer);
	options.allowed = NULL;
	assert_true(http_get(url, &options, &answer));
	assert_int_equal(answer.status, 200);
	http_answer_clear(&answer);
}

static void test_public_addresses(void **state)
{
	static const char *const public[] = {"8.8.8.8", "1.1.1.1", "172.32.0.1", "172.15.255.255",
	    "100.63.0.1", "100.128.0.1", "192.0.1.1", "223.255.255.254", "2606:4700::1", "2a00::1",
	    "2003::1"};
	static const char *const private[] = {"0.0.0.1", "10.255.255.255", "100.64.0.1",
	    "100.127.255.255", "127.255.0.1", "169.254.0.1", "172.16.0.1", "172.31.255.255",
	    "192.0.0.8", "192.0.2.1", "192.168.1.1", "198.19.0.1", "224.0.0.1", "240.0.0.1",
	    "255.255.255.255", "::", "::1", "::ffff:10.0.0.1", "::10.0.0.1", "fc00::1", "fe80::1",
	    "fec0::1", "ff02::1", "2001::1", "2001:db8::1", "2002:a00::1", "64:ff9b::a00:1",
	    "100::1", "4000::1"};
	struct ip_address a;

	(void)state;
	for (size_t i = 0; i < sizeof public / sizeof *public; i++)
		if (!ip_address_parse(&a, public[i]) || !http_public_address(&a))
			fail_msg("%s", public[i]);
	for (size_t i = 0; i < sizeof private / sizeof *private; i++)
		if (!ip_address_parse(&a, private[i]) || http_public_address(&a))
			fail_msg("%s", private[i]);
	assert_false(http_public_address(&(struct ip_address){.family = AF_UNSPEC}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_pages, open_private, close_it),
	    cmocka_unit_test_setup_teardown(
		test_no_proxy_of_the_environment, open_private, close_it),
	    cmocka_unit_test_setup_teardown(test_no_answer, open_private, close_it),
	    cmocka_unit_test_setup_teardown(test_tls, open_private, close_it),
	    cmocka_unit_test_setup_teardown(test_redirects, open_private, close_it),
	    cmocka_unit_test_setup_teardown(test_sizes, open_private, close_it),
	    cmocka_unit_test_setup_teardown(test_lines_are_bounded, open_large, close_it),
	    cmocka_unit_test_setup_teardown(test_memory_is_bounded, open_large, close_it),
	    cmocka_unit_test_setup_teardown(
		test_slow_servers_end_with_the_hook, open_private, close_it),
	    cmocka_unit_test_setup_teardown(
		test_private_addresses_are_refused, open_public, close_it),
	    cmocka_unit_test(test_redirect_to_a_refused_address),
	    cmocka_unit_test(test_public_addresses),
	};

	return cmocka_run_group_tests(tests, start, stop);
}
