/* own_host.c - see own_host.h. */
#include "common/own_host.h"

#include "common/clock.h"
#include "common/dns/dns_name.h"
#include "common/dns_host.h"
#include "common/list.h"

#include <ifaddrs.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define READ_AGAIN_MS 60000
#define ADDRESSES 32 /* of a host that might be this one */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct ip_address *addresses;
static size_t naddresses;
static char host_name[HOST_NAME_MAX + 1];
static int64_t read_ms;

static void read_interfaces(void)
{
	struct ifaddrs *all = NULL;

	if (getifaddrs(&all) != 0)
		return; /* what was known stays */
	naddresses = 0;
	for (const struct ifaddrs *i = all; i != NULL; i = i->ifa_next) {
		struct ip_address a;

		if (i->ifa_addr == NULL)
			continue;
		ip_address_from_sockaddr(&a, i->ifa_addr);
		if (a.family == AF_UNSPEC)
			continue;
		addresses = xgrow(addresses, naddresses, sizeof *addresses);
		addresses[naddresses++] = a;
	}
	freeifaddrs(all);
}

static void read_again(void)
{
	if (read_ms != 0 && clock_ms() - read_ms < READ_AGAIN_MS)
		return;
	read_ms = clock_ms();
	if (gethostname(host_name, sizeof host_name) != 0)
		host_name[0] = '\0';
	host_name[sizeof host_name - 1] = '\0';
	read_interfaces();
}

static bool same(const struct ip_address *a, const struct ip_address *b)
{
	return a->family == b->family && memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

bool own_host_name(const struct config *cfg, const char *name)
{
	bool ours;

	for (size_t i = 0; i < cfg->outbound.own_names.n; i++)
		if (dns_name_same(cfg->outbound.own_names.v[i], name))
			return true;
	pthread_mutex_lock(&lock);
	read_again();
	ours = host_name[0] != '\0' && dns_name_same(host_name, name);
	pthread_mutex_unlock(&lock);
	return ours;
}

bool own_host_domain(const struct config *cfg, const char *domain)
{
	const struct strlist *const lists[] = {&cfg->local_domains, &cfg->outbound.local_domains};

	for (size_t k = 0; k < sizeof lists / sizeof *lists; k++)
		for (size_t i = 0; i < lists[k]->n; i++)
			if (dns_name_same(lists[k]->v[i], domain))
				return true;
	return own_host_name(cfg, domain);
}

bool own_host_address(const struct config *cfg, const struct ip_address *address)
{
	struct ip_address a;
	bool ours = false;

	for (size_t i = 0; i < cfg->outbound.own_names.n; i++)
		if (ip_address_parse(&a, cfg->outbound.own_names.v[i]) && same(&a, address))
			return true;
	pthread_mutex_lock(&lock);
	read_again();
	for (size_t i = 0; i < naddresses && !ours; i++)
		ours = same(&addresses[i], address);
	pthread_mutex_unlock(&lock);
	return ours;
}

enum own_host own_host_is(const struct config *cfg, const char *name, int ms)
{
	const struct dns_options options = {.servers = cfg->dns.servers,
	    .breaker_failures = (unsigned)cfg->dns.breaker_failures,
	    .breaker_ms = (unsigned)cfg->dns.breaker_ms};
	struct ip_address found[ADDRESSES];
	enum dns_status status;
	size_t n = 0;

	if (own_host_name(cfg, name))
		return OWN_HOST_YES;
	status = ms > 0 ? dns_host_find(&options, name, found, ADDRESSES, &n, ms) : DNS_UNKNOWN;
	for (size_t i = 0; i < n && status == DNS_FOUND; i++)
		if (own_host_address(cfg, &found[i]))
			return OWN_HOST_YES;
	return status == DNS_UNKNOWN ? OWN_HOST_UNKNOWN : OWN_HOST_NO;
}
