/* ehlo_in.h - the map for smtpd_discard_ehlo_keyword_address_maps: GetEHLOCapabilities().
 *
 * The key is the client's address. The answer lists the keywords that the script left out of what
 * the MTA offers; what it adds cannot be honoured. An answer is remembered for
 * socketmap.ehlo_seconds. Thread-safe. */
#pragma once

#include "policy/maps.h"

/* number: of the SMTP service, 0 = the default one. */
struct map_answer ehlo_in_answer(const struct map_query *, int number);

/* Which of the offered keywords do not stand in capabilities as words of their own? The value of
 * the map, malloc'ed, or NULL when none is missing. *added: does it have others? Pure. */
char *ehlo_in_removed(const struct strlist *offered, const char *capabilities, bool *added);
