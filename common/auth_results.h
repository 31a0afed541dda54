/* auth_results.h - whose Authentication-Results a header field claims to be (RFC 8601). Pure.
 *
 * By hand: no library of Debian reads this field, and only its first token matters here. */
#pragma once

#include <stdbool.h>

/* Does the field claim to come from this authentication service? value is what stands after the
 * colon, folds included; comments and quotes are understood. A value that cannot be read counts as
 * such a claim: who asks wants forgeries gone. id "" stands for every service. Linear time (R5). */
bool auth_results_claims(const char *value, const char *id);
