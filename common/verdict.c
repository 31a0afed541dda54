/* verdict.c - see verdict.h. What is sound is decided in outgoing.c, here it is only kept. */
#include "common/verdict.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "common/outgoing.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
	const char *words;
	int least_index; /* -1: the operation has none */
	bool has_value;
} ops[] = {
    [HEADER_INSERT] = {"insert", 0, true},
    [HEADER_APPEND] = {"append", -1, true},
    [HEADER_CHANGE] = {"change", 1, true},
    [HEADER_DELETE] = {"delete", 1, false},
};

void verdict_init(struct verdict *v)
{
	*v = (struct verdict){.action = VERDICT_CONTINUE};
}

void verdict_drop_recipients(struct verdict *v)
{
	for (size_t i = 0; i < v->nrecipients; i++) {
		free(v->recipients[i].address);
		free(v->recipients[i].parameters);
	}
	free(v->recipients);
	v->recipients = NULL;
	v->nrecipients = 0;
}

static void drop_body(struct verdict *v)
{
	free(v->body);
	patch_free(v->patch);
	message_free(v->message);
	v->body = NULL;
	v->body_size = 0;
	v->patch = NULL;
	v->message = NULL;
}

void verdict_reset(struct verdict *v)
{
	reply_free(&v->reply);
	for (size_t i = 0; i < v->nheaders; i++) {
		free(v->headers[i].name);
		free(v->headers[i].value);
	}
	free(v->headers);
	verdict_drop_recipients(v);
	free(v->sender);
	free(v->sender_parameters);
	free(v->quarantine);
	drop_body(v);
	verdict_init(v);
}

void verdict_refuse(struct verdict *v, const struct reply *reply)
{
	if (reply->code < 400 || reply->code > 599) {
		log_bug(NULL, "a refusal with code %d was ignored", reply->code);
		return;
	}
	if (v->action == VERDICT_REPLY)
		return;
	v->action = VERDICT_REPLY;
	reply_copy(&v->reply, reply);
}

void verdict_refuse_text(struct verdict *v, int code, const char *xcode, const char *text)
{
	struct reply reply;

	reply_set(&reply, code, xcode, text);
	verdict_refuse(v, &reply);
	reply_free(&reply);
}

void verdict_discard(struct verdict *v)
{
	if (v->action == VERDICT_CONTINUE)
		v->action = VERDICT_DISCARD;
}

bool verdict_header(struct verdict *v, enum header_op op, const char *name, int index,
    const char *value, const char **why)
{
	struct header_change change = {.op = op};

	if (v->nheaders >= LIMIT_HEADER_CHANGES) {
		*why = "there are too many header changes";
		return false;
	}
	*why = outgoing_header_name(name);
	if (*why == NULL && index < ops[op].least_index)
		*why = "the position of a header is out of range";
	if (*why == NULL && ops[op].has_value && value == NULL)
		*why = "a header has no value";
	if (*why == NULL && ops[op].has_value)
		change.value = outgoing_header_value(value, why);
	if (*why != NULL)
		return false;
	change.name = xstrdup(name);
	change.index = ops[op].least_index >= 0 ? index : 0;
	v->headers = xgrow(v->headers, v->nheaders, sizeof *v->headers);
	v->headers[v->nheaders++] = change;
	return true;
}

static bool given(const char *parameters)
{
	return parameters != NULL && parameters[0] != '\0';
}

bool verdict_recipient(
    struct verdict *v, bool add, const char *address, const char *parameters, const char **why)
{
	struct recipient_change change = {.add = add};

	if (v->nrecipients >= LIMIT_RECIPIENTS) {
		*why = "there are too many recipient changes";
		return false;
	}
	*why = add ? outgoing_address(address) : outgoing_known_address(address);
	if (*why == NULL && given(parameters))
		*why = add ? outgoing_parameters(parameters)
			   : "a recipient that is removed takes no parameters";
	if (*why != NULL)
		return false;
	change.address = xstrdup(address);
	change.parameters = given(parameters) ? xstrdup(parameters) : NULL;
	v->recipients = xgrow(v->recipients, v->nrecipients, sizeof *v->recipients);
	v->recipients[v->nrecipients++] = change;
	return true;
}

bool verdict_without(struct verdict *v, const char *address, const char **why)
{
	bool fine = verdict_recipient(v, false, address, NULL, why);

	if (!fine)
		verdict_refuse_text(v, 550, "5.1.3", "Recipient address not supported");
	return fine;
}

bool verdict_sender(
    struct verdict *v, const char *address, const char *parameters, const char **why)
{
	*why = address[0] != '\0' ? outgoing_address(address) : NULL; /* "" is the null sender */
	if (*why == NULL && given(parameters))
		*why = outgoing_parameters(parameters);
	if (*why != NULL)
		return false;
	xreplace(&v->sender, address);
	xreplace(&v->sender_parameters, given(parameters) ? parameters : NULL);
	return true;
}

