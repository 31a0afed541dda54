/* store_sqlite.c - the store in one SQLite file: opening, upkeep and the table of operations.
 *
 * The tables are in sqlite_schema.c, connections and deadlines in sqlite_pool.c, the operations in
 * store_sqlite_*.c by subject. All values reach SQL as bound parameters, never as text (R17). */
#include "common/store/store_sqlite.h"

#include <stdlib.h>

#define EXPIRE_BATCH 200 /* rows per transaction, so that other writers get their turn */

static void sqlite_close(struct store_engine *e)
{
	struct store_sqlite *s = store_sqlite_of(e);

	sqlite_pool_close(s->pool);
	free(s);
}

static const char *sqlite_file(struct store_engine *e)
{
	return sqlite_pool_path(store_sqlite_of(e)->pool);
}

static enum store_answer sqlite_sync(struct store_engine *e, int64_t until)
{
	return sqlite_pool_sync(store_sqlite_of(e)->pool, until);
}

static enum store_answer sqlite_expire(struct store_engine *e, int64_t until)
{
	static int64_t (*const trims[])(struct store_sqlite *, struct sqlite_conn *, int64_t) = {
	    store_sqlite_attempts_trim,
	    store_sqlite_rates_trim,
	    store_sqlite_holds_trim,
	    store_sqlite_facts_trim,
	};
	struct store_sqlite *s = store_sqlite_of(e);
	bool any = false;

	for (size_t i = 0; i < sizeof trims / sizeof trims[0];) {
		struct sqlite_conn *c = sqlite_pool_write(s->pool, until);
		int64_t removed;

		if (c == NULL)
			return any ? STORE_ABSENT : STORE_UNKNOWN;
		removed = trims[i](s, c, EXPIRE_BATCH);
		if (sqlite_pool_end(c, STORE_FOUND) == STORE_UNKNOWN)
			return any ? STORE_ABSENT : STORE_UNKNOWN;
		any = any || removed > 0;
		if (removed < EXPIRE_BATCH)
			i++;
	}
	return STORE_FOUND;
}

static const struct store_engine_ops sqlite_ops = {
    .name = "sqlite",
    .close = sqlite_close,
    .file = sqlite_file,
    .attempt_add = store_sqlite_attempt_add,
    .attempt_count = store_sqlite_attempt_count,
    .attempt_page = store_sqlite_attempt_page,
    .rate = store_sqlite_rate,
    .hold_set = store_sqlite_hold_set,
    .hold_get = store_sqlite_hold_get,
    .hold_list = store_sqlite_hold_list,
    .hold_release = store_sqlite_hold_release,
    .setting_get = store_sqlite_setting_get,
    .setting_set = store_sqlite_setting_set,
    .setting_delete = store_sqlite_setting_delete,
    .setting_list = store_sqlite_setting_list,
    .facts_put = store_sqlite_facts_put,
    .facts_get = store_sqlite_facts_get,
    .facts_tried = store_sqlite_facts_tried,
    .facts_delete = store_sqlite_facts_delete,
    .facts_hop = store_sqlite_facts_hop,
    .sync = sqlite_sync,
    .expire = sqlite_expire,
};

struct store_engine *store_sqlite_open(
    const char *path, const struct store_options *o, char *why, size_t size)
{
	struct store_sqlite *s = xcalloc(1, sizeof *s);

	s->engine.ops = &sqlite_ops;
	s->options = *o;
	s->options.prefix = NULL;
	s->pool = sqlite_pool_open(path, o, why, size);
	if (s->pool == NULL) {
		free(s);
		return NULL;
	}
	return &s->engine;
}
