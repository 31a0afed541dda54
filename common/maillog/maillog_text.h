/* maillog_text.h - reading the parts of a log line one after the other. Pure. */
#pragma once

#include "common/maillog.h"

/* A reader is the rest of the text that is still to be read. Each function takes something off its
 * beginning, or returns false (or 0) and leaves it alone. */

bool text_word(struct maillog_text *, const char *word); /* exactly this */
bool text_is(struct maillog_text, const char *word);
bool text_ends(struct maillog_text, const char *word);

/* Everything up to `end`, which is taken off too. */
bool text_until(struct maillog_text *, const char *end, struct maillog_text *part);

/* Digits and at most one dot, as milliseconds: "0.04" is 40. */
bool text_seconds(struct maillog_text *, int64_t *ms);
bool text_number(struct maillog_text *, int64_t *);

/* "mx1.example.com[192.0.2.1]"; false for anything that is no host name and address. */
bool text_host(struct maillog_text *, struct maillog_text *server, struct maillog_text *address);
bool text_is_address(struct maillog_text);   /* an IP address */
size_t text_name_bytes(struct maillog_text); /* how much of the beginning is a host name */

/* "<user@domain>"; a ">" in a quoted local part does not end it. */
bool text_angle(struct maillog_text *, struct maillog_text *address);

/* "4E63A60F" or "6ALDiHEL000442", and ": ". */
bool text_queue_id(struct maillog_text *, struct maillog_text *id);

bool text_has_code(struct maillog_text); /* begins with a reply code from 200 to 599 */
