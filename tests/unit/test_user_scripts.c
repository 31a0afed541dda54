/* user_redirect.lua and delivery.lua without an MTA: a message in, the verdict out. The integration
 * tests show the same on Postfix and Sendmail. R6: no user's script, setting or header field takes
 * anything but his own mail down. Longer than other files: the tables of cases are the rules, both
 * scripts share the runner. */
#include "tests/unit/script_rig.h"

#include "common/forward_trace.h"
#include "common/list.h"
#include "common/store/store_shared.h"
#include "common/verdict.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"
#include "lua-bindings/smtpsvr.h"

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

static struct script_rig rig;
static struct script_set *set;
static struct log_id id = {.session = "test", .queue = "Q1"};
static char users_path[64], aliases_path[64];

static void write_file(char *path, const char *text)
{
	int fd;

	strncpy(path, "/var/tmp/mailhooks-users.XXXXXX", 63);
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static void open_rig(const char *users, const char *aliases, const char *setting)
{
	char *settings[6] = {xstrdup("local_domains=one.test")};
	size_t n = 1;

	write_file(users_path, users);
	write_file(aliases_path, aliases);
	settings[n++] = xasprintf("users.source=file:%s", users_path);
	settings[n++] = xasprintf("users.aliases=%s", aliases_path);
	settings[n++] = xstrdup("users.spam_field=X-Spam-Score");
	if (setting != NULL)
		settings[n++] = xstrdup(setting);
	script_rig_open(&rig, (const char *const *)settings);
	for (size_t i = 0; i < n; i++)
		free(settings[i]);
	set = NULL;
}

static void close_rig(void)
{
	script_set_unref(set);
	script_rig_close(&rig);
	store_shared_close();
	unlink(users_path);
	unlink(aliases_path);
}

/* name may be in a directory of its own. */
static void script(const char *name, const char *text)
{
	char *path = xasprintf("%s/scripts/%s", rig.directory, name), *slash = strrchr(path, '/');

	*slash = '\0';
	mkdir(path, 0700);
	free(path);
	script_rig_write(&rig, name, text);
}

static void load(void)
{
	char error[500] = "";

	script_set_unref(set);
	set = script_set_load(rig.config, error, sizeof error);
	assert_string_equal(error, "");
	assert_non_null(set);
}

/* The hexadecimal digits of marks become one star. */
static void mask_marks(char *text)
{
	static const char field[] = "X-Mailhooks-Forwarded: ";
	char *p = text;

	while ((p = strstr(p, field)) != NULL) {
		p += sizeof field - 1;
		assert_int_equal(strspn(p, "0123456789abcdef"), FORWARD_TRACE_BYTES - 1);
		*p = '*';
		memmove(
		    p + 1, p + FORWARD_TRACE_BYTES - 1, strlen(p + FORWARD_TRACE_BYTES - 1) + 1);
	}
}

/* recipients: separated by blanks. fields: "Name: value|Name: value". */
static char *deliver(const char *sender, const char *recipients, const char *fields, size_t body)
{
	struct smtpsvr_client client = {.listen = "", .hostname = "client.test"};
	char *copy = xstrdup(recipients), *rest = copy, *word, *header = xstrdup(fields), *text;
	char *argv[] = {(char *)(uintptr_t)sender, NULL};
	struct smtpsvr *smtp;
	struct verdict v;

	if (set == NULL)
		load();
	smtp = smtpsvr_open(set, NULL, &id);
	ip_address_parse(&client.address, "192.0.2.7");
	verdict_init(&v);
	smtpsvr_connect(smtp, &client, &v);
	smtpsvr_mail(smtp, argv, NULL, &v);
	while ((word = strsep(&rest, " ")) != NULL) {
		argv[0] = word;
		smtpsvr_rcpt(smtp, argv, strstr(word, "one.test") == NULL, &v);
	}
	smtpsvr_data(smtp, &v);
	rest = header;
	while ((word = strsep(&rest, "|")) != NULL && *word != '\0') {
		char *value = strchr(word, ':');

		*value = '\0';
		smtpsvr_header(smtp, word, value + 1, &v);
	}
	for (; body > 0; body -= body > 64 ? 64 : body)
		smtpsvr_body(smtp,
		    "0123456789012345678901234567890123456789012345678901234567890\r\n", 63, &v);
	smtpsvr_end_of_message(smtp, &v);
	smtpsvr_close(smtp);
	text = verdict_describe(&v);
	verdict_reset(&v);
	free(copy);
	free(header);
	return text;
}

static void expect(
    const char *sender, const char *recipients, const char *fields, size_t body, const char *wanted)
{
	char *text = deliver(sender, recipients, fields, body);
	size_t n = strlen(text);

	if (n > 0 && text[n - 1] == '\n')
		text[n - 1] = '\0';
	mask_marks(text);
	assert_string_equal(text, wanted);
	free(text);
}

#define MARK "\nheader insert 0 X-Mailhooks-Forwarded: *"
#define ADD(address) "\nrecipient add <" address ">"
#define REMOVE(address) "\nrecipient remove <" address ">"
#define SUBJECT "Subject: hi"
#define STRANGER "<s@away.test>"

static const char people[] =
    "ann:\nbob: bob@own.test\ncarl:\n\tForwards = carl@far.test\n\tUseForwards = "
    "yes\n";

/* ---- routing ---- */

static void test_settings_alone(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue");
	expect(STRANGER, "<carl@one.test> <x@away.test>", SUBJECT, 0,
	    "continue" MARK ADD("carl@far.test"));
	expect(STRANGER, "<nobody@one.test>", SUBJECT, 0, "continue");
	close_rig();
}

static void test_globals(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	script("user_redirect.lua",
	    "function MainGetSettings() return { 'Mood', { Name = 'Hour', Default = 8 }, "
	    "Colour = 'red' } end\n"
	    "assert(UserSettings)\n"
	    "function MainDoRouting(user)\n"
	    "  assert(user == 'carl' and User == user)\n"
	    "  assert(ShouldForward == true and UseForwards == true)\n"
	    "  assert(Forwards == 'carl@far.test' and Assistants == '')\n"
	    "  assert(RedirectToAssistant == false and SendToNormalRecipient == true)\n"
	    "  for i, t in ipairs{BigRedirect, SmallRedirect} do\n"
	    "    assert(t.Target == '' and t.Threshold == 0 and t.Copy == false)\n"
	    "    assert(t.Bigger == (i == 1))\n"
	    "  end\n"
	    "  assert(MessageSize == 125, MessageSize)\n"
	    "  assert(SpamScore == 7.5 and SpamScoreValid == true)\n"
	    "  assert(Sender == 's@away.test' and Subject == 'hi there')\n"
	    "  assert(Headers1.SUBJECT == 'hi there' and Headers1['X-A'] == '2')\n"
	    "  assert(#Headers2 == 4 and Headers2[1] == 'Subject: hi\\n there')\n"
	    "  assert(UserSettings.Hour == '8' and UserSettings.Mood == '')\n"
	    "  assert(UserSettings.Colour == 'red')\n"
	    "  Forwards = 'seen@far.test'\n"
	    "end\n");
	expect(STRANGER, "<carl@one.test>",
	    "Subject: hi\n there|X-A: 1|x-a: 2|X-Spam-Score: 7.5 / 5", 64,
	    "continue" MARK ADD("seen@far.test"));
	close_rig();
}

static const struct {
	const char *script, *sender, *recipients, *wanted;
} routings[] = {
    {"Forwards = 'x@far.test' UseForwards = true", STRANGER, "<ann@one.test>",
	"continue" MARK ADD("x@far.test")},
    {"Forwards = 'x@far.test' UseForwards = 'yes' SendToNormalRecipient = 0", STRANGER,
	"<ann@one.test>", "continue" MARK ADD("x@far.test") REMOVE("ann@one.test")},
    {"SendToNormalRecipient = false", STRANGER, "<ann@one.test>", "continue"},
    {"ShouldForward = false", STRANGER, "<carl@one.test>", "continue"},
    /* a user's name gets his address; those of others are left as they are */
    {"if user == 'ann' then Assistants = 'bob' RedirectToAssistant = true end", STRANGER,
	"<ann@one.test>", "continue" MARK ADD("bob@own.test") REMOVE("ann@one.test")},
    {"Assistants = 'someone'", STRANGER, "<ann@one.test>", "continue" MARK ADD("someone@one.test")},
    /* an assistant's assistant is not followed; nobody gets it twice */
    {"Assistants = ({ann = 'bob', bob = 'dora@x.test'})[user]", STRANGER, "<ann@one.test>",
	"continue" MARK ADD("bob@own.test")},
    {"Assistants = 'bob'", STRANGER, "<ann@one.test> <bob@own.test>", "continue" MARK},
    /* an assistant's own mail is not sent back to him */
    {"Assistants = 'bob' RedirectToAssistant = true", "<BOB@own.test>", "<ann@one.test>",
	"continue"},
    {"Assistants = 'bob@own.test;dora' RedirectToAssistant = true", "<bob@one.test>",
	"<ann@one.test>", "continue" MARK ADD("dora@one.test") REMOVE("ann@one.test")},
    /* to himself: the mailbox */
    {"Assistants = user RedirectToAssistant = true", STRANGER, "<ann@one.test>", "continue"},
    /* by size */
    {"BigRedirect = {Target = 'big@far.test', Threshold = 0}", STRANGER, "<ann@one.test>",
	"continue" MARK ADD("big@far.test") REMOVE("ann@one.test")},
    {"SmallRedirect.Target = 's@far.test' SmallRedirect.Threshold = 1 SmallRedirect.Copy = true",
	STRANGER, "<ann@one.test>", "continue" MARK ADD("s@far.test")},
    {"BigRedirect = nil", STRANGER, "<ann@one.test>", "continue"},
    /* what cannot be a recipient never becomes one (R1, R10) */
    {"Forwards = '|/bin/sh' UseForwards = true SendToNormalRecipient = false", STRANGER,
	"<ann@one.test>", "continue"},
    {"Forwards = 'a@b.test\\r\\nRCPT' UseForwards = true", STRANGER, "<ann@one.test>",
	"continue" MARK ADD("a@b.test") ADD("RCPT@one.test")},
    /* failures: as the settings say */
    {"Forwards = 'x@far.test' UseForwards = true error('no')", STRANGER, "<carl@one.test>",
	"continue" MARK ADD("carl@far.test")},
    {"ShouldForward = {}", STRANGER, "<carl@one.test>", "continue" MARK ADD("carl@far.test")},
    {"BigRedirect = 5", STRANGER, "<carl@one.test>", "continue" MARK ADD("carl@far.test")},
};

static void test_routing(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	for (size_t i = 0; i < sizeof routings / sizeof *routings; i++) {
		char *text = xasprintf("function MainDoRouting(user) %s end", routings[i].script);

		script("user_redirect.lua", text);
		free(text);
		load();
		print_message("%s\n", routings[i].script);
		expect(routings[i].sender, routings[i].recipients, SUBJECT, 10, routings[i].wanted);
	}
	close_rig();
}

static void test_names_of_the_hook(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	script("user_redirect.lua",
	    "function DoRouting(u) Forwards = u .. '@far.test' UseForwards = "
	    "true end");
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue" MARK ADD("ann@far.test"));
	script("user_redirect.lua", "if User == 'ann' then Assistants = 'bob' end");
	load();
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue" MARK ADD("bob@own.test"));
	close_rig();
}

static void test_aliases(void **state)
{
	(void)state;
	open_rig(
	    people, "team: ann, carl, x@away.test\nplain: ann, bob\nprog: carl, |/bin/x\n", NULL);
	expect(STRANGER, "<plain@one.test>", SUBJECT, 0, "continue");
	/* one member is routed elsewhere: the alias gives way to its members */
	expect(STRANGER, "<team@one.test>", SUBJECT, 0,
	    "continue" MARK ADD("ann@one.test") ADD("carl@one.test") ADD("carl@far.test")
		ADD("x@away.test") REMOVE("team@one.test"));
	/* what only the MTA can follow stays with it */
	expect(STRANGER, "<prog@one.test>", SUBJECT, 0, "continue");
	close_rig();
}

static void test_spam(void **state)
{
	(void)state;
	open_rig("carl:\n\tForwards = c@far.test\n\tUseForwards = 1\n\tForwardSpam = no\n"
		 "\tSpamThreshold = 6.5\n",
	    "", NULL);
	expect(STRANGER, "<carl@one.test>", SUBJECT, 0, "continue" MARK ADD("c@far.test"));
	expect(
	    STRANGER, "<carl@one.test>", "X-Spam-Score: 6.4", 0, "continue" MARK ADD("c@far.test"));
	expect(STRANGER, "<carl@one.test>", "X-Spam-Score: 6.5", 0, "continue");
	expect(STRANGER, "<carl@one.test>", "X-Spam-Score: spam", 0,
	    "continue" MARK ADD("c@far.test"));
	close_rig();
}

static void test_circles(void **state)
{
	char mark[FORWARD_TRACE_BYTES], *fields, *text;

	(void)state;
	open_rig(people, "", NULL);
	text = deliver(STRANGER, "<carl@one.test>", SUBJECT, 0);
	assert_true(forward_trace(rig.config->state_dir, "CARL", mark));
	assert_non_null(strstr(text, mark));
	assert_null(strstr(text, "carl@one.test")); /* the other recipients do not learn who */
	free(text);
	fields = xasprintf("X-Mailhooks-Forwarded: %s|Subject: back", mark);
	expect(STRANGER, "<carl@one.test>", fields, 0, "continue");
	script("user_redirect.lua",
	    "function MainDoRouting() ShouldForward = true SendToNormalRecipient = false end");
	load();
	expect(STRANGER, "<carl@one.test>", fields, 0, "continue");
	free(fields);
	/* somebody else's mark, or one that was made up, changes nothing */
	script("user_redirect.lua", "");
	load();
	forward_trace(rig.config->state_dir, "ann", mark);
	fields = xasprintf("X-Mailhooks-Forwarded: %s", mark);
	expect(STRANGER, "<carl@one.test>", fields, 0, "continue" MARK ADD("carl@far.test"));
	free(fields);
	expect(STRANGER, "<carl@one.test>",
	    "X-Mailhooks-Forwarded: 00000000000000000000000000000000", 0,
	    "continue" MARK ADD("carl@far.test"));
	close_rig();
}

static void test_on_error(void **state)
{
	(void)state;
	open_rig(people, "", "lua.on_error=tempfail");
	script("user_redirect.lua", "function MainDoRouting() error('no') end");
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0,
	    "reply 451 4.3.0 Local policy failed, try again later");
	expect(STRANGER, "<x@away.test>", SUBJECT, 0, "continue");
	close_rig();
}

