/* mime_address.h - who a message says it is from.
 *
 * Any thread. */
#pragma once

#include <stdbool.h>

/* The first mailbox in the value of a field such as From, that of a group too: its address, and the
 * name beside it with its encoded words decoded, in UTF-8, "" if there is none. Both are malloc'ed;
 * they have no control characters. A long field is looked at up to LIMIT_MIME_FIELD_BYTES. False,
 * and both NULL: there is no mailbox. */
bool mime_first_address(const char *value, char **address, char **name);
