/* mail.c - see mail.h: the row of stages, and what they share. */
#include "lua-bindings/mail/mail.h"

#include "common/clock.h"
#include "lua-bindings/mail/mail_mxout.h"
#include "lua-bindings/script_set_private.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* In this order: whether it is taken, who gets the mail, what it says, where it goes. */
static const struct mail_stage *const stages[] = {
    &mail_rules,
    &mail_errors,
    &mail_redirect,
    &mail_delivery,
    &mail_signature,
    &mail_relay,
    &mail_return_path,
    &mail_checkfile,
    &mail_facts,
};

#define NSTAGES (sizeof stages / sizeof *stages)

_Static_assert(NSTAGES <= 32, "smtpsvr_needs.stages has a bit for each");

void mail_needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	for (size_t i = 0; i < NSTAGES; i++)
		if (stages[i]->needs(set, n))
			n->stages |= 1u << i;
	if (n->stages != 0)
		n->mail = n->rcpt = n->end_reply = true;
}

void mail_apply(struct mail *m)
{
	unsigned wanted = script_set_needs(m->set)->stages;

	for (size_t i = 0; i < NSTAGES && m->verdict->action == VERDICT_CONTINUE; i++) {
		if ((wanted >> i & 1) == 0)
			continue;
		if (clock_ms() >= m->deadline_ms) {
			log_warn(m->id, "%s: no time left of lua.command_ms; lua.on_error decides",
			    stages[i]->name);
			mail_script_failed(m);
			break;
		}
		stages[i]->apply(m);
	}
	mail_mxout_close(m);
	mime_free(m->mime);
	m->mime = NULL;
}

const struct mime *mail_mime(struct mail *m)
{
	if (!m->mime_tried)
		m->mime = mime_parse(m->message);
	m->mime_tried = true;
	return m->mime;
}

const char *mail_sender(const struct mail *m)
{
	return m->verdict->sender != NULL ? m->verdict->sender
					  : message_sender(m->message)->address;
}

static bool is_removed(const struct verdict *v, const char *address)
{
	bool removed = false;

	for (size_t i = 0; i < v->nrecipients; i++)
		if (strcasecmp(v->recipients[i].address, address) == 0)
			removed = !v->recipients[i].add;
	return removed;
}

void mail_recipients(const struct mail *m, struct strlist *out)
{
	const struct verdict *v = m->verdict;

	for (size_t i = 0; i < m->recipients->n; i++)
		if (!is_removed(v, m->recipients->v[i]) &&
		    !strlist_has_nocase(out, m->recipients->v[i]))
			strlist_add(out, m->recipients->v[i]);
	for (size_t i = 0; i < v->nrecipients; i++)
		if (v->recipients[i].add && !is_removed(v, v->recipients[i].address) &&
		    !strlist_has_nocase(out, v->recipients[i].address))
			strlist_add(out, v->recipients[i].address);
}

bool mail_is_remote(const struct mail *m, const char *recipient)
{
	return strlist_has_nocase(m->remote, recipient);
}

static bool same_domain(const char *a, const char *b)
{
	const char *at_a = strrchr(a, '@'), *at_b = strrchr(b, '@');

	return at_a == NULL || (at_b != NULL && strcasecmp(at_a, at_b) == 0);
}

bool mail_goes_out(const struct mail *m, const char *recipient)
{
	const char *at = strrchr(recipient, '@');

	if (strlist_has_nocase(m->recipients, recipient))
		return mail_is_remote(m, recipient);
	if (at == NULL || strlist_has_nocase(&m->config->local_domains, at + 1))
		return false;
	for (size_t i = 0; i < m->recipients->n; i++)
		if (!mail_is_remote(m, m->recipients->v[i]) &&
		    same_domain(recipient, m->recipients->v[i]))
			return false;
	return true;
}

void mail_script_failed(struct mail *m)
{
	/* a bounce of the MTA itself: refused, it would come again for days (observed) */
	if (m->local_submission && *message_sender(m->message)->address == '\0')
		return;
	switch (m->config->lua.on_error) {
	case ON_ERROR_ACCEPT:
		return;
	case ON_ERROR_TEMPFAIL:
		verdict_refuse_text(
		    m->verdict, 451, "4.3.0", "Local policy failed, try again later");
		return;
	case ON_ERROR_REJECT:
		verdict_refuse_text(m->verdict, 554, "5.3.0", "Local policy failed");
		return;
	}
}
