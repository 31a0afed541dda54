/* redis_reply.c - see redis_reply.h. */
#include "common/store/redis_reply.h"

#include <hiredis/hiredis.h>

#include <errno.h>
#include <math.h>
#include <stdlib.h>

const struct redisReply *redis_reply_at(const struct redisReply *r, size_t i)
{
	return i < redis_reply_count(r) ? r->element[i] : NULL;
}

size_t redis_reply_count(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

bool redis_reply_nil(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_NIL;
}

const char *redis_reply_text(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_STRING ? r->str : NULL;
}

bool redis_reply_int(const struct redisReply *r, int64_t *value)
{
	const char *text = redis_reply_text(r);
	char *end;

	if (r != NULL && r->type == REDIS_REPLY_INTEGER) {
		*value = r->integer;
		return true;
	}
	if (text == NULL || text[0] == '\0')
		return false;
	errno = 0;
	*value = strtoll(text, &end, 10);
	return errno == 0 && *end == '\0';
}

bool redis_reply_double(const struct redisReply *r, double *value)
{
	const char *text = redis_reply_text(r);
	char *end;

	if (text == NULL || text[0] == '\0')
		return false;
	*value = strtod(text, &end);
	return *end == '\0' && isfinite(*value);
}
