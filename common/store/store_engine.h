/* store_engine.h - what an engine of the store offers to store.c; private to the store's files.
 *
 * store.c has checked and normalised every argument before an engine sees it: no text is NULL,
 * keys fit LIMIT_STORE_KEY_BYTES, host names are in lower case, lists are within their bounds.
 * `until` is the end of the call on the monotonic clock (clock.h). An engine is thread-safe. */
#pragma once

#include "common/limits.h"
#include "common/store.h"

#include <stdint.h>

struct store_engine {
	const struct store_engine_ops *ops;
};

struct store_rate_request {
	const struct store_rate_limit *limit; /* bursts filled in */
	uint64_t cost;
	bool take;
	const char *id; /* of this call; a second take of that id charges nothing */
};

struct store_rate_reply {
	enum store_rate answer;
	struct store_rate_state state;
	double tats[LIMIT_STORE_RATE_WINDOWS]; /* see gcra.h */
	int64_t now_ms;			       /* of the clock that the tats were made with */
	bool sent; /* UNKNOWN: the server may have charged it all the same, or may yet */
};

/* A take whose outcome is not known: it may have been charged by the server, or may yet be. */
struct store_rate_doubt {
	char id[40];
	uint64_t cost;
	int64_t now_ms; /* on the clock of the tats */
};

#define STORE_RATE_DOUBTS 16 /* kept per limit; later ones count as charged by the server */

struct store_rate_debt { /* what was taken of one limit while the server was away */
	const struct store_rate_limit *limit;
	const char *id; /* a second merge of that id changes nothing */
	/* How many milliseconds later each window drains by it. */
	double owed[LIMIT_STORE_RATE_WINDOWS];
	/* Included in `owed`, and left out if the server did charge them. */
	const struct store_rate_doubt *doubts;
	size_t ndoubts;
};

struct store_engine_ops {
	const char *name;
	void (*close)(struct store_engine *);
	void (*status)(struct store_engine *, struct store_status *);
	const char *(*file)(struct store_engine *); /* NULL: it has none */

	enum store_answer (*attempt_add)(
	    struct store_engine *, const struct store_attempt *, bool *fresh, int64_t until);
	enum store_answer (*attempt_count)(struct store_engine *, const struct store_window *,
	    struct store_count *, int64_t until);
	/* One page: looks at no more than LIMIT_STORE_PAGE attempts, moves the cursor. */
	enum store_answer (*attempt_page)(struct store_engine *, const struct store_window *,
	    struct store_cursor *, size_t most, bool (*visit)(const struct store_attempt *, void *),
	    void *arg, int64_t until);

	void (*rate)(struct store_engine *, const struct store_rate_request *,
	    struct store_rate_reply *, int64_t until);
	/* reply->answer is STORE_RATE_PASS when merged, the tats those after it. */
	void (*rate_merge)(struct store_engine *, const struct store_rate_debt *,
	    struct store_rate_reply *, int64_t until);

	enum store_answer (*hold_set)(
	    struct store_engine *, const struct store_hold *, int64_t until);
	enum store_answer (*hold_get)(struct store_engine *, enum store_dimension, const char *key,
	    void (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
	enum store_answer (*hold_list)(struct store_engine *,
	    bool (*visit)(const struct store_hold *, void *), void *arg, int64_t until);
	enum store_answer (*hold_release)(
	    struct store_engine *, enum store_dimension, const char *key, int64_t until);

	/* user "" = the whole service */
	enum store_answer (*setting_get)(
	    struct store_engine *, const char *user, const char *name, char **value, int64_t until);
	enum store_answer (*setting_set)(struct store_engine *, const char *user, const char *name,
	    const char *value, int64_t until);
	enum store_answer (*setting_delete)(
	    struct store_engine *, const char *user, const char *name, int64_t until);
	enum store_answer (*setting_list)(
	    struct store_engine *, const char *user, struct strlist *names, int64_t until);

	enum store_answer (*facts_put)(struct store_engine *, const char *queue_id,
	    const struct store_facts *, unsigned which, int64_t until);
	enum store_answer (*facts_get)(
	    struct store_engine *, const char *queue_id, struct store_facts *, int64_t until);
	enum store_answer (*facts_tried)(
	    struct store_engine *, const char *queue_id, int64_t time_ms, int64_t until);
	enum store_answer (*facts_delete)(
	    struct store_engine *, const char *queue_id, int64_t until);
	enum store_answer (*facts_hop)(
	    struct store_engine *, const char *next_hop, struct store_hop_facts *, int64_t until);

	enum store_answer (*sync)(struct store_engine *, int64_t until); /* NULL: not its affair */
	enum store_answer (*expire)(struct store_engine *, int64_t until);
	enum store_answer (*merge)(
	    struct store_engine *, int64_t until); /* NULL: nothing to merge */
};

/* The engines. The options are complete; an engine copies what it keeps. NULL: why is set. */
struct store_engine *store_sqlite_open(
    const char *path, const struct store_options *, char *why, size_t size);
struct store_engine *store_redis_open(
    const char *url, const struct store_options *, char *why, size_t size);
/* An engine with attempt_add, attempt_count, rate, merge, status and close only, that asks `inner`
 * and helps itself while inner answers UNKNOWN. inner must outlive it. */
struct store_engine *store_fallback_open(struct store_engine *inner, const struct store_options *);
