/* apply.c - a verdict becomes libmilter calls. The quirks of the MTAs live here, each with its
 * reason.
 *
 * Code class, enhanced code and return value always agree (a mismatch makes Postfix answer
 * 451 4.3.5 and Sendmail a text of its own, observed). */
#include "common/list.h"
#include "common/verdict.h"
#include "milter/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACE_BYTES (1 << 20) /* handed to libmilter at once */

/* ---- replies ---- */

static bool is_ascii(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text & 0x80)
			return false;
	return true;
}

/* libmilter passes reply text through a printf of the MTA: every % must be doubled (trap T15, R2).
 * ascii_only: '?' for each character beyond ASCII; whatever 10xxxxxx follows belongs to it. */
static char *outgoing_text(const char *text, bool ascii_only)
{
	char *out = xmalloc(2 * strlen(text) + 1), *q = out;

	for (const char *p = text; *p != '\0'; p++) {
		if (ascii_only && (*p & 0x80)) {
			if ((*p & 0xC0) != 0x80 || p == text || !(p[-1] & 0x80))
				*q++ = '?';
			continue;
		}
		if (*p == '%')
			*q++ = '%';
		*q++ = *p;
	}
	*q = '\0';
	return out;
}

/* Sendmail takes the eighth bit off every byte of a reply: 0x8D 0x8A would end it, and what
 * follows would be another reply (observed, R10). */
static bool ascii_only(const struct session *s, const struct reply *r)
{
	bool ascii = true;

	for (int i = 0; i < r->nlines; i++)
		ascii &= is_ascii(r->lines[i]);
	if (ascii || s->mta == MTA_POSTFIX)
		return false;
	if (script_set_first(s->set, "reply beyond ASCII"))
		log_warn(&s->id, "Sendmail cannot send a reply with characters beyond ASCII: each "
				 "becomes a '?' (logged once for each loading of the scripts)");
	return true;
}

/* smfi_setmlreply() takes its lines as arguments only, up to 32 of them. */
#define LINES_8(l, i) l[i], l[i + 1], l[i + 2], l[i + 3], l[i + 4], l[i + 5], l[i + 6], l[i + 7]

/* At connect a 421 closes on Sendmail when it has one line only, and neither MTA shows its text
 * (observed). */
static int lines_to_send(enum stage stage, const struct reply *r)
{
	return stage == STAGE_CONNECT && r->code == 421 ? 1 : r->nlines;
}

static int set_reply(SMFICTX *ctx, const struct session *s, enum stage stage, const struct reply *r)
{
	char code[4], *l[LIMIT_REPLY_LINES] = {NULL};
	bool ascii = ascii_only(s, r);
	int rc, n = lines_to_send(stage, r);

	snprintf(code, sizeof code, "%03d", r->code);
	for (int i = 0; i < n; i++)
		l[i] = outgoing_text(r->lines[i], ascii);
	if (n == 1)
		rc = smfi_setreply(ctx, code, (char *)r->xcode, l[0]);
	else
		rc = smfi_setmlreply(ctx, code, (char *)r->xcode, LINES_8(l, 0), LINES_8(l, 8),
		    LINES_8(l, 16), LINES_8(l, 24), (char *)NULL);
	for (int i = 0; i < n; i++)
		free(l[i]);
	return rc;
}

/* Where the session's refusal is better said at MAIL, by the session itself (421 closes and is
 * always said at once): Sendmail loses the text of a refusal at connect; and both MTAs answer EHLO
 * with 250 and stay refusing for good, whatever a later DoHELO() says (observed). */
static bool said_at_mail(enum mta mta, enum stage stage)
{
	return stage == STAGE_HELO || (stage == STAGE_CONNECT && mta == MTA_SENDMAIL);
}

static sfsistat refuse(SMFICTX *ctx, struct session *s, enum stage stage, const struct reply *r)
{
	if (r->code != 421 && said_at_mail(s->mta, stage))
		return s->no_reply[stage] ? SMFIS_NOREPLY : SMFIS_CONTINUE;
	if (s->no_reply[stage]) {
		/* only a hook that did not exist when the script was loaded gets here */
		log_warn(&s->id,
		    "refusal %d not sent: the MTA was told that this step is never refused; "
		    "define the hook at the top level of the script",
		    r->code);
		return SMFIS_NOREPLY;
	}
	if (set_reply(ctx, s, stage, r) != MI_SUCCESS)
		log_bug(&s->id, "smfi_setreply refused %d %s \"%.60s\"", r->code, r->xcode,
		    r->lines[0]);
	return r->code < 500 ? SMFIS_TEMPFAIL : SMFIS_REJECT;
}

/* ---- changes at the end of the message ---- */

static void failed(struct session *s, const char *what, const char *of)
{
	log_error(
	    &s->id, "%s \"%.100s\" failed: the MTA or the negotiation does not allow it", what, of);
}

