/* dns_channels.c - see dns_channels.h. */
#include "common/dns/dns_channels.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/network.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define RESOLV_CONF_CHECK_MS 2000 /* how often its modification time is looked at */
#define TRIES 3		/* rounds over all servers; each waits twice as long as the one before */
#define TRY_MIN_MS 64	/* a server next door answers from its cache within this */
#define TRY_MAX_MS 2048 /* a lost datagram is not worth a longer silence */

struct file_mark { /* what changes when a file is written or replaced */
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec changed;
};

struct dns_channels {
	struct ares_addr_port_node *servers; /* NULL: resolv.conf */
	char *resolv_conf;
	char *text; /* see dns_channels_servers() */
	int flags;  /* of c-ares */

	pthread_mutex_t lock; /* guards all below */
	struct dns_channel *idle;
	size_t nidle;
	size_t nservers;
	unsigned generation;
	struct file_mark mark;
	int64_t mark_ms; /* when it was looked at */
};

static void file_mark_read(const char *path, struct file_mark *mark)
{
	struct stat st;

	memset(mark, 0, sizeof *mark); /* a missing file is a state too */
	if (stat(path, &st) == 0) {
		mark->device = st.st_dev;
		mark->inode = st.st_ino;
		mark->size = st.st_size;
		mark->changed = st.st_mtim;
	}
}

static bool file_mark_same(const struct file_mark *a, const struct file_mark *b)
{
	return a->device == b->device && a->inode == b->inode && a->size == b->size &&
	       a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* "192.0.2.1", "192.0.2.1:53", "2001:db8::1", "[2001:db8::1]:53" */
static bool server_parse(const char *text, struct ares_addr_port_node *node)
{
	const char *host = text, *end = text + strlen(text), *port = NULL, *colon;
	struct ip_address addr;
	unsigned long number = 0;
	char buffer[64], *rest;

	if (*text == '[') {
		host = text + 1;
		end = strchr(text, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':'))
			return false;
		port = end[1] == ':' ? end + 2 : NULL;
	} else if ((colon = strchr(text, ':')) != NULL && strchr(colon + 1, ':') == NULL) {
		end = colon;
		port = colon + 1;
	}
	if ((size_t)(end - host) >= sizeof buffer)
		return false;
	memcpy(buffer, host, (size_t)(end - host));
	buffer[end - host] = '\0';
	if (!ip_address_parse(&addr, buffer))
		return false;
	if (port != NULL) {
		number = *port >= '0' && *port <= '9' ? strtoul(port, &rest, 10) : 0;
		if (number < 1 || number > 65535 || *rest != '\0')
			return false;
	}
	node->family = addr.family;
	memcpy(&node->addr, addr.bytes, addr.family == AF_INET ? 4 : 16);
	node->udp_port = node->tcp_port = (int)number; /* 0: c-ares takes 53 */
	return true;
}

static bool servers_parse(
    struct dns_channels *c, const struct strlist *texts, char *why, size_t size)
{
	if (texts->n == 0)
		return true;
	if (texts->n > LIMIT_DNS_SERVERS) {
		snprintf(why, size, "%zu DNS servers: at most %d are asked; name fewer", texts->n,
		    LIMIT_DNS_SERVERS);
		return false;
	}
	c->servers = xcalloc(texts->n, sizeof *c->servers);
	for (size_t i = 0; i < texts->n; i++) {
		if (!server_parse(texts->v[i], &c->servers[i])) {
			snprintf(why, size,
			    "DNS server \"%s\": not an address; write 192.0.2.1, 192.0.2.1:53, "
			    "2001:db8::1 or [2001:db8::1]:53",
			    texts->v[i]);
			return false;
		}
		c->servers[i].next = i + 1 < texts->n ? &c->servers[i + 1] : NULL;
		if (i == 0) {
			xreplace(&c->text, texts->v[i]);
		} else {
			char *longer = xasprintf("%s, %s", c->text, texts->v[i]);

			free(c->text);
			c->text = longer;
		}
	}
	c->nservers = texts->n;
	return true;
}

static void channel_free(struct dns_channel *channel)
{
	ares_destroy(channel->ares);
	free(channel);
}