bool verdict_body(struct verdict *v, const void *bytes, size_t n, const char **why)
{
	size_t size;
	char *body = outgoing_body(bytes, n, &size, why);

	if (body == NULL)
		return false;
	drop_body(v);
	v->body = body;
	v->body_size = size;
	return true;
}

/* What is put in are lines of mail: no CR or LF stands alone (R9). The bytes around it are the
 * MTA's own. */
static const char *patch_wrong(const struct patch *p, uint64_t body)
{
	for (size_t i = 0; i < patch_count(p); i++) {
		uint64_t at;
		size_t n;
		const char *bytes = patch_bytes(p, i, &n, &at);

		if (at < body)
			return "a change of the body lies before it";
		for (size_t k = 0; k < n; k++)
			if ((bytes[k] == '\r') != (k + 1 < n && bytes[k + 1] == '\n'))
				return "a change of the body has a line end that is none";
	}
	return NULL;
}

bool verdict_patch(
    struct verdict *v, struct patch *patch, const struct message *m, const char **why)
{
	*why = patch_wrong(patch, message_body_offset(m));
	if (*why == NULL && message_truncated(m))
		*why = "the message was not kept whole";
	if (*why != NULL) {
		patch_free(patch);
		return false;
	}
	drop_body(v);
	v->patch = patch;
	v->message = message_ref(m);
	return true;
}

bool verdict_has_body(const struct verdict *v)
{
	return v->body != NULL || v->patch != NULL;
}

static ssize_t read_message(void *arg, uint64_t offset, void *out, size_t n)
{
	return message_read(arg, offset, out, n);
}

enum mime_result verdict_write_body(const struct verdict *v, const struct mime_sink *sink)
{
	const struct mime_source source = {read_message, v->message};

	if (v->patch != NULL)
		return patch_write(v->patch, &source, message_body_offset(v->message), sink);
	return sink->write(sink->arg, v->body, v->body_size) ? MIME_OK : MIME_STOPPED;
}

void verdict_quarantine(struct verdict *v, const char *reason)
{
	struct reply cleaned; /* same rules, so the same code */

	reply_set(&cleaned, 550, NULL, reason);
	/* libmilter takes no empty reason */
	xreplace(
	    &v->quarantine, cleaned.lines[0][0] != '\0' ? cleaned.lines[0] : "held by a script");
	reply_free(&cleaned);
}

/* The parts of one line are strings of ours and foreign ones in turn; only the latter are escaped.
 */
static void write_escaped(FILE *out, const char *before, const char *text, const char *after)
{
	size_t n = strlen(text), size = 6 * n + 1; /* no escape is longer than six characters */
	char *escaped = xmalloc(size);

	log_escape(escaped, size, text, n);
	fprintf(out, "%s%s%s", before, escaped, after);
	free(escaped);
}

static void write_address(FILE *out, const char *what, const char *address, const char *parameters)
{
	write_escaped(out, what, address, ">");
	if (parameters != NULL)
		write_escaped(out, " ", parameters, "");
	fputc('\n', out);
}

static void write_header(FILE *out, const struct header_change *h)
{
	fprintf(out, "header %s ", ops[h->op].words);
	if (ops[h->op].least_index >= 0)
		fprintf(out, "%d ", h->index);
	write_escaped(out, "", h->name, "");
	if (h->value != NULL)
		write_escaped(out, ":", h->value, "");
	fputc('\n', out);
}

static uint64_t body_size(const struct verdict *v)
{
	if (v->patch == NULL)
		return v->body_size;
	return patch_size(v->patch, message_size(v->message)) - message_body_offset(v->message);
}

static void write_action(FILE *out, const struct verdict *v)
{
	char *text;

	switch (v->action) {
	case VERDICT_CONTINUE:
		fputs("continue\n", out);
		break;
	case VERDICT_DISCARD:
		fputs("discard\n", out);
		break;
	case VERDICT_REPLY:
		text = reply_text(&v->reply);
		write_escaped(out, "reply ", text, "\n");
		free(text);
		break;
	}
}

char *verdict_describe(const struct verdict *v)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return xstrdup("(no memory)\n");
	write_action(out, v);
	for (size_t i = 0; i < v->nheaders; i++)
		write_header(out, &v->headers[i]);
	for (size_t i = 0; i < v->nrecipients; i++)
		write_address(out, v->recipients[i].add ? "recipient add <" : "recipient remove <",
		    v->recipients[i].address, v->recipients[i].parameters);
	if (v->sender != NULL)
		write_address(out, "sender <", v->sender, v->sender_parameters);
	if (v->quarantine != NULL)
		write_escaped(out, "quarantine ", v->quarantine, "\n");
	if (verdict_has_body(v))
		fprintf(out, "body %" PRIu64 " bytes\n", body_size(v));
	if (fclose(out) != 0) {
		free(text);
		return xstrdup("(no memory)\n");
	}
	return text;
}