static void test_store_away(void **state)
{
	(void)state;
	open_rig(people, "", "store=redis://127.0.0.1:1/0");
	expect(STRANGER, "<carl@one.test>", SUBJECT, 0, "continue" MARK ADD("carl@far.test"));
	close_rig();
	open_rig(people, "", "lua.on_error=tempfail");
	close_rig();
}

/* ---- users' own scripts ---- */

static void test_own_scripts(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	script("user_redirect.lua",
	    "function MainDoRouting() Forwards = 'all@far.test' UseForwards = true end");
	script("Ann/User_Redirect.lua",
	    "function MainDoRouting(user)\n"
	    "  assert(not os.setsafety('key') and not os.clearsafety('key'))\n"
	    "  assert(not pcall(io.open, '/etc/passwd'))\n"
	    "  assert(not pcall(require, 'user_redirect'))\n"
	    "  assert(not pcall(VPOP3.GetUserSetting, 'bob', 'x'))\n"
	    "  assert(#VPOP3.GetUserList() == 3)\n"
	    "  Forwards = 'own@far.test' UseForwards = true leaked = 1\n"
	    "end\n");
	script("bob/user_redirect.lua", "assert(leaked == nil) function MainDoRouting() end");
	expect(STRANGER, "<ann@one.test> <carl@one.test>", SUBJECT, 0,
	    "continue" MARK MARK ADD("own@far.test") ADD("all@far.test"));
	expect(STRANGER, "<ann@one.test> <bob@one.test>", SUBJECT, 0,
	    "continue" MARK ADD("own@far.test"));
	close_rig();
}

