/* redis_url.h - where Redis is, as store.h's URLs say it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum redis_kind { REDIS_SINGLE, REDIS_SENTINEL, REDIS_CLUSTER };

struct redis_host {
	char *name; /* host name or address, without brackets */
	uint16_t port;
};

struct redis_url { /* owns its strings; NULL = not given */
	enum redis_kind kind;
	bool tls;
	char *socket; /* path; then there are no hosts */
	struct redis_host *hosts;
	size_t nhosts;
	char *user, *password;
	char *master; /* Sentinel's name of the master */
	unsigned db;
	char *ca, *cert, *key; /* PEM files */
	char *name;	       /* to verify in place of the host's */
	char *sentinel_user, *sentinel_password;
};

/* 0, or -1 with why set (it never quotes the user part). Clear it in both cases. */
int redis_url_parse(struct redis_url *, const char *text, char *why, size_t size);
void redis_url_clear(struct redis_url *); /* wipes passwords */

/* "host:port" or "[address]:port" or "host" of n bytes; an IPv6 address without brackets is taken
 * apart at its last colon, as Redis writes it. 0 or -1. */
int redis_host_parse(struct redis_host *, const char *text, size_t n, uint16_t default_port);
