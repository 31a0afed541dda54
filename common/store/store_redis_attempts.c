/* store_redis_attempts.c - send attempts in Redis. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/store/store_redis.h"
#include "common/store/store_text.h"

#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPIRE_BATCH 500 /* attempts removed by one call, some 20 ms of Redis's time */

/* The texts of an attempt and the fields of its hash. */
static const struct field {
	const char *name;
	size_t at;
} fields[] = {
    {"queue_id", offsetof(struct store_attempt, queue_id)},
    {"server", offsetof(struct store_attempt, server)},
    {"address", offsetof(struct store_attempt, address)},
    {"domain", offsetof(struct store_attempt, domain)},
    {"provider", offsetof(struct store_attempt, provider)},
    {"sender", offsetof(struct store_attempt, sender)},
    {"stage", offsetof(struct store_attempt, stage)},
    {"result", offsetof(struct store_attempt, result)},
    {"tls", offsetof(struct store_attempt, tls)},
    {"connection", offsetof(struct store_attempt, connection)},
};

#define FIELDS (sizeof fields / sizeof fields[0])

static const char **text_of(struct store_attempt *a, const struct field *f)
{
	return (const char **)((char *)a + f->at);
}

/* The key of a dimension within {a}. */
static const char *key_of(struct strlist *keep, enum store_dimension d, const char *key)
{
	char *text = xasprintf("%s:%s", store_dimension_name(d), key);
	const char *kept;

	strlist_add(keep, text);
	kept = keep->v[keep->n - 1];
	free(text);
	return kept;
}

/* ---- recording ---- */

#define MOST_KEYS (1 + 2 * STORE_DIMENSIONS)

/* The attempt, then the index and the codes of each of its keys. Returns how many. */
static size_t keys_of(const struct store_redis *s, struct strlist *keep,
    const struct store_attempt *a, const char *code, const char *keys[MOST_KEYS])
{
	const char *const values[STORE_DIMENSIONS] = {
	    [STORE_ALL] = "",
	    [STORE_SERVER] = a->server,
	    [STORE_ADDRESS] = a->address,
	    [STORE_DOMAIN] = a->domain,
	    [STORE_PROVIDER] = a->provider,
	};
	size_t n = 0;

	keys[n++] = store_redis_key(s, keep, "{a}e:%s", a->event);
	for (int d = 0; d < STORE_DIMENSIONS; d++) {
		const char *name = store_dimension_name((enum store_dimension)d);

		if (d != STORE_ALL && values[d][0] == '\0')
			continue;
		keys[n++] = store_redis_key(s, keep, "{a}z:%s:%s:%s", code, name, values[d]);
		keys[n++] = store_redis_key(s, keep, "{a}c:%s:%s", name, values[d]);
	}
	return n;
}

static void add_fields(struct redis_command *c, struct strlist *keep, const struct store_attempt *a)
{
	struct store_attempt copy = *a;
	char name[24];

	for (size_t i = 0; i < FIELDS; i++) {
		redis_command_text(c, fields[i].name);
		redis_command_text(c, *text_of(&copy, &fields[i]));
	}
	redis_command_text(c, "time");
	redis_command_int(c, a->time_ms);
	redis_command_text(c, "delay");
	redis_command_int(c, a->delay_ms);
	for (size_t i = 0; i < a->nrecipients; i++) {
		snprintf(name, sizeof name, "a%zu", i);
		redis_command_text(c, store_text(keep, name, sizeof name));
		redis_command_text(c, a->recipients[i].address);
		snprintf(name, sizeof name, "r%zu", i);
		redis_command_text(c, store_text(keep, name, sizeof name));
		redis_command_text(c, a->recipients[i].result);
	}
}

