/* redis_reply.h - reading replies without trusting them: whatever came, these give a value or say
 * no.
 *
 * Pure. The texts end at their first NUL. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redisReply;

/* The i-th element of an array; NULL: no array, or none. NULL in, NULL out. */
const struct redisReply *redis_reply_at(const struct redisReply *, size_t i);
size_t redis_reply_count(const struct redisReply *); /* 0 if no array */
bool redis_reply_nil(const struct redisReply *);
/* A string; NULL if it is none. */
const char *redis_reply_text(const struct redisReply *);
/* An integer, or a string that is all of one. */
bool redis_reply_int(const struct redisReply *, int64_t *);
/* A finite number written as a string. */
bool redis_reply_double(const struct redisReply *, double *);
