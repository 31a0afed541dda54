/* mail_headers.h - private to lua-bindings/: changes of header fields by stages.
 *
 * What an earlier stage or script did to a field of the same name is forgotten: the later word
 * counts, and the numbers of the fields are those of the message as it came (R7). */
#pragma once

#include "lua-bindings/mail/mail.h"

/* One line as in HeaderModifiers of ProcessMessage(): "Name: value" replaces every field of that
 * name or adds one, "Name:" removes them. What cannot be sent is left out and logged. */
void mail_modify_header(struct mail *, const char *line);
/* Remove every field of that name, however it is written. A message in which that cannot be done is
 * refused. */
void mail_remove_headers(struct mail *, const char *name);
/* As it came; blanks behind the name do not count. */
int mail_count_headers(const struct mail *, const char *name);