static void test_broken_script_of_a_user(void **state)
{
	enum script_id script_of;
	bool found = false;

	(void)state;
	open_rig(people, "", NULL);
	script("user_redirect.lua",
	    "function MainDoRouting() Forwards = 'all@far.test' UseForwards = true end");
	script("ann/user_redirect.lua", "function MainDoRouting(");
	script("bob/user_redirect.lua", "error('at the top')");
	script("carl/user_redirect.lua", "while true do end");
	script("..x/user_redirect.lua", "this is no Lua, but ..x is no user");
	load();
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue" MARK ADD("all@far.test"));
	for (int i = 0; i < script_set_count(set); i++)
		if (script_set_user(set, (enum script_id)i) != NULL) {
			assert_non_null(script_set_broken(set, (enum script_id)i));
			found = true;
		}
	assert_true(found);
	assert_true(script_set_for_user(set, SCRIPT_USER_REDIRECT, "bob", &script_of));
	assert_int_equal(script_of, SCRIPT_USER_REDIRECT);
	/* an unreadable file of one user is not everybody's trouble either */
	script("ann/user_redirect.lua", "function MainDoRouting() end");
	load();
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue");
	close_rig();
}

#define MANY 200
#define LITERAL_BYTES 4000 /* of each compiled script */
#define KEPT_KIB 200	   /* far below what 200 of them would take */

