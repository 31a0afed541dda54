/* mail_users.c - see mail_users.h. */
#include "lua-bindings/mail/mail_users.h"

#include "common/clock.h"
#include "common/forward_trace.h"
#include "common/limits.h"
#include "common/outgoing.h"
#include "common/waiting.h"
#include "lua-bindings/convert.h"

#include <lauxlib.h>

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum users_answer mail_user_settings(const struct mail *m, const char *user, struct strlist *pairs)
{
	struct users *users = script_set_users(m->set);
	int64_t left = m->deadline_ms - clock_ms();
	enum users_answer answer;

	if (left <= 0 || !waiting_enter()) {
		users_presets(users, user, pairs);
		return USERS_UNKNOWN;
	}
	answer = users_settings(
	    users, user, pairs, left < LIMIT_USERS_STORE_MS ? (int)left : LIMIT_USERS_STORE_MS);
	waiting_leave();
	return answer;
}

/* ---- targets ---- */

/* Of several addresses the one in the recipient's domain. */
static const char *best_address(const struct strlist *addresses, const char *domain)
{
	for (size_t i = 0; i < addresses->n; i++) {
		const char *at = strrchr(addresses->v[i], '@');

		if (domain != NULL && at != NULL && strcasecmp(at, domain) == 0)
			return addresses->v[i];
	}
	return addresses->n > 0 ? addresses->v[0] : NULL;
}

char *mail_qualified(struct mail *m, const char *target, const char *recipient)
{
	struct users *users = script_set_users(m->set);
	struct strlist addresses = STRLIST_INIT;
	const char *domain = strrchr(recipient, '@'), *own;
	char *address;

	if (strchr(target, '@') != NULL)
		return xstrdup(target);
	users_addresses(users, target, &addresses);
	own = best_address(&addresses, domain);
	if (own != NULL)
		address = xstrdup(own);
	else
		address = xasprintf("%s%s", target, domain != NULL ? domain : "");
	strlist_clear(&addresses);
	return address;
}

bool mail_target(
    struct mail *m, const char *target, const char *recipient, const char *user, char **address)
{
	const char *why;

	*address = NULL;
	why = outgoing_address(target); /* a program must not hide behind a domain */
	if (why == NULL) {
		*address = mail_qualified(m, target, recipient);
		why = outgoing_address(*address);
	}
	if (why == NULL)
		return true;
	log_warn(m->id, "user %s: \"%.200s\" left out: %s", user, target, why);
	free(*address);
	*address = NULL;
	return false;
}

bool mail_is_own(const struct mail *m, const char *address, const char *user)
{
	char *owner = NULL;
	bool own = users_find(script_set_users(m->set), address, &owner) == USERS_YES &&
		   strcmp(owner, user) == 0;

	free(owner);
	return own;
}

/* ---- circles ---- */

bool mail_was_forwarded(struct mail *m, const char *user)
{
	char mark[FORWARD_TRACE_BYTES];

	if (message_header_instances(m->message, FORWARD_TRACE_FIELD) == 0 ||
	    !forward_trace(m->config->state_dir, user, mark))
		return false;
	for (size_t i = 0; i < message_header_count(m->message); i++) {
		const struct header_field *f = message_header_field(m->message, i);
		const char *value = f->value + strspn(f->value, " \t\r\n");

		if (strcasecmp(f->name, FORWARD_TRACE_FIELD) == 0 &&
		    strncmp(value, mark, strlen(mark)) == 0)
			return true;
	}
	return false;
}

void mail_mark_forwarded(struct mail *m, const char *user)
{
	char mark[FORWARD_TRACE_BYTES], value[FORWARD_TRACE_BYTES + 1];
	const char *why;

	if (!forward_trace(m->config->state_dir, user, mark))
		return;
	snprintf(value, sizeof value, " %s", mark);
	for (size_t i = 0; i < m->verdict->nheaders; i++)
		if (m->verdict->headers[i].value != NULL &&
		    strcmp(m->verdict->headers[i].name, FORWARD_TRACE_FIELD) == 0 &&
		    strcmp(m->verdict->headers[i].value, value) == 0)
			return;
	if (!verdict_header(m->verdict, HEADER_INSERT, FORWARD_TRACE_FIELD, 0, value, &why))
		log_bug(m->id, "mark of forwarded mail refused: %s", why);
}

/* ---- the message as scripts see it ---- */

bool mail_spam_score(const struct mail *m, double *score)
{
	const char *name = m->config->users.spam_field;
	char *text = *name != '\0' ? message_header_unfolded(m->message, name) : NULL, *end;
	bool valid = false;

	*score = 0;
	if (text != NULL) {
		errno = 0;
		*score = strtod(text, &end);
		valid = end != text && errno == 0 && isfinite(*score);
	}
	if (!valid)
		*score = 0;
	free(text);
	return valid;
}

/* The value without the folds and the blanks around it (RFC 5322 2.2.3). */
static void l_push_unfolded(lua_State *L, const char *value)
{
	luaL_Buffer b;
	size_t n = strlen(value);

	luaL_buffinit(L, &b);
	while (n > 0 && strchr(" \t\r\n", value[n - 1]) != NULL)
		n--;
	for (size_t i = strspn(value, " \t\r\n"); i < n; i++)
		if (value[i] != '\r' && value[i] != '\n')
			luaL_addchar(&b, value[i]);
	luaL_pushresult(&b);
}

static void l_push_lower(lua_State *L, const char *name)
{
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (; *name != '\0'; name++)
		luaL_addchar(&b, (char)(*name >= 'A' && *name <= 'Z' ? *name | 0x20 : *name));
	luaL_pushresult(&b);
}

/* "SUBJECT" after "Subject" replaces it; a second table, of the names in lower case, keeps that
 * linear in the number of fields, which the sender chooses. */
void l_push_header_table(lua_State *L, const struct message *message)
{
	int table, names;

	lua_newtable(L);
	table = lua_gettop(L);
	lua_newtable(L);
	names = table + 1;
	for (size_t i = 0; i < message_header_count(message); i++) {
		const struct header_field *f = message_header_field(message, i);

		l_push_lower(L, f->name);
		lua_pushvalue(L, -1);
		if (lua_rawget(L, names) == LUA_TNIL) { /* the first one's spelling stays */
			lua_pop(L, 1);
			lua_pushstring(L, f->name);
			lua_pushvalue(L, -2);
			lua_pushvalue(L, -2);
			lua_rawset(L, names);
		}
		l_push_unfolded(L, f->value);
		lua_rawset(L, table);
		lua_settop(L, names);
	}
	lua_settop(L, table);
	l_ignore_key_case(L, table);
}

void l_push_header_lines(lua_State *L, const struct message *message)
{
	struct strlist lines = STRLIST_INIT; /* empty: only gives the table its metatable */

	l_push_list(L, &lines);
	for (size_t i = 0; i < message_header_count(message); i++) {
		const struct header_field *f = message_header_field(message, i);

		lua_pushfstring(L, "%s:%s", f->name, f->value);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
}

void l_push_header_pairs(lua_State *L, const struct message *message)
{
	lua_createtable(L, (int)message_header_count(message), 0);
	for (size_t i = 0; i < message_header_count(message); i++) {
		const struct header_field *f = message_header_field(message, i);

		lua_createtable(L, 2, 0);
		lua_pushstring(L, f->name);
		lua_rawseti(L, -2, 1);
		l_push_unfolded(L, f->value);
		lua_rawseti(L, -2, 2);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}
