/* redis_command.h - a Redis command being put together, argument by argument. Pure.
 *
 * Zero it before use, redis_command_clear() after. Texts are borrowed and must outlive it; numbers
 * are copied. Arguments carry their length, so no text can become another argument. */
#pragma once

#include "common/list.h"

#include <stdint.h>

struct redis_command {
	const char **argv;
	size_t *lengths;
	size_t argc;
	struct strlist numbers;
};

void redis_command_text(struct redis_command *, const char *);
void redis_command_int(struct redis_command *, int64_t);
void redis_command_double(struct redis_command *, double); /* exact: reads back as the same */
/* The protocol's bytes, *n of them; free() it. NULL: no memory. */
char *redis_command_encode(const struct redis_command *, size_t *n);
void redis_command_clear(struct redis_command *);