static void change_header(SMFICTX *ctx, struct session *s, const struct header_change *h)
{
	char *value = h->value;
	int rc = MI_FAILURE;

	if (value != NULL && !s->leading_space && *value == ' ')
		value++; /* this MTA puts the blank there itself */
	switch (h->op) {
	case HEADER_INSERT:
		rc = smfi_insheader(ctx, h->index, h->name, value);
		break;
	case HEADER_APPEND:
		rc = smfi_addheader(ctx, h->name, value);
		break;
	case HEADER_CHANGE:
		rc = smfi_chgheader(ctx, h->name, h->index, value);
		break;
	case HEADER_DELETE:
		rc = smfi_chgheader(ctx, h->name, h->index, NULL);
		break;
	}
	if (rc != MI_SUCCESS)
		failed(s, "change of header", h->name);
}

static void change_recipient(SMFICTX *ctx, struct session *s, const struct recipient_change *r)
{
	char *address = xasprintf("<%s>", r->address);
	int rc;

	if (!r->add)
		rc = smfi_delrcpt(ctx, address);
	else if (r->parameters != NULL && *r->parameters != '\0')
		rc = smfi_addrcpt_par(ctx, address, r->parameters);
	else
		rc = smfi_addrcpt(ctx, address);
	if (rc != MI_SUCCESS)
		failed(s, r->add ? "adding recipient" : "removing recipient", r->address);
	free(address);
}

static void change_sender(SMFICTX *ctx, struct session *s, const struct verdict *v)
{
	char *address, *parameters = v->sender_parameters;

	/* Sendmail turns the null sender into MAILER-DAEMON, and sends "AUTH=" without a value
	 * along with parameters, which is a syntax error to the next host (observed, trap T10). */
	if (s->mta == MTA_SENDMAIL && *v->sender == '\0') {
		log_warn(&s->id, "sender not changed: Sendmail cannot be given the null sender");
		return;
	}
	if (s->mta == MTA_SENDMAIL && parameters != NULL && *parameters != '\0') {
		log_warn(
		    &s->id, "parameters of MAIL not changed: Sendmail would send a broken AUTH=");
		parameters = NULL;
	}
	address = xasprintf("<%s>", v->sender);
	if (smfi_chgfrom(ctx, address,
		parameters != NULL && *parameters != '\0' ? parameters : NULL) != MI_SUCCESS)
		failed(s, "change of sender to", v->sender);
	free(address);
}

/* New parameters for a recipient are a removal and an addition. Sendmail keeps the old ones then.
 */
static bool is_new_parameters(const struct verdict *v, size_t i)
{
	const struct recipient_change *r = &v->recipients[i];

	return !r->add && i + 1 < v->nrecipients && r[1].add &&
	       strcmp(r->address, r[1].address) == 0;
}

static void change_recipients(SMFICTX *ctx, struct session *s, const struct verdict *v)
{
	for (size_t i = 0; i < v->nrecipients; i++) {
		if (s->mta == MTA_SENDMAIL && is_new_parameters(v, i)) {
			log_warn(&s->id,
			    "parameters of RCPT not changed: Sendmail keeps those of <%.200s>",
			    v->recipients[i].address);
			i++;
		} else {
			change_recipient(ctx, s, &v->recipients[i]);
		}
	}
}

/* Each call adds to the new body; libmilter cuts it into packets of the protocol itself. */
static bool replace_body(void *ctx, const void *bytes, size_t n)
{
	size_t done = 0;

	do {
		size_t now = n - done < REPLACE_BYTES ? n - done : REPLACE_BYTES;

		if (smfi_replacebody(ctx, (unsigned char *)bytes + done, (int)now) != MI_SUCCESS)
			return false;
		done += now;
	} while (done < n);
	return true;
}

/* False: the MTA may have a part of the new body, so the message must not go on. */
static bool change_body(SMFICTX *ctx, struct session *s, const struct verdict *v)
{
	const struct mime_sink sink = {replace_body, ctx};

	if (!(s->actions & SMFIF_CHGBODY)) {
		failed(s, "change of the", "body");
		return true;
	}
	switch (verdict_write_body(v, &sink)) {
	case MIME_OK:
		return true;
	case MIME_UNREAD:
		log_error(&s->id, "the stored message cannot be read: %s", strerror(errno));
		return false;
	default:
		failed(s, "change of the", "body");
		return false;
	}
}

static bool change_message(SMFICTX *ctx, struct session *s, const struct verdict *v)
{
	for (size_t i = 0; i < v->nheaders; i++)
		change_header(ctx, s, &v->headers[i]);
	change_recipients(ctx, s, v);
	if (v->sender != NULL)
		change_sender(ctx, s, v);
	if (v->quarantine != NULL && smfi_quarantine(ctx, v->quarantine) != MI_SUCCESS)
		failed(s, "quarantine", v->quarantine);
	return !verdict_has_body(v) || change_body(ctx, s, v);
}

sfsistat apply(SMFICTX *ctx, struct session *s, enum stage stage, const struct verdict *v)
{
	switch (v->action) {
	case VERDICT_REPLY:
		return refuse(ctx, s, stage, &v->reply);
	case VERDICT_DISCARD:
		if (stage == STAGE_END) /* elsewhere Postfix ignores it, or worse (trap T1) */
			return SMFIS_DISCARD;
		break;
	case VERDICT_CONTINUE:
		if (stage == STAGE_END && !change_message(ctx, s, v))
			return SMFIS_TEMPFAIL;
		break;
	}
	return s->no_reply[stage] ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}
