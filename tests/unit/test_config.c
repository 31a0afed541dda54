/* The configuration: what is read, what is refused and how, -o, and that the sample and the
 * manual page tell the truth. MAILHOOKS_SOURCE names the source tree. */
#include "common/config.h"
#include "common/config/config_private.h"
#include "tests/unit/config_rig.h"

#include <pthread.h>
#include <syslog.h>

/* ---- defaults, the sample, the manual page ---- */

static void same_list(const struct strlist *a, const struct strlist *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++)
		assert_string_equal(a->v[i], b->v[i]);
}

static void same_networks(const struct network_list *a, const struct network_list *b)
{
	assert_int_equal(a->n, b->n);
	for (size_t i = 0; i < a->n; i++) {
		assert_memory_equal(&a->v[i].base, &b->v[i].base, sizeof a->v[i].base);
		assert_int_equal(a->v[i].bits, b->v[i].bits);
	}
}

static void same_setting(const struct setting *s, const void *base_a, const void *base_b)
{
	static const size_t sizes[] = {
	    [SETTING_INT] = sizeof(int),
	    [SETTING_INT64] = sizeof(int64_t),
	    [SETTING_SIZE] = sizeof(size_t),
	    [SETTING_BYTES] = sizeof(uint64_t),
	    [SETTING_MODE] = sizeof(mode_t),
	    [SETTING_BOOL] = sizeof(bool),
	    [SETTING_WORD] = sizeof(int),
	};
	const void *a = (const char *)base_a + s->offset, *b = (const char *)base_b + s->offset;

	if (s->kind == SETTING_LIST)
		same_list(a, b);
	else if (s->kind == SETTING_NETWORKS)
		same_networks(a, b);
	else if (s->kind == SETTING_TEXT || s->kind == SETTING_PATH)
		assert_string_equal(*(char *const *)a, *(char *const *)b);
	else
		assert_memory_equal(a, b, sizes[s->kind]);
}

static void same_config(const struct config *a, const struct config *b)
{
	assert_int_equal(a->nservices, b->nservices);
	for (size_t i = 0; i < config_nsettings; i++) {
		const struct setting *s = &config_settings[i];

		if (config_titled_section(s->section) == NULL)
			same_setting(s, a, b);
		for (size_t k = 0; strcmp(s->section, CONFIG_SERVICE) == 0 && k < a->nservices; k++)
			same_setting(s, &a->services[k], &b->services[k]);
	}
	for (size_t k = 0; k < a->nservices; k++)
		assert_string_equal(a->services[k].name, b->services[k].name);
}

static void source_file(const char *name, char *out, size_t size)
{
	const char *top = getenv("MAILHOOKS_SOURCE");

	if (top == NULL)
		fail_msg("MAILHOOKS_SOURCE must name the source tree");
	snprintf(out, size, "%s/%s", top, name);
}

static char *read_source(const char *name)
{
	char file[4096], *text;
	const char *why;

	source_file(name, file, sizeof file);
	assert_int_equal(config_source_read(file, &text, &why), CONFIG_SOURCE_OK);
	return text;
}

static void test_sample_has_the_defaults(void **state)
{
	struct config *built_in = rig_load_ok("", NULL), *sample;
	char file[4096], error[1024];

	(void)state;
	source_file("contrib/mailhooks.conf", file, sizeof file);
	sample = config_load(file, NULL, error, sizeof error);
	if (sample == NULL)
		fail_msg("%s", error);
	same_config(built_in, sample);
	assert_string_equal(sample->path, file);
	config_unref(built_in);
	config_unref(sample);
}

static void test_sample_and_manual_are_complete(void **state)
{
	char *sample = read_source("contrib/mailhooks.conf");
	char *manual = read_source("man/mailhooks.conf.5");

	(void)state;
	for (size_t i = 0; i < config_nsettings; i++) {
		const struct setting *s = &config_settings[i];
		char in_sample[80], in_manual[80], section[80];
		const char *from;

		snprintf(
		    section, sizeof section, s->section[0] != '\0' ? "\n%s " : "\n%s", s->section);
		snprintf(in_sample, sizeof in_sample,
		    s->section[0] != '\0' ? "\n\t%s = " : "\n%s = ", s->name);
		from = strstr(sample, section);
		if (from == NULL || strstr(from, in_sample) == NULL)
			fail_msg("contrib/mailhooks.conf lacks %s.%s", s->section, s->name);

		snprintf(section, sizeof section, "\n.Ss %s%s",
		    s->section[0] != '\0' ? "Section " : "Top of the file", s->section);
		snprintf(in_manual, sizeof in_manual, "\n.It Cm %s No = ", s->name);
		from = strstr(manual, section);
		if (from == NULL || strstr(from, in_manual) == NULL)
			fail_msg("man/mailhooks.conf.5 lacks %s.%s", s->section, s->name);
		if (s->kind == SETTING_MODE || s->most == 0)
			continue;
		/* the bounds stand there, too */
		snprintf(in_manual, sizeof in_manual, "%lld", (long long)s->most);
		if (strstr(strstr(from, in_manual) != NULL ? from : "", in_manual) == NULL)
			fail_msg(
			    "man/mailhooks.conf.5 lacks the bound of %s.%s", s->section, s->name);
	}
	free(sample);
	free(manual);
}

