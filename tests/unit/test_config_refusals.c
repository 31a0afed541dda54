/* What a configuration is refused for: where, why, and the way out; and nothing is printed. */
#include "common/config.h"
#include "common/config/config_private.h"
#include "common/limits.h"
#include "tests/unit/config_rig.h"

#include <fcntl.h>
#include <sys/stat.h>

struct refusal {
	const char *text, *o;
	const char *place; /* ":LINE", "" for the whole file, or the -o argument */
	const char *says;  /* a part of the rest */
};

static const struct refusal refusals[] = {
    /* unknown names are met with the nearest one */
    {"scrpts = /x\n", NULL, ":1", "\"scrpts\" is no setting (did you mean \"scripts\"?)"},
    {"\nhook_ms = 5\n", NULL, ":2", "(did you mean \"lua.hook_ms\"?)"},
    {"lua {\n  hok_ms = 5\n}\n", NULL, ":2",
	"\"hok_ms\" is no setting of section lua (did you mean \"lua.hook_ms\"?)"},
    {"lua {\n  waiting = 5\n}\n", NULL, ":2", "(did you mean \"milter.waiting\"?)"},
    {"service a {\n\n  auth_requird = 1\n}\n", NULL, ":3", "\"service.auth_required\""},
    {"\n\nmiter { }\n", NULL, ":3", "(did you mean the section \"milter { ... }\"?)"},
    {"qqqqqqqqqqqqqqqqqq = 1", NULL, ":1", "mailhooks.conf(5)"},
    {"lua|hook_ms = 1", NULL, ":1", "belongs into its section"},
    {"\"\x1b[2J\" = 1", NULL, ":1", "\"\\x1b[2J\" is no setting"},
    {"%n%s = 1", NULL, ":1", "\"%n%s\" is no setting"},
    {"include(\"/etc/passwd\")", NULL, ":1", "is no setting"},
    /* lines are counted right, comments included */
    {"# one\n\n// two\n/* three\n\n\n*/ lua { # four\n# five\n  hook_ms = x\n}\n", NULL, ":9",
	"lua.hook_ms = \"x\": a whole number from 1 to 28000 is wanted: an MTA gives up"},
    {"lua { hook_ms = 2 }\n# c\nlua {\n  command_ms = 28001 }\n", NULL, ":4", "1 to 28000"},
    {"scripts = \"/a\\\nb\"\nlog { level = loud }", NULL, ":3",
	"wanted is one of bug, error, warn, info, debug"},
    /* numbers */
    {"lua { hook_ms = 0 }", NULL, ":1", "1 to 28000"},
    {"lua { hook_ms = -1 }", NULL, ":1", "1 to 28000"},
    {"lua { hook_ms = 5.5 }", NULL, ":1", "1 to 28000"},
    {"lua { hook_ms = '5 ' }", NULL, ":1", "1 to 28000"},
    {"lua { hook_ms = '' }", NULL, ":1", "1 to 28000"},
    {"lua { instructions = 99999999999999999999999 }", NULL, ":1", "1 to 1000000000000"},
    {"lua { instructions = 0 }", NULL, ":1", "1 to 1000000000000"},
    {"lua { memory_kb = 255 }", NULL, ":1", "256 to 4194304"},
    {"milter { socket_mode = 0880 }", NULL, ":1", "octal mode from 0000 to 0777"},
    {"milter { socket_mode = 1777 }", NULL, ":1", "octal mode"},
    /* texts */
    {"scripts = scripts", NULL, ":1", "an absolute path is wanted"},
    {"scripts = ''", NULL, ":1", "an absolute path is wanted"},
    {"scripts = \"/a\nb\"", NULL, ":2", "scripts = \"/a\\nb\": a text without line ends"},
    {"rbl { header = \"X-A: b\\r\\nX-C: d\" }", NULL, ":1", "a text without line ends"},
    {"store = mysql://x", NULL, ":1", "sqlite:/absolute/path"},
    {"store = sqlite:relative", NULL, ":1", "sqlite:/absolute/path"},
    {"store = 'redis+unix://relative'", NULL, ":1", "wants an absolute path"},
    /* no password reaches the log */
    {"store = 'rediss://me:secret@a:99999'", NULL, ":1", "store = \"rediss://...\": "},
    {"store = 'redis-sentinel:redis://a/?sentinel_password=secret'", NULL, ":1",
	"store = \"redis-sentinel:redis://...\": "},
    {"store = 'redis://a,b'", NULL, ":1", "several hosts need redis-sentinel: or -cluster:"},
    {"user = 'a b'", NULL, ":1", "the name of a user or group"},
    {"service a { auth_required = maybe }", NULL, ":1", "true or false is wanted"},
    {"rbl { message = 'go away' }", NULL, ":1", "code from 400 to 599"},
    {"rbl { message = '250 fine' }", NULL, ":1", "code from 400 to 599"},
    {"rbl { message = '5500 x' }", NULL, ":1", "code from 400 to 599"},
    {"sender a { relay = 'a b' }", NULL, ":1", "[host]:port or [IP address]:port is wanted"},
    {"sender a { relay = '[a]:0' }", NULL, ":1", "[host]:port"},
    {"sender a { relay = '[a]587' }", NULL, ":1", "[host]:port"},
    {"sender a { relay = '192.0.2.1:[25]' }", NULL, ":1", "[host]:port"},
    {"sender a { relay = '[a' }", NULL, ":1", "[host]:port"},
    {"sender a { transport = 'x:y' }", NULL, ":1", "a service of master.cf"},
    {"sender a { verify_certificate = true }", NULL, "", "goes with tls = \"encrypt\""},
    {"sender a { transport = x }\nsender b { transport = x }", NULL, "",
	"sender \"a\" and sender \"b\" have the same transport x"},
    {"sender a { transport = x }\nprofile b { transport = x }", NULL, "",
	"profile \"b\": a sender has the same transport"},
    {"profile a { transport = x }\nprofile b { transport = x }", NULL, "",
	"profile \"b\": another one has the same transport"},
    {"outbound { wait_transport = smtp }", NULL, "",
	"outbound.wait_transport: smtp is a transport that sends"},
    {"outbound { wait_transport = x }\nprofile b { transport = x }", NULL, "",
	"x is a transport that sends"},
    {"profile a { helo_name = 'a b' }", NULL, ":1", "a host name is wanted"},
    {"profile a { connect_seconds = 4000 }", NULL, ":1", "Postfix's own"},
    {"rbl { header = 'no header' }", NULL, ":1", "a header line such as"},
    {"rbl { header = 'two words: x' }", NULL, ":1", "a header line such as"},
    {"rbl { redirect = nobody }", NULL, ":1", "an address such as"},
    {"rbl { redirect = '<a@b.example>' }", NULL, ":1", "an address such as"},
    {"rbl { zones = 'bad zone.example' }", NULL, ":1", "the domain of a DNS block list"},
    {"dns { servers = ns1.example }", NULL, ":1", "the IP address of a DNS server"},
    {"dns { servers = 192.0.2.1:0 }", NULL, ":1", "the IP address of a DNS server"},
    {"dns { servers = '[::1' }", NULL, ":1", "the IP address of a DNS server"},
    {"service a { client_networks = 192.0.2.1/24 }", NULL, ":1",
	"service.client_networks = \"192.0.2.1/24\": the address has bits set behind the prefix"},
    {"milter { listen = { unix:/ok, tcp:25 } }", NULL, ":1", "unix:/path, inet:port@host or"},
    {"milter { listen = inet:0@localhost }", NULL, ":1", "inet:port@host"},
    {"milter { listen = inet:70000@localhost }", NULL, ":1", "inet:port@host"},
    {"milter { listen = unix:relative }", NULL, ":1", "unix:/path"},
    /* syntax */
    {"lua {\n hook_ms = 5\n\n", NULL, ":1", "brace that opens here is never closed"},
    {"scripts = /a\n\n/* never\n\n", NULL, ":3", "comment that begins here is never closed"},
    {"scripts = /a\nuser = \"never\n\n", NULL, ":2", "string that begins here is never closed"},
    {"user = 'never\\'\n", NULL, ":1", "string that begins here is never closed"},
    {"rbl {\n whitelist = { 192.0.2.* }\n}", NULL, ":2", "must be quoted"},
    {"scripts = /a + /b", NULL, ":1", "must be quoted"},
    {"}", NULL, ":1", "unexpected closing brace"},
    {"scripts /a", NULL, ":1", "missing equal sign"},
    {"scripts = /a /b = c", NULL, ":1", "\"/b\" is no setting"},
    {"scripts =", NULL, ":1", "premature end of file"},
    {"service { }", NULL, ":1", "missing title"},
    {"script { }", NULL, ":1", "missing title"},
    {"script a { hook_ms = 28001 }", NULL, ":1", "0 means lua.hook_ms"},
    {"script a { memory_kb = 255 }", NULL, "", "memory_kb is 256 at least"},
    {"", "script.a.hook_ms=5", "-o script.a.hook_ms", "there is no script \"a\""},
    {"", "script.hook_ms=5", "-o script.hook_ms", "name the script: -o script.smtpsvr.hook_ms="},
    {"service a { }\nservice a { }", NULL, ":2", "duplicate title 'a'"},
    {"scripts += /a", NULL, ":1", "append to non-list"},
    {"scripts = \"\\999\"", NULL, ":1", "bad escape sequence"},
    /* settings that do not fit together */
    {"\nlua { hook_ms = 20000 }", NULL, ":2", "lua.hook_ms (20000) is more than lua.command_ms"},
    {"lua { hook_ms = 5000\n command_ms = 4000 }", NULL, ":1", "more than lua.command_ms (4000)"},
    {"lua { hook_ms = 5000 }", "lua.command_ms=99", ":1", "more than lua.command_ms (99)"},
    {"\nlua { command_ms = 1000 hook_ms = 10 }\nrbl {\n timeout_ms = 2000\n}", NULL, ":4",
	"rbl.timeout_ms (2000) is more than lua.command_ms (1000)"},
    {"rbl { action = redirect }", NULL, ":1", "rbl.redirect names no address"},
    {"milter {\n listen = { } }", NULL, "", "milter.listen is empty"},
    {"service a { listen = unix:/x }", NULL, "", "milter.listen does not name"},
    {"service a { listen = unix:/run/mailhooks/milter.sock }\n"
     "service b { listen = unix:/run/mailhooks/milter.sock }",
	NULL, "", "\"a\" and service \"b\" both listen on"},
    {"service a { daemon_names = x }\nservice b { daemon_names = {y, x} }", NULL, "",
	"have the daemon name x"},
    {"service a { }\nservice b { id = 1 }", NULL, "", "have the same id 1"},
    {"service 'a=b' { }", NULL, "", "must not contain control characters or ="},
    {"service \"a\\nb\" { }", NULL, "", "service \"a\\nb\": its name must not contain"},
    {"service '' { }", NULL, "", "1 to 64 bytes"},
    /* -o */
    {"", "lua.hok_ms=5", "-o lua.hok_ms", "no such setting (did you mean \"lua.hook_ms\"?)"},
    {"", "hook_ms=5", "-o hook_ms", "(did you mean \"lua.hook_ms\"?)"},
    {"", "lau.hook_ms=5", "-o lau.hook_ms", "(did you mean \"lua.hook_ms\"?)"},
    {"", "service.smtp.alowed_users=x", "-o service.smtp.alowed_users",
	"(did you mean \"service.allowed_users\"?)"},
    {"", "service.auth_required=1", "-o service.auth_required",
	"-o service.smtp.auth_required=..."},
    {"service a { }", "service.smtp.id=3", "-o service.smtp.id", "there is no service \"smtp\""},
    {"", "service..id=3", "-o service..id", "no such setting"},
    {"", "lua.hook_ms", "-o", "write -o section.name=value"},
    {"", "=5", "-o", "write -o section.name=value"},
    {"", "", "-o", "write -o section.name=value"},
    {"", "lua=5", "-o lua", "no such setting"},
    {"", "lua.hook_ms=0", "-o lua.hook_ms", "lua.hook_ms = \"0\": a whole number"},
    {"", "lua.hook_ms=9999 # x", "-o lua.hook_ms", "a whole number"},
    {"", "lua.hook_ms=20000", "-o lua.hook_ms", "is more than lua.command_ms (10000)"},
    {"", "milter.listen=", "-o milter.listen", "milter.listen is empty"},
    {"", "service.smtp.local_networks=10.1.1.1/8", "-o service.smtp.local_networks", "bits set"},
};

