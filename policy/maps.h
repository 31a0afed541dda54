/* maps.h - the socketmap names and who answers them.
 *
 * A name is one of the table in maps.c, and may carry the number of an SMTP service or sender:
 * "ehlo_in.2". Unknown names are not found. Called in worker threads. */
#pragma once

#include "common/log.h"
#include "lua-bindings/script_set.h"
#include "policy/socketmap_codec.h"

#include <stdint.h>

struct map_query {
	struct script_set *set;
	const char *name; /* as it was sent */
	const char *key;
	size_t key_n;
	int64_t deadline_ms;
	const struct log_id *id;
};

struct map_answer {
	enum socketmap_status status;
	char *value; /* malloc'ed, or NULL */
};

/* What to answer, encoded, malloc'ed, *size of bytes. Never NULL. */
char *maps_answer(const struct map_query *, size_t *size);
