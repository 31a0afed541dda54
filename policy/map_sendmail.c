/* map_sendmail.c - see map_sendmail.h. */
#include "policy/map_sendmail.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/own_host.h"
#include "common/store/store_shared.h"
#include "lua-bindings/mx_servers.h"
#include "lua-bindings/route.h"
#include "policy/answers.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define SMTP_PORT 25 /* a list of hosts has no place for another one */

/* What a key says. */
struct question {
	char *domain;	      /* malloc'ed, as mx_server_host() has it */
	struct log_id id;     /* with the queue id, when there is one */
	int64_t tries;	      /* of the message; -1: not known */
	const char *mailer;   /* in front of the list of hosts, or "" */
	struct map_query map; /* by domain: what answers.h remembers */
};

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

static struct map_answer wait_in_queue(const char *why)
{
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup(why)};
}

/* ---- keys ---- */

/* A domain that others serve; malloc'ed. NULL: ours, an address literal, or no name. */
static char *foreign_domain(const struct map_query *q, const char *text)
{
	char *domain = *text != '[' && *text != '.' ? mx_server_host(text) : NULL;

	if (domain != NULL && own_host_domain(script_set_config(q->set), domain)) {
		free(domain);
		domain = NULL;
	}
	return domain;
}

/* Copies the letters and digits that a queue id is made of. */
static void take_queue_id(char *out, size_t size, const char *p)
{
	size_t n = 0;

	while (n + 1 < size && isalnum((unsigned char)p[n]))
		n++;
	memcpy(out, p, n);
	out[n] = '\0';
}

/* Sendmail puts blanks round the bars. The recipient stands last, so that nothing in an address can
 * pass for another part. */
static bool read_local_rule(const struct map_query *q, struct question *out)
{
	const char *bar = strchr(q->key, '|'), *at = strrchr(q->key, '@');
	char *end;

	if (bar == NULL || at == NULL || at < bar)
		return false;
	take_queue_id(out->id.queue, sizeof out->id.queue, q->key + strspn(q->key, " "));
	out->tries = strtoll(bar + 1, &end, 10); /* none at submission */
	if (end[strspn(end, " ")] != '|' || out->tries < 0)
		return false;
	out->domain = foreign_domain(q, at + 1);
	return out->domain != NULL;
}

static bool read_mailertable(const struct map_query *q, struct question *out)
{
	out->tries = -1;
	out->mailer = "esmtp:";
	out->domain = foreign_domain(q, q->key);
	return out->domain != NULL;
}

/* False: nothing for us to decide. */
static bool read_key(const struct map_query *q, struct question *out,
    bool (*read)(const struct map_query *, struct question *))
{
	*out = (struct question){.mailer = ""};
	if (q->id != NULL)
		out->id = *q->id;
	if (strlen(q->key) != q->key_n || !read(q, out))
		return false;
	out->map = *q;
	out->map.id = &out->id;
	out->map.key = out->domain;
	out->map.key_n = strlen(out->domain);
	return true;
}

/* ---- answers ---- */

/* "esmtp:[a.test]:[IPv6:2001:db8::1]", malloc'ed; NULL: a port that cannot be said. */
static char *host_list(const char *mailer, const struct mx_servers *servers)
{
	char *out = xstrdup(mailer);

	for (size_t i = 0; i < servers->n; i++) {
		const struct mx_server *s = &servers->v[i];
		const char *ipv6 = strchr(s->host, ':') != NULL ? "IPv6:" : "";
		char *longer;

		if (s->port != 0 && s->port != SMTP_PORT) {
			free(out);
			return NULL;
		}
		longer = xasprintf("%s%s[%s%s]", out, i > 0 ? ":" : "", ipv6, s->host);
		free(out);
		out = longer;
	}
	return out;
}

static struct map_answer late(const struct question *in)
{
	struct map_answer a;

	if (!route_wanted(in->map.set))
		return not_found();
	if (answers_recall(&in->map, true, &a))
		return a;
	return wait_in_queue("no route in time");
}