static void test_defaults(void **state)
{
	struct config *c = rig_load_ok("# nothing\n", NULL);
	struct ip_address address;

	(void)state;
	assert_string_equal(c->scripts, "/etc/mailhooks/scripts");
	assert_string_equal(c->user, "mailhooks");
	assert_int_equal(c->log.target, LOG_TO_SYSLOG);
	assert_int_equal(c->log.level, LOG_LVL_INFO);
	assert_int_equal(c->log.facility, LOG_MAIL);
	assert_int_equal(c->lua.hook_ms, 5000);
	assert_int_equal(c->lua.instructions, 50000000);
	assert_int_equal(c->lua.memory_bytes, 32 << 20);
	assert_int_equal(c->lua.on_error, ON_ERROR_ACCEPT);
	assert_int_equal(c->milter.listen.n, 1);
	assert_int_equal(c->milter.socket_mode, 0660);
	assert_int_equal(c->milter.spill_bytes, 100 << 20);
	assert_int_equal(c->nservices, 1);
	assert_string_equal(c->services[0].name, "smtp");
	assert_int_equal(c->services[0].id, 1);
	assert_false(c->services[0].auth_required);
	assert_true(ip_address_parse(&address, "203.0.113.5"));
	assert_true(network_list_has(&c->services[0].client_networks, &address));
	assert_false(network_list_has(&c->services[0].local_networks, &address));
	assert_true(ip_address_parse(&address, "::1"));
	assert_true(network_list_has(&c->services[0].client_networks, &address));
	assert_true(network_list_has(&c->services[0].local_networks, &address));
	assert_int_equal(c->rbl.zones.n, 0);
	assert_int_equal(c->rbl.action, RBL_ACTION_HEADER);
	config_unref(c);
}

/* ---- what a file may say ---- */

static const char full[] =
    "scripts = /srv/lua // a word may hold slashes: /srv//lua is one\n"
    "store = 'redis://[::1]:6379/0'\n"
    "user = ${MAILHOOKS_TEST_USER}\n"
    "group = \"${MAILHOOKS_TEST_NONE:-mail}\"\n"
    "log { target = stderr format = json level = debug facility = local7 }\n"
    "lua { hook_ms = 1 command_ms = 28000 instructions = 1000000000000\n"
    "  memory_kb = 4194304 /* 4\n GiB */ on_error = reject out = '' }\n"
    "milter {\n"
    "  listen = { # two\n"
    "    unix:/run/a.sock, /* and */ inet:8890@127.0.0.1,\n"
    "    \"inet6:8891@::1\" # the last\n"
    "  }\n"
    "  socket_mode = 666\n"
    "  spill_mb = 1048576\n"
    "}\n"
    "service MX {\n  listen = unix:/run/a.sock\n  max_message_bytes = 0\n}\n"
    "service 'sub mission' {\r\n  auth_required = yes\r\n"
    "  daemon_names = { \"MSA\", \"a\\\"b\" }\n"
    "  client_networks = 192.0.2.0/24 local_networks += 10.0.0.0/8 }\n"
    "rbl { zones = {a.example} zones += { \"b.example\" }\n"
    "  whitelist = { '192.0.2.*', \"*.example.com\" } action = redirect\n"
    "  redirect = spam@example.com header = '' }\n"
    "dns { servers = { 192.0.2.1, 192.0.2.1:53, '2001:db8::1', \"[::1]:5353\" } }\n";

