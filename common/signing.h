/* signing.h - puts a signature (a disclaimer, a footer) into the text of a message.
 *
 * The text goes into the body parts, text/plain and text/html: into both of a
 * multipart/alternative, into the first one of a multipart/mixed or multipart/related, however deep
 * they are nested; never into an attachment or a message inside the message. It is put in within
 * the transfer encoding and the charset that the part has. Everything else stays as it is, byte for
 * byte: the result is a patch (patch.h), not a new message.
 *
 * Plain text goes to the end of the part, on lines of its own. HTML goes before the last </body>,
 * else before the last </html>, else to the end; what only looks like one (in comments, scripts,
 * attributes) does not count.
 *
 * What cannot stay as it is: HTML says characters beyond the charset in numbers (&#8364;). A plain
 * part becomes UTF-8 as a whole, in quoted-printable or base64; one that cannot be converted (wrong
 * or no charset for its bytes, longer than LIMIT_SIGNING_REWRITTEN_BYTES, files in its text) gets
 * the nearest ASCII instead ("EUR"). A part of 7bit or 8bit lines that cannot carry the text (8-bit
 * characters, long lines, a line that is a delimiter of the message) is encoded in quoted-printable
 * as a whole.
 *
 * Messages that are left alone: signed or encrypted ones (S/MIME, PGP/MIME, PGP in the text, DKIM
 * or ARC by an earlier host), calendar messages, reports of delivery and the like, those without a
 * body part, and those that mail programs may read in different ways.
 *
 * Memory is bounded by limits.h, time is linear. A struct signing belongs to one thread. */
#pragma once

#include "common/mime.h"
#include "common/patch.h"

#include <stdbool.h>
#include <stddef.h>

enum signing_format { SIGNING_PLAIN, SIGNING_HTML, SIGNING_FORMATS };

struct signing;

/* A header field of the message itself that must change: replaced when it is there, else added. */
struct signing_field {
	const char *name; /* constant */
	char *value;
	bool present;
};
#define SIGNING_FIELDS 3

struct signing_changes {
	struct patch *body; /* offsets are those of the message */
	struct signing_field fields[SIGNING_FIELDS];
	size_t nfields;
};

/* Where text can be put in. mime and the source it was parsed from are borrowed. NULL: the message
 * is left alone, and *why says why in a constant text. */
struct signing *signing_look(const struct mime *, const struct mime_source *, const char **why);
void signing_free(struct signing *); /* NULL is fine */
bool signing_wants(const struct signing *, enum signing_format);

/* The texts are UTF-8 with any line ends (else taken for windows-1252); NULL or "" for none. True:
 * *out is filled, and cleared by the caller. False: left alone, *why as above. */
bool signing_add(struct signing *, const char *const texts[SIGNING_FORMATS],
    struct signing_changes *out, const char **why);
void signing_changes_clear(struct signing_changes *);
