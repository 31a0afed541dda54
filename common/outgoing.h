/* outgoing.h - what a script may put into a message or an envelope, and in what form.
 *
 * The one place that refuses what could become a second header field, a second command or a second
 * recipient at the MTA (R9, R10). Pure: no log, no I/O. Texts that say what is wrong are constant.
 */
#pragma once

#include <stddef.h>

/* NULL: sound. Otherwise what is wrong. */
const char *outgoing_header_name(const char *name); /* RFC 5322 3.6.8: ftext */
/* An address that goes into a command: RFC 5321 4.1.2 Mailbox, UTF-8 allowed, or a bare local part
 * that names no program or file. Never "". */
const char *outgoing_address(const char *address);
/* An address that the MTA has shown us and that is to be removed: only what no MTA could take for
 * something else than one address is refused. */
const char *outgoing_known_address(const char *address);
/* ESMTP parameters of RFC 5321 4.1.2 with one blank between them; not "". */
const char *outgoing_parameters(const char *parameters);

/* A header value in the form in which it stands after the colon: begins with a blank, folds are
 * "\n" + blank or TAB, no line of white space only, no line end at the end. malloc'ed; NULL with
 * *why when it is refused. */
char *outgoing_header_value(const char *value, const char **why);
/* A message body in which every line, the last included, ends in CR LF and no CR or LF stands
 * alone. malloc'ed and terminated by a NUL that *size does not count; NULL with *why when there is
 * no memory for it. */
char *outgoing_body(const void *bytes, size_t n, size_t *size, const char **why);
