/* route.c - `mailhooks route ADDRESS`: what would be decided for mail to this address now, and why.
 *
 * Asks the scripts, the store and DNS as the service does, and changes nothing: scripts only look.
 */
#include "cli/cli.h"
#include "cli/cli_store.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/local_time.h"
#include "common/log.h"
#include "common/own_host.h"
#include "common/store/holds.h"
#include "common/store/store_shared.h"
#include "lua-bindings/mx_lookup.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/profile.h"
#include "lua-bindings/route.h"
#include "lua-bindings/tls_demand.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>

#define STEP_MS 10000 /* a person waits */
#define WINDOW_MINUTES 15

static void print_line(const char *before, const char *text)
{
	char out[4000];

	log_escape(out, sizeof out, text, strlen(text));
	printf("%s%s\n", before, out);
}

/* ---- counters ---- */

/* False: the store does not answer. */
static bool print_counters(struct store *store, const char *host)
{
	static const char *const results[] = {"2", "4", "5"};

	bool known = true;

	printf("    last %d minutes:", WINDOW_MINUTES);
	for (size_t i = 0; i < sizeof results / sizeof *results; i++) {
		const struct store_window w = {.dimension = STORE_SERVER,
		    .key = host,
		    .result = results[i],
		    .since_ms = holds_now_ms() - WINDOW_MINUTES * 60000LL};
		struct store_count count;

		known =
		    store_attempt_count(store, &w, &count, STEP_MS) == STORE_FOUND && !count.local;
		if (known)
			printf(" %llu with %sxx%s", (unsigned long long)count.n, results[i],
			    i + 1 < sizeof results / sizeof *results ? "," : "\n");
		else
			printf(" unknown with %sxx%s", results[i],
			    i + 1 < sizeof results / sizeof *results ? "," : "\n");
	}
	return known;
}

/* ---- servers ---- */

static const char *const uses[] = {
    [MX_USE] = "used", [MX_DROP] = "not used", [MX_LATER] = "mail waits"};

static void print_until(int64_t until_ms)
{
	char text[LOCAL_TIME_BYTES];

	local_time_text(text, until_ms);
	printf("    not tried before %s\n", text);
}

/* Without MX records Postfix asks the map mx about addresses only. */
static void decide_by_holds(const struct mx_case *c, const char *host, struct mx_reason *r)
{
	*r = (struct mx_reason){.use = MX_USE, .why = "not held"};
	mx_decision_held(c, host, NULL, r);
}

/* False: the store does not answer. */
static bool print_servers(
    struct mx_case *c, struct store *store, const struct mx_servers *servers, bool own_address)
{
	size_t usable = 0;
	bool known = true;

	for (size_t i = 0; i < servers->n; i++) {
		const struct mx_server *s = &servers->v[i];
		struct mx_reason reason;

		c->deadline_ms = clock_ms() + STEP_MS;
		if (own_address)
			decide_by_holds(c, s->host, &reason);
		else
			mx_decide(c, s->host, &reason);
		printf("  %u %s: %s\n", s->priority, s->host, uses[reason.use]);
		print_line("    ", reason.why);
		if (reason.until_ms != 0)
			print_until(reason.until_ms);
		known = print_counters(store, s->host) && known;
		usable += reason.use == MX_USE;
	}
	if (usable == 0)
		puts("none may be used: mail waits in the queue, and each of its tries asks again");
	if (!known)
		puts("the store does not answer: the service knows of holds and counters what it "
		     "remembers");
	return known;
}

/* What is demanded of n servers together; with: of this one alone. */
static void print_demand(
    struct mx_case *c, const struct mx_server *servers, size_t n, const char *with)
{
	int bytes = script_set_config(c->set)->outbound.fingerprint_bytes;
	struct tls_demand sum = {0};
	const char *why = "ServerDetails failed";
	char *text;
	bool fine = true;

	for (size_t i = 0; i < n && fine; i++) {
		const struct mxout_connection connection = {.server = servers[i].host,
		    .domain = c->delivery.domain,
		    .size = c->delivery.size,
		    .name = c->delivery.connection_name};
		struct server_actions a = {0};

		fine = mxout_server_details(c->set, &connection, c->id, clock_ms() + STEP_MS, &a) ==
			   MXOUT_DECIDED &&
		       tls_demand_add(&sum, servers[i].host, &a, bytes, &why);
		server_actions_clear(&a);
	}
	text = tls_demand_text(&sum);
	printf("TLS%s%s, by ServerDetails: %s\n", with != NULL ? " with " : "",
	    with != NULL ? with : "",
	    !fine	   ? why
	    : text != NULL ? text
			   : "as the MTA is configured");
	free(text);
	tls_demand_clear(&sum);
}

/* named: by a script, so that each is a next hop of its own, whichever domain the mail is for. */
static void print_tls(struct mx_case *c, const struct mx_servers *servers, bool named)
{
	if (!script_set_has_hook(c->set, SCRIPT_MXOUT, "ServerDetails"))
		return;
	for (size_t i = 0; i < servers->n && named; i++)
		print_demand(c, &servers->v[i], 1, servers->v[i].host);
	if (named)
		puts("  what is demanded for other domains that go by the same server counts too");
	else
		print_demand(c, servers->v, servers->n, NULL);
}

