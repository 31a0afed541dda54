/* dns_name.h - which names may be asked and shown (R17). Pure. */
#pragma once

#include <stdbool.h>

/* Labels of 1 to 63 letters, digits, hyphens and underscores, 253 characters in all, one dot at the
 * end allowed. Wider than a host name (RFC 1123 forbids hyphens at a label's ends, mail servers
 * live with them), but free of everything that means something to SQL, a shell or a log. */
bool dns_name_valid(const char *name);

/* The name as DNS has it: lower case, no dot at the end, a name in UTF-8 in A-labels ("xn--...",
 * RFC 5890) as Postfix converts it. malloc'ed; NULL: not valid. */
char *dns_name_plain(const char *name);

/* Is it the same name? ASCII case and a dot at the end do not count. */
bool dns_name_same(const char *, const char *);
