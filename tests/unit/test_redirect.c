/* VPOP3's rules for the mail of one user, one case a line: settings, size and sender in, mailbox
 * and targets out. */
#include "common/redirect.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <cmocka.h>

#define KIB 1024

/* "Name=value|Name=value" */
static void from_text(struct redirect *r, const char *text)
{
	struct strlist pairs = STRLIST_INIT;
	char *copy = xstrdup(text), *rest = copy, *item;

	while ((item = strsep(&rest, "|")) != NULL)
		if (*item != '\0') {
			strlist_add(&pairs, strsep(&item, "="));
			strlist_add(&pairs, item);
		}
	redirect_from_settings(r, &pairs);
	strlist_clear(&pairs);
	free(copy);
}

static bool is_sender(const char *address, void *arg)
{
	return strcasecmp(address, arg) == 0;
}

/* "mailbox a b", "a b", "mailbox nobody" */
static char *decided(const struct redirect *r, uint64_t bytes, const char *sender)
{
	struct redirect_result result;
	char *text;

	redirect_decide(r, bytes, is_sender, (char *)(uintptr_t)sender, &result);
	text = xstrdup(result.mailbox ? "mailbox" : "");
	for (size_t i = 0; i < result.targets.n; i++) {
		char *more = xasprintf("%s%s%s", text, *text ? " " : "", result.targets.v[i]);

		free(text);
		text = more;
	}
	if (result.nobody) {
		char *more = xasprintf("%s nobody", text);

		free(text);
		text = more;
	}
	strlist_clear(&result.targets);
	return text;
}

static const struct {
	const char *settings;
	uint64_t bytes;
	const char *sender, *wanted;
} cases[] = {
    {"", 1000, "x@y", "mailbox"},
    /* assistants */
    {"Assistants=bob", 1000, "x@y", "mailbox bob"},
    {"Assistants=bob; carl ;<dora@d.test>", 1000, "x@y", "mailbox bob carl dora@d.test"},
    {"Assistants=bob;BOB", 1000, "x@y", "mailbox bob"},
    {"Assistants=bob|RedirectToAssistant=yes", 1000, "x@y", "bob"},
    {"RedirectToAssistant=yes", 1000, "x@y", "mailbox"},
    {"Assistants= ; ,|RedirectToAssistant=yes", 1000, "x@y", "mailbox"},
    /* his own mail is not sent back to him */
    {"Assistants=bob|RedirectToAssistant=yes", 1000, "BOB", "mailbox"},
    {"Assistants=bob;carl|RedirectToAssistant=yes", 1000, "bob", "carl"},
    {"Assistants=bob", 1000, "bob", "mailbox"},
    /* a forward is not an assistant: it goes back, too */
    {"Forwards=bob|UseForwards=1", 1000, "bob", "mailbox bob"},
    {"Forwards=a@b,c@d|UseForwards=yes", 1000, "x@y", "mailbox a@b c@d"},
    {"Forwards=a@b|UseForwards=no", 1000, "x@y", "mailbox"},
    {"Forwards=a@b|UseForwards=off", 1000, "x@y", "mailbox"},
    {"Forwards=a@b|UseForwards=yes|SendToNormalRecipient=no", 1000, "x@y", "a@b"},
    /* nobody: the mailbox after all */
    {"SendToNormalRecipient=no", 1000, "x@y", "mailbox nobody"},
    {"SendToNormalRecipient=no|UseForwards=yes", 1000, "x@y", "mailbox nobody"},
    {"SendToNormalRecipient=no|Assistants=bob", 1000, "bob", "mailbox nobody"},
    {"SendToNormalRecipient=no|Assistants=bob", 1000, "x@y", "bob"},
    /* by size, in KiB */
    {"BigRedirectTarget=big@b|BigRedirectThreshold=10", 10 * KIB, "x@y", "mailbox"},
    {"BigRedirectTarget=big@b|BigRedirectThreshold=10", 10 * KIB + 1, "x@y", "big@b"},
    {"BigRedirectTarget=big@b|BigRedirectThreshold=10|BigRedirectCopy=yes", 11 * KIB, "x@y",
	"mailbox big@b"},
    {"BigRedirectTarget=big@b", 1, "x@y", "big@b"},
    {"SmallRedirectTarget=s@b|SmallRedirectThreshold=10", 10 * KIB, "x@y", "mailbox"},
    {"SmallRedirectTarget=s@b|SmallRedirectThreshold=10", 10 * KIB - 1, "x@y", "s@b"},
    {"SmallRedirectTarget=s@b", 0, "x@y", "mailbox"},
    {"SmallRedirectTarget=s@b|SmallRedirectThreshold=10|SmallRedirectCopy=1", 5, "x@y",
	"mailbox s@b"},
    {"BigRedirectTarget=big@b|BigRedirectThreshold=-5", 1, "x@y", "big@b"},
    {"BigRedirectTarget=|BigRedirectThreshold=1", 1 << 30, "x@y", "mailbox"},
    /* together */
    {"Assistants=bob|UseForwards=yes|Forwards=f@x|BigRedirectTarget=big@b", 1, "x@y",
	"bob f@x big@b"},
    {"Assistants=bob|Forwards=bob|UseForwards=yes", 1, "x@y", "mailbox bob"},
    /* what makes no sense has the default */
    {"BigRedirectTarget=big@b|BigRedirectThreshold=ten", 1, "x@y", "big@b"},
    {"SmallRedirectTarget=s@b|SmallRedirectThreshold=1e99", 1, "x@y", "mailbox"},
    {"SmallRedirectTarget=s@b|SmallRedirectThreshold=nan", 1, "x@y", "mailbox"},
    /* the later one of a name counts: the store's above the file's */
    {"Assistants=bob|Assistants=carl", 1, "x@y", "mailbox carl"},
    {"Assistants=bob|Assistants=", 1, "x@y", "mailbox"},
};

static void test_rules(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct redirect r;
		char *text;

		from_text(&r, cases[i].settings);
		text = decided(&r, cases[i].bytes, cases[i].sender);
		if (strcmp(text, cases[i].wanted) != 0)
			fail_msg("%s: %s instead of %s", cases[i].settings, text, cases[i].wanted);
		free(text);
		r.should_forward = false; /* whatever is set: nothing but the mailbox */
		text = decided(&r, cases[i].bytes, cases[i].sender);
		assert_string_equal(text, r.send_to_normal ? "mailbox" : "mailbox nobody");
		free(text);
		redirect_clear(&r);
	}
}

static void test_bigger_is_the_script_s_choice(void **state)
{
	struct redirect r;
	char *text;

	(void)state;
	from_text(&r, "BigRedirectTarget=big@b|BigRedirectThreshold=10");
	r.big.bigger = false;
	text = decided(&r, 5, "x@y");
	assert_string_equal(text, "big@b");
	free(text);
	redirect_clear(&r);
}

static void test_settings_are_listed(void **state)
{
	const char *preset, *help;
	size_t n = 0;

	(void)state;
	for (; redirect_setting(n, &preset, &help) != NULL; n++)
		assert_true(*help != '\0');
	assert_int_equal(n, 13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_bigger_is_the_script_s_choice),
	    cmocka_unit_test(test_settings_are_listed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
