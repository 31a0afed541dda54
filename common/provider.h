/* provider.h - who runs a mail host: the registrable domain of its name.
 *
 * By the public suffix list of libpsl: the system's when it is newer than the one built in. All the
 * domains that a provider hosts share its MX hosts, so attempts are counted by it. Thread-safe. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* "mx1.mail.example.co.uk" gives "example.co.uk", in lower case. False, and "": the name has none,
 * such as an address or a public suffix itself. */
bool provider_of(const char *host, char *out, size_t size);