static size_t count_servers(ares_channel ares)
{
	struct ares_addr_port_node *list = NULL;
	size_t n = 0;

	if (ares_get_servers_ports(ares, &list) != ARES_SUCCESS)
		return 1;
	for (struct ares_addr_port_node *node = list; node != NULL; node = node->next)
		n++;
	ares_free_data(list);
	return n > 0 ? n : 1;
}

static struct dns_channel *channel_new(const struct dns_channels *c, unsigned try_ms, int *error)
{
	struct ares_options options = {
	    .flags = c->flags,
	    .timeout = (int)try_ms,
	    .tries = TRIES,
	    .resolvconf_path = c->resolv_conf,
	};
	struct dns_channel *channel = xcalloc(1, sizeof *channel);

	*error = ares_init_options(&channel->ares, &options,
	    ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_RESOLVCONF);
	if (*error != ARES_SUCCESS) {
		free(channel);
		return NULL;
	}
	if (c->servers != NULL)
		*error = ares_set_servers_ports(channel->ares, c->servers);
	if (*error != ARES_SUCCESS) {
		channel_free(channel);
		return NULL;
	}
	channel->try_ms = try_ms;
	return channel;
}

/* The first round over all servers ends by half of the deadline, so a second one fits. Rounded down
 * to a power of two: deadlines vary, and channels with the same timeout can be reused. */
static unsigned try_ms_for(int deadline_ms, size_t nservers)
{
	unsigned each = (unsigned)deadline_ms / (4 * (unsigned)nservers);
	unsigned try_ms = TRY_MIN_MS;

	while (try_ms < TRY_MAX_MS && 2 * try_ms <= each)
		try_ms *= 2;
	return try_ms;
}

/* Forget everything made from an older resolv.conf. Returns the list to free outside the lock. */
static struct dns_channel *notice_change(struct dns_channels *c, int64_t now)
{
	struct dns_channel *stale = NULL;
	struct file_mark mark;

	if (c->servers != NULL || now - c->mark_ms < RESOLV_CONF_CHECK_MS)
		return NULL;
	c->mark_ms = now;
	file_mark_read(c->resolv_conf, &mark);
	if (!file_mark_same(&mark, &c->mark)) {
		c->mark = mark;
		c->generation++;
		c->nservers = 0; /* counted when the next channel is made */
		stale = c->idle;
		c->idle = NULL;
		c->nidle = 0;
	}
	return stale;
}

static void free_list(struct dns_channel *channel)
{
	while (channel != NULL) {
		struct dns_channel *next = channel->next;

		channel_free(channel);
		channel = next;
	}
}

static struct dns_channel *take_idle(struct dns_channels *c, unsigned try_ms)
{
	for (struct dns_channel **p = &c->idle; *p != NULL; p = &(*p)->next) {
		struct dns_channel *channel = *p;

		if (channel->try_ms == try_ms) {
			*p = channel->next;
			c->nidle--;
			return channel;
		}
	}
	return NULL;
}

struct dns_channel *dns_channels_take(struct dns_channels *c, int deadline_ms)
{
	struct dns_channel *channel, *stale;
	unsigned generation, try_ms;
	int error;

	pthread_mutex_lock(&c->lock);
	stale = notice_change(c, clock_ms());
	generation = c->generation;
	try_ms = try_ms_for(deadline_ms, c->nservers > 0 ? c->nservers : 1);
	channel = take_idle(c, try_ms);
	pthread_mutex_unlock(&c->lock);
	free_list(stale);
	if (channel != NULL)
		return channel;

	channel = channel_new(c, try_ms, &error);
	if (channel == NULL) {
		log_error(NULL, "dns: cannot ask %s: %s", c->text, ares_strerror(error));
		return NULL;
	}
	channel->generation = generation;
	pthread_mutex_lock(&c->lock);
	if (generation == c->generation && c->nservers == 0)
		c->nservers = count_servers(channel->ares);
	pthread_mutex_unlock(&c->lock);
	return channel;
}

void dns_channels_give(struct dns_channels *c, struct dns_channel *channel)
{
	pthread_mutex_lock(&c->lock);
	if (channel->generation == c->generation && c->nidle < LIMIT_DNS_IDLE_CHANNELS) {
		channel->next = c->idle;
		c->idle = channel;
		c->nidle++;
		channel = NULL;
	}
	pthread_mutex_unlock(&c->lock);
	if (channel != NULL)
		channel_free(channel);
}