/* ---- the whole ---- */

/* What the map transport answers; no servers: those of DNS. */
static void print_transport(
    struct mx_case *c, const struct route *r, const struct mx_servers *servers)
{
	const struct profile_config *profile = NULL;
	const char *name = script_set_config(c->set)->outbound.transport;
	char *text;

	c->deadline_ms = clock_ms() + STEP_MS;
	if (!r->waits && profile_wanted(c->set) && !profile_find(c, servers, &profile))
		puts("profile, by ServerDetails: not known");
	if (profile != NULL) {
		name = profile->transport;
		print_line("profile, by ServerDetails: ", profile->name);
	}
	if (profile == NULL && servers->n == 0 && !r->waits)
		return;
	text = r->waits ? route_wait(c->set) : route_transport(name, servers);
	printf("transport map: %s\n", text);
	free(text);
}

/* Mail that a relay takes is not asked about here. */
static void print_senders(const struct config *cfg)
{
	bool any = false;

	for (size_t i = 0; i < cfg->nsenders; i++) {
		const struct sender_config *s = &cfg->senders[i];

		if (s->relay[0] == '\0')
			continue;
		printf("%s%s (%s)",
		    any ? ", " : "senders of relayout.lua, asked first for each message: ", s->name,
		    s->relay);
		any = true;
	}
	if (any)
		puts("; what none of them is for:");
}

/* The servers of DNS; *own_address: there are no MX records, and nobody asks CheckServer(). */
static void find_servers(
    struct mx_case *c, const struct route *r, struct mx_servers *servers, bool *own_address)
{
	switch (mx_lookup_records(
	    script_set_config(c->set), c->delivery.domain, servers, STEP_MS, own_address)) {
	case DNS_FOUND:
		break;
	case DNS_ABSENT:
		puts("DNS: no mail server for this domain, so mail to it is returned");
		return;
	case DNS_UNKNOWN:
		puts("DNS: no answer, mail waits in the queue");
		return;
	}
	*own_address = *own_address && !r->no_mx; /* else the map transport has asked */
	if (r->waits) {
		puts("GetOverrides: as if the domain had no servers; mail waits");
		mx_servers_clear(servers);
	} else if (*own_address) {
		puts("DNS: no MX record, so mail goes to the domain's own address; Postfix asks "
		     "about that alone:\n  holds count, CheckServer does not");
	}
}

static int print_route(struct mx_case *c, struct store *store)
{
	struct strlist story = STRLIST_INIT;
	struct route r = {.story = &story};
	struct mx_servers servers = {0};
	enum route_answer answer;
	bool known = true, own_address = false;

	print_senders(script_set_config(c->set));
	c->deadline_ms = clock_ms() + STEP_MS;
	mx_decision_facts(c, &c->delivery.retries, &c->delivery.size);
	printf("numRetries %lld, messageSize %lld\n", (long long)c->delivery.retries,
	    (long long)c->delivery.size);
	answer = route_find(c, &r);
	for (size_t i = 0; i < story.n; i++)
		print_line("transport: ", story.v[i]);
	if (answer == ROUTE_SERVERS) {
		print_transport(c, &r, &r.servers);
		mx_servers_copy(&servers, &r.servers);
	} else {
		print_transport(c, &r, &servers);
		find_servers(c, &r, &servers, &own_address);
	}
	if (servers.n > 0) {
		puts("mail servers:");
		known = print_servers(c, store, &servers, own_address);
		print_tls(c, &servers, answer == ROUTE_SERVERS);
	}
	mx_servers_clear(&servers);
	strlist_clear(&story);
	route_clear(&r);
	return known ? EXIT_SUCCESS : EXIT_FAILURE;
}

int cmd_route(struct config *cfg, int argc, char **argv)
{
	struct mx_case c = {.delivery = {.connection_name = "direct"}};
	const char *at = argc == 1 ? strrchr(argv[0], '@') : NULL;
	char *domain = argc == 1 ? mx_server_host(at != NULL ? at + 1 : argv[0]) : NULL;
	char error[1024];
	struct store *store;
	int status = EXIT_SUCCESS;

	if (domain == NULL) {
		if (argc == 1)
			fprintf(stderr, "mailhooks route: \"%s\" is no address and no domain\n",
			    argv[0]);
		fputs("usage: mailhooks route ADDRESS\n", stderr);
		return EXIT_USAGE;
	}
	store = cli_store_open(cfg);
	c.set = store != NULL ? script_set_load_to_look(cfg, error, sizeof error) : NULL;
	if (c.set == NULL) {
		if (store != NULL)
			fprintf(stderr, "mailhooks: %s\n", error);
		store_close(store);
		free(domain);
		return store == NULL ? EXIT_FAILURE : EX_CONFIG;
	}
	c.delivery.domain = domain;
	if (own_host_domain(cfg, domain))
		printf("%s is a local domain\n", domain);
	else
		status = print_route(&c, store);
	script_set_unref(c.set);
	store_close(store);
	store_shared_close();
	holds_forget();
	free(domain);
	return status;
}
