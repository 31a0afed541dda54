/* profile.c - see profile.h. */
#include "lua-bindings/profile.h"

#include "common/clock.h"
#include "common/own_host.h"
#include "lua-bindings/mx_lookup.h"

#include <strings.h>

bool profile_has_values(const struct profile_config *p)
{
	return p->helo_name[0] != '\0' || !p->esmtp || p->connect_seconds != 0 ||
	       p->command_seconds != 0 || p->data_seconds != 0;
}

bool profile_wanted(const struct script_set *set)
{
	const struct config *c = script_set_config(set);
	bool any = false;

	for (size_t i = 0; i < c->nprofiles; i++)
		any |= profile_has_values(&c->profiles[i]);
	return any && script_set_has_hook(set, SCRIPT_MXOUT, "ServerDetails");
}

bool profile_needed(const struct server_actions *a)
{
	return !a->tryESMTP || (a->HELOname != NULL && a->HELOname[0] != '\0') ||
	       a->timeouts.connect != 0 || a->timeouts.command != 0 || a->timeouts.data != 0;
}

const struct profile_config *profile_matching(
    const struct config *cfg, const struct server_actions *a)
{
	const char *helo = a->HELOname != NULL ? a->HELOname : "";

	for (size_t i = 0; i < cfg->nprofiles; i++) {
		const struct profile_config *p = &cfg->profiles[i];

		if (strcasecmp(p->helo_name, helo) == 0 && p->esmtp == a->tryESMTP &&
		    p->connect_seconds == a->timeouts.connect &&
		    p->command_seconds == a->timeouts.command &&
		    p->data_seconds == a->timeouts.data)
			return p;
	}
	return NULL;
}

/* By the best of them. */
static bool ask(const struct mx_case *c, const char *server, const struct profile_config **out)
{
	const struct mxout_connection connection = {.server = server,
	    .domain = c->delivery.domain,
	    .size = c->delivery.size,
	    .id = c->delivery.connection,
	    .name = c->delivery.connection_name};
	struct server_actions a = {0};
	enum mxout_answer answer =
	    mxout_server_details(c->set, &connection, c->id, c->deadline_ms, &a);

	if (answer == MXOUT_DECIDED && profile_needed(&a)) {
		*out = profile_matching(script_set_config(c->set), &a);
		if (*out == NULL && script_set_first(c->set, "ServerDetails: profile"))
			log_warn(c->id,
			    "ServerDetails for %s of %s: no section profile has just this "
			    "HELOname, tryESMTP and timeouts; the mail goes without them (logged "
			    "once for each loading of the scripts)",
			    server, c->delivery.domain);
	}
	server_actions_clear(&a);
	return answer != MXOUT_FAILED || !mxout_must_fail(c->set);
}

static int half_of_the_rest(const struct mx_case *c)
{
	return (int)(c->deadline_ms - clock_ms()) / 2;
}

/* Mail that this host is the best server for stays here: Postfix would bounce it as a loop. */
bool profile_find(
    const struct mx_case *c, const struct mx_servers *servers, const struct profile_config **out)
{
	const struct config *cfg = script_set_config(c->set);
	struct mx_servers found = {0};
	bool known = true;

	*out = NULL;
	if (servers->n > 0)
		return ask(c, servers->v[0].host, out);
	switch (mx_lookup(cfg, c->delivery.domain, &found, half_of_the_rest(c))) {
	case DNS_FOUND:
		switch (own_host_is(cfg, found.v[0].host, half_of_the_rest(c))) {
		case OWN_HOST_NO:
			known = ask(c, found.v[0].host, out);
			break;
		case OWN_HOST_UNKNOWN:
			known = false;
			break;
		case OWN_HOST_YES:
			break;
		}
		break;
	case DNS_ABSENT:
		break;
	case DNS_UNKNOWN:
		known = false;
		break;
	}
	mx_servers_clear(&found);
	return known;
}
