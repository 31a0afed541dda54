/* store_redis_records.c - holds and settings in Redis. */
#include "common/limits.h"
#include "common/store/store_redis.h"
#include "common/store/store_text.h"

#include <hiredis/hiredis.h>

#include <stdlib.h>
#include <string.h>

/* ---- holds ---- */

/* A script that changes a hold, with its member of the index as the first argument. */
static void begin_hold(struct store_redis *s, struct redis_request *r, struct strlist *keep,
    enum redis_script_id script, enum store_dimension d, const char *key)
{
	const char *name = store_dimension_name(d);
	const char *const keys[] = {
	    store_redis_key(s, keep, "{h}i"),
	    store_redis_key(s, keep, "{h}v:%s:%s", name, key),
	};
	char *member = xasprintf("%s:%s", name, key);

	redis_request_script(r, redis_script(script), 2, keys);
	redis_command_text(&r->command, store_text(keep, member, strlen(member)));
	free(member);
}

enum store_answer store_redis_hold_set(
    struct store_engine *e, const struct store_hold *h, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	begin_hold(s, &r, &keep, REDIS_SCRIPT_HOLD_SET, h->dimension, h->key);
	redis_command_int(&r.command, h->set_ms);
	redis_command_int(&r.command, h->until_ms);
	redis_command_int(&r.command, h->set_ms);
	redis_command_text(&r.command, h->who);
	redis_command_text(&r.command, h->reason);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer == STORE_UNKNOWN ? STORE_UNKNOWN : STORE_FOUND;
}

/* {until, set, who, reason} from the element `first` on. */
static bool read_hold(const redisReply *r, size_t first, struct store_hold *h)
{
	h->who = redis_reply_text(redis_reply_at(r, first + 2));
	h->reason = redis_reply_text(redis_reply_at(r, first + 3));
	return redis_reply_int(redis_reply_at(r, first), &h->until_ms) &&
	       redis_reply_int(redis_reply_at(r, first + 1), &h->set_ms) && h->who != NULL &&
	       h->reason != NULL;
}

enum store_answer store_redis_hold_get(struct store_engine *e, enum store_dimension d,
    const char *key, void (*visit)(const struct store_hold *, void *), void *arg, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *v = store_redis_key(s, &keep, "{h}v:%s:%s", store_dimension_name(d), key);
	struct store_hold h = {.dimension = d, .key = key};
	enum store_answer answer = STORE_UNKNOWN;
	struct redis_request r;
	redisReply *reply;

	redis_request_script(&r, redis_script(REDIS_SCRIPT_HOLD_GET), 1, &v);
	redis_command_int(&r.command, store_now(&s->options));
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	if (redis_reply_nil(reply)) {
		answer = STORE_ABSENT;
	} else if (read_hold(reply, 0, &h)) {
		visit(&h, arg);
		answer = STORE_FOUND;
	} else {
		store_redis_strange("hold_get");
	}
	freeReplyObject(reply);
	return answer;
}

/* "server:mx1.example.com" */
static bool read_member(const char *member, struct store_hold *h)
{
	char name[16];
	size_t n = member != NULL ? strcspn(member, ":") : 0;

	if (n == 0 || n >= sizeof name || member[n] != ':')
		return false;
	memcpy(name, member, n);
	name[n] = '\0';
	h->key = member + n + 1;
	return store_dimension_parse(name, &h->dimension);
}

enum store_answer store_redis_hold_list(struct store_engine *e,
    bool (*visit)(const struct store_hold *, void *), void *arg, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *base = store_redis_key(s, &keep, "{h}");
	const char *ends = store_redis_key(s, &keep, "{h}i");
	enum store_answer answer = STORE_ABSENT;
	struct redis_request r;
	redisReply *reply;

	redis_request_script(&r, redis_script(REDIS_SCRIPT_HOLD_LIST), 1, &ends);
	redis_command_text(&r.command, base);
	redis_command_int(&r.command, store_now(&s->options));
	redis_command_int(&r.command, LIMIT_STORE_HOLDS);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	for (size_t i = 0; i < redis_reply_count(reply); i++) {
		const redisReply *item = redis_reply_at(reply, i);
		struct store_hold h = {0};

		if (!read_member(redis_reply_text(redis_reply_at(item, 0)), &h) ||
		    !read_hold(item, 1, &h)) {
			answer = store_redis_strange("hold_list");
			break;
		}
		answer = STORE_FOUND;
		if (!visit(&h, arg))
			break;
	}
	freeReplyObject(reply);
	return answer;
}

enum store_answer store_redis_hold_release(
    struct store_engine *e, enum store_dimension d, const char *key, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	begin_hold(s, &r, &keep, REDIS_SCRIPT_HOLD_RELEASE, d, key);
	redis_command_int(&r.command, store_now(&s->options));
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

/* ---- settings ---- */

static const char *settings_key(struct store_redis *s, struct strlist *keep, const char *user)
{
	return store_redis_key(s, keep, "{s:%s}", user);
}

enum store_answer store_redis_setting_get(
    struct store_engine *e, const char *user, const char *name, char **value, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer = STORE_ABSENT;
	struct redis_request r;
	redisReply *reply;

	redis_request_plain(&r, "HGET", settings_key(s, &keep, user));
	redis_command_text(&r.command, name);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	if (redis_reply_text(reply) != NULL) {
		*value = xstrdup(redis_reply_text(reply));
		answer = STORE_FOUND;
	} else if (!redis_reply_nil(reply)) {
		answer = store_redis_strange("HGET");
	}
	freeReplyObject(reply);
	return answer;
}

enum store_answer store_redis_setting_set(
    struct store_engine *e, const char *user, const char *name, const char *value, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *key = settings_key(s, &keep, user);
	enum store_answer answer;
	struct redis_request r;

	redis_request_script(&r, redis_script(REDIS_SCRIPT_SETTING_SET), 1, &key);
	redis_command_text(&r.command, name);
	redis_command_text(&r.command, value);
	redis_command_int(&r.command, LIMIT_STORE_SETTINGS);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

enum store_answer store_redis_setting_delete(
    struct store_engine *e, const char *user, const char *name, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;

	redis_request_plain(&r, "HDEL", settings_key(s, &keep, user));
	redis_command_text(&r.command, name);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	return answer;
}

enum store_answer store_redis_setting_list(
    struct store_engine *e, const char *user, struct strlist *names, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	struct redis_request r;
	redisReply *reply;
	bool any;

	redis_request_plain(&r, "HKEYS", settings_key(s, &keep, user));
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	any = redis_reply_count(reply) > 0;
	for (size_t i = 0; i < redis_reply_count(reply); i++)
		if (redis_reply_text(redis_reply_at(reply, i)) != NULL)
			strlist_add(names, redis_reply_text(redis_reply_at(reply, i)));
	freeReplyObject(reply);
	return any ? STORE_FOUND : STORE_ABSENT;
}
