/* store_redis_rates.c - rate limits in Redis. */
#include "common/limits.h"
#include "common/store/store_redis.h"

#include <hiredis/hiredis.h>

static void begin(struct store_redis *s, struct redis_request *r, struct strlist *keep,
    enum redis_script_id script, const char *limit)
{
	const char *key = store_redis_key(s, keep, "{r:%s}", limit);

	redis_request_script(r, redis_script(script), 1, &key);
	redis_command_int(&r->command, store_redis_now(s));
}

static void add_window(struct redis_command *c, const struct store_rate_window *w)
{
	redis_command_int(c, w->period_ms);
	redis_command_int(c, (int64_t)w->count);
	redis_command_int(c, (int64_t)w->burst);
}

/* {passes, retry, remaining, window, now, tats ...} */
static void read_rate(const redisReply *reply, size_t windows, struct store_rate_reply *out)
{
	int64_t passes, remaining, window;
	bool ok = redis_reply_count(reply) == 5 + windows &&
		  redis_reply_int(redis_reply_at(reply, 0), &passes) &&
		  redis_reply_int(redis_reply_at(reply, 1), &out->state.retry_ms) &&
		  redis_reply_int(redis_reply_at(reply, 2), &remaining) &&
		  redis_reply_int(redis_reply_at(reply, 3), &window) &&
		  redis_reply_int(redis_reply_at(reply, 4), &out->now_ms) && remaining >= 0 &&
		  window >= 0 && (size_t)window < windows;

	for (size_t i = 0; ok && i < windows; i++)
		ok = redis_reply_double(redis_reply_at(reply, 5 + i), &out->tats[i]);
	if (!ok) {
		store_redis_strange("rate");
		*out = (struct store_rate_reply){.answer = STORE_RATE_UNKNOWN, .sent = true};
		return;
	}
	out->answer = passes != 0 ? STORE_RATE_PASS : STORE_RATE_OVER;
	out->state.remaining = (uint64_t)remaining;
	out->state.window = (size_t)window;
}

static void run(struct store_redis *s, struct redis_request *r, size_t windows, int64_t until,
    struct store_rate_reply *out)
{
	redisReply *reply;

	*out = (struct store_rate_reply){.answer = STORE_RATE_UNKNOWN};
	reply = redis_router_run(s->router, r, until, &out->sent);
	redis_command_clear(&r->command);
	if (reply != NULL)
		read_rate(reply, windows, out);
	freeReplyObject(reply);
}

void store_redis_rate(struct store_engine *e, const struct store_rate_request *request,
    struct store_rate_reply *out, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	const struct store_rate_limit *limit = request->limit;
	struct strlist keep = STRLIST_INIT;
	struct redis_request r;

	begin(s, &r, &keep, REDIS_SCRIPT_RATE, limit->key);
	redis_command_text(&r.command, request->id);
	redis_command_int(&r.command, request->take);
	redis_command_int(&r.command, (int64_t)request->cost);
	redis_command_int(&r.command, (int64_t)limit->nwindows);
	for (size_t i = 0; i < limit->nwindows; i++)
		add_window(&r.command, &limit->windows[i]);
	run(s, &r, limit->nwindows, until, out);
	strlist_clear(&keep);
}

void store_redis_rate_merge(struct store_engine *e, const struct store_rate_debt *debt,
    struct store_rate_reply *out, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	const struct store_rate_limit *limit = debt->limit;
	struct strlist keep = STRLIST_INIT;
	struct redis_request r;

	begin(s, &r, &keep, REDIS_SCRIPT_RATE_MERGE, limit->key);
	redis_command_text(&r.command, debt->id);
	redis_command_int(&r.command, (int64_t)limit->nwindows);
	for (size_t i = 0; i < limit->nwindows; i++) {
		add_window(&r.command, &limit->windows[i]);
		redis_command_double(&r.command, debt->owed[i]);
	}
	for (size_t i = 0; i < debt->ndoubts; i++) {
		redis_command_text(&r.command, debt->doubts[i].id);
		redis_command_int(&r.command, (int64_t)debt->doubts[i].cost);
		redis_command_int(&r.command, debt->doubts[i].now_ms);
	}
	run(s, &r, limit->nwindows, until, out);
	strlist_clear(&keep);
}