static double most_kib, least_kib;

static void note_memory(const char *text, size_t n, void *arg)
{
	double kib = strtod(text, NULL);

	(void)n, (void)arg;
	most_kib = kib > most_kib ? kib : most_kib;
	least_kib = kib < least_kib ? kib : least_kib;
}

static void write_many(void)
{
	for (int i = 0; i < MANY; i++) {
		char *name = xasprintf("user%d/user_redirect.lua", i);
		char *text = xasprintf("function MainDoRouting()\n"
				       "  local long = '%0*d'\n"
				       "  collectgarbage()\n"
				       "  print(collectgarbage('count'))\n"
				       "  Forwards='f%d@far.test' UseForwards=1\n"
				       "end",
		    LITERAL_BYTES, 1, i);

		script(name, text);
		free(name);
		free(text);
	}
}

/* Hundreds of users with scripts do not make a session's state grow. */
static void test_many_own_scripts(void **state)
{
	char text[4000] = "", more[40], *verdict;
	enum script_id one;

	(void)state;
	for (int i = 0; i < MANY; i++) {
		snprintf(more, sizeof more, "user%d:\n", i);
		strncat(text, more, sizeof text - strlen(text) - 1);
	}
	open_rig(text, "", NULL);
	write_many();
	load();
	assert_int_equal(script_set_count(set), SCRIPT_COUNT + MANY);
	assert_true(script_set_for_user(set, SCRIPT_USER_REDIRECT, "USER123", &one));
	assert_string_equal(script_set_user(set, one), "user123");
	assert_int_equal(script_set_kind(set, one), SCRIPT_USER_REDIRECT);
	expect(STRANGER, "<user7@one.test> <user199@one.test>", SUBJECT, 0,
	    "continue" MARK MARK ADD("f7@far.test") ADD("f199@far.test"));

	most_kib = 0, least_kib = 1e9;
	luaout_capture(note_memory, NULL);
	for (int i = 0; i < MANY; i++) { /* all of them in the one state of the pool */
		snprintf(more, sizeof more, "<user%d@one.test>", i);
		verdict = deliver(STRANGER, more, SUBJECT, 0);
		assert_non_null(strstr(verdict, "@far.test"));
		free(verdict);
	}
	luaout_capture(NULL, NULL);
	assert_true(most_kib > 0);
	assert_true(most_kib < least_kib + KEPT_KIB);
	close_rig();
}

