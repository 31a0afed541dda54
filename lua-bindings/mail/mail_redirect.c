/* mail_redirect.c - user_redirect.lua: who gets the mail of a local user.
 *
 * For every recipient that is a user, or an alias of users only, the user's settings are read, his
 * own script or the one for all may change them for this message, and VPOP3's rules
 * (common/redirect.h) say where the mail goes. The result is a change of recipients: nobody is
 * removed unless somebody else gets the mail. What is added here is not routed again, and a message
 * that comes back in a circle is not forwarded a second time (common/forward_trace.h). */
#include "common/list.h"
#include "common/redirect.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail_users.h"
#include "lua-bindings/script_set_private.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Where the mail of one user goes. */
struct routed {
	char *user;
	bool mailbox; /* and to .targets, which are addresses */
	struct strlist targets;
};

struct routing { /* one message */
	struct mail *mail;
	struct users *users;
	char *sender_user; /* NULL: the sender is none */
	char *subject;
	bool spam_valid;
	double spam_score;
	struct routed *routed; /* the users so far */
	size_t nrouted;
	bool unknown; /* a store or name service did not answer */
};

/* ---- global variables ---- */

struct globals { /* of one user */
	struct routing *routing;
	const char *user;
	struct redirect redirect;
	const struct strlist *settings;
	enum script_id script;
};

#define OF_REDIRECT(member) offsetof(struct redirect, member)
#define OF_SIZE(member) offsetof(struct redirect_by_size, member)

static const struct field redirect_globals[] = {
    {"ShouldForward", FIELD_BOOLEAN, OF_REDIRECT(should_forward), 0, true},
    {"Assistants", FIELD_TEXT, OF_REDIRECT(assistants), 0, true},
    {"RedirectToAssistant", FIELD_BOOLEAN, OF_REDIRECT(redirect_to_assistant), 0, true},
    {"SendToNormalRecipient", FIELD_BOOLEAN, OF_REDIRECT(send_to_normal), 0, true},
    {"Forwards", FIELD_TEXT, OF_REDIRECT(forwards), 0, true},
    {"UseForwards", FIELD_BOOLEAN, OF_REDIRECT(use_forwards), 0, true},
};

static const struct field by_size[] = {
    {"Target", FIELD_TEXT, OF_SIZE(target), 0, true},
    {"Threshold", FIELD_INTEGER, OF_SIZE(threshold), 0, true},
    {"Copy", FIELD_BOOLEAN, OF_SIZE(copy), 0, true},
    {"Bigger", FIELD_BOOLEAN, OF_SIZE(bigger), 0, true},
};

static const struct {
	const char *name;
	size_t offset;
} tables[] = {{"BigRedirect", OF_REDIRECT(big)}, {"SmallRedirect", OF_REDIRECT(small)}};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void l_set_text(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value != NULL ? value : "");
	lua_setfield(L, -2, name);
}

/* UserSettings: what the script declares, as the user set it, else its default. */
static void l_push_user_settings(lua_State *L, const struct globals *g)
{
	const struct script_set *set = g->routing->mail->set;
	const struct script_setting *s;

	lua_newtable(L);
	for (size_t i = 0; (s = script_set_setting(set, g->script, i)) != NULL; i++) {
		const char *value = users_pair(g->settings, s->name);

		l_set_text(L, s->name, value != NULL ? value : s->preset);
	}
}

static void l_globals(lua_State *L, void *arg)
{
	struct globals *g = arg;
	const struct routing *r = g->routing;

	l_push_env(L);
	l_fields_push(L, -1, redirect_globals, COUNT(redirect_globals), &g->redirect);
	for (size_t i = 0; i < COUNT(tables); i++) {
		lua_createtable(L, 0, COUNT(by_size));
		l_fields_push(
		    L, -1, by_size, COUNT(by_size), (char *)&g->redirect + tables[i].offset);
		lua_setfield(L, -2, tables[i].name);
	}
	lua_pushinteger(L, (lua_Integer)message_size(r->mail->message));
	lua_setfield(L, -2, "MessageSize");
	lua_pushnumber(L, r->spam_score);
	lua_setfield(L, -2, "SpamScore");
	lua_pushboolean(L, r->spam_valid);
	lua_setfield(L, -2, "SpamScoreValid");
	l_set_text(L, "Sender", mail_sender(r->mail));
	l_set_text(L, "User", g->user);
	l_set_text(L, "Subject", r->subject);
	l_push_user_settings(L, g);
	lua_setfield(L, -2, "UserSettings");
	l_push_header_table(L, r->mail->message);
	lua_setfield(L, -2, "Headers1");
	l_push_header_lines(L, r->mail->message);
	lua_setfield(L, -2, "Headers2");
}