static void test_full_file(void **state)
{
	struct config *c;

	(void)state;
	setenv("MAILHOOKS_TEST_USER", "postfix", 1);
	c = rig_load_ok(full, NULL);
	assert_string_equal(c->scripts, "/srv/lua");
	assert_string_equal(c->store, "redis://[::1]:6379/0");
	assert_string_equal(c->user, "postfix");
	assert_string_equal(c->group, "mail");
	assert_int_equal(c->log.target, LOG_TO_STDERR);
	assert_int_equal(c->log.format, LOG_AS_JSON);
	assert_int_equal(c->log.facility, LOG_LOCAL7);
	assert_int_equal(c->lua.hook_ms, 1);
	assert_int_equal(c->lua.instructions, INT64_C(1000000000000));
	assert_int_equal(c->lua.memory_bytes, (size_t)4 << 30);
	assert_int_equal(c->lua.on_error, ON_ERROR_REJECT);
	assert_string_equal(c->lua.out, "");
	assert_int_equal(c->milter.listen.n, 3);
	assert_string_equal(c->milter.listen.v[1], "inet:8890@127.0.0.1");
	assert_string_equal(c->milter.listen.v[2], "inet6:8891@::1");
	assert_int_equal(c->milter.socket_mode, 0666);
	assert_int_equal(c->milter.spill_bytes, UINT64_C(1) << 40);
	assert_int_equal(c->nservices, 2);
	assert_string_equal(c->services[0].name, "MX");
	assert_int_equal(c->services[0].id, 1);
	assert_string_equal(c->services[1].name, "sub mission");
	assert_int_equal(c->services[1].id, 2);
	assert_true(c->services[1].auth_required);
	assert_string_equal(c->services[1].daemon_names.v[1], "a\"b");
	assert_int_equal(c->services[1].client_networks.n, 1);
	assert_int_equal(c->services[1].local_networks.n, 3);
	assert_int_equal(c->rbl.zones.n, 2);
	assert_string_equal(c->rbl.whitelist.v[0], "192.0.2.*");
	assert_int_equal(c->rbl.action, RBL_ACTION_REDIRECT);
	assert_int_equal(c->dns.servers.n, 4);

	assert_ptr_equal(config_service(c, "unix:/run/a.sock", "MSA"), &c->services[0]);
	assert_ptr_equal(config_service(c, "inet:8890@127.0.0.1", "MSA"), &c->services[1]);
	assert_ptr_equal(config_service(c, NULL, "MSA"), &c->services[1]);
	assert_ptr_equal(config_service(c, NULL, "other"), &c->services[0]);
	assert_ptr_equal(config_service(c, NULL, NULL), &c->services[0]);
	config_unref(c);
}

/* ---- -o ---- */

static struct config *load_with(const char *text, const char *const *items)
{
	struct config_overrides overrides = {STRLIST_INIT};
	char error[1024];
	struct config *c;

	rig_write(rig_path, text, strlen(text));
	for (; *items != NULL; items++)
		strlist_add(&overrides.items, *items);
	c = config_load(rig_path, &overrides, error, sizeof error);
	strlist_clear(&overrides.items);
	if (c == NULL)
		fail_msg("%s", error);
	return c;
}

/* Every address that the store itself knows. */
static void test_addresses_of_the_store(void **state)
{
	static const char *const stores[] = {"sqlite:/var/lib/x/store.db", "redis://a.test:6380/2",
	    "rediss://user:pw@a.test/0?ca=/etc/ca.pem", "redis+unix:///run/redis/redis.sock?db=1",
	    "redis-sentinel://a.test,b.test:26380/mymaster/3", "redis-cluster://a.test,b.test",
	    "rediss-cluster://a.test:7000,b.test:7000"};

	(void)state;
	for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
		char *item = xasprintf("store=%s", stores[i]);
		struct config *c = load_with("", (const char *const[]){item, NULL});

		assert_string_equal(c->store, stores[i]);
		config_unref(c);
		free(item);
	}
}

static void test_overrides(void **state)
{
	static const char text[] = "lua { hook_ms = 1000 }\n"
				   "milter { listen = { unix:/a, unix:/b } }\n"
				   "service one { }\n"
				   "service \"mx.example.com\" { id = 7 }\n"
				   "rbl { whitelist = { x, y } zones = z.example }\n";
	static const char *const items[] = {
	    "lua.hook_ms=2000",
	    "lua.hook_ms=3000", /* the last one wins */
	    "scripts=/srv/a b = c",
	    "log.level=debug",
	    "milter.listen=unix:/c", /* the first one replaces the list of the file */
	    "milter.listen=inet:25@localhost",
	    "service.mx.example.com.auth_required=true",
	    "service.one.daemon_names=\"quoted\" ${HOME}", /* as it is */
	    "service.one.local_networks=10.0.0.0/8",
	    "rbl.whitelist=", /* empties it */
	    "dns.servers=",   /* empty it is */
	    "dns.servers=192.0.2.1",
	    "dns.servers=192.0.2.2",
	    "user=",
	    NULL,
	};
	struct config *c = load_with(text, items);

	(void)state;
	assert_int_equal(c->lua.hook_ms, 3000);
	assert_string_equal(c->scripts, "/srv/a b = c");
	assert_int_equal(c->log.level, LOG_LVL_DEBUG);
	assert_int_equal(c->milter.listen.n, 2);
	assert_string_equal(c->milter.listen.v[0], "unix:/c");
	assert_string_equal(c->milter.listen.v[1], "inet:25@localhost");
	assert_int_equal(c->services[1].id, 7);
	assert_true(c->services[1].auth_required);
	assert_false(c->services[0].auth_required);
	assert_string_equal(c->services[0].daemon_names.v[0], "\"quoted\" ${HOME}");
	assert_int_equal(c->services[0].local_networks.n, 1);
	assert_int_equal(c->rbl.whitelist.n, 0);
	assert_int_equal(c->rbl.zones.n, 1);
	assert_int_equal(c->dns.servers.n, 2);
	assert_string_equal(c->user, "");
	config_unref(c);
}

