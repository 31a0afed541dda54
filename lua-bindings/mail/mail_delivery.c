/* mail_delivery.c - delivery.lua: what happens to the mail of a local user in his mailbox.
 *
 * PreDeliver() and DeliverMessage() run for every user who gets the message, in an instance of his
 * own. They have no arguments; they change global variables. A milter has one message for all its
 * recipients: additional recipients can be given to each user alone, while header fields,
 * quarantine and the sender change only if everybody who gets the message agrees. Folder, flags and
 * keywords need a mailbox; they are handed on as header fields (X-Mailhooks-Folder,
 * X-Mailhooks-Flags, X-Mailhooks-Held) for a Sieve script. Fields of these names that come with
 * mail are removed. */
#include "common/list.h"
#include "common/mime_words.h"
#include "common/outgoing.h"
#include "lua-bindings/fields.h"
#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail_headers.h"
#include "lua-bindings/mail/mail_users.h"
#include "lua-bindings/script_set_private.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define INBOX "INBOX"
#define FOLDER_FIELDS 9 /* X-Mailhooks-Folder, X-Mailhooks-Folder-2 ... -9 */
#define FLAGS_FIELD "X-Mailhooks-Flags"
#define HELD_FIELD "X-Mailhooks-Held"
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* What the scripts of one user decide. */
struct delivery {
	bool held, seen, flagged, quarantine;
	struct strlist keywords, folders, forwards, header_mods;
	char *sender_address, *sender_text;
};

struct box { /* a user who gets the message */
	char *user, *recipient;
	struct delivery decided;
};

struct delivering { /* one message */
	struct mail *mail;
	struct users *users;
	char *subject;
	double spam_score;
	struct box *boxes;
	size_t nboxes;
	bool others; /* somebody else gets it, too */
};

struct call { /* for one user */
	struct delivering *all;
	const char *user;
	struct delivery *d;
	bool early; /* after PreDeliver() */
};

/* ---- global variables ---- */

#define AT(member) offsetof(struct delivery, member)
#define EARLY 1 /* read after PreDeliver(), the others only at the end (VPOP3 wiki) */

static const struct field delivery_globals[] = {
    {"Held", FIELD_BOOLEAN, AT(held), 0, true},
    {"Seen", FIELD_BOOLEAN, AT(seen), 0, true},
    {"Flagged", FIELD_BOOLEAN, AT(flagged), 0, true},
    {"Keywords", FIELD_LIST, AT(keywords), 0, true},
    {"Folders", FIELD_LIST, AT(folders), 0, true},
    {"Forwards", FIELD_LIST, AT(forwards), EARLY, true},
    {"HeaderMods", FIELD_LIST, AT(header_mods), EARLY, true},
    {"ForwardingSenderAddress", FIELD_TEXT, AT(sender_address), EARLY, true},
    {"ForwardingSenderText", FIELD_TEXT, AT(sender_text), EARLY, true},
    {"Quarantine", FIELD_BOOLEAN, AT(quarantine), EARLY, true},
};

static void l_set_text(lua_State *L, const char *name, const char *value)
{
	lua_pushstring(L, value != NULL ? value : "");
	lua_setfield(L, -2, name);
}

static void l_globals(lua_State *L, void *arg)
{
	const struct call *c = arg;
	const struct mail *m = c->all->mail;

	l_push_env(L);
	l_fields_push(L, -1, delivery_globals, COUNT(delivery_globals), c->d);
	l_set_text(L, "User", c->user);
	l_set_text(L, "Subject", c->all->subject);
	l_set_text(L, "Originator", mail_sender(m));
	l_set_text(L, "Filename", m->id->queue);
	lua_pushinteger(L, (lua_Integer)message_size(m->message));
	lua_setfield(L, -2, "MessageSize");
	lua_pushnumber(L, c->all->spam_score);
	lua_setfield(L, -2, "SpamScore");
	l_push_header_pairs(L, m->message);
	lua_setfield(L, -2, "Headers");
}

static const char *l_read_globals(lua_State *L, struct call *c)
{
	const char *wrong = NULL;

	l_push_env(L);
	for (size_t i = 0; i < COUNT(delivery_globals); i++)
		if ((!c->early || delivery_globals[i].group == EARLY) &&
		    !l_field_read(L, -1, &delivery_globals[i], c->d) && wrong == NULL)
			wrong = delivery_globals[i].name;
	return wrong;
}

