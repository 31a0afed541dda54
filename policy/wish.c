/* wish.c - see wish.h. */
#include "policy/wish.h"

#include "lua-bindings/profile.h"

bool wish_wanted(const struct map_query *q)
{
	return script_set_has_hook(q->set, SCRIPT_MXOUT, "ServerDetails");
}

struct mxout_connection wish_connection(
    const struct map_query *q, const char *domain, const char *server, int64_t size, int number)
{
	return (struct mxout_connection){.server = server,
	    .domain = domain,
	    .size = size,
	    .id = number,
	    .name = maps_connection_name(q, number)};
}

static void notice_rest(const struct map_query *q, const struct server_actions *a)
{
	if (profile_needed(a) && profile_matching(script_set_config(q->set), a) == NULL)
		maps_notice(q, "ServerDetails: tryESMTP, HELOname and timeouts take effect where a "
			       "section profile has just these values, and the map transport is "
			       "attached");
}

bool wish_ask(const struct map_query *q, const char *domain, const char *server, int64_t size,
    int number, struct routed_wish *sum)
{
	int bytes = script_set_config(q->set)->outbound.fingerprint_bytes;
	const struct mxout_connection c = wish_connection(q, domain, server, size, number);
	struct server_actions a = {0};
	const char *why;
	bool fine = mxout_server_details(q->set, &c, q->id, q->deadline_ms, &a) == MXOUT_DECIDED;

	if (fine)
		notice_rest(q, &a);
	if (fine && !tls_demand_add(&sum->tls, server, &a, bytes, &why)) {
		log_error(q->id,
		    "ServerDetails for %s of %s: %s; mail to %s waits until the script is "
		    "corrected",
		    server, domain, why, domain);
		fine = false;
	}
	sum->hide_dsn |= fine && !a.allowDSN;
	server_actions_clear(&a);
	return fine;
}
