/* smtpsvr_outcome.c - what the results of ProcessMessage() and DoDATAStart() do to the mail.
 *
 * Everything ends in a struct verdict. What cannot be done safely is left out and logged;
 * recipients are never emptied by accident. Source of the meanings: VPOP3 manual, ProcessMessage.
 */
#include "common/limits.h"
#include "common/list.h"
#include "common/outgoing.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- header lines ---- */

static void refused_line(struct smtpsvr *s, const char *line, const char *why)
{
	log_warn(s->id, "header line \"%.100s\" of the script left out: %s", line, why);
}

/* Split "Name: value" in a copy; value keeps its first blank. NULL: not a header line. */
static char *split_header(const char *line, char **value)
{
	size_t n = strcspn(line, ":");
	char *name;

	if (line[n] != ':' || n == 0 || n > LIMIT_HEADER_NAME_BYTES)
		return NULL;
	name = xstrdup(line);
	name[n] = '\0';
	while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t'))
		name[--n] = '\0'; /* "Name : value", as old scripts write it */
	*value = strchr(line, ':') - line + name + 1;
	return name;
}

static bool is_empty(const char *value)
{
	return value[strspn(value, " \t\r\n")] == '\0';
}

/* A line that begins with white space continues the one before it. */
static void join_folds(const struct strlist *lines, struct strlist *fields)
{
	for (size_t i = 0; i < lines->n; i++) {
		const char *line = lines->v[i];

		if ((line[0] == ' ' || line[0] == '\t') && fields->n > 0) {
			char *before = fields->v[fields->n - 1];

			fields->v[fields->n - 1] = xasprintf("%s\n%s", before, line);
			free(before);
		} else if (!is_empty(line)) {
			strlist_add(fields, line);
		}
	}
}

static void put_header(struct smtpsvr *s, struct verdict *v, enum header_op op, const char *line)
{
	const char *why = "not \"Name: value\"";
	char *value, *name = split_header(line, &value);

	if (name == NULL || !verdict_header(v, op, name, 0, value, &why))
		refused_line(s, line, why);
	free(name);
}

void outcome_header_lines(struct smtpsvr *s, struct verdict *v)
{
	struct strlist fields = STRLIST_INIT;

	join_folds(&s->header_lines, &fields);
	for (size_t i = fields.n; i-- > 0;) /* each goes to the top: the last one first */
		put_header(s, v, HEADER_INSERT, fields.v[i]);
	strlist_clear(&fields);
}

/* Whoever sends more fields than can be removed must not get them through (R7). */
static void cannot_remove(struct smtpsvr *s, struct verdict *v, const char *name, const char *why)
{
	log_warn(s->id, "message refused: a field \"%.100s\" cannot be removed: %s", name, why);
	verdict_refuse_text(v, 554, "5.6.0", "Too many header fields");
}

/* From the last one down to `first`: the numbers of those before stay right (R7). */
static void remove_instances(struct smtpsvr *s, struct verdict *v, const char *name, int first)
{
	const char *why;

	for (int i = (int)message_header_instances(s->message, name); i >= first; i--)
		if (!verdict_header(v, HEADER_DELETE, name, i, NULL, &why)) {
			cannot_remove(s, v, name, why);
			return;
		}
}

/* "Name: value" replaces every field of that name or adds one; "Name:" removes them. */
static void modify_header(struct smtpsvr *s, struct verdict *v, const char *line)
{
	const char *why = "not \"Name: value\"";
	char *value, *name = split_header(line, &value);
	bool present = name != NULL && message_header_instances(s->message, name) > 0;
	bool remove = name != NULL && is_empty(value), fine = false;

	if (remove) {
		why = outgoing_header_name(name);
		fine = why == NULL;
	} else if (name != NULL) {
		fine = verdict_header(
		    v, present ? HEADER_CHANGE : HEADER_APPEND, name, 1, value, &why);
	}
	if (!fine)
		refused_line(s, line, why);
	else if (!message_header_whole(s->message))
		cannot_remove(s, v, name, "the message has more header fields than are kept");
	else if (present)
		remove_instances(s, v, name, remove ? 1 : 2);
	free(name);
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, ": \t");

	return n == strcspn(b, ": \t") && strncasecmp(a, b, n) == 0;
}

static bool is_modified(const struct strlist *fields, const char *name)
{
	for (size_t i = 0; i < fields->n; i++)
		if (same_name(fields->v[i], name))
			return true;
	return false;
}