static void l_results(lua_State *L, int first, int n, struct instance *in, void *arg)
{
	(void)first, (void)n;
	if (l_read_globals(L, arg) != NULL)
		in->wanted = "(one of the global variables) of the type that it had";
}

/* ---- the script ---- */

static void set_defaults(struct delivery *d)
{
	fields_clear(delivery_globals, COUNT(delivery_globals), d);
	strlist_add(&d->folders, INBOX);
}

static bool run_hooks(struct instance *in, struct call *c)
{
	struct instance_call call = {.hook = "PreDeliver", .l_results = l_results, .arg = c};

	c->early = true;
	if (instance_call(in, &call) == INSTANCE_FAILED)
		return false;
	if (c->d->quarantine || c->d->folders.n == 0)
		return true;
	c->early = false;
	call.hook = "DeliverMessage";
	return instance_call(in, &call) != INSTANCE_FAILED;
}

static void run_script(struct delivering *all, struct box *box)
{
	struct call c = {.all = all, .user = box->user, .d = &box->decided};
	struct mail *m = all->mail;
	struct instance in;
	enum script_id script;
	enum instance_end end;
	bool fine = false;

	set_defaults(c.d);
	if (!script_set_for_user(m->set, SCRIPT_DELIVERY, box->user, &script))
		return;
	end = instance_open(&in, m->set, script, m->id, m->deadline_ms, l_globals, &c);
	if (end == INSTANCE_DONE) {
		fine = run_hooks(&in, &c);
		instance_close(&in);
	}
	if (!fine && end != INSTANCE_ABSENT) {
		set_defaults(c.d);
		mail_script_failed(m);
	}
}

/* ---- who gets it ---- */

static void add_box(struct delivering *all, const char *user, const char *recipient)
{
	for (size_t i = 0; i < all->nboxes; i++)
		if (strcmp(all->boxes[i].user, user) == 0)
			return;
	all->boxes = xgrow(all->boxes, all->nboxes, sizeof *all->boxes);
	all->boxes[all->nboxes++] =
	    (struct box){.user = xstrdup(user), .recipient = xstrdup(recipient)};
}

static void add_recipient(struct delivering *all, const char *recipient)
{
	struct users_expansion e;

	if (users_expand(all->users, recipient, false, 0, &e) == USERS_UNKNOWN || !e.whole)
		all->others = true;
	for (size_t i = 0; i < e.n; i++)
		if (e.v[i].kind == USERS_USER)
			add_box(all, e.v[i].user, recipient);
		else if (e.v[i].kind != USERS_ALIAS)
			all->others = true;
	users_expansion_clear(&e);
}

