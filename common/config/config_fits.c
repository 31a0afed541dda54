/* config_fits.c - settings that are right one by one must also fit together. */
#include "common/config/config_private.h"

#include <string.h>

#define LEAST_SCRIPT_BYTES (256 * 1024) /* as lua.memory_kb */

/* All hooks and look-ups of a command share its time. A default gives way, a setting is refused. */
static bool fit_time(const struct config *c, const char *section, const char *name, int *ms)
{
	char where[512];

	if (*ms <= c->lua.command_ms)
		return true;
	if (config_is_set(section, name))
		return config_failed(config_place_of(section, name, where, sizeof where),
		    "%s.%s (%d) is more than lua.command_ms (%d), which bounds all hooks and look-ups "
		    "of a command together: lower the one or raise the other",
		    section, name, *ms, c->lua.command_ms);
	*ms = c->lua.command_ms;
	return true;
}

static bool check_needed(const struct config *c)
{
	char where[512];

	if (c->rbl.action == RBL_ACTION_REDIRECT && c->rbl.redirect[0] == '\0')
		return config_failed(config_place_of("rbl", "action", where, sizeof where),
		    "rbl.action is redirect, but rbl.redirect names no address: set it");
	if (c->milter.listen.n == 0)
		return config_failed(config_place_of("milter", "listen", where, sizeof where),
		    "milter.listen is empty: name an address such as "
		    "\"unix:/run/mailhooks/milter.sock\"");
	return true;
}

/* What tells one service from another must not be shared by two. */
static bool check_pair(const struct service_config *a, const struct service_config *b)
{
	if (a->id == b->id)
		return config_failed(NULL,
		    "service \"%s\" and service \"%s\" have the same id %d: change one (without "
		    "id it is the position in the file)",
		    a->name, b->name, a->id);
	for (size_t i = 0; i < a->listen.n; i++)
		if (strlist_has(&b->listen, a->listen.v[i]))
			return config_failed(NULL,
			    "service \"%s\" and service \"%s\" both listen on %s: remove it from one",
			    a->name, b->name, a->listen.v[i]);
	for (size_t i = 0; i < a->daemon_names.n; i++)
		if (strlist_has(&b->daemon_names, a->daemon_names.v[i]))
			return config_failed(NULL,
			    "service \"%s\" and service \"%s\" have the daemon name %s: remove it "
			    "from one",
			    a->name, b->name, a->daemon_names.v[i]);
	return true;
}

static bool check_service(const struct config *c, const struct service_config *s)
{
	const char *wanted = config_check_title(s->name);

	if (wanted != NULL)
		return config_failed(NULL, "service \"%s\": %s", s->name, wanted);
	for (size_t i = 0; i < s->listen.n; i++)
		if (!strlist_has(&c->milter.listen, s->listen.v[i]) &&
		    !strlist_has(&c->policy.listen, s->listen.v[i]))
			return config_failed(NULL,
			    "service \"%s\" listens on %s, which milter.listen does not name, nor "
			    "does policy.listen: add it there",
			    s->name, s->listen.v[i]);
	return true;
}

static bool check_services(const struct config *c)
{
	for (size_t i = 0; i < c->nservices; i++) {
		if (!check_service(c, &c->services[i]))
			return false;
		for (size_t k = 0; k < i; k++)
			if (!check_pair(&c->services[k], &c->services[i]))
				return false;
	}
	return true;
}

static bool check_scripts(const struct config *c)
{
	for (size_t i = 0; i < c->nscripts; i++) {
		const struct script_config *s = &c->script_sections[i];
		const char *wanted = config_check_title(s->name);

		if (wanted == NULL && s->memory_bytes > 0 && s->memory_bytes < LEAST_SCRIPT_BYTES)
			wanted = "memory_kb is 256 at least: the libraries alone take some 100";
		if (wanted != NULL)
			return config_failed(NULL, "script \"%s\": %s", s->name, wanted);
	}
	return true;
}

/* Postfix may not be told to verify where it need not encrypt. */
static bool check_sender(const struct sender_config *s)
{
	const char *wanted = config_check_title(s->name);

	if (wanted == NULL && s->verify_certificate && s->tls < SENDER_TLS_ENCRYPT)
		wanted = "verify_certificate goes with tls = \"encrypt\" or \"wrapped\": without "
			 "encryption there is no certificate";
	return wanted == NULL || config_failed(NULL, "sender \"%s\": %s", s->name, wanted);
}

static bool check_senders(const struct config *c)
{
	for (size_t i = 0; i < c->nsenders; i++) {
		const struct sender_config *s = &c->senders[i];

		if (!check_sender(s))
			return false;
		for (size_t k = 0; k < i; k++)
			if (strcmp(s->transport, c->senders[k].transport) == 0)
				return config_failed(NULL,
				    "sender \"%s\" and sender \"%s\" have the same transport "
				    "%s: change one",
				    c->senders[k].name, s->name, s->transport);
	}
	return true;
}

static bool check_profiles(const struct config *c)
{
	for (size_t i = 0; i < c->nprofiles; i++) {
		const struct profile_config *p = &c->profiles[i];
		const char *wanted = config_check_title(p->name);

		for (size_t k = 0; k < c->nsenders && wanted == NULL; k++)
			if (strcmp(p->transport, c->senders[k].transport) == 0)
				wanted = "a sender has the same transport: change one";
		for (size_t k = 0; k < i && wanted == NULL; k++)
			if (strcmp(p->transport, c->profiles[k].transport) == 0)
				wanted = "another one has the same transport: change one";
		if (wanted != NULL)
			return config_failed(NULL, "profile \"%s\": %s", p->name, wanted);
	}
	return true;
}

static bool check_wait_transport(const struct config *c)
{
	const char *name = c->outbound.wait_transport;
	bool sends = strcmp(name, c->outbound.transport) == 0;

	for (size_t i = 0; i < c->nsenders; i++)
		sends |= strcmp(name, c->senders[i].transport) == 0;
	for (size_t i = 0; i < c->nprofiles; i++)
		sends |= strcmp(name, c->profiles[i].transport) == 0;
	return !sends || config_failed(NULL,
			     "outbound.wait_transport: %s is a transport that sends: a service of "
			     "its own is wanted, such as \"mailhooks-wait\"",
			     name);
}

bool config_fits(struct config *c)
{
	return fit_time(c, "lua", "hook_ms", &c->lua.hook_ms) &&
	       fit_time(c, "rbl", "timeout_ms", &c->rbl.timeout_ms) && check_needed(c) &&
	       check_services(c) && check_scripts(c) && check_senders(c) && check_profiles(c) &&
	       check_wait_transport(c);
}
