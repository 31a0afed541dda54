/* passwordcheck.c - see passwordcheck.h. */
#include "lua-bindings/passwordcheck.h"

#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/instance.h"

#include <stdio.h>
#include <string.h>

struct question {
	const char *user, *password;
	int min_length;
	bool allowed;
	char *message;
	size_t size;
};

/* UTF-8 characters; any other bytes count one by one. */
static size_t characters(const char *s)
{
	size_t n = 0;

	for (; *s != '\0'; s++)
		n += ((unsigned char)*s & 0xc0) != 0x80;
	return n;
}

static int l_args(lua_State *L, void *arg)
{
	const struct question *q = arg;

	lua_pushstring(L, q->user);
	lua_pushstring(L, q->password);
	lua_pushinteger(L, q->min_length);
	return 3;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct question *q = arg;
	const char *text;
	size_t length;

	if (n >= 1 && l_to_bool(L, first, &q->allowed) == GIVEN_WRONG)
		in->wanted = "a boolean";
	if (n < 2)
		return;
	if (l_to_string(L, first + 1, &text, &length) == GIVEN) {
		snprintf(q->message, q->size, "%.*s", (int)strcspn(text, "\r\n"), text);
		return;
	}
	if (!lua_isnil(L, first + 1))
		in->wanted = "a string";
}

static enum passwordcheck ask(struct script_set *set, struct question *q)
{
	struct instance in;
	struct instance_call call = {"Check", l_args, l_results, q};
	int64_t deadline = clock_ms() + script_set_config(set)->lua.command_ms;
	enum instance_end end =
	    instance_open(&in, set, SCRIPT_PASSWORDCHECK, NULL, deadline, NULL, NULL);

	if (end == INSTANCE_DONE)
		end = instance_call(&in, &call);
	instance_close(&in);
	if (end == INSTANCE_FAILED)
		return PASSWORDCHECK_FAILED;
	return q->allowed ? PASSWORDCHECK_ALLOWED : PASSWORDCHECK_REFUSED;
}

enum passwordcheck passwordcheck(
    struct script_set *set, const char *user, const char *password, char *message, size_t size)
{
	int least = script_set_config(set)->password.min_length;
	struct question q = {user, password, least, true, message, size};
	enum passwordcheck answer;

	message[0] = '\0';
	if (characters(password) < (size_t)least) {
		snprintf(message, size, "The password is too short: at least %d characters", least);
		return PASSWORDCHECK_REFUSED;
	}
	answer = ask(set, &q);
	if (answer == PASSWORDCHECK_ALLOWED)
		message[0] = '\0';
	else if (answer == PASSWORDCHECK_FAILED)
		snprintf(message, size, "The password could not be checked and is refused");
	else if (message[0] == '\0')
		snprintf(message, size, "The password is not good enough");
	return answer;
}
