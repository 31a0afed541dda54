/* redis_command.c - see redis_command.h. */
#include "common/store/redis_command.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void redis_command_text(struct redis_command *c, const char *text)
{
	c->argv = xgrow(c->argv, c->argc, sizeof *c->argv);
	c->lengths = xgrow(c->lengths, c->argc, sizeof *c->lengths);
	c->argv[c->argc] = text;
	c->lengths[c->argc++] = strlen(text);
}

static void add_copy(struct redis_command *c, const char *text)
{
	strlist_add(&c->numbers, text);
	redis_command_text(c, c->numbers.v[c->numbers.n - 1]);
}

void redis_command_int(struct redis_command *c, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%" PRId64, value);
	add_copy(c, text);
}

void redis_command_double(struct redis_command *c, double value)
{
	char text[40];

	snprintf(text, sizeof text, "%.17g", value);
	add_copy(c, text);
}

char *redis_command_encode(const struct redis_command *c, size_t *n)
{
	char *bytes = NULL;
	int len = redisFormatCommandArgv(&bytes, (int)c->argc, c->argv, c->lengths);

	if (len < 0)
		return NULL;
	*n = (size_t)len;
	return bytes;
}

void redis_command_clear(struct redis_command *c)
{
	free(c->argv);
	free(c->lengths);
	strlist_clear(&c->numbers);
	*c = (struct redis_command){0};
}