/* ---- functions ---- */

static void test_functions(void **state)
{
	(void)state;
	open_rig("ann:\n\tMood = fine\n\tForwards = x@far.test; bob\n\tUseForwards = yes\nbob:\n",
	    "team: ann, far@away.test\nprog: |/bin/x\n", NULL);
	script("user_redirect.lua",
	    "local function show(address)\n"
	    "  local all = {}\n"
	    "  for _, t in ipairs(VPOP3.ExpandAddress(address, -1)) do\n"
	    "    all[#all + 1] = t.Name .. (t.List and '!' or '') .. (t.Remote and '>' or '')\n"
	    "      .. (t.Forwarded and '+' or '') .. tostring(t.DeferredExpansion)\n"
	    "  end\n"
	    "  return table.concat(all, ' ')\n"
	    "end\n"
	    "function MainDoRouting()\n"
	    "  assert(table.concat(VPOP3.GetUserList(), ' ') == 'ann bob')\n"
	    "  assert(show('bob@one.test') == 'bobnil', show('bob@one.test'))\n"
	    "  assert(show('ann') == 'annnil x@far.test>+nil bob+nil', show('ann'))\n"
	    "  assert(show('team@one.test') == 'team@one.test!false annnil x@far.test>+nil '\n"
	    "    .. 'bob+nil far@away.test>nil', show('team@one.test'))\n"
	    "  assert(show('prog@one.test') == 'prog@one.test!true')\n"
	    "  assert(show('no@where.test') == 'no@where.test>nil')\n"
	    "  assert(show('nobody@one.test') == 'nobody@one.testnil')\n"
	    "  assert(not pcall(VPOP3.ExpandAddress))\n"
	    "  assert(VPOP3.GetUserSetting('ANN', 'Mood') == 'fine')\n"
	    "  assert(VPOP3.SetUserSetting('ann', 'Mood', 'bad'))\n"
	    "  assert(VPOP3.GetUserSetting('ann', 'Mood') == 'bad')\n"
	    "  assert(VPOP3.GetUserSetting('bob', 'Mood') == nil)\n"
	    "  os.setsafety('x')\n"
	    "  assert(show('ann') == 'annnil')\n" /* other people's settings are not to be seen */
	    "  Assistants, UseForwards = 'seen@far.test', false\n"
	    "end");
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue" MARK ADD("seen@far.test"));
	close_rig();
}

