/* mxout_sender.c - see mxout_sender.h. */
#include "lua-bindings/mail/mxout_sender.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/outgoing.h"
#include "lua-bindings/actions_table.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/mail/mail_mxout.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

bool mxout_sender_wanted(const struct script_set *set)
{
	return script_set_has_hook(set, SCRIPT_MXOUT, "ServerDetails") ||
	       script_set_has_hook(set, SCRIPT_MXOUT, "ModifyReturnPath");
}

/* ---- the instance ---- */

static enum instance_end call(struct mxout_sender *s, const struct instance_call *c)
{
	enum instance_end end = INSTANCE_ABSENT;
	struct instance *in = NULL;

	if (script_set_has_hook(s->mail->set, SCRIPT_MXOUT, c->hook))
		end = mail_mxout(s->mail, &in);
	return end == INSTANCE_DONE ? instance_call(in, c) : end;
}

/* May the message go on? */
static bool goes_on(const struct mxout_sender *s, enum instance_end end)
{
	return end != INSTANCE_FAILED || !instance_must_fail(s->mail->set);
}

/* The header lines in order, folds as they are in the message. */
static void l_push_header_lines(lua_State *L, const struct message *message)
{
	size_t n = message_header_count(message);

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		const struct header_field *f = message_header_field(message, i);

		lua_pushfstring(L, "%s:%s", f->name, f->value);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}

/* ---- ServerDetails ---- */

struct details_call {
	struct mxout_sender *sender;
	const char *domain;
	struct mxout_details d;
};

#define MEMBER(member) offsetof(struct mxout_details, member)

/* What can be honoured when the message comes in; the rest is asked again when it is sent. */
static const struct field details_fields[] = {
    {"useBATV", FIELD_BOOLEAN, MEMBER(use_batv), 0, true},
    {"returnAddressModifier", FIELD_BOOLEAN, MEMBER(modify), 0, true},
    {"defaultReturnAddress", FIELD_TEXT, MEMBER(default_address), 0, true},
};

#define DETAILS_FIELDS (sizeof details_fields / sizeof *details_fields)

static void l_set(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value);
	lua_setfield(L, -2, name);
}

static void l_push_parameters(lua_State *L, const struct details_call *c)
{
	static const char *const connection_ids[] = {"connnid", "connid", "connectionid"};
	struct mail *m = c->sender->mail;

	lua_createtable(L, 0, 9);
	l_set(L, "authsender", m->auth_user);
	l_set(L, "originator", mail_sender(m));
	l_set(L, "server", ""); /* not known before it is sent */
	l_set(L, "domain", c->domain);
	l_set(L, "connection", "");
	lua_pushinteger(L, (lua_Integer)message_size(m->message));
	lua_setfield(L, -2, "length");
	for (size_t i = 0; i < sizeof connection_ids / sizeof *connection_ids; i++) {
		lua_pushinteger(L, 0);
		lua_setfield(L, -2, connection_ids[i]);
	}
	l_iterable(L, -1);
}

static void l_push_actions(lua_State *L, const struct details_call *c)
{
	static const char *const on[] = {"tryESMTP", "tryTLS", "allowDSN"};
	static const char *const none[] = {"forceTLS", "verifyCert"};
	static const char *const empty[] = {
	    "HELOname", "nullReturnAddress", "checkCertName", "checkCertThumbprint"};

	lua_createtable(L, 0, 13);
	l_fields_push(L, lua_gettop(L), details_fields, DETAILS_FIELDS, &c->d);
	for (size_t i = 0; i < sizeof on / sizeof *on; i++) {
		lua_pushboolean(L, 1);
		lua_setfield(L, -2, on[i]);
	}
	for (size_t i = 0; i < sizeof none / sizeof *none; i++) {
		lua_pushinteger(L, 0);
		lua_setfield(L, -2, none[i]);
	}
	for (size_t i = 0; i < sizeof empty / sizeof *empty; i++)
		l_set(L, empty[i], "");
	lua_newtable(L);
	lua_setfield(L, -2, "timeouts");
	l_actions_keep(L);
}

static int l_details_args(lua_State *L, void *arg)
{
	const struct details_call *c = arg;

	l_push_parameters(L, c);
	l_push_header_lines(L, c->sender->mail->message);
	l_push_actions(L, c);
	return 3;
}

