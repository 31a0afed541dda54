/* store_redis.h - the Redis engine's parts; private to it. Signatures as in store_engine.h. */
#pragma once

#include "common/store/redis_reply.h"
#include "common/store/redis_router.h"
#include "common/store/redis_script.h"
#include "common/store/store_engine.h"

struct store_redis {
	struct store_engine engine;  /* first, so that the engine is the store_redis */
	struct store_engine_ops ops; /* store_redis.c's, with the router's name */
	struct redis_router *router;
	struct store_options options; /* prefix is `prefix` */
	char *prefix;
};

static inline struct store_redis *store_redis_of(struct store_engine *e)
{
	return (struct store_redis *)e;
}

/* The engine over n connections that are there already, used in this order; owns them. For tests.
 */
struct store_engine *store_redis_adopt(const int *fds, size_t n, const struct store_options *);

/* A key or part of one: the prefix and the format; lives as long as `keep`. */
const char *store_redis_key(const struct store_redis *, struct strlist *keep, const char *format,
    ...) __attribute__((format(printf, 3, 4)));
/* "now" for scripts that would rather use the server's clock: -1, or a test's time. */
int64_t store_redis_now(const struct store_redis *);
/* Run the request and clear it. NULL: answer UNKNOWN. */
struct redisReply *store_redis_run(struct store_redis *, struct redis_request *, int64_t until);
/* Run and clear a request that answers with a number: FOUND unless it is 0. */
enum store_answer store_redis_yes_no(struct store_redis *, struct redis_request *, int64_t until);
/* Tell the log that a reply is not what the script answers; UNKNOWN. */
enum store_answer store_redis_strange(const char *script);

/* store_redis_attempts.c */
enum store_answer store_redis_attempt_add(
    struct store_engine *, const struct store_attempt *, bool *fresh, int64_t until);
enum store_answer store_redis_attempt_count(
    struct store_engine *, const struct store_window *, struct store_count *, int64_t until);
enum store_answer store_redis_attempt_page(struct store_engine *, const struct store_window *,
    struct store_cursor *, size_t most, bool (*visit)(const struct store_attempt *, void *),
    void *arg, int64_t until);
enum store_answer store_redis_expire(struct store_engine *, int64_t until);

/* store_redis_rates.c */
void store_redis_rate(struct store_engine *, const struct store_rate_request *,
    struct store_rate_reply *, int64_t until);
void store_redis_rate_merge(struct store_engine *, const struct store_rate_debt *,
    struct store_rate_reply *, int64_t until);

/* store_redis_records.c */
enum store_answer store_redis_hold_set(
    struct store_engine *, const struct store_hold *, int64_t until);
enum store_answer store_redis_hold_get(struct store_engine *, enum store_dimension, const char *key,
    void (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
enum store_answer store_redis_hold_list(struct store_engine *,
    bool (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
enum store_answer store_redis_hold_release(
    struct store_engine *, enum store_dimension, const char *key, int64_t until);
enum store_answer store_redis_setting_get(
    struct store_engine *, const char *user, const char *name, char **value, int64_t until);
enum store_answer store_redis_setting_set(
    struct store_engine *, const char *user, const char *name, const char *value, int64_t until);
enum store_answer store_redis_setting_delete(
    struct store_engine *, const char *user, const char *name, int64_t until);
enum store_answer store_redis_setting_list(
    struct store_engine *, const char *user, struct strlist *names, int64_t until);

/* store_redis_facts.c */
enum store_answer store_redis_facts_put(struct store_engine *, const char *queue_id,
    const struct store_facts *, unsigned which, int64_t until);
enum store_answer store_redis_facts_get(
    struct store_engine *, const char *queue_id, struct store_facts *, int64_t until);
enum store_answer store_redis_facts_tried(
    struct store_engine *, const char *queue_id, int64_t time_ms, int64_t until);
enum store_answer store_redis_facts_delete(
    struct store_engine *, const char *queue_id, int64_t until);
enum store_answer store_redis_facts_hop(
    struct store_engine *, const char *next_hop, struct store_hop_facts *, int64_t until);
