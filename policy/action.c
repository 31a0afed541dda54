/* action.c - see action.h. */
#include "policy/action.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/reply.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define EVERYWHERE (~0u)
#define IN_MESSAGE ((unsigned)STAGE_MAIL | STAGE_RCPT | STAGE_DATA | STAGE_END)

static const struct {
	const char *name;
	enum stage stage;
} stages[] = {
    {"CONNECT", STAGE_CONNECT},
    {"EHLO", STAGE_HELO},
    {"HELO", STAGE_HELO},
    {"MAIL", STAGE_MAIL},
    {"RCPT", STAGE_RCPT},
    {"DATA", STAGE_DATA},
    {"END-OF-MESSAGE", STAGE_END},
    {"VRFY", STAGE_VRFY},
    {"ETRN", STAGE_ETRN},
};

enum stage stage_of(const char *protocol_state)
{
	for (size_t i = 0; i < sizeof stages / sizeof *stages; i++)
		if (strcmp(protocol_state, stages[i].name) == 0)
			return stages[i].stage;
	return STAGE_OTHER;
}

/* ---- arguments: NULL when fine, else what is wrong ---- */

static const char *any_text(const char *s)
{
	(void)s;
	return NULL;
}

static const char *no_text(const char *s)
{
	return *s == '\0' ? NULL : "this action takes no text";
}

static const char *an_address(const char *s)
{
	const char *at = strrchr(s, '@');

	return at != NULL && at != s && at[1] != '\0' && s[strcspn(s, " \t<>")] == '\0'
		   ? NULL
		   : "this action needs an address: user@example.com";
}

static const char *a_transport(const char *s)
{
	const char *colon = strchr(s, ':');

	return colon != NULL && colon != s && s[strcspn(s, " \t")] == '\0'
		   ? NULL
		   : "FILTER needs transport:destination";
}

static const char *a_header(const char *s)
{
	size_t n = strcspn(s, ":");

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			n = 0;
	return n > 0 && s[n] == ':' && s[n + 1 + strspn(s + n + 1, " \t")] != '\0'
		   ? NULL
		   : "PREPEND needs a header line: Name: value";
}

/* ---- the actions ---- */

static const struct action {
	const char *word;
	unsigned stages; /* where it has an effect */
	const char *(*check)(const char *text);
	bool refuses;
} actions[] = {
    {"DUNNO", EVERYWHERE, no_text, false},
    {"OK", EVERYWHERE, no_text, false},
    {"REJECT", EVERYWHERE, any_text, true},
    {"DEFER", EVERYWHERE, any_text, true},
    {"DEFER_IF_PERMIT", EVERYWHERE, any_text, true},
    {"DEFER_IF_REJECT", EVERYWHERE, any_text, true},
    {"WARN", EVERYWHERE, any_text, false},
    {"INFO", EVERYWHERE, any_text, false},
    {"HOLD", IN_MESSAGE, any_text, false},
    {"DISCARD", IN_MESSAGE, any_text, false},
    {"FILTER", IN_MESSAGE, a_transport, false},
    {"REDIRECT", IN_MESSAGE, an_address, false},
    {"BCC", IN_MESSAGE, an_address, false},
    {"PREPEND", IN_MESSAGE & ~(unsigned)STAGE_END, a_header, false},
    {"permit_mynetworks", EVERYWHERE, no_text, false},
    {"permit_sasl_authenticated", EVERYWHERE, no_text, false},
    {"permit_auth_destination", STAGE_RCPT, no_text, false},
    {"reject_unauth_destination", STAGE_RCPT, no_text, false},
};

static const struct action *find(const char *text)
{
	size_t n = strcspn(text, " \t");

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (strlen(actions[i].word) == n && strncasecmp(actions[i].word, text, n) == 0)
			return &actions[i];
	return NULL;
}

/* A code and text, on one line: Postfix takes no more. A code alone would be OK to Postfix. */
static char *check_code(const char *s, size_t n, const char **why)
{
	struct reply reply;
	const char *policy;
	char *out = NULL;
	bool given;

	*why = "not an SMTP reply that refuses: a code from 400 to 599 and text";
	if (reply_parse(&reply, s, n, NULL) != REPLY_OK)
		return NULL;
	if (reply.code >= 400) {
		given = n >= 4 + strlen(reply.xcode) &&
			strncmp(s + 4, reply.xcode, strlen(reply.xcode)) == 0;
		policy = reply.code >= 500 ? "5.7.1" : "4.7.1"; /* what Postfix would add */
		out = xasprintf("%d %s %s", reply.code, given ? reply.xcode : policy,
		    *reply.lines[0] != '\0' ? reply.lines[0] : "Refused");
	}
	reply_free(&reply);
	return out;
}

static char *check_word(char *text, enum stage stage, const char **why)
{
	const struct action *a = find(text);
	size_t word = strcspn(text, " \t"), rest = word + strspn(text + word, " \t");

	if (a == NULL)
		*why = "not an action that Postfix knows";
	else if ((a->stages & stage) == 0)
		*why = "this action has no effect at this stage";
	else
		*why = a->check(text + rest);
	if (*why != NULL)
		return NULL;
	return text[rest] != '\0' ? xasprintf("%s %s", a->word, text + rest) : xstrdup(a->word);
}

static bool has_control(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)s[i] < ' ' && s[i] != '\t')
			return true;
	return memchr(s, 0x7f, n) != NULL;
}

char *action_check(const char *action, size_t n, enum stage stage, const char **why)
{
	char *text, *out;

	while (n > 0 && isspace((unsigned char)action[0]))
		action++, n--;
	while (n > 0 && isspace((unsigned char)action[n - 1]))
		n--;
	*why = "it is empty";
	if (n == 0)
		return NULL;
	if (isdigit((unsigned char)*action))
		return check_code(action, n, why);
	*why = "a control character, such as a line break, in it";
	if (has_control(action, n))
		return NULL;
	*why = "it is too long";
	if (n > LIMIT_POLICY_ACTION_BYTES)
		return NULL;
	*why = NULL;
	text = xstrndup(action, n);
	out = check_word(text, stage, why);
	free(text);
	for (char *p = out; p != NULL && *p != '\0'; p++)
		if (*p == '\t') /* the encoder takes no control character at all */
			*p = ' ';
	return out;
}

bool action_refuses(const char *action)
{
	const struct action *a = find(action);

	return isdigit((unsigned char)*action) || (a != NULL && a->refuses);
}
