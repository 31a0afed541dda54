/* store_redis.c - the store in Redis: opening, and what its parts share.
 *
 * Which server, how to reach it and what its errors mean is redis_router.c's; the operations are in
 * store_redis_*.c by subject, each one script or command and so one round trip. */
#include "common/store/store_redis.h"

#include "common/log.h"
#include "common/store/store_text.h"

#include <hiredis/hiredis.h>

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

const char *store_redis_key(
    const struct store_redis *s, struct strlist *keep, const char *format, ...)
{
	va_list ap;
	char *rest, *key;
	const char *kept;
	int n;

	va_start(ap, format);
	n = vasprintf(&rest, format, ap);
	va_end(ap);
	if (n < 0) /* as list.h does: keys are bounded */
		log_fatal(EX_OSERR, "out of memory: no room for a key");
	key = xasprintf("%s%s", s->prefix, rest);
	strlist_add(keep, key);
	kept = keep->v[keep->n - 1];
	free(key);
	free(rest);
	return kept;
}

int64_t store_redis_now(const struct store_redis *s)
{
	return s->options.clock != NULL ? store_now(&s->options) : -1;
}

struct redisReply *store_redis_run(struct store_redis *s, struct redis_request *r, int64_t until)
{
	redisReply *reply = redis_router_run(s->router, r, until, NULL);

	redis_command_clear(&r->command);
	return reply;
}

enum store_answer store_redis_strange(const char *script)
{
	store_complain("Redis: the reply to %s is not what it answers", script);
	return STORE_UNKNOWN;
}

enum store_answer store_redis_yes_no(struct store_redis *s, struct redis_request *r, int64_t until)
{
	redisReply *reply = store_redis_run(s, r, until);
	enum store_answer answer;
	int64_t value;

	if (reply == NULL)
		return STORE_UNKNOWN;
	if (redis_reply_int(reply, &value))
		answer = value != 0 ? STORE_FOUND : STORE_ABSENT;
	else
		answer = store_redis_strange(r->script != NULL ? r->script->name : "a command");
	freeReplyObject(reply);
	return answer;
}

static void close_redis(struct store_engine *e)
{
	struct store_redis *s = store_redis_of(e);

	redis_router_free(s->router);
	free(s->prefix);
	free(s);
}

static const struct store_engine_ops redis_ops = {
    .close = close_redis,
    .attempt_add = store_redis_attempt_add,
    .attempt_count = store_redis_attempt_count,
    .attempt_page = store_redis_attempt_page,
    .rate = store_redis_rate,
    .rate_merge = store_redis_rate_merge,
    .hold_set = store_redis_hold_set,
    .hold_get = store_redis_hold_get,
    .hold_list = store_redis_hold_list,
    .hold_release = store_redis_hold_release,
    .setting_get = store_redis_setting_get,
    .setting_set = store_redis_setting_set,
    .setting_delete = store_redis_setting_delete,
    .setting_list = store_redis_setting_list,
    .facts_put = store_redis_facts_put,
    .facts_get = store_redis_facts_get,
    .facts_tried = store_redis_facts_tried,
    .facts_delete = store_redis_facts_delete,
    .facts_hop = store_redis_facts_hop,
    .expire = store_redis_expire,
};

static struct store_engine *engine_new(struct redis_router *router, const struct store_options *o)
{
	struct store_redis *s = xcalloc(1, sizeof *s);

	s->ops = redis_ops;
	s->ops.name = redis_router_name(router);
	s->engine.ops = &s->ops;
	s->router = router;
	s->prefix = xstrdup(o->prefix);
	s->options = *o;
	s->options.prefix = s->prefix;
	return &s->engine;
}

struct store_engine *store_redis_open(
    const char *url, const struct store_options *o, char *why, size_t size)
{
	struct redis_router *router = redis_router_new(url, o, why, size);

	return router != NULL ? engine_new(router, o) : NULL;
}

struct store_engine *store_redis_adopt(const int *fds, size_t n, const struct store_options *o)
{
	return engine_new(redis_router_adopt(fds, n, o), o);
}