enum store_answer store_redis_attempt_add(
    struct store_engine *e, const struct store_attempt *a, bool *fresh, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *base = store_redis_key(s, &keep, "{a}");
	const char *keys[MOST_KEYS];
	struct redis_request r;
	enum store_answer answer;
	char code[4];
	size_t n;

	store_code(a->result, code);
	n = keys_of(s, &keep, a, code, keys);
	redis_request_script(&r, redis_script(REDIS_SCRIPT_ATTEMPT_ADD), n, keys);
	redis_command_text(&r.command, base);
	redis_command_text(&r.command, a->event);
	redis_command_int(&r.command, store_redis_now(s));
	redis_command_int(&r.command, a->time_ms);
	redis_command_text(&r.command, code);
	redis_command_int(&r.command, s->options.attempts_keep_ms);
	redis_command_int(&r.command, (int64_t)s->options.attempts_keep_count);
	redis_command_int(&r.command, LIMIT_STORE_TRIM);
	add_fields(&r.command, &keep, a);
	answer = store_redis_yes_no(s, &r, until);
	strlist_clear(&keep);
	*fresh = answer == STORE_FOUND;
	return answer == STORE_UNKNOWN ? STORE_UNKNOWN : STORE_FOUND;
}

enum store_answer store_redis_expire(struct store_engine *e, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	const char *base = store_redis_key(s, &keep, "{a}");
	const char *key = store_redis_key(s, &keep, "{a}c:all:");
	enum store_answer answer;

	do { /* everything but attempts expires by itself */
		struct redis_request r;

		redis_request_script(&r, redis_script(REDIS_SCRIPT_ATTEMPT_TRIM), 1, &key);
		redis_command_text(&r.command, base);
		redis_command_int(&r.command, store_redis_now(s));
		redis_command_int(&r.command, s->options.attempts_keep_ms);
		redis_command_int(&r.command, (int64_t)s->options.attempts_keep_count);
		redis_command_int(&r.command, EXPIRE_BATCH);
		answer = store_redis_yes_no(s, &r, until);
	} while (answer == STORE_FOUND && clock_ms() < until);
	strlist_clear(&keep);
	if (answer == STORE_UNKNOWN)
		return answer;
	return answer == STORE_ABSENT ? STORE_FOUND : STORE_ABSENT;
}

/* ---- windows ---- */

/* base, key, code, since, before, text: what both scripts begin with. */
static void begin_window(struct store_redis *s, struct redis_request *r, struct strlist *keep,
    enum redis_script_id script, const struct store_window *w)
{
	const char *key = key_of(keep, w->dimension, w->key);
	const char *codes = store_redis_key(s, keep, "{a}c:%s", key);
	struct store_code_range range;
	char before[24] = "+inf";

	store_code_range(w->result, &range);
	if (w->before_ms != INT64_MAX)
		snprintf(before, sizeof before, "(%" PRId64, w->before_ms);
	redis_request_script(r, redis_script(script), 1, &codes);
	redis_command_text(&r->command, store_redis_key(s, keep, "{a}"));
	redis_command_text(&r->command, key);
	redis_command_text(&r->command, store_text(keep, range.low, sizeof range.low));
	redis_command_int(&r->command, w->since_ms);
	redis_command_text(&r->command, store_text(keep, before, sizeof before));
	redis_command_text(&r->command, range.compare ? w->result : "");
}

enum store_answer store_redis_attempt_count(
    struct store_engine *e, const struct store_window *w, struct store_count *count, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer = STORE_FOUND;
	struct redis_request r;
	redisReply *reply;
	int64_t n;

	begin_window(s, &r, &keep, REDIS_SCRIPT_ATTEMPT_COUNT, w);
	redis_command_int(&r.command, LIMIT_STORE_SCAN);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	if (!redis_reply_int(reply, &n) || n < -1) {
		answer = store_redis_strange("attempt_count");
	} else if (n < 0) {
		store_complain("too many attempts to compare with \"%.64s\"", w->result);
		answer = STORE_UNKNOWN;
	} else {
		count->n = (uint64_t)n;
	}
	freeReplyObject(reply);
	return answer;
}

/* ---- finding ---- */

/* "a17" or "r17": the number, or -1. */
static long recipient_number(const char *name)
{
	char *end;
	long n;

	if ((name[0] != 'a' && name[0] != 'r') || name[1] < '0' || name[1] > '9')
		return -1;
	n = strtol(name + 1, &end, 10);
	return *end == '\0' && n < LIMIT_STORE_RECIPIENTS ? n : -1;
}

