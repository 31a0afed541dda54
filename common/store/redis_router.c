/* redis_router.c - see redis_router.h; and the topology of one server. */
#include "common/store/redis_router.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/store/redis_node.h"
#include "common/store/redis_script.h"
#include "common/store/redis_slot.h"
#include "common/store/redis_tls.h"
#include "common/store/redis_url.h"
#include "common/store.h"
#include "common/store/store_text.h"

#include <hiredis/hiredis.h>

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TRY_AGAIN_MS 20 /* a slot on the move is split only for moments */

struct redis_router {
	struct redis_url url; /* owns what login borrows */
	struct redis_login login;
	struct redis_tls *tls;
	struct redis_topology *topology;
};

/* ---- one server ---- */

struct single {
	struct redis_topology topology;
	struct redis_node *node;
};

static struct redis_node *single_pick(
    struct redis_topology *t, unsigned slot, int64_t until, struct redis_failure *f)
{
	(void)slot;
	(void)until;
	(void)f;
	return redis_node_ref(((struct single *)t)->node);
}

/* A name may point to another server by now, so that new connections are worth a try later. */
static bool single_failed(
    struct redis_topology *t, struct redis_node *node, unsigned slot, int64_t until)
{
	(void)t;
	(void)slot;
	(void)until;
	redis_node_forget(node);
	return false;
}

static void single_close(struct redis_topology *t)
{
	struct single *s = (struct single *)t;

	redis_node_unref(s->node);
	free(s);
}

static const struct redis_topology_ops single_ops = {
    .name = "redis",
    .pick = single_pick,
    .failed = single_failed,
    .close = single_close,
};

struct redis_topology *redis_single_new(
    const struct redis_url *u, const struct redis_login *login, const struct store_options *o)
{
	struct single *s = xcalloc(1, sizeof *s);

	s->topology.ops = &single_ops;
	if (u->socket != NULL)
		s->node = redis_node_new(NULL, 0, u->socket, login, o);
	else
		s->node = redis_node_new(u->hosts[0].name, u->hosts[0].port, NULL, login, o);
	return &s->topology;
}

/* ---- the router ---- */

struct redis_router *redis_router_new(
    const char *url, const struct store_options *o, char *why, size_t size)
{
	static struct redis_topology *(*const topologies[])(
	    const struct redis_url *, const struct redis_login *, const struct store_options *) = {
	    [REDIS_SINGLE] = redis_single_new,
	    [REDIS_SENTINEL] = redis_sentinel_new,
	    [REDIS_CLUSTER] = redis_cluster_new,
	};
	struct redis_router *r = xcalloc(1, sizeof *r);
	const struct redis_url *u = &r->url;

	if (redis_url_parse(&r->url, url, why, size) < 0)
		goto fail;
	if (u->tls) {
		char text[200];

		r->tls = redis_tls_new(u->ca, u->cert, u->key, text, sizeof text);
		if (r->tls == NULL) {
			snprintf(why, size, "store: %s", text);
			goto fail;
		}
	}
	r->login = (struct redis_login){
	    .user = u->user,
	    .password = u->password,
	    .db = u->db,
	    .tls = r->tls,
	    .tls_name = u->name,
	    .master = u->kind == REDIS_SENTINEL,
	};
	r->topology = topologies[u->kind](u, &r->login, o);
	return r;
fail:
	redis_router_free(r);
	return NULL;
}

struct redis_router *redis_router_adopt(const int *fds, size_t n, const struct store_options *o)
{
	struct redis_router *r = xcalloc(1, sizeof *r);

	r->url.socket = xstrdup("/nonexistent");
	r->topology = redis_single_new(&r->url, &r->login, o);
	while (n-- > 0) /* the one put there last is used first */
		redis_node_adopt(((struct single *)r->topology)->node, redis_conn_adopt(fds[n]));
	return r;
}

void redis_router_free(struct redis_router *r)
{
	if (r == NULL)
		return;
	if (r->topology != NULL)
		r->topology->ops->close(r->topology);
	redis_tls_free(r->tls);
	redis_url_clear(&r->url);
	free(r);
}

