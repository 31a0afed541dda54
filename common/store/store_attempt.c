/* store_attempt.c - see store_attempt.h. */
#include "common/store/store_attempt.h"

#include "common/limits.h"
#include "common/store/store_text.h"

#include <stdlib.h>
#include <string.h>

static void copy_recipients(struct store_attempt_copy *c, const struct store_attempt *from)
{
	size_t most = from->nrecipients, bytes = 0, i;

	if (most > LIMIT_STORE_RECIPIENTS)
		most = LIMIT_STORE_RECIPIENTS;
	c->recipients = xcalloc(most, sizeof *c->recipients);
	for (i = 0; i < most; i++) {
		const struct store_recipient *r = &from->recipients[i];
		struct store_recipient *to = &c->recipients[i];

		to->address = store_text(&c->texts, r->address, LIMIT_STORE_TEXT_BYTES);
		to->result = store_text(&c->texts, r->result, LIMIT_STORE_TEXT_BYTES);
		bytes += strlen(to->address) + strlen(to->result);
		if (bytes > LIMIT_STORE_RECIPIENTS_BYTES)
			break;
	}
	c->a.recipients = c->recipients;
	c->a.nrecipients = i;
}

void store_attempt_copy(struct store_attempt_copy *c, const struct store_attempt *from)
{
	struct strlist *t = &c->texts;

	*c = (struct store_attempt_copy){.a = *from};
	c->a.event = store_key(t, from->event, LIMIT_STORE_EVENT_BYTES);
	c->a.queue_id = store_key(t, from->queue_id, LIMIT_STORE_KEY_BYTES);
	c->a.server = store_name(t, from->server, LIMIT_STORE_KEY_BYTES);
	c->a.address = store_name(t, from->address, LIMIT_STORE_KEY_BYTES);
	c->a.domain = store_name(t, from->domain, LIMIT_STORE_KEY_BYTES);
	c->a.provider = store_name(t, from->provider, LIMIT_STORE_KEY_BYTES);
	c->a.sender = store_text(t, from->sender, LIMIT_STORE_TEXT_BYTES);
	c->a.stage = store_text(t, from->stage, LIMIT_STORE_TEXT_BYTES);
	c->a.result = store_text(t, from->result, LIMIT_STORE_TEXT_BYTES);
	c->a.tls = store_text(t, from->tls, LIMIT_STORE_TEXT_BYTES);
	c->a.connection = store_text(t, from->connection, LIMIT_STORE_TEXT_BYTES);
	copy_recipients(c, from);
}

void store_attempt_copy_clear(struct store_attempt_copy *c)
{
	strlist_clear(&c->texts);
	free(c->recipients);
	*c = (struct store_attempt_copy){0};
}
