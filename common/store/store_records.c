/* store_records.c - see store.h: holds, settings and message facts.
 *
 * Checks and normalises what callers bring before an engine sees it; see store.c. */
#include "common/store.h"

#include "common/limits.h"
#include "common/log.h"
#include "common/store/store_internal.h"
#include "common/store/store_text.h"

#include <stdlib.h>
#include <string.h>

/* ---- holds ---- */

enum store_answer store_hold_set(struct store *s, const struct store_hold *hold, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	struct store_hold h = *hold;
	enum store_answer answer;

	if (!store_dimension_ok(h.dimension, h.key))
		return STORE_UNKNOWN;
	h.key = store_name(&t, h.key, LIMIT_STORE_KEY_BYTES);
	h.who = store_text(&t, h.who, LIMIT_STORE_HOLD_TEXT_BYTES);
	h.reason = store_text(&t, h.reason, LIMIT_STORE_HOLD_TEXT_BYTES);
	h.set_ms = store_now(&s->options);
	answer = s->engine->ops->hold_set(s->engine, &h, until);
	strlist_clear(&t);
	return answer;
}

static void ignore_hold(const struct store_hold *hold, void *arg)
{
	(void)hold;
	(void)arg;
}

enum store_answer store_hold_get(struct store *s, enum store_dimension d, const char *key,
    void (*visit)(const struct store_hold *, void *), void *arg, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	if (!store_dimension_ok(d, key))
		return STORE_UNKNOWN;
	answer = s->engine->ops->hold_get(s->engine, d, store_name(&t, key, LIMIT_STORE_KEY_BYTES),
	    visit != NULL ? visit : ignore_hold, arg, until);
	strlist_clear(&t);
	return answer;
}

enum store_answer store_hold_list(
    struct store *s, bool (*visit)(const struct store_hold *, void *), void *arg, int ms)
{
	return s->engine->ops->hold_list(s->engine, visit, arg, store_until(ms));
}

enum store_answer store_hold_release(
    struct store *s, enum store_dimension d, const char *key, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	if (!store_dimension_ok(d, key))
		return STORE_UNKNOWN;
	answer = s->engine->ops->hold_release(
	    s->engine, d, store_name(&t, key, LIMIT_STORE_KEY_BYTES), until);
	strlist_clear(&t);
	return answer;
}

/* ---- settings ---- */

/* A name is listed again later, so it is never digested: too long is refused. */
static bool setting_ok(const char *user, const char *name)
{
	if (user != NULL && (user[0] == '\0' || strlen(user) > LIMIT_STORE_KEY_BYTES)) {
		store_complain("setting of a user without a name, or with one above %d bytes",
		    LIMIT_STORE_KEY_BYTES);
		return false;
	}
	if (name[0] == '\0' || strlen(name) > LIMIT_STORE_KEY_BYTES) {
		store_complain(
		    "setting without a name, or with one above %d bytes", LIMIT_STORE_KEY_BYTES);
		return false;
	}
	return true;
}

static const char *user_of(const char *user)
{
	return user != NULL ? user : "";
}

enum store_answer store_setting_get(
    struct store *s, const char *user, const char *name, char **value, int ms)
{
	*value = NULL;
	if (!setting_ok(user, name))
		return STORE_UNKNOWN;
	return s->engine->ops->setting_get(s->engine, user_of(user), name, value, store_until(ms));
}

enum store_answer store_setting_set(
    struct store *s, const char *user, const char *name, const char *value, int ms)
{
	if (!setting_ok(user, name))
		return STORE_UNKNOWN;
	if (strlen(value) > LIMIT_STORE_VALUE_BYTES) {
		store_complain("setting %.64s is above %u bytes", name, LIMIT_STORE_VALUE_BYTES);
		return STORE_UNKNOWN;
	}
	return s->engine->ops->setting_set(s->engine, user_of(user), name, value, store_until(ms));
}