/* The fields a script removed one by one; a HeaderModifier for the name says all there is to say.
 * The last one goes first, so that the numbers of the others stay right on both MTAs (R7). */
static void remove_headers(
    struct smtpsvr *s, struct verdict *v, const bool *removed, const struct strlist *modifiers)
{
	const char *why;

	for (size_t i = message_header_count(s->message); i-- > 0;) {
		const char *name = message_header_field(s->message, i)->name;
		int number = 1;

		if (!removed[i] || is_modified(modifiers, name))
			continue;
		for (size_t k = 0; k < i; k++)
			number += strcasecmp(message_header_field(s->message, k)->name, name) == 0;
		if (!verdict_header(v, HEADER_DELETE, name, number, NULL, &why)) {
			cannot_remove(s, v, name, why);
			return;
		}
	}
}

static void modify_headers(
    struct smtpsvr *s, struct verdict *v, const struct strlist *lines, const bool *removed)
{
	struct strlist fields = STRLIST_INIT;

	join_folds(lines, &fields);
	remove_headers(s, v, removed, &fields);
	if (fields.n > LIMIT_HEADER_CHANGES)
		log_warn(s->id, "only the first %d of %zu HeaderModifiers are used",
		    LIMIT_HEADER_CHANGES, fields.n);
	for (size_t i = 0; i < fields.n && i < LIMIT_HEADER_CHANGES; i++) {
		bool later = false; /* of several for one name the last one counts */

		for (size_t k = i + 1; k < fields.n && !later; k++)
			later = same_name(fields.v[i], fields.v[k]);
		if (!later)
			modify_header(s, v, fields.v[i]);
	}
	strlist_clear(&fields);
}

/* ---- recipients ---- */

static void trim_address(const char **p, size_t *n)
{
	while (*n > 0 && (**p == ' ' || **p == '\t' || **p == '<'))
		(*p)++, (*n)--;
	while (*n > 0 && ((*p)[*n - 1] == ' ' || (*p)[*n - 1] == '\t' || (*p)[*n - 1] == '>'))
		(*n)--;
}

/* The addresses a script gave, cleaned, each once, without what is a recipient already. */
static void new_recipients(
    struct smtpsvr *s, const struct strlist *wanted, struct strlist *add, struct strlist *keep)
{
	for (size_t i = 0; i < wanted->n; i++) {
		const char *p = wanted->v[i];
		size_t n = strlen(p);
		char *address;

		trim_address(&p, &n);
		address = xstrndup(p, n);
		if (strlist_has_nocase(&s->recipients, address)) {
			if (!strlist_has_nocase(keep, address))
				strlist_add(keep, address);
		} else if (!strlist_has_nocase(add, address)) {
			strlist_add(add, address);
		}
		free(address);
	}
}

static size_t add_recipients(struct smtpsvr *s, struct verdict *v, const struct strlist *add)
{
	const char *why;
	size_t added = 0;

	for (size_t i = 0; i < add->n; i++) {
		if (verdict_recipient(v, true, add->v[i], NULL, &why)) {
			log_info(s->id, "recipient <%.200s> added", add->v[i]);
			added++;
		} else {
			log_warn(s->id, "recipient \"%.200s\" of the script left out: %s",
			    add->v[i], why);
		}
	}
	return added;
}

static void remove_recipient(struct smtpsvr *s, struct verdict *v, const char *address)
{
	const char *why;

	if (verdict_without(v, address, &why))
		log_info(s->id, "recipient <%.200s> removed", address);
	else
		log_warn(s->id, "message refused: recipient <%.200s> cannot be removed: %s",
		    address, why);
}

static void route(struct smtpsvr *s, struct verdict *v, bool original, const struct strlist *wanted)
{
	struct strlist add = STRLIST_INIT, keep = STRLIST_INIT;
	size_t added;

	new_recipients(s, wanted, &add, &keep);
	added = add_recipients(s, v, &add);
	if (!original && added + keep.n == 0)
		log_warn(s->id, "SendToOriginalRecipients is false and no recipient is given; "
				"the original recipients are kept");
	else if (!original)
		for (size_t i = 0; i < s->recipients.n; i++)
			if (!strlist_has_nocase(&keep, s->recipients.v[i]))
				remove_recipient(s, v, s->recipients.v[i]);
	strlist_clear(&add);
	strlist_clear(&keep);
}

/* ---- the actions table ---- */

