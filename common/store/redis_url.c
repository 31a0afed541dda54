/* redis_url.c - see redis_url.h.
 *
 * By hand although libcurl parses URLs: these name several hosts at once and use schemes and paths
 * of their own. */
#include "common/store/redis_url.h"

#include "common/limits.h"
#include "common/list.h"

#include <openssl/crypto.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct scheme {
	const char *name;
	enum redis_kind kind;
	bool tls, socket;
	uint16_t port;
} schemes[] = {
    {"redis://", REDIS_SINGLE, false, false, 6379},
    {"rediss://", REDIS_SINGLE, true, false, 6379},
    {"redis+unix://", REDIS_SINGLE, false, true, 0},
    {"redis-sentinel://", REDIS_SENTINEL, false, false, 26379},
    {"rediss-sentinel://", REDIS_SENTINEL, true, false, 26379},
    {"redis-cluster://", REDIS_CLUSTER, false, false, 6379},
    {"rediss-cluster://", REDIS_CLUSTER, true, false, 6379},
};

#define DATABASES 16384 /* more than any server is configured for */

static int refuse(char *why, size_t size, const char *text)
{
	snprintf(why, size, "store: Redis URL: %s", text);
	return -1;
}

static int hex(char c)
{
	static const char digits[] = "0123456789abcdef0123456789ABCDEF";
	const char *at = c != '\0' ? strchr(digits, c) : NULL;

	return at != NULL ? (int)((at - digits) % 16) : -1;
}

/* NULL: a broken or NUL escape. */
static char *decode(const char *s, size_t n)
{
	char *out = xmalloc(n + 1);
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		int high, low;

		if (s[i] != '%') {
			out[len++] = s[i];
			continue;
		}
		high = i + 2 < n ? hex(s[i + 1]) : -1;
		low = i + 2 < n ? hex(s[i + 2]) : -1;
		if (high < 0 || low < 0 || high + low == 0) {
			free(out);
			return NULL;
		}
		out[len++] = (char)(high * 16 + low);
		i += 2;
	}
	out[len] = '\0';
	return out;
}

static int parse_number(const char *s, size_t n, unsigned most, unsigned *value)
{
	unsigned v = 0;

	if (n == 0 || n > 5)
		return -1;
	for (size_t i = 0; i < n; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -1;
		v = v * 10 + (unsigned)(s[i] - '0');
	}
	*value = v;
	return v <= most ? 0 : -1;
}

int redis_host_parse(struct redis_host *h, const char *text, size_t n, uint16_t default_port)
{
	const char *colon = memrchr(text, ':', n), *name = text;
	const char *bracket = n > 0 && text[0] == '[' ? memchr(text, ']', n) : NULL;
	unsigned port = default_port;
	size_t len = n;

	if (n > 0 && text[0] == '[' && bracket == NULL)
		return -1;
	if (bracket != NULL && colon < bracket)
		colon = NULL;
	if (colon != NULL) {
		len = (size_t)(colon - text);
		if (parse_number(colon + 1, n - len - 1, 65535, &port) < 0 || port == 0)
			return -1;
	}
	if (bracket != NULL) {
		if (bracket + 1 != text + len)
			return -1;
		name++;
		len -= 2;
	}
	if (len == 0 || len > LIMIT_DNS_NAME_BYTES || memchr(name, '\0', len) != NULL)
		return -1;
	h->name = xstrndup(name, len);
	h->port = (uint16_t)port;
	return 0;
}

static int parse_hosts(struct redis_url *u, const char *s, size_t n, uint16_t port)
{
	const char *end = s + n;

	for (;;) {
		const char *comma = memchr(s, ',', (size_t)(end - s));
		const char *stop = comma != NULL ? comma : end;

		if (u->nhosts == LIMIT_REDIS_HOSTS)
			return -1;
		u->hosts = xgrow(u->hosts, u->nhosts, sizeof *u->hosts);
		if (redis_host_parse(&u->hosts[u->nhosts], s, (size_t)(stop - s), port) < 0)
			return -1;
		u->nhosts++;
		if (comma == NULL)
			return 0;
		s = comma + 1;
	}
}

static int parse_login(struct redis_url *u, const char *s, size_t n)
{
	const char *colon = memchr(s, ':', n);
	size_t user = colon != NULL ? (size_t)(colon - s) : n;

	if (colon == NULL) /* "redis://name@host" would log in with a name and no password */
		return -1;
	u->password = decode(colon + 1, n - user - 1);
	if (user > 0) {
		u->user = decode(s, user);
		if (u->user == NULL)
			return -1;
	}
	return u->password != NULL ? 0 : -1;
}

