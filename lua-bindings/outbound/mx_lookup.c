/* mx_lookup.c - see mx_lookup.h. */
#include "lua-bindings/mx_lookup.h"

#include "common/clock.h"
#include "common/dns/dns_lookup.h"

#include <string.h>

#define TYPE_A 1
#define TYPE_MX 15
#define TYPE_AAAA 28
#define CODE_NO_SUCH_NAME 3

static enum dns_status ask(
    const struct config *cfg, const char *name, int type, struct dns_records *out, int64_t end_ms)
{
	const struct dns_options options = {.servers = cfg->dns.servers,
	    .breaker_failures = (unsigned)cfg->dns.breaker_failures,
	    .breaker_ms = (unsigned)cfg->dns.breaker_ms};
	int64_t left = end_ms - clock_ms();
	char why[256];

	if (left <= 0 || !dns_lookup(&options, name, type, out, (int)left, why, sizeof why))
		return DNS_UNKNOWN;
	if (out->code == CODE_NO_SUCH_NAME)
		return DNS_ABSENT;
	if (out->code != 0)
		return DNS_UNKNOWN;
	for (size_t i = 0; i < out->n; i++)
		if (out->v[i].section == DNS_SECTION_ANSWER && out->v[i].type == type)
			return DNS_FOUND;
	return DNS_ABSENT;
}

/* Has it an address? */
static enum dns_status find_address(const struct config *cfg, const char *domain, int64_t end_ms)
{
	static const int types[] = {TYPE_A, TYPE_AAAA};
	enum dns_status status = DNS_ABSENT;

	for (size_t i = 0; i < 2 && status == DNS_ABSENT; i++) {
		struct dns_records records = {0};

		status = ask(cfg, domain, types[i], &records, end_ms);
		dns_records_clear(&records);
	}
	return status;
}

enum dns_status mx_lookup_records(const struct config *cfg, const char *domain,
    struct mx_servers *servers, int ms, bool *own_address)
{
	int64_t end_ms = clock_ms() + ms;
	struct dns_records records = {0};
	enum dns_status status;

	*own_address = false;
	mx_servers_clear(servers);
	status = ask(cfg, domain, TYPE_MX, &records, end_ms);
	for (size_t i = 0; i < records.n && status == DNS_FOUND; i++)
		if (records.v[i].section == DNS_SECTION_ANSWER && records.v[i].type == TYPE_MX &&
		    strcmp(records.v[i].value, ".") != 0)
			mx_servers_add(servers, records.v[i].value, records.v[i].preference, 0);
	if (status == DNS_ABSENT && records.code == 0) {
		status = find_address(cfg, domain, end_ms);
		if (status == DNS_FOUND && !mx_servers_add(servers, domain, 0, 0))
			status = DNS_UNKNOWN;
		*own_address = status == DNS_FOUND;
	} else if (status == DNS_FOUND && servers->n == 0) {
		status = DNS_ABSENT;
	}
	dns_records_clear(&records);
	mx_servers_sort(servers);
	return status;
}

enum dns_status mx_lookup(
    const struct config *cfg, const char *domain, struct mx_servers *servers, int ms)
{
	bool own_address;

	return mx_lookup_records(cfg, domain, servers, ms, &own_address);
}