/* Everything that is written to standard output and error meanwhile goes to a file. */
static int silence(int was[2])
{
	int fd = open(rig_directory, O_TMPFILE | O_RDWR, 0600);

	assert_true(fd >= 0);
	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		was[i] = dup(STDOUT_FILENO + i);
		dup2(fd, STDOUT_FILENO + i);
	}
	return fd;
}

static off_t unsilence(int fd, const int was[2])
{
	off_t written;

	fflush(stdout);
	for (int i = 0; i < 2; i++) {
		dup2(was[i], STDOUT_FILENO + i);
		close(was[i]);
	}
	written = lseek(fd, 0, SEEK_END);
	close(fd);
	return written;
}

static void test_refusals(void **state)
{
	static char errors[sizeof refusals / sizeof *refusals][1024];
	char expected[256];
	bool loaded = false;
	int was[2], fd;

	(void)state;
	fd = silence(was);
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		struct config *c =
		    rig_load(refusals[i].text, refusals[i].o, errors[i], sizeof errors[i]);

		loaded = loaded || c != NULL;
		config_unref(c);
	}
	assert_int_equal(unsilence(fd, was), 0); /* nothing but the error buffer */
	for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
		const struct refusal *r = &refusals[i];

		snprintf(expected, sizeof expected, "%s%s: ", r->place[0] == '-' ? "" : rig_path,
		    r->place);
		if (strncmp(errors[i], expected, strlen(expected)) != 0 ||
		    strstr(errors[i], r->says) == NULL)
			fail_msg("\"%s\" -o \"%s\" gives \"%s\", not \"%s... %s\"", r->text,
			    r->o != NULL ? r->o : "", errors[i], expected, r->says);
	}
	assert_false(loaded);
}