const char *redis_router_name(const struct redis_router *r)
{
	return r->topology->ops->name;
}

void redis_request_script(struct redis_request *r, const struct redis_script *script, size_t nkeys,
    const char *const *keys)
{
	*r = (struct redis_request){.script = script, .key = keys[0]};
	redis_command_text(&r->command, "EVALSHA");
	redis_command_text(&r->command, script->digest);
	redis_command_int(&r->command, (int64_t)nkeys);
	for (size_t i = 0; i < nkeys; i++)
		redis_command_text(&r->command, keys[i]);
}

void redis_request_plain(struct redis_request *r, const char *name, const char *key)
{
	*r = (struct redis_request){.key = key};
	redis_command_text(&r->command, name);
	redis_command_text(&r->command, key);
}

/* ---- one call ---- */

enum next { NEXT_DONE, NEXT_MOVED, NEXT_ASK, NEXT_LOAD, NEXT_WAIT, NEXT_ELSEWHERE, NEXT_GIVE_UP };

static const struct {
	const char *code;
	enum next next;
} meanings[] = {
    {"MOVED ", NEXT_MOVED}, {"ASK ", NEXT_ASK}, {"NOSCRIPT ", NEXT_LOAD}, {"TRYAGAIN ", NEXT_WAIT},
    {"READONLY ", NEXT_ELSEWHERE}, {"MASTERDOWN ", NEXT_ELSEWHERE},
    {"CLUSTERDOWN ", NEXT_ELSEWHERE},
    /* OOM, BUSY, LOADING, MISCONF, NOAUTH, NOPERM, NOREPLICAS and the rest: not now */
};

static enum next meaning(const redisReply *reply)
{
	if (reply->type != REDIS_REPLY_ERROR)
		return NEXT_DONE;
	for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
		if (strncmp(reply->str, meanings[i].code, strlen(meanings[i].code)) == 0)
			return meanings[i].next;
	/* Before Redis 7 an error inside a script is quoted: "ERR Error running script ...:
	 * -READONLY" */
	if (strstr(reply->str, ": -READONLY ") != NULL)
		return NEXT_ELSEWHERE;
	return NEXT_GIVE_UP;
}

struct call { /* one run of a request on its way through the servers */
	struct redis_router *router;
	const struct redis_request *request;
	unsigned slot;
	int64_t until;
	struct redis_node *node;
	bool asking, sent, elsewhere;
	struct redis_failure failure;
};

/* "MOVED 3999 127.0.0.1:6381" or the like: go to that server. */
static bool follow(struct call *c, const redisReply *reply, bool moved)
{
	struct redis_topology *t = c->router->topology;
	const char *slot = strchr(reply->str, ' ');
	const char *where = slot != NULL ? strchr(slot + 1, ' ') : NULL;
	struct redis_host host = {0};
	struct redis_node *next;

	if (t->ops->redirect == NULL || where == NULL)
		return false;
	where++;
	if (where[0] == ':') { /* the host that answered */
		host.name = xstrdup(redis_node_host(c->node));
		host.port = (uint16_t)strtoul(where + 1, NULL, 10);
	} else if (redis_host_parse(&host, where, strlen(where), 0) < 0 || host.port == 0) {
		free(host.name);
		return false;
	}
	next = t->ops->redirect(t, c->slot, host.name, host.port, moved);
	free(host.name);
	if (next == NULL)
		return false;
	redis_node_unref(c->node);
	c->node = next;
	c->asking = !moved;
	return true;
}

/* What servers say that cannot run our scripts: before Redis 5.0 one must not write after it asked
 * for the time; or a command is disabled. */
static const char *way_out(const char *error)
{
	static const char *const complaints[] = {
	    "non deterministic", "unknown command ", "Unknown Redis command", "Unknown command"};

	for (size_t i = 0; i < sizeof complaints / sizeof *complaints; i++)
		if (strstr(error, complaints[i]) != NULL)
			return "Redis 5.0 or later with all its commands is wanted: ";
	return "";
}

