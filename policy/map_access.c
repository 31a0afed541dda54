/* map_access.c - see map_access.h. */
#include "policy/map_access.h"

#include "common/list.h"
#include "lua-bindings/mx_servers.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/profile.h"
#include "lua-bindings/tls_demand.h"
#include "policy/answers.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum tag { TAG_TRY, TAG_DEMAND };

static const char *const tags[] = {[TAG_TRY] = "try_tls:", [TAG_DEMAND] = "tls_srv:"};

/* What a key says; owns its strings. */
struct question {
	enum tag tag;
	char *server, *domain; /* as mx_server_host() has them; NULL: no name of a host */
	char *short_key;       /* of all recipients in that domain: what answers.h remembers */
	struct map_query map;
};

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

static void question_clear(struct question *in)
{
	free(in->server);
	free(in->domain);
	free(in->short_key);
}

/* ---- keys ---- */

/* From p to the end of the name; in brackets when the rules named the server. */
static char *host_at(const char *p)
{
	char *part, *host;
	size_t n;

	p += strspn(p, " [");
	if (strncasecmp(p, "IPv6:", 5) == 0)
		p += 5;
	n = strcspn(p, " ]>|");
	part = xstrndup(p, n);
	host = mx_server_host(part);
	free(part);
	return host;
}

/* False: nothing for us to decide. */
static bool read_key(const struct map_query *q, struct question *in)
{
	const char *bar, *at;
	size_t i = 0;

	*in = (struct question){.map = *q};
	if (strlen(q->key) != q->key_n ||
	    !script_set_has_hook(q->set, SCRIPT_MXOUT, "ServerDetails"))
		return false;
	while (i < sizeof tags / sizeof *tags && strncmp(q->key, tags[i], strlen(tags[i])) != 0)
		i++;
	if (i == sizeof tags / sizeof *tags)
		return false;
	in->tag = (enum tag)i;
	in->server = host_at(q->key + strlen(tags[i]));
	if (in->server == NULL)
		return true;
	bar = strchr(q->key, '|');
	at = bar != NULL ? strrchr(bar, '@') : NULL;
	in->domain = at != NULL ? host_at(at + 1) : NULL;
	if (in->domain == NULL)
		in->domain = xstrdup(in->server);
	in->short_key = xasprintf("%s%s %s", tags[i], in->server, in->domain);
	in->map.key = in->short_key;
	in->map.key_n = strlen(in->short_key);
	return true;
}

/* ---- answers ---- */

static struct map_answer late(const struct question *in)
{
	struct map_answer a;

	if (in->server != NULL && answers_recall(&in->map, true, &a))
		return a;
	if (in->tag == TAG_TRY) /* what is demanded is asked afterwards */
		return not_found();
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup("ServerDetails gave no answer")};
}

/* A name that the certificate must have, as the rules compare it: the name itself, or *.a.test for
 * mail.a.test. They cannot look for names below a domain, so that is the server's own name when it
 * is one of them. malloc'ed. */
static char *name_to_match(const char *server, const char *match)
{
	size_t n = strlen(server), m = strlen(match);

	if (match[0] != '.')
		return xstrdup(match);
	if (n > m && strcmp(server + n - m, match) == 0)
		return xstrdup(server);
	return xasprintf("*%s", match);
}

static struct map_answer say(const struct question *in, const struct tls_demand *d)
{
	struct map_answer a = {SOCKETMAP_OK, NULL};
	char *name;

	switch (d->level) {
	case TLS_DEFAULT:
		return not_found();
	case TLS_ENCRYPT:
		a.value = xstrdup("ENCR");
		break;
	case TLS_SECURE:
		name = name_to_match(in->server, d->match.v[0]);
		a.value = xasprintf("VERIFY:%s", name);
		free(name);
		break;
	case TLS_FINGERPRINT:
		a.value = xasprintf("FP:%s", d->match.v[0]);
		break;
	}
	return a;
}

static void notice_rest(const struct map_query *q, const struct server_actions *a)
{
	if (profile_needed(a) || a->useBATV || a->returnAddressModifier || !a->allowDSN)
		maps_notice(q, "ServerDetails: of its actions tryTLS, forceTLS and the checks of "
			       "certificates take effect here");
}

static struct map_answer demand(const struct question *in, const struct server_actions *a)
{
	int bytes = script_set_config(in->map.set)->outbound.fingerprint_bytes;
	struct tls_demand d = {0};
	struct map_answer out;
	const char *why;

	if (tls_demand_add(&d, in->server, a, bytes, &why)) {
		out = say(in, &d);
	} else {
		log_error(in->map.id,
		    "ServerDetails for %s of %s: %s; mail waits until the script is corrected",
		    in->server, in->domain, why);
		out = (struct map_answer){SOCKETMAP_TEMP, xstrdup("ServerDetails is wrong")};
	}
	tls_demand_clear(&d);
	return out;
}

static struct map_answer decide(const struct question *in, int number)
{
	const struct mxout_connection c = {.server = in->server,
	    .domain = in->domain,
	    .id = number,
	    .name = maps_connection_name(&in->map, number)};
	struct server_actions actions = {0};
	struct map_answer a = not_found();

	if (in->server == NULL)
		return late(in);
	if (mxout_server_details(in->map.set, &c, in->map.id, in->map.deadline_ms, &actions) !=
	    MXOUT_DECIDED) {
		server_actions_clear(&actions);
		return late(in);
	}
	notice_rest(&in->map, &actions);
	if (in->tag == TAG_DEMAND)
		a = demand(in, &actions);
	else if (tls_demand_without(&actions))
		a = (struct map_answer){SOCKETMAP_OK, xstrdup("NO")};
	server_actions_clear(&actions);
	answers_note(&in->map, &a, 0);
	return a;
}

struct map_answer map_access_answer(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a = read_key(q, &in) ? decide(&in, number) : not_found();

	question_clear(&in);
	return a;
}

struct map_answer map_access_late(const struct map_query *q, int number)
{
	struct question in;
	struct map_answer a = read_key(q, &in) ? late(&in) : not_found();

	(void)number;
	question_clear(&in);
	return a;
}