static bool same_list(const struct strlist *a, const struct strlist *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

/* But for the forwards, which can differ. */
static bool same_decision(const struct delivery *a, const struct delivery *b)
{
	return a->held == b->held && a->seen == b->seen && a->flagged == b->flagged &&
	       a->quarantine == b->quarantine && same_list(&a->keywords, &b->keywords) &&
	       same_list(&a->folders, &b->folders) && same_list(&a->header_mods, &b->header_mods) &&
	       same_text(a->sender_address, b->sender_address) &&
	       same_text(a->sender_text, b->sender_text);
}

/* Is there anything in it that concerns the message as a whole? */
static bool is_plain(const struct delivery *d)
{
	return !d->held && !d->seen && !d->flagged && !d->quarantine && d->keywords.n == 0 &&
	       d->header_mods.n == 0 && d->folders.n == 1 &&
	       strcasecmp(d->folders.v[0], INBOX) == 0;
}

static bool all_agree(const struct delivering *all)
{
	for (size_t i = 1; i < all->nboxes; i++)
		if (!same_decision(&all->boxes[0].decided, &all->boxes[i].decided))
			return false;
	return !all->others;
}

/* ---- recipients ---- */

/* The addresses a user's script adds; false: none. */
static bool add_forwards(struct mail *m, const struct box *box)
{
	struct strlist now = STRLIST_INIT;
	const char *why;
	size_t added = 0;

	if (box->decided.forwards.n > 0 && mail_was_forwarded(m, box->user)) {
		log_info(m->id, "message was forwarded for user %s before: not forwarded again",
		    box->user);
		return false;
	}
	mail_recipients(m, &now);
	for (size_t i = 0; i < box->decided.forwards.n; i++) {
		char *address;

		if (!mail_target(
			m, box->decided.forwards.v[i], box->recipient, box->user, &address))
			continue;
		if (mail_is_own(m, address, box->user)) {
			log_info(m->id, "forward of user %s to himself left out", box->user);
		} else if (strlist_has_nocase(&now, address)) {
			added++; /* he gets it already */
		} else if (verdict_recipient(m->verdict, true, address, NULL, &why)) {
			log_info(m->id, "recipient <%.200s> added by delivery.lua of user %s",
			    address, box->user);
			added++;
		}
		free(address);
	}
	strlist_clear(&now);
	if (added > 0)
		mail_mark_forwarded(m, box->user);
	return added > 0;
}

/* No folder: he wants no copy, which goes if somebody else gets the message instead. An alias
 * stands for others, too: it cannot be taken away for one of them. */
static bool leave_mailbox(struct mail *m, const struct box *box, bool forwarded)
{
	struct strlist now = STRLIST_INIT;
	const char *why;
	bool left = false;

	if (box->decided.folders.n > 0)
		return false;
	mail_recipients(m, &now);
	if (!forwarded || now.n < 2 || !strlist_has_nocase(&now, box->recipient) ||
	    !mail_is_own(m, box->recipient, box->user))
		log_warn(m->id,
		    "user %s has no folder for the message, and no forward that he alone gets it "
		    "by; the mailbox is kept",
		    box->user);
	else
		left = verdict_recipient(m->verdict, false, box->recipient, NULL, &why);
	strlist_clear(&now);
	return left;
}

/* ---- the message as a whole ---- */

static bool has_control(const char *s)
{
	while (*s != '\0' && !iscntrl((unsigned char)*s))
		s++;
	return *s != '\0';
}

static void set_field(struct mail *m, const char *name, const char *value)
{
	const char *why = "a control character";
	char *encoded = mime_words_encode(value);
	char *checked = !has_control(value) ? outgoing_header_value(encoded, &why) : NULL;

	if (checked == NULL || !verdict_header(m->verdict, HEADER_APPEND, name, 0, checked, &why))
		log_warn(m->id, "%s: \"%.100s\" left out: %s", name, value, why);
	free(checked);
	free(encoded);
}

/* "", "-2", "-3" ... */
static void folder_field(int number, char *name, size_t size)
{
	if (number == 1)
		snprintf(name, size, "X-Mailhooks-Folder");
	else
		snprintf(name, size, "X-Mailhooks-Folder-%d", number);
}

/* The first field that cannot be removed refuses the message, and is the only one in the log. */
static void remove_forged(struct mail *m)
{
	static const char *const others[] = {FLAGS_FIELD, HELD_FIELD};
	char name[40];

	for (int i = 1; i <= FOLDER_FIELDS && m->verdict->action == VERDICT_CONTINUE; i++) {
		folder_field(i, name, sizeof name);
		mail_remove_headers(m, name);
	}
	for (size_t i = 0; i < COUNT(others) && m->verdict->action == VERDICT_CONTINUE; i++)
		mail_remove_headers(m, others[i]);
}

static bool is_keyword(const char *s)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789$_.-";

	return *s != '\0' && strlen(s) <= 100 && s[strspn(s, letters)] == '\0';
}

/* What Sieve's addflag takes: flags and keywords with blanks between them. */
static void hand_on_flags(struct mail *m, const struct delivery *d)
{
	char *flags = xasprintf("%s%s", d->seen ? "\\Seen " : "", d->flagged ? "\\Flagged " : "");

	for (size_t i = 0; i < d->keywords.n; i++) {
		char *more;

		if (!is_keyword(d->keywords.v[i])) {
			log_warn(m->id,
			    "keyword \"%.100s\" left out: letters, digits and $_.- are "
			    "wanted",
			    d->keywords.v[i]);
			continue;
		}
		more = xasprintf("%s%s ", flags, d->keywords.v[i]);
		free(flags);
		flags = more;
	}
	if (*flags != '\0') {
		flags[strlen(flags) - 1] = '\0';
		set_field(m, FLAGS_FIELD, flags);
	}
	free(flags);
	if (d->held)
		set_field(m, HELD_FIELD, "yes");
}