static bool load_script(struct call *c)
{
	struct redis_command load = {0};
	redisReply *reply;
	bool ok;

	if (c->request->script == NULL)
		return false;
	redis_command_text(&load, "SCRIPT");
	redis_command_text(&load, "LOAD");
	redis_command_text(&load, c->request->script->text);
	reply = redis_node_call(c->node, &load, false, c->until, &c->failure);
	redis_command_clear(&load);
	if (reply == NULL)
		return false;
	ok = reply->type != REDIS_REPLY_ERROR;
	if (!ok)
		redis_failure_set(&c->failure, REDIS_FAULT_NONE, "%sSCRIPT LOAD: %.120s",
		    way_out(reply->str), reply->str);
	freeReplyObject(reply);
	return ok;
}

/* Another server may serve the slot: once per call, and only if the topology says so. */
static bool elsewhere(struct call *c)
{
	struct redis_topology *t = c->router->topology;
	bool again;

	again = t->ops->failed(t, c->node, c->slot, c->until) && !c->elsewhere;
	c->elsewhere = true;
	if (again) {
		redis_node_unref(c->node);
		c->node = NULL;
		c->asking = false;
	}
	return again;
}

/* An error reply: may the call be made again? */
static bool again(struct call *c, const redisReply *error)
{
	redis_failure_set(
	    &c->failure, REDIS_FAULT_NONE, "%s%.140s", way_out(error->str), error->str);
	switch (meaning(error)) {
	case NEXT_MOVED:
		return follow(c, error, true);
	case NEXT_ASK:
		return follow(c, error, false);
	case NEXT_LOAD:
		return load_script(c);
	case NEXT_WAIT:
		poll(NULL, 0, c->until - clock_ms() > TRY_AGAIN_MS ? TRY_AGAIN_MS : 1);
		return true;
	case NEXT_ELSEWHERE:
		return elsewhere(c);
	case NEXT_DONE:
	case NEXT_GIVE_UP:
		break;
	}
	return false;
}

/* One server asked. The reply, or NULL with *go_on telling whether to ask again. */
static redisReply *step(struct call *c, bool *go_on)
{
	struct redis_topology *t = c->router->topology;
	redisReply *reply;

	*go_on = false;
	if (c->node == NULL)
		c->node = t->ops->pick(t, c->slot, c->until, &c->failure);
	if (c->node == NULL)
		return NULL;
	reply = redis_node_call(c->node, &c->request->command, c->asking, c->until, &c->failure);
	if (reply == NULL) {
		if (c->failure.fault == REDIS_FAULT_TIMEOUT ||
		    c->failure.fault == REDIS_FAULT_CLOSED ||
		    c->failure.fault == REDIS_FAULT_PROTOCOL)
			c->sent = true;
		*go_on = c->failure.fault != REDIS_FAULT_BUSY && elsewhere(c);
		return NULL;
	}
	if (meaning(reply) == NEXT_DONE)
		return reply;
	*go_on = again(c, reply);
	freeReplyObject(reply);
	return NULL;
}

struct redisReply *redis_router_run(
    struct redis_router *r, const struct redis_request *request, int64_t until, bool *sent)
{
	struct call c = {
	    .router = r,
	    .request = request,
	    .slot = redis_slot(request->key),
	    .until = until,
	};
	redisReply *reply = NULL;
	bool go_on = true;

	redis_failure_set(&c.failure, REDIS_FAULT_TIMEOUT, "no time left");
	for (int hops = 0; hops <= LIMIT_REDIS_REDIRECTS && go_on && clock_ms() < until; hops++)
		reply = step(&c, &go_on);
	if (reply == NULL)
		store_complain("Redis%s%s: %s", c.node != NULL ? " " : "",
		    c.node != NULL ? redis_node_name(c.node) : "", c.failure.text);
	if (sent != NULL)
		*sent = c.sent;
	redis_node_unref(c.node);
	return reply;
}