enum store_answer store_setting_delete(struct store *s, const char *user, const char *name, int ms)
{
	if (!setting_ok(user, name))
		return STORE_UNKNOWN;
	return s->engine->ops->setting_delete(s->engine, user_of(user), name, store_until(ms));
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum store_answer store_setting_list(
    struct store *s, const char *user, struct strlist *names, int ms)
{
	size_t before = names->n;
	enum store_answer answer;

	if (!setting_ok(user, "any"))
		return STORE_UNKNOWN;
	answer = s->engine->ops->setting_list(s->engine, user_of(user), names, store_until(ms));
	if (answer == STORE_FOUND)
		qsort(names->v + before, names->n - before, sizeof *names->v, compare_texts);
	return answer;
}

/* ---- message facts ---- */

void store_facts_clear(struct store_facts *f)
{
	free(f->sender);
	strlist_clear(&f->recipients);
	strlist_clear(&f->next_hops);
	*f = (struct store_facts){0};
}

static void copy_list(struct strlist *to, const struct strlist *from, bool names)
{
	size_t bytes = 0;

	for (size_t i = 0; i < from->n && i < LIMIT_STORE_RECIPIENTS; i++) {
		if (names)
			store_name(to, from->v[i], LIMIT_STORE_KEY_BYTES);
		else
			store_text(to, from->v[i], LIMIT_STORE_TEXT_BYTES);
		bytes += strlen(to->v[to->n - 1]);
		if (bytes > LIMIT_STORE_RECIPIENTS_BYTES) {
			strlist_remove(to, to->n - 1);
			break;
		}
	}
}

enum store_answer store_facts_put(
    struct store *s, const char *queue_id, const struct store_facts *facts, unsigned which, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	struct store_facts f = {
	    .size = facts->size,
	    .arrival_ms = facts->arrival_ms,
	    .retries = facts->retries,
	    .last_try_ms = facts->last_try_ms,
	};
	enum store_answer answer;

	f.sender = xstrndup(facts->sender != NULL ? facts->sender : "", LIMIT_STORE_TEXT_BYTES);
	copy_list(&f.recipients, &facts->recipients, false);
	copy_list(&f.next_hops, &facts->next_hops, true);
	answer = s->engine->ops->facts_put(s->engine,
	    store_key(&t, queue_id, LIMIT_STORE_KEY_BYTES), &f, which & STORE_FACT_EVERY, until);
	store_facts_clear(&f);
	strlist_clear(&t);
	return answer;
}

enum store_answer store_facts_get(
    struct store *s, const char *queue_id, struct store_facts *facts, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	store_facts_clear(facts);
	answer = s->engine->ops->facts_get(
	    s->engine, store_key(&t, queue_id, LIMIT_STORE_KEY_BYTES), facts, until);
	strlist_clear(&t);
	if (answer != STORE_FOUND)
		store_facts_clear(facts);
	return answer;
}

enum store_answer store_facts_tried(struct store *s, const char *queue_id, int64_t time_ms, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	answer = s->engine->ops->facts_tried(
	    s->engine, store_key(&t, queue_id, LIMIT_STORE_KEY_BYTES), time_ms, until);
	strlist_clear(&t);
	return answer;
}

enum store_answer store_facts_delete(struct store *s, const char *queue_id, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	answer = s->engine->ops->facts_delete(
	    s->engine, store_key(&t, queue_id, LIMIT_STORE_KEY_BYTES), until);
	strlist_clear(&t);
	return answer;
}

enum store_answer store_facts_hop(
    struct store *s, const char *next_hop, struct store_hop_facts *facts, int ms)
{
	int64_t until = store_until(ms);
	struct strlist t = STRLIST_INIT;
	enum store_answer answer;

	*facts = (struct store_hop_facts){0};
	answer = s->engine->ops->facts_hop(
	    s->engine, store_name(&t, next_hop, LIMIT_STORE_KEY_BYTES), facts, until);
	strlist_clear(&t);
	return answer;
}
