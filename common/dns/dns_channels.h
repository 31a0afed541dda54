/* dns_channels.h - c-ares channels, lent to one caller at a time. Private to common/dns.
 *
 * A channel is not thread-safe and costs some 100 us and three files to make, so idle ones are
 * kept. Without configured servers a change of resolv.conf is noticed within two seconds; channels
 * made before it are not lent again. Thread-safe, but for new and free. */
#pragma once

#include "common/dns.h"

#include <ares.h>
#include <stddef.h>

struct dns_channels;

struct dns_channel {
	ares_channel ares;
	unsigned try_ms;     /* wait for the first server's first answer */
	unsigned generation; /* of resolv.conf */
	struct dns_channel *next;
};

struct dns_channels *dns_channels_new(const struct dns_options *, char *why, size_t size);
void dns_channels_free(struct dns_channels *); /* all channels are back */

/* A channel whose tries fit into deadline_ms; NULL: c-ares could not make one (it was logged). */
struct dns_channel *dns_channels_take(struct dns_channels *, int deadline_ms);
void dns_channels_give(struct dns_channels *, struct dns_channel *); /* no question is pending */

/* Wait for the network once, at most `left` ms, and let c-ares do what is due. */
void dns_channel_wait(struct dns_channel *, int64_t left);

/* The servers that are asked at present, added to out as dns_options.servers has them. */
void dns_channels_list(struct dns_channels *, struct strlist *out);

/* For logs: the configured servers, or the file that names them. */
const char *dns_channels_servers(const struct dns_channels *);
