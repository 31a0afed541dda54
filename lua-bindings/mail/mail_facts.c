/* mail_facts.c - what the outbound side will want to know about a message: its facts in the store.
 *
 * mxserverrules.lua asks for the size and the number of tries, mxout.lua for recipients and times,
 * at a time when only the queue id or the next hop is known. So the milter notes them when the
 * message comes in, and the log follower keeps them up to date. Without a follower nobody says that
 * a message has gone, so its next hops are not noted: they would be asked about for weeks. A store
 * that does not answer costs a short wait and the hooks their exact figures, never the mail. */
#include "common/clock.h"
#include "common/dns/dns_name.h"
#include "common/limits.h"
#include "common/store/store_shared.h"
#include "lua-bindings/mail/mail.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	static const enum script_id outbound[] = {
	    SCRIPT_MXSERVERRULES, SCRIPT_MXOUT, SCRIPT_RELAYOUT};
	bool wanted = false;

	for (size_t i = 0; i < sizeof outbound / sizeof *outbound; i++)
		wanted |= script_set_has(set, outbound[i]);
	if (wanted)
		n->headers = n->body = true; /* they are counted, not kept */
	return wanted;
}

/* The next hop is the domain of the recipient, unless a map of the MTA says otherwise. */
static void note_next_hop(const struct mail *m, struct store_facts *f, const char *recipient)
{
	const char *at = strrchr(recipient, '@');
	char *domain = at != NULL ? dns_name_plain(at + 1) : NULL;

	if (m->config->maillog.source[0] != '\0' && domain != NULL &&
	    !strlist_has(&f->next_hops, domain) && f->next_hops.n < LIMIT_STORE_RECIPIENTS)
		strlist_add(&f->next_hops, domain);
	free(domain);
}

static void put(const struct mail *m, const struct store_facts *f)
{
	struct store *store = store_shared_get(m->config->store);
	int64_t left = m->deadline_ms - clock_ms();
	enum store_answer answer;

	if (store == NULL)
		return;
	answer = store_facts_put(store, m->id->queue, f, STORE_FACT_EVERY,
	    left < LIMIT_FACTS_MS ? (int)left : LIMIT_FACTS_MS);
	store_shared_put(store);
	store_shared_report(m->config->store, answer);
}

static void apply(struct mail *m)
{
	struct store_facts f = {
	    .size = (int64_t)message_size(m->message),
	    .arrival_ms = (int64_t)time(NULL) * 1000,
	};
	struct strlist recipients = STRLIST_INIT;

	mail_recipients(m, &recipients);
	for (size_t i = 0; i < recipients.n && f.recipients.n < LIMIT_STORE_RECIPIENTS; i++) {
		if (!mail_is_remote(m, recipients.v[i]) &&
		    strlist_has_nocase(m->recipients, recipients.v[i]))
			continue; /* of those we added ourselves nobody knows yet */
		strlist_add(&f.recipients, recipients.v[i]);
		note_next_hop(m, &f, recipients.v[i]);
	}
	if (f.recipients.n > 0 && m->id->queue[0] != '\0') {
		xreplace(&f.sender, mail_sender(m));
		put(m, &f);
	}
	strlist_clear(&recipients);
	store_facts_clear(&f);
}

const struct mail_stage mail_facts = {"message facts", needs, apply};
