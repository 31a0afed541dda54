/* srs_map.h - the map `srs`: where a signed or rewritten return path leads back to.
 *
 * For Postfix's recipient_canonical_maps with the class envelope_recipient, and for a rule set of
 * Sendmail. The key is a recipient; found is the address behind it when its tag, of BATV or SRS, is
 * valid; everything else stays as it is. While the keys cannot be read, addresses that look tagged
 * are answered TEMP, so that their bounces wait. Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer srs_map_answer(const struct map_query *, int number); /* number: not used */