static int poll_ms(ares_channel ares, int64_t left)
{
	struct timeval most = {left / 1000, (left % 1000) * 1000}, buffer;
	const struct timeval *next = ares_timeout(ares, &most, &buffer);

	return (int)(next->tv_sec * 1000 + (next->tv_usec + 999) / 1000);
}

void dns_channel_wait(struct dns_channel *channel, int64_t left)
{
	ares_channel ares = channel->ares;
	ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
	struct pollfd fds[ARES_GETSOCK_MAXNUM];
	unsigned mask = (unsigned)ares_getsock(ares, sockets, ARES_GETSOCK_MAXNUM);
	nfds_t n = 0;

	for (int i = 0; i < ARES_GETSOCK_MAXNUM; i++) {
		/* the library's macros for this shift into the sign bit */
		bool readable = mask & (1u << i),
		     writable = mask & (1u << (i + ARES_GETSOCK_MAXNUM));
		short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));

		if (events != 0)
			fds[n++] = (struct pollfd){sockets[i], events, 0};
	}
	if (poll(fds, n, poll_ms(ares, left)) <= 0) {
		ares_process_fd(ares, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
		return;
	}
	for (nfds_t i = 0; i < n; i++) {
		short broken = fds[i].revents & (POLLERR | POLLHUP | POLLNVAL);
		bool read = (fds[i].revents & POLLIN) || (broken && (fds[i].events & POLLIN));
		bool write = (fds[i].revents & POLLOUT) || (broken && (fds[i].events & POLLOUT));

		if (read || write)
			ares_process_fd(ares, read ? fds[i].fd : ARES_SOCKET_BAD,
			    write ? fds[i].fd : ARES_SOCKET_BAD);
	}
}

const char *dns_channels_servers(const struct dns_channels *c)
{
	return c->text;
}

void dns_channels_list(struct dns_channels *c, struct strlist *out)
{
	struct dns_channel *channel = dns_channels_take(c, TRY_MIN_MS);
	struct ares_addr_port_node *list = NULL;
	char address[INET6_ADDRSTRLEN];

	if (channel == NULL)
		return;
	if (ares_get_servers_ports(channel->ares, &list) == ARES_SUCCESS)
		for (struct ares_addr_port_node *node = list; node != NULL; node = node->next) {
			char *text;

			inet_ntop(node->family, &node->addr, address, sizeof address);
			text = node->udp_port > 0 ? xasprintf("[%s]:%d", address, node->udp_port)
						  : xstrdup(address);
			strlist_add(out, text);
			free(text);
		}
	ares_free_data(list);
	dns_channels_give(c, channel);
}

static void start_library(void)
{
	ares_library_init(ARES_LIB_INIT_ALL); /* never cleaned up: it owns nothing on Unix */
}

struct dns_channels *dns_channels_new(const struct dns_options *options, char *why, size_t size)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct dns_channels *c = xcalloc(1, sizeof *c);
	struct dns_channel *channel;
	int error;

	pthread_once(&once, start_library);
	pthread_mutex_init(&c->lock, NULL);
	c->resolv_conf = xstrdup(options->resolv_conf != NULL ? options->resolv_conf : RESOLV_CONF);
	c->text = xasprintf("the servers of %s", c->resolv_conf);
	c->flags = options->every_answer ? ARES_FLAG_NOCHECKRESP : 0;
	file_mark_read(c->resolv_conf, &c->mark);
	c->mark_ms = clock_ms();
	if (!servers_parse(c, &options->servers, why, size))
		goto fail;
	channel = channel_new(c, TRY_MIN_MS, &error); /* the proof that it works */
	if (channel == NULL) {
		snprintf(why, size, "%s: %s", c->text, ares_strerror(error));
		goto fail;
	}
	c->nservers = count_servers(channel->ares);
	dns_channels_give(c, channel);
	return c;
fail:
	dns_channels_free(c);
	return NULL;
}

void dns_channels_free(struct dns_channels *c)
{
	if (c == NULL)
		return;
	free_list(c->idle);
	free(c->servers);
	free(c->resolv_conf);
	free(c->text);
	pthread_mutex_destroy(&c->lock);
	free(c);
}