static void read_recipient(struct store_attempt *a, struct store_recipient *recipients, long n,
    char kind, const char *value)
{
	if (kind == 'a')
		recipients[n].address = value;
	else
		recipients[n].result = value;
	if ((size_t)n >= a->nrecipients)
		a->nrecipients = (size_t)n + 1;
}

/* One {event, {field, value ...}}. recipients has room for LIMIT_STORE_RECIPIENTS. */
static bool read_attempt(
    const redisReply *item, struct store_attempt *a, struct store_recipient *recipients)
{
	const redisReply *row = redis_reply_at(item, 1);

	*a = (struct store_attempt){.recipients = recipients};
	for (size_t i = 0; i < FIELDS; i++)
		*text_of(a, &fields[i]) = "";
	for (size_t i = 0; i < LIMIT_STORE_RECIPIENTS; i++)
		recipients[i] = (struct store_recipient){"", ""};
	a->event = redis_reply_text(redis_reply_at(item, 0));
	for (size_t i = 0; i + 1 < redis_reply_count(row); i += 2) {
		const char *name = redis_reply_text(redis_reply_at(row, i));
		const char *value = redis_reply_text(redis_reply_at(row, i + 1));
		long n;

		if (name == NULL || value == NULL)
			return false;
		n = recipient_number(name);
		if (n >= 0)
			read_recipient(a, recipients, n, name[0], value);
		else if (strcmp(name, "time") == 0)
			redis_reply_int(redis_reply_at(row, i + 1), &a->time_ms);
		else if (strcmp(name, "delay") == 0)
			redis_reply_int(redis_reply_at(row, i + 1), &a->delay_ms);
		for (size_t k = 0; k < FIELDS; k++)
			if (strcmp(name, fields[k].name) == 0)
				*text_of(a, &fields[k]) = value;
	}
	return a->event != NULL && redis_reply_count(row) > 0;
}

static bool read_cursor(const redisReply *at, struct store_cursor *cursor)
{
	const char *event = redis_reply_text(redis_reply_at(at, 1));

	if (at != NULL && at->type == REDIS_REPLY_ARRAY && at->elements == 0) {
		cursor->end = true;
		return true;
	}
	if (event == NULL || strlen(event) >= sizeof cursor->event ||
	    !redis_reply_int(redis_reply_at(at, 0), &cursor->time_ms))
		return false;
	cursor->set = true;
	memcpy(cursor->event, event, strlen(event) + 1);
	return true;
}

static enum store_answer read_page(const redisReply *reply, struct store_cursor *cursor,
    bool (*visit)(const struct store_attempt *, void *), void *arg)
{
	struct store_recipient *recipients = xcalloc(LIMIT_STORE_RECIPIENTS, sizeof *recipients);
	enum store_answer answer = STORE_FOUND;
	struct store_attempt a;

	if (!read_cursor(redis_reply_at(reply, 0), cursor))
		answer = store_redis_strange("attempt_page");
	for (size_t i = 1; answer == STORE_FOUND && i < redis_reply_count(reply); i++) {
		if (!read_attempt(redis_reply_at(reply, i), &a, recipients))
			answer = store_redis_strange("attempt_page");
		else if (!visit(&a, arg))
			break;
	}
	free(recipients);
	return answer;
}

enum store_answer store_redis_attempt_page(struct store_engine *e, const struct store_window *w,
    struct store_cursor *cursor, size_t most, bool (*visit)(const struct store_attempt *, void *),
    void *arg, int64_t until)
{
	struct store_redis *s = store_redis_of(e);
	struct strlist keep = STRLIST_INIT;
	enum store_answer answer;
	struct redis_request r;
	redisReply *reply;

	begin_window(s, &r, &keep, REDIS_SCRIPT_ATTEMPT_PAGE, w);
	redis_command_int(&r.command, most < LIMIT_STORE_PAGE ? (int64_t)most : LIMIT_STORE_PAGE);
	if (cursor->set)
		redis_command_int(&r.command, cursor->time_ms);
	else
		redis_command_text(&r.command, "");
	redis_command_text(&r.command, cursor->event);
	reply = store_redis_run(s, &r, until);
	strlist_clear(&keep);
	if (reply == NULL)
		return STORE_UNKNOWN;
	answer = read_page(reply, cursor, visit, arg);
	freeReplyObject(reply);
	return answer;
}