/* NULL, or what is of a wrong type. */
static const char *l_read_globals(lua_State *L, struct globals *g)
{
	const char *wrong;

	l_push_env(L);
	wrong = l_fields_read(L, -1, redirect_globals, COUNT(redirect_globals), &g->redirect);
	for (size_t i = 0; i < COUNT(tables); i++) {
		const char *in_table = NULL;

		lua_pushstring(L, tables[i].name);
		lua_rawget(L, -2);
		if (lua_istable(L, -1))
			in_table = l_fields_read(L, -1, by_size, COUNT(by_size),
			    (char *)&g->redirect + tables[i].offset);
		else if (!lua_isnil(L, -1))
			in_table = tables[i].name;
		wrong = wrong != NULL ? wrong : in_table;
		lua_pop(L, 1);
	}
	return wrong;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	(void)first, (void)n;
	if (l_read_globals(L, arg) != NULL)
		in->wanted = "(one of the global variables) of the type that it had";
}

/* Without a hook the top-level code has done all there is to do. */
static void l_read_only(lua_State *L, void *arg)
{
	l_read_globals(L, arg);
}

static int l_user(lua_State *L, void *arg)
{
	lua_pushstring(L, ((struct globals *)arg)->user);
	return 1;
}

/* ---- the script ---- */

/* False: it failed. */
static bool run_hooks(struct instance *in, struct globals *g)
{
	static const char *const hooks[] = {"MainDoRouting", "DoRouting"};
	struct instance_call call = {.l_args = l_user, .l_results = l_results, .arg = g};

	for (size_t i = 0; i < COUNT(hooks); i++) {
		call.hook = hooks[i];
		switch (instance_call(in, &call)) {
		case INSTANCE_ABSENT:
			continue;
		case INSTANCE_DONE:
			return true;
		case INSTANCE_FAILED:
			return false;
		}
	}
	return instance_inside(in, l_read_only, g);
}

/* A script that fails leaves the settings as they are, or the message refused (lua.on_error). */
static void run_script(struct globals *g)
{
	struct mail *m = g->routing->mail;
	struct instance in;
	bool fine;

	if (!script_set_for_user(m->set, SCRIPT_USER_REDIRECT, g->user, &g->script))
		return;
	switch (instance_open(&in, m->set, g->script, m->id, m->deadline_ms, l_globals, g)) {
	case INSTANCE_ABSENT:
		return;
	case INSTANCE_DONE:
		fine = run_hooks(&in, g);
		instance_close(&in);
		break;
	case INSTANCE_FAILED:
	default:
		fine = false;
	}
	if (fine)
		return;
	redirect_clear(&g->redirect);
	redirect_from_settings(&g->redirect, g->settings);
	mail_script_failed(m);
}

/* ---- one user ---- */

static bool is_sender(const char *address, void *arg)
{
	struct routing *r = arg;
	char *user = NULL;
	bool same = strcasecmp(address, mail_sender(r->mail)) == 0;

	if (!same && r->sender_user != NULL && users_find(r->users, address, &user) == USERS_YES)
		same = strcmp(user, r->sender_user) == 0;
	free(user);
	return same;
}

static void take_result(
    struct routing *r, const char *recipient, struct redirect_result *result, struct routed *out)
{
	out->mailbox = result->mailbox;
	for (size_t i = 0; i < result->targets.n; i++) {
		char *address;

		if (!mail_target(r->mail, result->targets.v[i], recipient, out->user, &address))
			continue;
		if (mail_is_own(r->mail, address, out->user)) /* the mailbox, then */
			out->mailbox = true;
		else if (!strlist_has_nocase(&out->targets, address))
			strlist_add(&out->targets, address);
		free(address);
	}
	if (result->nobody || (!out->mailbox && out->targets.n == 0)) {
		log_warn(r->mail->id,
		    "routing of user %s leaves nobody to deliver to; the mailbox is kept",
		    out->user);
		out->mailbox = true;
	}
}

static void decide(struct globals *g, const char *recipient, struct routed *out)
{
	struct routing *r = g->routing;
	struct redirect_result result;
	bool circle = mail_was_forwarded(r->mail, g->user);

	if (circle)
		g->redirect.should_forward = false;
	redirect_decide(&g->redirect, message_size(r->mail->message), is_sender, r, &result);
	if (circle)
		log_info(r->mail->id,
		    "message was forwarded for user %s before: not forwarded again", g->user);
	take_result(r, recipient, &result, out);
	strlist_clear(&result.targets);
}

static void spam_default(const struct routing *r, struct redirect *redirect)
{
	if (r->spam_valid && !redirect->forward_spam &&
	    r->spam_score >= (double)redirect->spam_threshold / 10)
		redirect->should_forward = false;
}

/* Asked once for each user, however many recipients are his. */
static const struct routed *route_user(struct routing *r, const char *user, const char *recipient)
{
	struct strlist settings = STRLIST_INIT;
	struct globals g = {.routing = r, .user = user, .settings = &settings};
	struct routed *out;

	for (size_t i = 0; i < r->nrouted; i++)
		if (strcmp(r->routed[i].user, user) == 0)
			return &r->routed[i];
	r->routed = xgrow(r->routed, r->nrouted, sizeof *r->routed);
	out = &r->routed[r->nrouted++];
	*out = (struct routed){.user = xstrdup(user)};
	if (mail_user_settings(r->mail, user, &settings) == USERS_UNKNOWN)
		r->unknown = true;
	redirect_from_settings(&g.redirect, &settings);
	spam_default(r, &g.redirect);
	run_script(&g);
	decide(&g, recipient, out);
	redirect_clear(&g.redirect);
	strlist_clear(&settings);
	return out;
}

