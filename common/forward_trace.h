/* forward_trace.h - the mark that mail carries once it has been forwarded for a user.
 *
 * When such a message comes back (the forward leads back to us in a circle) the user's mail is not
 * forwarded again. The mark is a digest of the user's name with a secret key: the other recipients
 * do not learn from it whose mail was forwarded, and nobody else can make one, which would switch a
 * user's forwards off. The key is made when it is first wanted, in the file FORWARD_TRACE_KEY of
 * state_dir; several machines that serve the same users share a copy. Thread-safe. */
#pragma once

#include <stdbool.h>

#define FORWARD_TRACE_FIELD "X-Mailhooks-Forwarded"
#define FORWARD_TRACE_KEY "forward.key"
#define FORWARD_TRACE_BYTES 33

/* False: there is no key and none can be made, which is logged once. */
bool forward_trace(const char *state_dir, const char *user, char mark[FORWARD_TRACE_BYTES]);