static void test_declared_settings(void **state)
{
	static const struct {
		const char *result, *wanted;
	} cases[] = {
	    {"nil", ""},
	    {"{}", ""},
	    {"5", ""},
	    {"{ 'B', 'A' }", "A= B= "},
	    {"{ A = 1, B = true, C = 'x' }", "A=1 B=true C=x "},
	    {"{ { Name = 'A', Default = 2.5, Description = 'what' } }", "A=2.5 "},
	    {"{ A = { Default = 'd' } }", "A=d "},
	    {"{ {}, 'A', { Name = 5 }, false }", "5= A= false= "},
	    {"error('no')", ""},
	};

	(void)state;
	open_rig(people, "", NULL);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		const struct script_setting *s;
		char *text = xasprintf("function MailGetSettings() return %s end", cases[i].result);
		char seen[200] = "";

		script("user_redirect.lua", text);
		free(text);
		load();
		for (size_t k = 0; (s = script_set_setting(set, SCRIPT_USER_REDIRECT, k)) != NULL;
		     k++) {
			size_t n = strlen(seen);

			snprintf(seen + n, sizeof seen - n, "%s=%s ", s->name, s->preset);
		}
		assert_string_equal(seen, cases[i].wanted);
	}
	close_rig();
}

/* ---- delivery ---- */

#define FIELD(name, value) "\nheader append X-Mailhooks-" name ": " value

