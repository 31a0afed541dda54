/* dsn.h - delivery status notifications: what a report says (RFC 3464), and the part for people in
 * a report that we give another text.
 *
 * GMime hands message/delivery-status over as a lump, so its groups of fields are read here. Pure:
 * bytes in, texts out; bounded by LIMIT_DSN_*. Texts are as they stand in the report, unfolded,
 * without the type before the semicolon ("rfc822; ann@b" is "ann@b"), never NULL. */
#pragma once

#include "common/mime.h"

#include <stddef.h>

struct dsn_recipient {
	char *final;	  /* address that the report is about */
	char *original;	  /* as its sender wrote it, "" = not said */
	char *action;	  /* lower case: failed, delayed, delivered, relayed, expanded */
	char *status;	  /* 5.1.1 */
	char *remote_mta; /* host that said so, "" = none answered */
	char *diagnostic; /* what it said */
};

struct dsn {
	char *reporting_mta;
	struct dsn_recipient *recipients;
	size_t n;
};

/* The content of message/delivery-status, line ends CRLF or LF. Fill *out; what is no field is
 * left out. */
void dsn_parse(struct dsn *out, const char *text, size_t n);
void dsn_clear(struct dsn *);

/* The value of a field in a header ("Subject"), unfolded, "" when it is not there; malloc'ed. */
char *dsn_header_field(const char *header, size_t n, const char *name);

/* The text of a part: transfer encoding undone, UTF-8, lines ended by LF; what lies beyond
 * LIMIT_DSN_PART_BYTES is cut off. "" when it cannot be decoded. malloc'ed. */
char *dsn_part_text(const struct mime_source *, const struct mime_section *);

/* A text/plain part with its own header, for a multipart/report: UTF-8 text (else taken
 * for windows-1252) with any line ends,
 * 7bit if it can be and quoted-printable otherwise. CRLF line ends, none at the end. malloc'ed. */
char *dsn_text_part(const char *text, size_t *size);
