/* tls_demand.c - see tls_demand.h. */
#include "lua-bindings/tls_demand.h"

#include "common/dns/dns_name.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool filled(const char *s)
{
	return s != NULL && s[0] != '\0';
}

bool tls_demand_without(const struct server_actions *a)
{
	return !a->tryTLS && !a->forceTLS && !a->verifyCert && !filled(a->checkCertName) &&
	       !filled(a->checkCertThumbprint);
}

/* "AA:BB:..." of hexadecimal digits with colons, blanks or nothing between them. */
static char *fingerprint(const char *text, int bytes)
{
	char *out = xcalloc((size_t)bytes, 3);
	int digits = 0;

	for (; *text != '\0'; text++) {
		if (*text == ':' || *text == ' ' || *text == '-')
			continue;
		if (!isxdigit((unsigned char)*text) || digits >= 2 * bytes) {
			free(out);
			return NULL;
		}
		out[digits / 2 * 3 + digits % 2] = (char)toupper((unsigned char)*text);
		if (digits % 2 == 1 && digits < 2 * bytes - 1)
			out[digits / 2 * 3 + 2] = ':';
		digits++;
	}
	if (digits == 2 * bytes)
		return out;
	free(out);
	return NULL;
}

/* A name that Postfix can compare: the whole name, or ".domain" for "*.domain". */
static char *match_name(const char *name)
{
	bool wild = strncmp(name, "*.", 2) == 0;
	const char *rest = wild ? name + 2 : name;
	size_t n = strlen(rest);
	char *out;

	if (!dns_name_valid(rest))
		return NULL;
	out = xasprintf("%s%.*s", wild ? "." : "", (int)(n - (rest[n - 1] == '.')), rest);
	for (char *p = out; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return out;
}

/* The demand of one host. False: it cannot be said. */
static bool demand_of(const char *server, const struct server_actions *a, int bytes,
    enum tls_level *level, char **match, const char **why)
{
	bool name = a->verifyCert || filled(a->checkCertName);

	*match = NULL;
	if (filled(a->checkCertThumbprint)) {
		*level = TLS_FINGERPRINT;
		*match = fingerprint(a->checkCertThumbprint, bytes);
		*why = name ? "checkCertThumbprint cannot be combined with other checks"
			    : "checkCertThumbprint is no fingerprint of the digest "
			      "outbound.fingerprint_digest";
		return *match != NULL && !name;
	}
	*level = name ? TLS_SECURE : a->forceTLS ? TLS_ENCRYPT : TLS_DEFAULT;
	if (!name)
		return true;
	*match = match_name(filled(a->checkCertName) ? a->checkCertName : server);
	*why = "checkCertName must be a name, or *.domain";
	return *match != NULL;
}

bool tls_demand_add(struct tls_demand *d, const char *server, const struct server_actions *a,
    int fingerprint_bytes, const char **why)
{
	enum tls_level level;
	char *match;
	bool fine = demand_of(server, a, fingerprint_bytes, &level, &match, why);

	if (fine && d->level >= TLS_SECURE && level >= TLS_SECURE && d->level != level) {
		*why = "one host wants a name checked and another one a fingerprint";
		fine = false;
	}
	if (fine) {
		d->hosts++;
		d->without += tls_demand_without(a);
		if (level > d->level)
			d->level = level;
		if (match != NULL && !strlist_has(&d->match, match))
			strlist_add(&d->match, match);
	}
	free(match);
	return fine;
}

/* A certificate must have a name, or be the one, that each of them wants. */
static bool match_both(struct strlist *match, const struct strlist *other)
{
	for (size_t i = match->n; i-- > 0;)
		if (!strlist_has(other, match->v[i]))
			strlist_remove(match, i);
	return match->n > 0;
}

bool tls_demand_both(struct tls_demand *d, const struct tls_demand *other, const char **why)
{
	bool checks = d->level >= TLS_SECURE, other_checks = other->level >= TLS_SECURE;

	if (checks && other_checks) {
		if (d->level != other->level || !match_both(&d->match, &other->match)) {
			*why = "one domain wants another name or fingerprint than another one";
			return false;
		}
	} else if (other_checks) {
		strlist_copy(&d->match, &other->match);
	}
	if (other->level > d->level)
		d->level = other->level;
	d->hosts += other->hosts;
	d->without += other->without;
	return true;
}

char *tls_demand_text(const struct tls_demand *d)
{
	bool names = d->level == TLS_SECURE;
	char *out;

	if (d->level == TLS_ENCRYPT)
		return xstrdup("encrypt");
	if (d->level == TLS_DEFAULT)
		return d->without == 0 ? NULL : xstrdup(d->without == d->hosts ? "none" : "may");
	out = xstrdup(names ? "secure match=" : "fingerprint match=");
	for (size_t i = 0; i < d->match.n; i++) {
		char *longer = xasprintf("%s%s%s", out,
		    i == 0  ? ""
		    : names ? ":"
			    : "|",
		    d->match.v[i]);

		free(out);
		out = longer;
	}
	return out;
}

void tls_demand_clear(struct tls_demand *d)
{
	strlist_clear(&d->match);
	*d = (struct tls_demand){0};
}