/* ---- the recipients ---- */

static void add_once(struct strlist *list, const char *address)
{
	if (!strlist_has_nocase(list, address))
		strlist_add(list, address);
}

/* An alias whose members are all known and one of whom is routed elsewhere is replaced by them.
 * True: it is; wanted got the addresses. */
static bool route_members(struct routing *r, const char *recipient, const struct users_expansion *e,
    struct strlist *wanted)
{
	bool changed = false;
	struct strlist all = STRLIST_INIT;

	for (size_t i = 0; i < e->n; i++) {
		const struct users_target *t = &e->v[i];
		const struct routed *to;

		if (t->kind != USERS_USER) {
			if (t->kind != USERS_ALIAS)
				add_once(&all, t->address);
			continue;
		}
		to = route_user(r, t->user, recipient);
		changed |= !to->mailbox || to->targets.n > 0;
		if (to->mailbox)
			add_once(&all, e->n == 1 ? recipient : t->address);
		for (size_t k = 0; k < to->targets.n; k++)
			add_once(&all, to->targets.v[k]);
		if (to->targets.n > 0)
			mail_mark_forwarded(r->mail, t->user);
	}
	for (size_t i = 0; changed && i < all.n; i++)
		add_once(wanted, all.v[i]);
	strlist_clear(&all);
	return changed;
}

static void route_recipient(struct routing *r, const char *recipient, struct strlist *wanted)
{
	struct users_expansion e;
	bool changed = false;

	if (users_expand(r->users, recipient, false, 0, &e) == USERS_UNKNOWN)
		r->unknown = true;
	else if (!e.whole)
		log_debug(r->mail->id,
		    "recipient <%.200s> is an alias for more than addresses: not routed",
		    recipient);
	else
		changed = route_members(r, recipient, &e, wanted);
	if (!changed)
		add_once(wanted, recipient);
	users_expansion_clear(&e);
}

static void change_recipients(
    struct mail *m, const struct strlist *before, const struct strlist *wanted)
{
	const char *why;
	bool fine = true;

	for (size_t i = 0; i < wanted->n; i++) {
		if (strlist_has_nocase(before, wanted->v[i]))
			continue;
		if (verdict_recipient(m->verdict, true, wanted->v[i], NULL, &why)) {
			log_info(m->id, "recipient <%.200s> added by routing", wanted->v[i]);
		} else {
			log_warn(m->id,
			    "recipient \"%.200s\" of routing left out, nobody is removed: %s",
			    wanted->v[i], why);
			fine = false;
		}
	}
	for (size_t i = 0; fine && i < before->n; i++)
		if (!strlist_has_nocase(wanted, before->v[i]) &&
		    verdict_recipient(m->verdict, false, before->v[i], NULL, &why))
			log_info(m->id, "recipient <%.200s> removed by routing", before->v[i]);
}

static void begin(struct routing *r, struct mail *m)
{
	*r = (struct routing){.mail = m, .users = script_set_users(m->set)};
	users_find(r->users, mail_sender(m), &r->sender_user);
	r->subject = message_header_unfolded(m->message, "Subject");
	r->spam_valid = mail_spam_score(m, &r->spam_score);
}

static void end(struct routing *r)
{
	for (size_t i = 0; i < r->nrouted; i++) {
		free(r->routed[i].user);
		strlist_clear(&r->routed[i].targets);
	}
	free(r->routed);
	free(r->sender_user);
	free(r->subject);
}

static void apply(struct mail *m)
{
	struct strlist before = STRLIST_INIT, wanted = STRLIST_INIT;
	struct routing r;

	begin(&r, m);
	mail_recipients(m, &before);
	for (size_t i = 0; i < before.n && m->verdict->action == VERDICT_CONTINUE; i++)
		route_recipient(&r, before.v[i], &wanted);
	if (r.unknown) {
		log_warn(m->id, "users or their settings are not known at the moment: routed by "
				"what is known; lua.on_error decides");
		mail_script_failed(m);
	}
	if (m->verdict->action == VERDICT_CONTINUE)
		change_recipients(m, &before, &wanted);
	strlist_clear(&before);
	strlist_clear(&wanted);
	end(&r);
}

static bool has_script(const struct script_set *set, enum script_id kind)
{
	bool found = false;

	for (int i = 0; i < script_set_count(set); i++)
		found |= script_set_has(set, (enum script_id)i) &&
			 script_set_kind(set, (enum script_id)i) == kind;
	return found;
}

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	if (users_are_off(script_set_users(set))) {
		if (has_script(set, SCRIPT_USER_REDIRECT) || has_script(set, SCRIPT_DELIVERY))
			log_warn(NULL, "scripts for users are not called: users.source is \"\", so "
				       "nobody is a user");
		return false;
	}
	n->headers = n->body = n->recipient_changes = n->header_changes = true;
	return true;
}

const struct mail_stage mail_redirect = {"user_redirect.lua", needs, apply};