static const struct {
	const char *script, *recipients, *wanted;
} deliveries[] = {
    {"function DeliverMessage() end", "<ann@one.test>", "continue"},
    {"function DeliverMessage() Folders = {'Work', 'Archive'} Seen = true "
     "Keywords = {'Later', 'a b'} end",
	"<ann@one.test>",
	"continue" FIELD("Folder", "Work") FIELD("Folder-2", "Archive")
	    FIELD("Flags", "\\\\Seen Later")},
    {"function DeliverMessage() Folders = 'Entw\xc3\xbcrfe' Held = 1 end", "<ann@one.test>",
	"continue" FIELD("Folder", "=?UTF-8?b?RW50d8O8cmZl?=") FIELD("Held", "yes")},
    {"function DeliverMessage() HeaderMods = {'X-New: 1', 'Subject: other', 'Bad'} end",
	"<ann@one.test>", "continue\nheader append X-New: 1\nheader change 1 Subject: other"},
    {"function DeliverMessage() HeaderMods = {'Subject:'} end", "<ann@one.test>",
	"continue\nheader delete 1 Subject"},
    /* everybody agrees, or nothing happens to the message */
    {"function DeliverMessage() Folders = {'Work'} end", "<ann@one.test> <bob@one.test>",
	"continue" FIELD("Folder", "Work")},
    {"function DeliverMessage() Folders = {User} end", "<ann@one.test> <bob@one.test>", "continue"},
    {"function DeliverMessage() Folders = {'Work'} end", "<ann@one.test> <x@away.test>",
	"continue"},
    {"function DeliverMessage() Folders = {'Work'} end", "<plain@one.test>",
	"continue" FIELD("Folder", "Work")},
    {"function PreDeliver() Quarantine = true end function DeliverMessage() error('no') end",
	"<ann@one.test>", "continue\nquarantine delivery.lua"},
    {"function PreDeliver() Quarantine = User == 'ann' end", "<ann@one.test> <bob@one.test>",
	"continue"},
    /* of what PreDeliver() sets only some counts at once; DeliverMessage() sees all of it */
    {"function PreDeliver() Folders = {'Early'} Forwards = {'f@far.test'} end", "<ann@one.test>",
	"continue" MARK ADD("f@far.test")},
    {"function PreDeliver() Folders = {'Early'} end function DeliverMessage() end",
	"<ann@one.test>", "continue" FIELD("Folder", "Early")},
    /* forwards are each user's own */
    {"function DeliverMessage() if User == 'ann' then Forwards = {'f@far.test'} end end",
	"<ann@one.test> <bob@one.test>", "continue" MARK ADD("f@far.test")},
    {"function DeliverMessage() Forwards = {'f@far.test', '|x', 'bob'} Folders = {} end",
	"<ann@one.test>",
	"continue" MARK ADD("f@far.test") ADD("bob@own.test") REMOVE("ann@one.test")},
    {"function DeliverMessage() Folders = {} end", "<ann@one.test>", "continue"},
    /* to himself, or round in a circle: never to nobody */
    {"function DeliverMessage() Forwards = {User, 'ANN@one.test'} Folders = {} end",
	"<ann@one.test>", "continue"},
    {"function DeliverMessage() Forwards = {({ann = 'bob', bob = 'ann'})[User]} Folders = {} end",
	"<ann@one.test> <bob@own.test>",
	"continue" MARK MARK REMOVE("ann@one.test") ADD("ann@one.test") REMOVE("bob@own.test")},
    /* an alias is not taken away for one of its members */
    {"function DeliverMessage() Folders = {} Forwards = {'f@far.test'} end", "<plain@one.test>",
	"continue" MARK MARK ADD("f@far.test")},
    {"function DeliverMessage() Forwards = {'f@far.test'} Folders = {} "
     "ForwardingSenderAddress = 'me@one.test' ForwardingSenderText = 'Me' end",
	"<ann@one.test>",
	"continue" MARK "\nheader append Sender: Me <me@one.test>" ADD("f@far.test")
	    REMOVE("ann@one.test") "\nsender <me@one.test>"},
    /* a mailbox gets the same message: its return path stays */
    {"function DeliverMessage() Forwards = {'f@far.test'} "
     "ForwardingSenderAddress = 'me@one.test' end",
	"<ann@one.test>", "continue" MARK ADD("f@far.test")},
    {"function DeliverMessage() Folders = 5 Seen = {} end", "<ann@one.test>", "continue"},
    {"function DeliverMessage() Forwards = {'x@far.test'} error('no') end", "<ann@one.test>",
	"continue"},
    {"function DeliverMessage() Folders = {'a\\r\\nX-Evil: 1'} end", "<ann@one.test>", "continue"},
};

static void test_delivery(void **state)
{
	(void)state;
	open_rig("ann:\nbob: bob@own.test\n", "plain: ann, bob\n", NULL);
	for (size_t i = 0; i < sizeof deliveries / sizeof *deliveries; i++) {
		script("delivery.lua", deliveries[i].script);
		load();
		print_message("%s\n", deliveries[i].script);
		expect(STRANGER, deliveries[i].recipients, SUBJECT, 10, deliveries[i].wanted);
	}
	close_rig();
}

static void test_delivery_globals(void **state)
{
	(void)state;
	open_rig("ann:\n", "", NULL);
	script("delivery.lua",
	    "assert(User and Headers and Folders[1] == 'INBOX')\n"
	    "function DeliverMessage()\n"
	    "  assert(User == 'ann' and Subject == 'hi' and Originator == 's@away.test')\n"
	    "  assert(Filename == 'Q1' and MessageSize == 33 and SpamScore == -1)\n"
	    "  assert(not Held and not Seen and not Flagged and not Quarantine)\n"
	    "  assert(#Keywords == 0 and #Folders == 1 and #Forwards == 0 and #HeaderMods == 0)\n"
	    "  assert(ForwardingSenderAddress == '' and ForwardingSenderText == '')\n"
	    "  assert(Headers[1][1] == 'Subject' and Headers[2][2] == '-1')\n"
	    "  Flagged = true\n"
	    "end\n");
	expect(STRANGER, "<ann@one.test>", "Subject: hi|X-Spam-Score: -1", 0,
	    "continue" FIELD("Flags", "\\\\Flagged"));
	close_rig();
}

