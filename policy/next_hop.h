/* next_hop.h - the next hop of a transport, as Postfix writes it: "example.com",
 * "example.com:2525",
 * "[mx.example.com]", "[192.0.2.1]:2525". Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The domain or host in it in lower case, malloc'ed; *host: it is a host, not to be looked up as a
 * domain. NULL: it is none. */
char *next_hop_name(const char *text, bool *host);
