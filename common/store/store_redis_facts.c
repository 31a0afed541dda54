/* store_redis_facts.c - what is known of messages, in Redis. */
#include "common/limits.h"
#include "common/store/store_redis.h"
#include "common/store/store_text.h"

#include <hiredis/hiredis.h>

/* A script on the facts of a message, with base, id and now as its first arguments. */
static void begin(struct store_redis *s, struct redis_request *r, struct strlist *keep,
    enum redis_script_id script, const char *queue_id)
{
	const char *const keys[] = {
	    store_redis_key(s, keep, "{f}m:%s", queue_id),
	    store_redis_key(s, keep, "{f}r:%s", queue_id),
	    store_redis_key(s, keep, "{f}h:%s", queue_id),
	};

	redis_request_script(r, redis_script(script), 3, keys);
	redis_command_text(&r->command, store_redis_key(s, keep, "{f}"));
	redis_command_text(&r->command, queue_id);
	redis_command_int(&r->command, store_now(&s->options));
}

static void add_number(struct redis_command *c, const char *name, int64_t value)
{
	redis_command_text(c, name);
	redis_command_int(c, value);
}

static void add_list(struct redis_command *c, const struct strlist *list, bool set)
{
	redis_command_int(c, set ? (int64_t)list->n : -1);
	for (size_t i = 0; set && i < list->n; i++)
		redis_command_text(c, list->v[i]);
}

enum store_answer store_redis_facts_put(struct store_engine *e, const char *queue_id,
    const struct store_facts *f, unsigned which, int64_t until)
{
	const struct {
		enum store_fact fact;
		const char *name;
		int64_t value;
	} numbers[] = {
	    {STORE_FACT_SIZE, "size", f->size},
	    {STORE_FACT_ARRIVAL, "arrival", f->arrival_ms},
	    {STORE_FACT_RETRIES, "retries", f->retries},
	    {STORE_FACT_LAST_TRY, "last_try", f->last_try_ms},
	};
	const unsigned pairs = STORE_FACT_SENDER | STORE_FACT_SIZE | STORE_FACT_ARRIVAL |
			       STORE_FACT_RETRIES | STORE_FACT_LAST_TRY;
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	begin(s, &r, &keep, REDIS_SCRIPT_FACTS_PUT, queue_id);
	redis_command_int(&r.command, s->options.facts_keep_ms);
	redis_command_int(&r.command, __builtin_popcount(which & pairs));
	if (which & STORE_FACT_SENDER) {
		redis_command_text(&r.command, "sender");
		redis_command_text(&r.command, f->sender);
	}
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (which & numbers[i].fact)
			add_number(&r.command, numbers[i].name, numbers[i].value);
	add_list(&r.command, &f->recipients, which & STORE_FACT_RECIPIENTS);
	add_list(&r.command, &f->next_hops, which & STORE_FACT_NEXT_HOPS);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

static bool read_list(const redisReply *r, struct strlist *list)
{
	for (size_t i = 0; i < redis_reply_count(r); i++) {
		const char *text = redis_reply_text(redis_reply_at(r, i));

		if (text == NULL)
			return false;
		strlist_add(list, text);
	}
	return r != NULL && r->type == REDIS_REPLY_ARRAY;
}

static bool read_facts(const redisReply *r, struct store_facts *f)
{
	const char *sender = redis_reply_text(redis_reply_at(r, 0));

	if (sender == NULL)
		return false;
	f->sender = xstrdup(sender);
	return redis_reply_int(redis_reply_at(r, 1), &f->size) &&
	       redis_reply_int(redis_reply_at(r, 2), &f->arrival_ms) &&
	       redis_reply_int(redis_reply_at(r, 3), &f->retries) &&
	       redis_reply_int(redis_reply_at(r, 4), &f->last_try_ms) &&
	       read_list(redis_reply_at(r, 5), &f->recipients) &&
	       read_list(redis_reply_at(r, 6), &f->next_hops);
}

enum store_answer store_redis_facts_get(
    struct store_engine *e, const char *queue_id, struct store_facts *f, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer = STORE_FOUND;
	struct redis_request r;
	redisReply *reply;

	begin(s, &r, &keep, REDIS_SCRIPT_FACTS_GET, queue_id);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	if (redis_reply_nil(reply))
		answer = STORE_ABSENT;
	else if (!read_facts(reply, f))
		answer = store_redis_strange("facts_get");
	freeReplyObject(reply);
	return answer;
}

enum store_answer store_redis_facts_tried(
    struct store_engine *e, const char *queue_id, int64_t time_ms, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	begin(s, &r, &keep, REDIS_SCRIPT_FACTS_TRIED, queue_id);
	redis_command_int(&r.command, s->options.facts_keep_ms);
	redis_command_int(&r.command, time_ms);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

enum store_answer store_redis_facts_delete(
    struct store_engine *e, const char *queue_id, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	begin(s, &r, &keep, REDIS_SCRIPT_FACTS_DELETE, queue_id);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

enum store_answer store_redis_facts_hop(
    struct store_engine *e, const char *next_hop, struct store_hop_facts *f, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *key = store_redis_key(s, &keep, "{f}n:%s", next_hop);
	struct redis_request r;
	redisReply *reply;
	int64_t messages;
	bool ok;

	redis_request_script(&r, redis_script(REDIS_SCRIPT_FACTS_HOP), 1, &key);
	redis_command_text(&r.command, store_redis_key(s, &keep, "{f}"));
	redis_command_int(&r.command, store_now(&s->options));
	redis_command_int(&r.command, LIMIT_STORE_HOP_MESSAGES);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	ok = redis_reply_int(redis_reply_at(reply, 0), &messages) &&
	     redis_reply_int(redis_reply_at(reply, 1), &f->most_retries) &&
	     redis_reply_int(redis_reply_at(reply, 2), &f->largest_size) && messages >= 0;
	freeReplyObject(reply);
	if (!ok)
		return store_redis_strange("facts_hop");
	f->messages = (uint64_t)messages;
	return messages > 0 ? STORE_FOUND : STORE_ABSENT;
}