/* The script failed, or DNS gave us no answer. */
static struct map_answer no_decision(const struct question *in)
{
	struct script_set *set = in->map.set;
	struct map_answer a;

	if (script_set_has(set, SCRIPT_MXSERVERRULES) && mxserverrules_must_fail(set))
		a = wait_in_queue("no decision");
	else
		a = late(in);
	if (a.status == SOCKETMAP_TEMP)
		log_info(&in->id, "%s: no decision about its servers: the mail waits", in->domain);
	return a;
}

static struct map_answer use_servers(const struct question *in, const struct route *r)
{
	char *list = host_list(in->mailer, &r->servers);

	if (list != NULL)
		return (struct map_answer){SOCKETMAP_OK, list};
	log_error(&in->id,
	    "%s: Sendmail takes no port in a list of servers: mail waits until mxserverrules.lua "
	    "names none",
	    in->domain);
	return wait_in_queue("a server with a port");
}

static struct map_answer answer(const struct question *in, struct mx_case *c)
{
	struct route r = {.alone = true};
	struct map_answer a = not_found();
	bool remember = true;

	switch (route_find(c, &r)) {
	case ROUTE_MTA:
		break;
	case ROUTE_SERVERS:
		a = use_servers(in, &r);
		break;
	case ROUTE_NONE:
	case ROUTE_HELD:
		log_info(&in->id, "%s: no server may be used now: the mail waits", in->domain);
		a = wait_in_queue("no server may be used now");
		remember = false;
		break;
	case ROUTE_UNKNOWN:
		a = no_decision(in);
		remember = false;
		break;
	}
	if (remember)
		answers_note(&in->map, &a, 0);
	route_clear(&r);
	return a;
}

/* ---- the message ---- */

/* 0: not known. */
static int64_t size_of_message(const struct mx_case *c, const char *queue_id)
{
	const char *url = script_set_config(c->set)->store;
	int64_t left = (c->deadline_ms - clock_ms()) / 2, size = 0;
	struct store *store = *queue_id != '\0' && left > 0 ? store_shared_get(url) : NULL;
	struct store_facts facts = {0};
	enum store_answer found;

	if (store == NULL)
		return 0;
	found = store_facts_get(
	    store, queue_id, &facts, left > LIMIT_FACTS_MS ? LIMIT_FACTS_MS : (int)left);
	store_shared_put(store);
	store_shared_report(url, found);
	if (found == STORE_FOUND)
		size = facts.size;
	store_facts_clear(&facts);
	return size;
}

static struct map_answer decide(const struct question *in, int number)
{
	struct mx_case c = {.set = in->map.set,
	    .id = &in->id,
	    .deadline_ms = in->map.deadline_ms,
	    .delivery = {.domain = in->domain,
		.retries = in->tries,
		.connection = number,
		.connection_name = maps_connection_name(&in->map, number)}};

	if (!script_set_has(c.set, SCRIPT_MXSERVERRULES))
		c.delivery.retries = 0;
	else if (in->tries < 0)
		mx_decision_facts(&c, &c.delivery.retries, &c.delivery.size);
	else
		c.delivery.size = size_of_message(&c, in->id.queue);
	return answer(in, &c);
}

/* ---- the maps ---- */

struct map_answer map_local_rule_answer(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a = read_key(q, &in, read_local_rule) ? decide(&in, number) : not_found();

	free(in.domain);
	return a;
}

struct map_answer map_local_rule_late(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a = read_key(q, &in, read_local_rule) ? late(&in) : not_found();

	(void)number;
	free(in.domain);
	return a;
}

struct map_answer map_mailertable_answer(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a =
	    read_key(q, &in, read_mailertable) ? decide(&in, number) : not_found();

	free(in.domain);
	return a;
}

struct map_answer map_mailertable_late(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a = read_key(q, &in, read_mailertable) ? late(&in) : not_found();

	(void)number;
	free(in.domain);
	return a;
}