static void hand_on_folders(struct mail *m, const struct delivery *d)
{
	char name[40];

	if (d->folders.n == 1 && strcasecmp(d->folders.v[0], INBOX) == 0)
		return;
	for (size_t i = 0; i < d->folders.n && i < FOLDER_FIELDS; i++) {
		folder_field((int)i + 1, name, sizeof name);
		set_field(m, name, d->folders.v[i]);
	}
	if (d->folders.n > FOLDER_FIELDS)
		log_warn(m->id, "only the first %d of %zu folders are handed on", FOLDER_FIELDS,
		    d->folders.n);
}

static void change_message(struct mail *m, const struct delivery *d)
{
	for (size_t i = 0; i < d->header_mods.n; i++)
		mail_modify_header(m, d->header_mods.v[i]);
	hand_on_folders(m, d);
	hand_on_flags(m, d);
	if (d->quarantine)
		verdict_quarantine(m->verdict, "delivery.lua");
}

/* The sender of what is forwarded. The null sender stays: a bounce must never cause one. */
static void change_sender(struct mail *m, const struct delivery *d)
{
	const char *why;
	char *line, *sender, *field;

	if (d->sender_address == NULL || *d->sender_address == '\0' || *mail_sender(m) == '\0')
		return;
	if (!verdict_sender(m->verdict, d->sender_address, NULL, &why)) {
		log_warn(m->id, "ForwardingSenderAddress \"%.200s\" not used: %s",
		    d->sender_address, why);
		return;
	}
	log_info(m->id, "sender of the forwarded message is <%.200s>", d->sender_address);
	if (d->sender_text == NULL || *d->sender_text == '\0')
		return;
	if (d->sender_text[strcspn(d->sender_text, "\"\\\r\n")] != '\0')
		return;
	line = xasprintf("\"%s\" <%s>", d->sender_text, d->sender_address);
	sender = mime_words_encode_addresses(line);
	field = xasprintf("Sender: %s", sender);
	mail_modify_header(m, field);
	free(field);
	free(sender);
	free(line);
}

/* ---- the stage ---- */

static void decide(struct delivering *all)
{
	struct mail *m = all->mail;
	bool agree = all_agree(all), mailbox = all->others, forwarded = false;

	for (size_t i = 0; i < all->nboxes; i++) {
		const struct box *box = &all->boxes[i];
		bool mine = add_forwards(m, box);

		forwarded |= mine;
		mailbox |= !leave_mailbox(m, box, mine);
		if (!agree && !is_plain(&box->decided))
			log_warn(m->id,
			    "header fields, folders, flags and quarantine of user %s left out: "
			    "others get the same message and do not have the same",
			    box->user);
	}
	if (agree && all->nboxes > 0)
		change_message(m, &all->boxes[0].decided);
	if (agree && forwarded && !mailbox)
		change_sender(m, &all->boxes[0].decided);
	else if (forwarded && all->boxes[0].decided.sender_address != NULL &&
		 *all->boxes[0].decided.sender_address != '\0')
		log_info(
		    m->id, "ForwardingSenderAddress not used: a mailbox gets the same message");
}

static void apply(struct mail *m)
{
	struct delivering all = {.mail = m, .users = script_set_users(m->set)};
	struct strlist recipients = STRLIST_INIT;

	remove_forged(m);
	all.subject = message_header_unfolded(m->message, "Subject");
	mail_spam_score(m, &all.spam_score);
	mail_recipients(m, &recipients);
	for (size_t i = 0; i < recipients.n; i++)
		add_recipient(&all, recipients.v[i]);
	for (size_t i = 0; i < all.nboxes; i++)
		if (m->verdict->action == VERDICT_CONTINUE)
			run_script(&all, &all.boxes[i]);
	if (m->verdict->action == VERDICT_CONTINUE)
		decide(&all);
	for (size_t i = 0; i < all.nboxes; i++) {
		free(all.boxes[i].user);
		free(all.boxes[i].recipient);
		fields_clear(delivery_globals, COUNT(delivery_globals), &all.boxes[i].decided);
	}
	free(all.boxes);
	free(all.subject);
	strlist_clear(&recipients);
}

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	bool found = false;

	for (int i = 0; i < script_set_count(set); i++)
		found |= script_set_has(set, (enum script_id)i) &&
			 script_set_kind(set, (enum script_id)i) == SCRIPT_DELIVERY;
	if (!found || users_are_off(script_set_users(set)))
		return false;
	n->headers = n->body = n->recipient_changes = n->header_changes = true;
	n->sender_changes = n->quarantine = true;
	return true;
}

const struct mail_stage mail_delivery = {"delivery.lua", needs, apply};