static void test_script_sections(void **state)
{
	struct config *c = rig_load_ok("script smtpsvr { hook_ms = 100 memory_kb = 512 }\n"
				       "script \"mxout\" { instructions = 5 }\n",
	    "script.mxout.instructions=7");

	(void)state;
	assert_int_equal(c->nscripts, 2);
	assert_string_equal(c->script_sections[0].name, "smtpsvr");
	assert_int_equal(c->script_sections[0].hook_ms, 100);
	assert_int_equal(c->script_sections[0].instructions, 0);
	assert_int_equal(c->script_sections[0].memory_bytes, 512 << 10);
	assert_int_equal(c->script_sections[1].instructions, 7);
	assert_int_equal(c->script_sections[1].hook_ms, 0);
	config_unref(c);
}

static void test_override_of_the_only_service(void **state)
{
	static const char *const items[] = {"service.smtp.allowed_users=a b", NULL};
	struct config *c = load_with("", items);

	(void)state;
	assert_int_equal(c->nservices, 1);
	assert_string_equal(c->services[0].allowed_users, "a b");
	assert_int_equal(c->services[0].client_networks.n, 2);
	config_unref(c);
}

/* Who lowers the time of a command need not know what else is in it. */
static void test_default_times_give_way(void **state)
{
	struct config *c = rig_load_ok("lua { command_ms = 1000 }", NULL);

	(void)state;
	assert_int_equal(c->lua.hook_ms, 1000);
	assert_int_equal(c->rbl.timeout_ms, 1000);
	config_unref(c);
}

static void test_relative_path_of_the_command_line(void **state)
{
	static const char *const items[] = {"scripts=./lua", NULL};
	char *here = getcwd(NULL, 0), expected[4096];
	struct config *c = load_with("", items);

	(void)state;
	assert_non_null(here);
	snprintf(expected, sizeof expected, "%s/./lua", here);
	assert_string_equal(c->scripts, expected);
	config_unref(c);
	free(here);
}

/* ---- life time and threads ---- */

static void test_references(void **state)
{
	struct config *c = rig_load_ok("", NULL);

	(void)state;
	assert_ptr_equal(config_ref(c), c);
	config_unref(c);
	assert_string_equal(c->user, "mailhooks"); /* still there: ASan would tell */
	config_unref(c);
	config_unref(NULL);
}

struct loader {
	char file[64];
	bool good;
	int wrong; /* answers */
};

static void *load_often(void *arg)
{
	struct loader *l = arg;
	char error[1024];

	for (int i = 0; i < 50; i++) {
		struct config *c = config_load(l->file, NULL, error, sizeof error);

		l->wrong += (c != NULL) != l->good;
		l->wrong += c == NULL && strstr(error, ":2: \"wrong\" is no setting") == NULL;
		config_unref(c);
	}
	return NULL;
}

static void test_reloads_in_threads(void **state)
{
	struct loader loaders[4];
	pthread_t threads[4];
	const char *text;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		loaders[i].good = i % 2 == 0;
		loaders[i].wrong = 0;
		snprintf(loaders[i].file, sizeof loaders[i].file, "%s/%zu.conf", rig_directory, i);
		text = loaders[i].good ? full : "# a\nwrong = \"b\"\n";
		rig_write(loaders[i].file, text, strlen(text));
	}
	for (size_t i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, load_often, &loaders[i]);
	for (size_t i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(loaders[i].wrong, 0);
		unlink(loaders[i].file);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sample_has_the_defaults),
	    cmocka_unit_test(test_sample_and_manual_are_complete),
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_full_file),
	    cmocka_unit_test(test_addresses_of_the_store),
	    cmocka_unit_test(test_overrides),
	    cmocka_unit_test(test_override_of_the_only_service),
	    cmocka_unit_test(test_script_sections),
	    cmocka_unit_test(test_default_times_give_way),
	    cmocka_unit_test(test_relative_path_of_the_command_line),
	    cmocka_unit_test(test_references),
	    cmocka_unit_test(test_reloads_in_threads),
	};

	return cmocka_run_group_tests(tests, rig_setup, rig_teardown);
}