static void l_details_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct details_call *c = arg;

	(void)n;
	if (!l_actions_returned(L, first))
		in->wanted = "a table";
	else if (l_fields_read(L, first, details_fields, DETAILS_FIELDS, &c->d) != NULL)
		in->wanted = "a table with booleans for useBATV and returnAddressModifier and a "
			     "string for defaultReturnAddress";
}

/* d->use_batv: what holds without the hook; then what it says. */
static bool ask_domain(struct mxout_sender *s, const char *domain, struct mxout_details *d)
{
	struct details_call c = {s, domain, {.use_batv = d->use_batv}};
	struct instance_call ic = {"ServerDetails", l_details_args, l_details_results, &c};
	enum instance_end end = call(s, &ic);

	if (end == INSTANCE_DONE) {
		d->use_batv = c.d.use_batv;
		if (c.d.modify && !d->modify) {
			d->modify = true;
			d->default_address = c.d.default_address;
			c.d.default_address = NULL;
		}
	}
	free(c.d.default_address);
	return goes_on(s, end);
}

bool mxout_sender_details(struct mxout_sender *s, struct mxout_details *d)
{
	struct strlist asked = STRLIST_INIT;
	bool preset = d->use_batv, none_said_no = true, fine = true;

	if (!script_set_has_hook(s->mail->set, SCRIPT_MXOUT, "ServerDetails"))
		return true;
	for (size_t i = 0; fine && i < s->remote.n && asked.n < LIMIT_RETURN_PATH_DOMAINS; i++) {
		const char *at = strrchr(s->remote.v[i], '@');

		if (at == NULL || strlist_has_nocase(&asked, at + 1))
			continue;
		strlist_add(&asked, at + 1);
		d->use_batv = preset;
		fine = ask_domain(s, at + 1, d);
		none_said_no &= d->use_batv;
	}
	d->use_batv = asked.n > 0 ? none_said_no : preset;
	strlist_clear(&asked);
	return fine;
}

/* ---- ModifyReturnPath ---- */

struct modify_call {
	struct mxout_sender *sender;
	char *address;
};

static void l_push_now(lua_State *L)
{
	char text[32];
	time_t now = time(NULL);
	struct tm tm;

	strftime(text, sizeof text, "%Y%m%d%H%M%S", localtime_r(&now, &tm));
	lua_pushstring(L, text);
}

static int l_modify_args(lua_State *L, void *arg)
{
	const struct modify_call *c = arg;
	const struct mail *m = c->sender->mail;
	const char *subject = c->sender->subject;

	lua_pushstring(L, c->address);
	lua_pushstring(L, mail_sender(m));
	lua_pushstring(L, message_sender(m->message)->address);
	lua_pushstring(L, m->auth_user);
	l_push_list(L, &c->sender->remote);
	l_push_now(L);
	l_push_header_lines(L, m->message);
	lua_pushinteger(L, (lua_Integer)message_size(m->message));
	lua_pushstring(L, m->client != NULL ? m->client : "");
	lua_pushstring(L, subject != NULL ? subject : "");
	l_push_list(L, &c->sender->all);
	return 11;
}

/* "" is nothing returned, "<>" the null sender [R]; <a@b> is a@b. Anything else than one address
 * is a failure, and the computed one stays. */
static void l_modify_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	struct modify_call *c = arg;
	const char *text;
	char *address;
	size_t length;
	enum given given = n >= 1 ? l_to_string(L, first, &text, &length) : NOT_GIVEN;

	if (given == NOT_GIVEN || (given == GIVEN && length == 0))
		return;
	in->wanted = "an address, \"<>\" or nil";
	if (given != GIVEN || strlen(text) != length || length > LIMIT_ADDRESS_BYTES)
		return;
	if (length >= 2 && text[0] == '<' && text[length - 1] == '>')
		address = xstrndup(text + 1, length - 2);
	else
		address = xstrdup(text);
	if (address[0] != '\0' && outgoing_address(address) != NULL) {
		free(address);
		return;
	}
	in->wanted = NULL;
	free(c->address);
	c->address = address;
}

bool mxout_sender_modify(struct mxout_sender *s, char **address)
{
	struct modify_call c = {s, xstrdup(*address)};
	struct instance_call ic = {"ModifyReturnPath", l_modify_args, l_modify_results, &c};
	enum instance_end end;

	s->subject = message_header_unfolded(s->mail->message, "Subject");
	end = call(s, &ic);
	free(s->subject);
	s->subject = NULL;
	free(*address);
	*address = c.address;
	return goes_on(s, end);
}
