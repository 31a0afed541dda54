/* lib_vpop3net_dns.c - VPOP3Net.GetDNSRecords.
 *
 * VPOP3 leaves the error codes open. Here they are the response codes of RFC 1035, and negative
 * numbers for what is no response. */
#include "common/dns/dns_lookup.h"
#include "common/waiting.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

#include <string.h>

#define USAGE "VPOP3Net.GetDNSRecords(domain, type [, servers])"

struct lookup {
	struct dns_options options;
	struct dns_records records;
};

static void clear(void *arg)
{
	struct lookup *lookup = arg;

	strlist_clear(&lookup->options.servers);
	dns_records_clear(&lookup->records);
}

/* Addresses with semicolons between them; none means those of the configuration. */
static void l_take_servers(lua_State *L, struct dns_options *o)
{
	const char *list = luaL_optstring(L, 3, "");

	wait_dns_options(L, o);
	if (list[strspn(list, "; \t")] != '\0')
		strlist_clear(&o->servers);
	while (*list != '\0') {
		size_t n = strcspn(list, "; \t");

		if (n > 0)
			strlist_addn(&o->servers, list, n);
		list += n + (list[n] != '\0');
	}
}

/* ---- results ---- */

static void l_set_text(lua_State *L, const char *name, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, name);
}

static void l_set_number(lua_State *L, const char *name, lua_Integer value)
{
	lua_pushinteger(L, value);
	lua_setfield(L, -2, name);
}

/* Those that VPOP3 gives a name; others are numbers. */
static void l_push_type(lua_State *L, int type)
{
	static const struct {
		int type;
		const char *name;
	} names[] = {{1, "A"}, {2, "NS"}, {5, "CNAME"}, {6, "SOA"}, {12, "PTR"}, {15, "MX"},
	    {16, "TXT"}, {33, "SRV"}};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (names[i].type == type) {
			lua_pushstring(L, names[i].name);
			return;
		}
	lua_pushinteger(L, type);
}

static void l_set_soa(lua_State *L, const struct dns_soa *soa)
{
	l_set_number(L, "Serial", soa->serial);
	l_set_number(L, "Refresh", soa->refresh);
	l_set_number(L, "Retry", soa->retry);
	l_set_number(L, "Expiry", soa->expire);
	l_set_number(L, "MinimumTTL", soa->minimum);
	l_set_text(L, "PrimaryNS", soa->primary);
	l_set_text(L, "ResponsibleEmail", soa->mailbox);
}

static void l_push_record(lua_State *L, const struct dns_record *r)
{
	static const char *const sections[] = {
	    [DNS_SECTION_ANSWER] = "AN",
	    [DNS_SECTION_AUTHORITY] = "NS",
	    [DNS_SECTION_ADDITIONAL] = "AR",
	};

	lua_createtable(L, 0, 6);
	l_set_text(L, "Domain", r->domain);
	l_set_text(L, "Section", sections[r->section]);
	l_push_type(L, r->type);
	lua_setfield(L, -2, "Type");
	l_set_number(L, "TTL", r->ttl);
	lua_pushlstring(L, r->value, r->n);
	lua_setfield(L, -2, "Value");
	if (r->type == 15)
		l_set_number(L, "MXPriority", r->preference);
	if (r->soa != NULL)
		l_set_soa(L, r->soa);
	l_iterable(L, -1);
}

static void l_push_records(lua_State *L, const struct dns_records *records)
{
	lua_createtable(L, (int)records->n, 0);
	for (size_t i = 0; i < records->n; i++) {
		l_push_record(L, &records->v[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}

/*** VPOP3Net.GetDNSRecords(domain, type [, servers]) -> records, true or code, false
 * Asks DNS servers for records. type: 1 A, 2 NS, 5 CNAME, 6 SOA, 11 WKS, 12 PTR, 15 MX, 16 TXT, 28
 * AAAA, 33 SRV, 255 any, or another number. servers: addresses with semicolons between them; none
 * means dns.servers of the configuration. They are asked in this order, and what the first one that
 * responds says counts.
 *
 * records is a list of tables with Domain, Section ("AN" answer, "NS" authority, "AR" additional),
 * Type ("A", "NS", "CNAME", "SOA", "PTR", "MX", "TXT", "SRV", else the number), TTL and Value; for
 * MX also MXPriority, for SOA Serial, Refresh, Retry, Expiry, MinimumTTL, PrimaryNS and
 * ResponsibleEmail. The Value of SRV is "priority weight port target", that of an unknown type is
 * written as in RFC 3597. A name that exists without such a record gives a list that has none with
 * Section "AN". Records about names that no host can have are left out.
 *
 * code: 3 when the name does not exist, else what became of the last server: 1, 2, 4, 5 ... its
 * response code (2 failure, 5 refused), -1 no answer in time, -2 an answer that makes no sense, -3
 * not asked: the name or type cannot be asked, too many sessions wait already, or the servers kept
 * silent lately. It takes at most seven eighths of the time that the hook has left. */
static int l_get_dns_records(lua_State *L)
{
	const char *name;
	struct lookup *lookup;
	int64_t type = 0;
	char why[256] = "";
	bool fine = true;
	size_t n;

	lua_settop(L, 3);
	if (l_to_string(L, 1, &name, &n) != GIVEN || l_to_integer(L, 2, &type) != GIVEN)
		return luaL_error(L, "%s: a name and a number are wanted", USAGE);
	lookup = l_owned(L, sizeof *lookup, clear);
	l_take_servers(L, &lookup->options);
	l_charge(L, 20 * WORK_SYSCALL);
	lookup->records.code = DNS_CODE_NOT_ASKED;
	if (strlen(name) == n && type > 0 && type <= UINT16_MAX && waiting_enter()) {
		fine = dns_lookup(&lookup->options, name, (int)type, &lookup->records, wait_ms(L),
		    why, sizeof why);
		waiting_leave();
	}
	if (!fine)
		return luaL_error(L, "%s: %s", USAGE, why);
	if (lookup->records.code == 0)
		l_push_records(L, &lookup->records);
	else
		lua_pushinteger(L, lookup->records.code);
	lua_pushboolean(L, lookup->records.code == 0);
	l_owned_clear(L, 4);
	return 2;
}

static const struct library_row rows[] = {
    {"GetDNSRecords", l_get_dns_records},
    {NULL, NULL},
};

const struct library library_vpop3net_dns = {"VPOP3Net", rows};