/* Every number takes its bounds and nothing beyond. */
static void test_bounds(void **state)
{
	char text[32], why[256];

	(void)state;
	for (size_t i = 0; i < config_nsettings; i++) {
		const struct setting *s = &config_settings[i];

		if (s->most == 0 || s->kind == SETTING_MODE)
			continue;
		snprintf(text, sizeof text, "%lld", (long long)s->least);
		assert_true(config_value_check(s, text, why, sizeof why));
		snprintf(text, sizeof text, "%lld", (long long)s->most);
		assert_true(config_value_check(s, text, why, sizeof why));
		snprintf(text, sizeof text, "%lld", (long long)s->most + 1);
		assert_false(config_value_check(s, text, why, sizeof why));
		assert_non_null(strstr(why, "a whole number from"));
		snprintf(text, sizeof text, "%lld", (long long)s->least - 1);
		assert_false(config_value_check(s, text, why, sizeof why));
	}
}

static void test_unreadable_files(void **state)
{
	static const char nul[] = "scripts = /a\n\0user = x\n";
	char error[1024], *big;

	(void)state;
	assert_null(config_load(rig_directory, NULL, error, sizeof error));
	assert_non_null(strstr(error, "cannot be read: Is a directory"));
	rig_write(rig_path, nul, sizeof nul - 1);
	assert_null(config_load(rig_path, NULL, error, sizeof error));
	assert_non_null(strstr(error, "NUL byte"));
	big = malloc(LIMIT_CONFIG_BYTES + 1);
	assert_non_null(big);
	memset(big, ' ', LIMIT_CONFIG_BYTES + 1);
	rig_write(rig_path, big, LIMIT_CONFIG_BYTES + 1);
	assert_null(config_load(rig_path, NULL, error, sizeof error));
	assert_non_null(strstr(error, "too long"));
	rig_write(rig_path, big, LIMIT_CONFIG_BYTES);
	config_unref(config_load(rig_path, NULL, error, sizeof error));
	assert_string_equal(error, "");
	free(big);
	if (geteuid() == 0) /* root reads everything */
		return;
	assert_int_equal(chmod(rig_path, 0), 0);
	assert_null(config_load(rig_path, NULL, error, sizeof error));
	assert_non_null(strstr(error, "cannot be read: Permission denied (check the file"));
	chmod(rig_path, 0600);
}

