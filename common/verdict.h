/* verdict.h - what a hook decided: data only.
 *
 * Lua never calls the MTA. A hook edits a struct verdict; milter/ turns it into libmilter
 * calls, `mailhooks replay` prints it, tests compare it. A verdict belongs to one callback of
 * one session; nothing here is synchronised. Everything in it was checked by outgoing.h when it was
 * put in: header names are valid (RFC 5322 3.6.8), values hold no CR, LF (except as a fold) or NUL,
 * addresses no control characters, a body only CR LF line ends (R9, R10), so whoever applies it
 * need not check again. A string of Lua with a NUL in it must be refused before it comes here. */
#pragma once

#include "common/list.h"
#include "common/message.h"
#include "common/patch.h"
#include "common/reply.h"

#include <stdbool.h>
#include <stddef.h>

enum verdict_action {
	VERDICT_CONTINUE, /* also the answer when a hook is absent or failed with on_error=accept */
	VERDICT_REPLY,	  /* refuse with .reply, a 4xx or 5xx code */
	VERDICT_DISCARD,  /* accept and throw away */
};

enum header_op {
	HEADER_INSERT, /* at position .index, 0 = before everything */
	HEADER_APPEND, /* after the last one */
	HEADER_CHANGE, /* the .index-th of that name, from 1 */
	HEADER_DELETE, /* the .index-th of that name, from 1 */
};

struct header_change {
	enum header_op op;
	char *name;
	char *value; /* after the colon, first blank included, folds "\n"; NULL: HEADER_DELETE */
	int index;
};

struct recipient_change {
	bool add;
	char *address;	  /* without angle brackets */
	char *parameters; /* "NOTIFY=NEVER ORCPT=..." or NULL; only with add */
};

struct verdict {
	enum verdict_action action;
	struct reply reply; /* valid with VERDICT_REPLY */

	struct header_change *headers; /* in the order of application */
	size_t nheaders;
	struct recipient_change *recipients;
	size_t nrecipients;
	char *sender;		 /* new envelope sender ("" = null sender), NULL = unchanged */
	char *sender_parameters; /* with sender, may be NULL */
	char *quarantine;	 /* reason, NULL = no */
	char *body;		 /* replacement body with CRLF line ends, NULL = unchanged */
	size_t body_size;
	struct patch *patch;	 /* or changes to the body of .message, NULL = none */
	struct message *message; /* with patch: what it changes; the verdict owns both */
};

void verdict_init(struct verdict *);
void verdict_reset(struct verdict *); /* frees everything, back to CONTINUE */

/* Refuse. Codes below 400 are a bug of the caller and are ignored with a log line. The first
 * refusal wins; a later one does not replace it. A refusal wins over a discard, whatever their
 * order: the sender then learns what happened to the mail. */
void verdict_refuse(struct verdict *, const struct reply *);
void verdict_refuse_text(struct verdict *, int code, const char *xcode, const char *text);
void verdict_discard(struct verdict *);

/* Each returns false, and changes nothing, when the value cannot be sent safely; *why then
 * points to a constant text. The strings are copied. index and value are ignored where the
 * operation has none; parameters may be NULL or "". A later sender or body replaces the first. */
bool verdict_header(struct verdict *, enum header_op, const char *name, int index,
    const char *value, const char **why);
bool verdict_recipient(
    struct verdict *, bool add, const char *address, const char *parameters, const char **why);
/* Remove a recipient who must not get the message. False: the MTA cannot be told to (*why), and the
 * message is refused. */
bool verdict_without(struct verdict *, const char *address, const char **why);
/* Forget every change of recipients so far. */
void verdict_drop_recipients(struct verdict *);
bool verdict_sender(
    struct verdict *, const char *address, const char *parameters, const char **why);
bool verdict_body(struct verdict *, const void *bytes, size_t n, const char **why);
/* The body becomes that of the message with these changes, whose offsets are the message's. Takes
 * the patch, also when it is refused, and another reference to the message. */
bool verdict_patch(struct verdict *, struct patch *, const struct message *, const char **why);
/* The new body, in pieces, when there is one: MIME_OK, MIME_STOPPED by the sink, MIME_UNREAD with
 * errno. */
bool verdict_has_body(const struct verdict *);
enum mime_result verdict_write_body(const struct verdict *, const struct mime_sink *);
/* The reason is cleaned and cut like the text of a reply; without one there is a default. */
void verdict_quarantine(struct verdict *, const char *reason);

/* Text form for `mailhooks replay` and tests, foreign bytes escaped, malloc'ed. The first line is
 * "continue", "discard" or "reply 550 5.7.1 text / next line"; then one line per change:
 *   header insert 0 X-Name: value     (append, change N, delete N likewise)
 *   recipient add <a@b> NOTIFY=NEVER  (or: remove)
 *   sender <a@b> RET=HDRS
 *   quarantine reason
 *   body 123 bytes */
char *verdict_describe(const struct verdict *);
