/* map_srs.h - the map `srs`: where a signed or rewritten return path leads back to.
 *
 * For Postfix's recipient_canonical_maps with the class envelope_recipient, and for a rule set of
 * Sendmail. The key is a recipient; found is the address behind it when its tag, of BATV or SRS, is
 * valid; everything else stays as it is. While the keys cannot be read, addresses that look tagged
 * are answered TEMP, so that their bounces wait. No script runs and nothing is waited for, so the
 * answer of a missed deadline is the same: else bounces would be refused when scripts are slow.
 * Thread-safe. */
#pragma once

#include "policy/maps.h"

struct map_answer map_srs_answer(const struct map_query *, int number); /* number: not used */