static void test_long_value_and_small_buffer(void **state)
{
	char *text = xasprintf("rbl { redirect = '%0*d' }", LIMIT_CONFIG_VALUE_BYTES + 1, 0);
	char error[1024], small[8];

	(void)state;
	assert_null(rig_load(text, NULL, error, sizeof error));
	assert_non_null(strstr(error, "at most 2000 bytes"));
	assert_true(strlen(error) < 512); /* the value is cut where it is quoted */
	assert_null(rig_load("x = 1", NULL, small, sizeof small));
	assert_int_equal(strlen(small), sizeof small - 1);
	assert_null(rig_load("x = 1", NULL, NULL, 0));
	free(text);
}

/* Without a file there are the defaults; a file that was asked for must be there. */
static void test_missing_file(void **state)
{
	char error[1024];
	struct config *c;

	(void)state;
	assert_null(config_load("/nonexistent/x.conf", NULL, error, sizeof error));
	assert_non_null(strstr(error, "/nonexistent/x.conf: cannot be read: No such file"));
	assert_non_null(strstr(error, "-c"));
	if (access(CONFIG_DEFAULT_PATH, F_OK) == 0)
		skip();
	c = config_load(NULL, NULL, error, sizeof error);
	assert_non_null(c);
	assert_string_equal(c->path, "");
	assert_string_equal(error, "");
	config_unref(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_unreadable_files),
	    cmocka_unit_test(test_long_value_and_small_buffer),
	    cmocka_unit_test(test_missing_file),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