void outcome_actions(struct smtpsvr *s, struct actions *a, struct hook_reply *h, struct verdict *v)
{
	if (h->parsed == REPLY_NONSENSE) { /* any text: documented as "results string" only */
		log_info(s->id, "ProcessMessage: %s", h->text);
		h->parsed = REPLY_NONE;
	}
	if (hooks_apply_reply(s, "ProcessMessage", h, v))
		return;
	if (a->ignore && a->delete) {
		verdict_refuse_text(
		    v, 550, "5.7.1", *a->reason != '\0' ? a->reason : "Message refused");
		return;
	}
	if (a->ignore) {
		log_info(s->id, "message discarded by ProcessMessage: %.200s", a->reason);
		verdict_discard(v);
		return;
	}
	if (!a->original || a->recipients.n > 0)
		route(s, v, a->original, &a->recipients);
	modify_headers(s, v, &a->header_modifiers, a->removed);
}

/* ---- ESMTP parameters ---- */

/* Of MAIL only RET and ENVID can be changed after the fact; the others describe the bytes. */
static char *sender_parameters(const char *parameters)
{
	char *copy = xstrdup(parameters), *rest = copy, *p, *out = xstrdup("");

	while ((p = strsep(&rest, " ")) != NULL) {
		char *more;

		if (strncmp(p, "RET=", 4) != 0 && strncmp(p, "ENVID=", 6) != 0)
			continue;
		more = xasprintf("%s%s%s", out, *out != '\0' ? " " : "", p);
		free(out);
		out = more;
	}
	free(copy);
	return out;
}

static bool is_removed(const struct verdict *v, const char *address)
{
	for (size_t i = 0; i < v->nrecipients; i++)
		if (!v->recipients[i].add && strcmp(v->recipients[i].address, address) == 0)
			return true;
	return false;
}

void outcome_parameters(struct smtpsvr *s, struct verdict *v)
{
	for (size_t i = 0; i < s->nchanged; i++) {
		const struct changed_parameters *c = &s->changed[i];
		const char *why = "";
		bool fine;

		if (c->recipient != NULL && is_removed(v, c->recipient))
			continue; /* ProcessMessage() took the recipient away */
		if (c->recipient == NULL) {
			char *p = sender_parameters(c->parameters);

			fine = verdict_sender(v, message_sender(s->message)->address, p, &why);
			free(p);
		} else {
			fine = verdict_recipient(v, false, c->recipient, NULL, &why) &&
			       verdict_recipient(v, true, c->recipient, c->parameters, &why);
		}
		if (!fine)
			log_warn(s->id, "parameters \"%.100s\" of the script left out: %s",
			    c->parameters, why);
	}
}

/* ---- block lists ---- */

/* The three variables are one choice. What the script switched on counts before what the
 * configuration did; with nothing on the client is refused. */
enum rbl_action outcome_rbl_action(const struct smtpsvr *s)
{
	const struct smtpsvr_globals *g = &s->globals;
	enum rbl_action set = s->config->rbl.action;
	bool same_target = strcmp(g->rbl_redirect, s->config->rbl.redirect) == 0;
	const struct {
		enum rbl_action action;
		bool on, configured;
	} choices[] = {
	    {RBL_ACTION_HEADER, g->rbl_accept, set == RBL_ACTION_HEADER},
	    {RBL_ACTION_DISCARD, g->rbl_blackhole, set == RBL_ACTION_DISCARD},
	    {RBL_ACTION_REDIRECT, *g->rbl_redirect != '\0',
		set == RBL_ACTION_REDIRECT && same_target},
	};

	for (int configured = 0; configured <= 1; configured++)
		for (size_t i = 0; i < sizeof choices / sizeof *choices; i++)
			if (choices[i].on && choices[i].configured == configured)
				return choices[i].action;
	return RBL_ACTION_REJECT;
}

void outcome_rbl(struct smtpsvr *s, struct verdict *v)
{
	const struct smtpsvr_globals *g = &s->globals;
	struct strlist target = STRLIST_INIT;
	enum rbl_action action = outcome_rbl_action(s);

	if (!g->rbl_found)
		return;
	if (action == RBL_ACTION_DISCARD) {
		log_info(s->id, "message discarded: the client is listed and RBLBlackhole is set");
		verdict_discard(v);
		return;
	}
	if (*g->rbl_header != '\0')
		put_header(s, v, HEADER_APPEND, g->rbl_header);
	if (action == RBL_ACTION_REDIRECT) {
		verdict_drop_recipients(v); /* instead of everybody, also of those added before */
		strlist_add(&target, g->rbl_redirect);
		route(s, v, false, &target);
		strlist_clear(&target);
	}
}