/* Nobody files mail for somebody else by sending our fields along (R7). */
static void test_forged_fields(void **state)
{
	(void)state;
	open_rig("ann:\n", "", NULL);
	script("delivery.lua", "function DeliverMessage() Folders = {'Mine'} end");
	expect(STRANGER, "<ann@one.test>",
	    "X-Mailhooks-Folder: a|x-mailhooks-FOLDER: b|X-Mailhooks-Folder : c|X-Mailhooks-Flags: "
	    "\\Deleted|X-Mailhooks-Folder-9: d|X-Mailhooks-Held: yes",
	    0,
	    "continue\nheader delete 3 X-Mailhooks-Folder\nheader delete 2 X-Mailhooks-Folder\n"
	    "header delete 1 X-Mailhooks-Folder\nheader delete 1 X-Mailhooks-Folder-9\n"
	    "header delete 1 X-Mailhooks-Flags\nheader delete 1 X-Mailhooks-Held" FIELD(
		"Folder", "Mine"));
	expect(STRANGER, "<x@away.test>", "X-Mailhooks-Folder: a", 0,
	    "continue\nheader delete 1 X-Mailhooks-Folder");
	close_rig();
}

/* The null sender stays: a bounce must never cause another one. */
static void test_bounce_keeps_its_sender(void **state)
{
	(void)state;
	open_rig("ann:\n", "", NULL);
	script("delivery.lua", "function DeliverMessage() Forwards = {'f@far.test'} Folders = {} "
			       "ForwardingSenderAddress = 'me@one.test' end");
	expect("<>", "<ann@one.test>", SUBJECT, 0,
	    "continue" MARK ADD("f@far.test") REMOVE("ann@one.test"));
	close_rig();
}

static void test_redirected_mail_is_delivered(void **state)
{
	(void)state;
	open_rig(people, "", NULL);
	script("user_redirect.lua",
	    "function MainDoRouting(u) if u == 'ann' then Assistants = 'bob' "
	    "RedirectToAssistant = true end end");
	script("bob/delivery.lua", "function DeliverMessage() Folders = {'For ann'} end");
	script("delivery.lua", "function DeliverMessage() error('not bob') end");
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0,
	    "continue" MARK FIELD("Folder", "For ann") ADD("bob@own.test") REMOVE("ann@one.test"));
	close_rig();
}

static void test_nobody_is_a_user(void **state)
{
	const char *const settings[] = {"local_domains=one.test", NULL};

	(void)state;
	script_rig_open(&rig, settings);
	set = NULL;
	users_path[0] = aliases_path[0] = '\0';
	script("user_redirect.lua", "function MainDoRouting() error('called') end");
	script("delivery.lua", "function PreDeliver() error('called') end");
	expect(STRANGER, "<ann@one.test>", SUBJECT, 0, "continue");
	assert_false(smtpsvr_needs(set)->session); /* the MTA is asked for nothing */
	close_rig();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_settings_alone),
	    cmocka_unit_test(test_globals),
	    cmocka_unit_test(test_routing),
	    cmocka_unit_test(test_names_of_the_hook),
	    cmocka_unit_test(test_aliases),
	    cmocka_unit_test(test_spam),
	    cmocka_unit_test(test_circles),
	    cmocka_unit_test(test_on_error),
	    cmocka_unit_test(test_store_away),
	    cmocka_unit_test(test_own_scripts),
	    cmocka_unit_test(test_broken_script_of_a_user),
	    cmocka_unit_test(test_many_own_scripts),
	    cmocka_unit_test(test_functions),
	    cmocka_unit_test(test_declared_settings),
	    cmocka_unit_test(test_delivery),
	    cmocka_unit_test(test_delivery_globals),
	    cmocka_unit_test(test_forged_fields),
	    cmocka_unit_test(test_bounce_keeps_its_sender),
	    cmocka_unit_test(test_redirected_mail_is_delivered),
	    cmocka_unit_test(test_nobody_is_a_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
