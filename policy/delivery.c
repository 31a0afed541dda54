/* delivery.c - see delivery.h. */
#include "policy/delivery.h"

#include "common/clock.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

/* MX records of one answer come one right after the other; a later one is of another answer. */
#define SAME_ANSWER_MS 30000
/* What Postfix was about to ask when a context was lost comes within this time. */
#define UNSURE_MS 5000

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct delivery *buckets[BUCKETS];
static struct delivery *newest, *oldest;
static size_t ndeliveries;
static int64_t sure_ms;	    /* who is unknown from then on is new */
static uint64_t known_from; /* peer_now(): nothing of processes that began later was lost */

/* ---- the table ---- */

static struct delivery **bucket_of(const struct peer *p)
{
	return &buckets[((uint64_t)p->pid * 31 + p->start) % BUCKETS];
}

static void unlink_age(struct delivery *d)
{
	*(d->newer != NULL ? &d->newer->older : &newest) = d->older;
	*(d->older != NULL ? &d->older->newer : &oldest) = d->newer;
}

static void link_newest(struct delivery *d)
{
	d->older = newest;
	d->newer = NULL;
	*(newest != NULL ? &newest->newer : &oldest) = d;
	newest = d;
}

void delivery_said_clear(struct delivery_said *s)
{
	free(s->reply);
	free(s->command);
	free(s->server);
	free(s->domain);
	*s = (struct delivery_said){0};
}

static void clear_dialogue(struct delivery *d)
{
	delivery_said_clear(&d->said);
	d->remote = (struct ip_address){0};
	d->command = COMMAND_CONNECT;
	d->offers_tls = d->offers_auth = d->secure = false;
	xreplace(&d->sender, NULL);
	strlist_clear(&d->recipients);
	d->answered = 0;
	d->accepted = false;
	delivery_forget_refusal(d);
	xreplace(&d->reply, NULL);
}

static void forget_servers(struct delivery *d)
{
	xreplace(&d->domain, NULL);
	for (size_t i = 0; i < d->nhosts; i++)
		free(d->hosts[i].host);
	free(d->hosts);
	d->hosts = NULL;
	d->nhosts = d->ndropped = 0;
	d->whole = d->facts_known = d->stop = false;
	d->retries = d->size = 0;
	d->self = SELF_UNKNOWN;
	strlist_clear(&d->asked);
}

static void clear(struct delivery *d)
{
	clear_dialogue(d);
	forget_servers(d);
	for (size_t i = 0; i < d->naddresses; i++)
		free(d->addresses[i].owner);
	free(d->addresses);
	d->addresses = NULL;
	d->naddresses = 0;
	d->missed = d->reported = false;
	d->stage = DELIVERY_NONE;
}

static void remove_one(struct delivery *d)
{
	struct delivery **p = bucket_of(&d->peer);

	while (*p != d)
		p = &(*p)->next;
	*p = d->next;
	unlink_age(d);
	ndeliveries--;
	clear(d);
	free(d);
}

static void make_room(int64_t now)
{
	while (oldest != NULL && (ndeliveries >= LIMIT_DELIVERIES ||
				     now - oldest->touched_ms > LIMIT_DELIVERY_SECONDS * 1000LL)) {
		if (ndeliveries >= LIMIT_DELIVERIES) {
			sure_ms = now + UNSURE_MS;
			known_from = peer_now();
		}
		remove_one(oldest);
	}
}

void delivery_start(void)
{
	pthread_mutex_lock(&lock);
	sure_ms = clock_ms() + UNSURE_MS;
	known_from = peer_now();
	pthread_mutex_unlock(&lock);
}

struct delivery *delivery_enter(const struct peer *peer)
{
	int64_t now = clock_ms();
	struct delivery *d;

	if (peer->pid == 0)
		return NULL;
	pthread_mutex_lock(&lock);
	for (d = *bucket_of(peer); d != NULL && !peer_same(&d->peer, peer);)
		d = d->next;
	if (d != NULL) {
		unlink_age(d);
		link_newest(d); /* before room is made: it must not be this one */
		make_room(now);
		return d;
	}
	make_room(now);
	d = xcalloc(1, sizeof *d);
	d->peer = *peer;
	d->touched_ms = now;
	d->unsure = now < sure_ms;
	d->missed = peer->start <= known_from;
	d->next = *bucket_of(peer);
	*bucket_of(peer) = d;
	link_newest(d);
	ndeliveries++;
	return d;
}

struct delivery *delivery_enter_for(const struct peer *peer, uint64_t question)
{
	struct delivery *d = delivery_enter(peer);

	if (d == NULL || d->question == question)
		return d;
	delivery_leave(d);
	return NULL;
}

void delivery_leave(struct delivery *d)
{
	if (d == NULL)
		return;
	d->touched_ms = clock_ms();
	pthread_mutex_unlock(&lock);
}

void delivery_forget_all(void)
{
	pthread_mutex_lock(&lock);
	while (oldest != NULL)
		remove_one(oldest);
	pthread_mutex_unlock(&lock);
}

