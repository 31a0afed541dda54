/* pool.c - prepared Lua states of one script set, so that a connection costs microseconds.
 *
 * A state that comes back is handed out again only after runtime_end() dropped everything of its
 * life. Thread-safe: the lock covers the list only, never Lua. */
#include "common/list.h"
#include "lua-bindings/lib/dry.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"

#include <pthread.h>
#include <stdlib.h>

struct runtime_pool {
	pthread_mutex_t lock;
	struct runtime **idle;
	int n, most;
};

struct runtime_pool *runtime_pool_new(int most)
{
	struct runtime_pool *p = xcalloc(1, sizeof *p);

	pthread_mutex_init(&p->lock, NULL);
	p->most = most;
	p->idle = xcalloc((size_t)most, sizeof(struct runtime *));
	return p;
}

void runtime_pool_free(struct runtime_pool *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < p->n; i++)
		runtime_free(p->idle[i]);
	pthread_mutex_destroy(&p->lock);
	free(p->idle);
	free(p);
}

static struct runtime *take(struct runtime_pool *p)
{
	struct runtime *rt = NULL;

	pthread_mutex_lock(&p->lock);
	if (p->n > 0)
		rt = p->idle[--p->n];
	pthread_mutex_unlock(&p->lock);
	return rt;
}

static bool put(struct runtime_pool *p, struct runtime *rt)
{
	bool kept = false;

	pthread_mutex_lock(&p->lock);
	if (p->n < p->most) {
		p->idle[p->n++] = rt;
		kept = true;
	}
	pthread_mutex_unlock(&p->lock);
	return kept;
}

static void l_look(lua_State *L, void *arg)
{
	(void)arg;
	l_dry_wrap(L);
}

bool runtime_only_looks(struct runtime *rt)
{
	runtime_set_dry(rt, RUNTIME_LOOKING);
	return runtime_inside(rt, l_look, NULL) == RUN_OK;
}

/* What is wrapped stays wrapped: such a state has libraries of its own and lives once. */
static bool begin(struct runtime *rt, struct script_set *set, const struct log_id *id)
{
	return script_set_only_looks(set) ? runtime_begin(rt, id) && runtime_only_looks(rt)
					  : runtime_begin_with_the_set(rt, id);
}

struct runtime *runtime_acquire(struct script_set *set, const struct log_id *id)
{
	struct runtime *rt = take(script_set_pool(set));

	if (rt == NULL)
		rt = runtime_new(set, script_set_config(set)->lua.memory_bytes);
	if (rt != NULL && !begin(rt, set, id)) {
		runtime_free(rt);
		rt = NULL;
	}
	return rt;
}

void runtime_release(struct runtime *rt)
{
	if (!runtime_end(rt) || runtime_dry(rt) != RUNTIME_REAL || !runtime_is_lean(rt) ||
	    !put(script_set_pool(runtime_set(rt)), rt))
		runtime_free(rt);
}
