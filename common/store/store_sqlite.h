/* store_sqlite.h - the SQLite engine's parts; private to it. Signatures as in store_engine.h. */
#pragma once

#include "common/store/sqlite_pool.h"
#include "common/store/store_engine.h"

struct store_sqlite {
	struct store_engine engine; /* first, so that the engine is the store_sqlite */
	struct sqlite_pool *pool;
	struct store_options options; /* without the prefix */
};

static inline struct store_sqlite *store_sqlite_of(struct store_engine *e)
{
	return (struct store_sqlite *)e;
}

/* store_sqlite_attempts.c: writes */
enum store_answer store_sqlite_attempt_add(
    struct store_engine *, const struct store_attempt *, bool *fresh, int64_t until);
/* Remove attempts past retention, at most `most`; how many were. */
int64_t store_sqlite_attempts_trim(struct store_sqlite *, struct sqlite_conn *, int64_t most);

/* store_sqlite_windows.c: counting and finding */
enum store_answer store_sqlite_attempt_count(
    struct store_engine *, const struct store_window *, struct store_count *, int64_t until);
enum store_answer store_sqlite_attempt_page(struct store_engine *, const struct store_window *,
    struct store_cursor *, size_t most, bool (*visit)(const struct store_attempt *, void *),
    void *arg, int64_t until);

/* store_sqlite_rates.c */
void store_sqlite_rate(struct store_engine *, const struct store_rate_request *,
    struct store_rate_reply *, int64_t until);
int64_t store_sqlite_rates_trim(struct store_sqlite *, struct sqlite_conn *, int64_t most);

/* store_sqlite_records.c: holds and settings */
enum store_answer store_sqlite_hold_set(
    struct store_engine *, const struct store_hold *, int64_t until);
enum store_answer store_sqlite_hold_get(struct store_engine *, enum store_dimension,
    const char *key, void (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
enum store_answer store_sqlite_hold_list(struct store_engine *,
    bool (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
enum store_answer store_sqlite_hold_release(
    struct store_engine *, enum store_dimension, const char *key, int64_t until);
int64_t store_sqlite_holds_trim(struct store_sqlite *, struct sqlite_conn *, int64_t most);
enum store_answer store_sqlite_setting_get(
    struct store_engine *, const char *user, const char *name, char **value, int64_t until);
enum store_answer store_sqlite_setting_set(
    struct store_engine *, const char *user, const char *name, const char *value, int64_t until);
enum store_answer store_sqlite_setting_delete(
    struct store_engine *, const char *user, const char *name, int64_t until);
enum store_answer store_sqlite_setting_list(
    struct store_engine *, const char *user, struct strlist *names, int64_t until);

/* store_sqlite_facts.c */
enum store_answer store_sqlite_facts_put(struct store_engine *, const char *queue_id,
    const struct store_facts *, unsigned which, int64_t until);
enum store_answer store_sqlite_facts_get(
    struct store_engine *, const char *queue_id, struct store_facts *, int64_t until);
enum store_answer store_sqlite_facts_tried(
    struct store_engine *, const char *queue_id, int64_t time_ms, int64_t until);
enum store_answer store_sqlite_facts_delete(
    struct store_engine *, const char *queue_id, int64_t until);
enum store_answer store_sqlite_facts_hop(
    struct store_engine *, const char *next_hop, struct store_hop_facts *, int64_t until);
int64_t store_sqlite_facts_trim(struct store_sqlite *, struct sqlite_conn *, int64_t most);