/* ---- its servers ---- */

static struct delivery_host *find_host(const struct delivery *d, const char *host)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (strcmp(d->hosts[i].host, host) == 0)
			return &d->hosts[i];
	return NULL;
}

/* DNS has no record twice, but a host may stand in two. */
static bool has_record(const struct delivery *d, const char *host, unsigned preference)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (d->hosts[i].preference == preference && strcmp(d->hosts[i].host, host) == 0)
			return true;
	return false;
}

void delivery_asks(struct delivery *d, const char *owner, const char *value)
{
	char *record;

	if (d->self != SELF_BEST)
		return;
	record = xasprintf("%s %s", owner, value);
	if (strlist_has(&d->asked, record))
		clear(d);
	else if (d->asked.n < LIMIT_DELIVERY_ADDRESSES)
		strlist_add(&d->asked, record);
	free(record);
}

bool delivery_mx(struct delivery *d, const char *domain, const char *host, unsigned preference)
{
	bool more = d->stage == DELIVERY_SERVERS && strcmp(d->domain, domain) == 0;
	bool begins =
	    !more || has_record(d, host, preference) || clock_ms() - d->touched_ms > SAME_ANSWER_MS;

	if (begins) {
		clear(d);
		d->stage = DELIVERY_SERVERS;
		d->domain = xstrdup(domain);
		/* when other records of the domain came before, who knows whether it begins here */
		d->whole = !more && !d->unsure;
		d->unsure = false;
	}
	if (d->nhosts < LIMIT_MX_SERVERS) {
		d->hosts = xgrow(d->hosts, d->nhosts, sizeof *d->hosts);
		d->hosts[d->nhosts++] = (struct delivery_host){xstrdup(host), preference, false};
	} else {
		d->whole = false;
	}
	return begins;
}

void delivery_drop(struct delivery *d, const char *host)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (!d->hosts[i].dropped && strcmp(d->hosts[i].host, host) == 0) {
			d->hosts[i].dropped = true;
			d->ndropped++;
		}
}

void delivery_keep(struct delivery *d, const char *host)
{
	for (size_t i = 0; i < d->nhosts; i++)
		if (d->hosts[i].dropped && strcmp(d->hosts[i].host, host) == 0) {
			d->hosts[i].dropped = false;
			d->ndropped--;
		}
}

const struct delivery_host *delivery_address(
    struct delivery *d, const char *owner, const struct ip_address *address)
{
	struct delivery_host *h = find_host(d, owner);

	if ((d->stage != DELIVERY_SERVERS && d->stage != DELIVERY_ADDRESSES) ||
	    (h != NULL && h->dropped)) {
		d->unsure = d->unsure && d->stage == DELIVERY_NONE;
		clear(d); /* a delivery that had no MX records */
		h = NULL;
	}
	d->stage = DELIVERY_ADDRESSES;
	if (d->naddresses < LIMIT_DELIVERY_ADDRESSES) {
		d->addresses = xgrow(d->addresses, d->naddresses, sizeof *d->addresses);
		d->addresses[d->naddresses++] = (struct delivery_address){xstrdup(owner), *address};
	}
	return h;
}

void delivery_literal(struct delivery *d)
{
	clear(d);
}

bool delivery_is_plain(const struct delivery *d)
{
	return d->domain == NULL && d->naddresses > 0 && !d->unsure && !d->reported;
}

void delivery_next_hop(struct delivery *d, const char *name, bool host)
{
	if (host)
		forget_servers(d);
	for (size_t i = 0; i < d->naddresses && d->domain == NULL && !d->reported; i++)
		xreplace(&d->addresses[i].owner, name);
}

/* ---- its dialogue ---- */

void delivery_connect(struct delivery *d)
{
	clear_dialogue(d);
	d->stage = DELIVERY_DIALOGUE;
}

static const char *host_at(const struct delivery *d, const struct ip_address *address)
{
	for (size_t i = 0; i < d->naddresses; i++) {
		const struct ip_address *a = &d->addresses[i].address;

		if (a->family == address->family &&
		    memcmp(a->bytes, address->bytes, sizeof a->bytes) == 0)
			return d->addresses[i].owner;
	}
	return NULL;
}

void delivery_remote(struct delivery *d, const struct ip_address *address)
{
	d->stage = DELIVERY_DIALOGUE;
	d->remote = *address;
}

const char *delivery_host(const struct delivery *d)
{
	return d->remote.family != AF_UNSPEC ? host_at(d, &d->remote) : NULL;
}

/* Postfix reports a recipient as soon as nothing more is to be tried for it: in the middle of the
 * dialogue when its RCPT was refused, before RSET when DATA was. */
void delivery_reported(struct delivery *d, enum command c)
{
	if (c == COMMAND_RCPT && d->stage == DELIVERY_DIALOGUE)
		return;
	if (c == COMMAND_DATA && d->stage == DELIVERY_DIALOGUE) {
		d->command = COMMAND_QUIT;
		return;
	}
	clear_dialogue(d);
	d->reported = true;
	d->stage = DELIVERY_OVER;
}