static int parse_option(struct redis_url *u, const char *s, size_t n)
{
	const struct {
		const char *name;
		char **value;
	} options[] = {
	    {"ca", &u->ca},
	    {"cert", &u->cert},
	    {"key", &u->key},
	    {"name", &u->name},
	    {"sentinel_user", &u->sentinel_user},
	    {"sentinel_password", &u->sentinel_password},
	};
	const char *equals = memchr(s, '=', n);
	size_t name = equals != NULL ? (size_t)(equals - s) : n;

	if (equals == NULL)
		return -1;
	if (name == 2 && memcmp(s, "db", 2) == 0)
		return parse_number(equals + 1, n - name - 1, DATABASES, &u->db);
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (strlen(options[i].name) == name && memcmp(s, options[i].name, name) == 0) {
			free(*options[i].value);
			*options[i].value = decode(equals + 1, n - name - 1);
			return *options[i].value != NULL ? 0 : -1;
		}
	return -1;
}

static int parse_options(struct redis_url *u, const char *s)
{
	while (*s != '\0') {
		size_t n = strcspn(s, "&");

		if (parse_option(u, s, n) < 0)
			return -1;
		s += n + (s[n] == '&');
	}
	return 0;
}

/* "", "/", "/db" or, for Sentinel, "/master" and "/master/db"; n bytes. */
static int parse_path(struct redis_url *u, const char *s, size_t n)
{
	if (n > 0) {
		s++;
		n--;
	}
	if (u->kind == REDIS_SENTINEL) {
		size_t name = strcspn(s, "/?");

		if (name == 0 || name > n)
			return -1;
		u->master = decode(s, name);
		if (u->master == NULL)
			return -1;
		s += name;
		n -= name;
		if (n > 0) {
			s++;
			n--;
		}
	}
	return n == 0 ? 0 : parse_number(s, n, DATABASES, &u->db);
}

static int check(const struct redis_url *u, char *why, size_t size)
{
	if (u->kind == REDIS_CLUSTER && u->db != 0)
		return refuse(why, size, "a cluster has no db but 0");
	if (!u->tls && (u->ca != NULL || u->cert != NULL || u->key != NULL || u->name != NULL))
		return refuse(why, size, "ca, cert, key and name need TLS: write rediss://");
	if ((u->cert == NULL) != (u->key == NULL))
		return refuse(why, size, "cert and key belong together");
	return 0;
}

static int parse_rest(
    struct redis_url *u, const struct scheme *scheme, const char *s, char *why, size_t size)
{
	size_t all = strcspn(s, "?"), hosts;
	const char *options = s[all] == '?' ? s + all + 1 : s + all;
	const char *at = memrchr(s, '@', all);

	u->kind = scheme->kind;
	u->tls = scheme->tls;
	if (at != NULL) {
		if (parse_login(u, s, (size_t)(at - s)) < 0)
			return refuse(why, size, "the part before @ is not user:password");
		all -= (size_t)(at + 1 - s);
		s = at + 1;
	}
	if (scheme->socket) {
		u->socket = decode(s, all);
		if (u->socket == NULL || u->socket[0] != '/')
			return refuse(why, size, "redis+unix:// wants an absolute path");
	} else {
		hosts = strcspn(s, "/?");
		if (hosts > all)
			hosts = all;
		if (parse_hosts(u, s, hosts, scheme->port) < 0)
			return refuse(why, size, "hosts are not host[:port],...");
		if (u->kind == REDIS_SINGLE && u->nhosts > 1)
			return refuse(why, size, "several hosts need redis-sentinel: or -cluster:");
		if (parse_path(u, s + hosts, all - hosts) < 0)
			return refuse(why, size,
			    u->kind == REDIS_SENTINEL ? "the path is not /master[/db]"
						      : "the path is not /db");
	}
	if (parse_options(u, options) < 0)
		return refuse(why, size,
		    "options are ca, cert, key, name, db, sentinel_user, sentinel_password");
	return check(u, why, size);
}

int redis_url_parse(struct redis_url *u, const char *text, char *why, size_t size)
{
	*u = (struct redis_url){0};
	for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++) {
		size_t n = strlen(schemes[i].name);

		if (strncmp(text, schemes[i].name, n) == 0)
			return parse_rest(u, &schemes[i], text + n, why, size);
	}
	return refuse(why, size,
	    "unknown kind; use sqlite:/absolute/path, redis://, rediss://, redis+unix://,"
	    " redis-sentinel:// or redis-cluster://");
}

static void wipe(char *secret)
{
	if (secret != NULL)
		OPENSSL_cleanse(secret, strlen(secret));
	free(secret);
}

void redis_url_clear(struct redis_url *u)
{
	for (size_t i = 0; i < u->nhosts; i++)
		free(u->hosts[i].name);
	free(u->hosts);
	free(u->socket);
	free(u->user);
	wipe(u->password);
	free(u->master);
	free(u->ca);
	free(u->cert);
	free(u->key);
	free(u->name);
	free(u->sentinel_user);
	wipe(u->sentinel_password);
	*u = (struct redis_url){0};
}
