/* ehlo_in.c - see ehlo_in.h. */
#include "policy/ehlo_in.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/network.h"
#include "lua-bindings/smtpsvr.h"

#include <ctype.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define CACHE_SLOTS 4096 /* direct-mapped: bounded, and a clash costs one more call */

/* ---- what the script changed ---- */

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '-';
}

/* The script may have put the words together in any way: lines with or without codes, blanks. */
static bool has_word(const char *text, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = text; (p = strcasestr(p, word)) != NULL; p++)
		if ((p == text || !is_word(p[-1]) ||
			(p - text >= 4 && strncmp(p - 4, "250-", 4) == 0)) &&
		    !is_word(p[n]))
			return true;
	return false;
}

/* The first word of a line, behind a code, is a keyword. */
static bool adds(const struct strlist *offered, const char *text)
{
	while (*text != '\0') {
		size_t n;
		char *word;
		bool known;

		if (strncmp(text, "250", 3) == 0 && (text[3] == '-' || text[3] == ' '))
			text += 4;
		text += strspn(text, " \t");
		for (n = 0; is_word(text[n]); n++)
			;
		word = xstrndup(text, n);
		known = n == 0 || strlist_has_nocase(offered, word);
		free(word);
		if (!known)
			return true;
		text += strcspn(text, "\r\n");
		text += strspn(text, "\r\n");
	}
	return false;
}

char *ehlo_in_removed(const struct strlist *offered, const char *capabilities, bool *added)
{
	char *out = NULL;

	*added = adds(offered, capabilities);
	for (size_t i = 0; i < offered->n; i++) {
		char *longer;

		if (has_word(capabilities, offered->v[i]))
			continue;
		longer = xasprintf("%s%s, ", out != NULL ? out : "", offered->v[i]);
		free(out);
		out = longer;
	}
	if (out != NULL) { /* Postfix logs what it leaves out unless told not to */
		char *whole = xasprintf("%ssilent-discard", out);

		free(out);
		out = whole;
	}
	return out;
}

/* ---- the cache ---- */

static struct entry {
	struct ip_address client;
	int number;
	unsigned generation;
	int64_t until_ms;
	char *value; /* NULL: not found */
} cache[CACHE_SLOTS];

static pthread_mutex_t cache_lock = PTHREAD_MUTEX_INITIALIZER;

static struct entry *slot_of(const struct ip_address *a, int number)
{
	unsigned hash = 2166136261u ^ (unsigned)number; /* FNV-1a */

	for (size_t i = 0; i < sizeof a->bytes; i++)
		hash = (hash ^ a->bytes[i]) * 16777619u;
	return &cache[hash % CACHE_SLOTS];
}

static bool same(const struct entry *e, const struct ip_address *a, int number, unsigned generation)
{
	return e->generation == generation && e->number == number &&
	       e->client.family == a->family &&
	       memcmp(e->client.bytes, a->bytes, sizeof a->bytes) == 0;
}

static bool recall(const struct ip_address *a, int number, unsigned generation, char **value)
{
	const struct entry *e = slot_of(a, number);
	bool found;

	pthread_mutex_lock(&cache_lock);
	found = same(e, a, number, generation) && clock_ms() < e->until_ms;
	if (found)
		*value = e->value != NULL ? xstrdup(e->value) : NULL;
	pthread_mutex_unlock(&cache_lock);
	return found;
}

static void remember(
    const struct ip_address *a, int number, const struct script_set *set, const char *value)
{
	int seconds = script_set_config(set)->socketmap.ehlo_seconds;
	struct entry *e = slot_of(a, number);

	pthread_mutex_lock(&cache_lock);
	e->client = *a;
	e->number = number;
	e->generation = script_set_generation(set);
	e->until_ms = clock_ms() + seconds * 1000LL;
	xreplace(&e->value, value);
	pthread_mutex_unlock(&cache_lock);
}

/* ---- the map ---- */

static const struct service_config *service_of(const struct config *c, int number)
{
	for (size_t i = 0; i < c->nservices; i++)
		if (c->services[i].id == number)
			return &c->services[i];
	return &c->services[0];
}

static char *offered_lines(const struct strlist *keywords)
{
	char *out = xstrdup("");

	for (size_t i = 0; i < keywords->n; i++) {
		char *longer = xasprintf("%s%s%s", out, i > 0 ? "\r\n" : "", keywords->v[i]);

		free(out);
		out = longer;
	}
	return out;
}

static char *ask(const struct map_query *q, int number, const struct ip_address *client)
{
	const struct config *c = script_set_config(q->set);
	char *offered = offered_lines(&c->socketmap.ehlo_keywords), *removed = NULL;
	char *capabilities = smtpsvr_capabilities(
	    q->set, service_of(c, number), client, offered, q->deadline_ms, q->id);
	bool added = false;

	if (capabilities != NULL)
		removed = ehlo_in_removed(&c->socketmap.ehlo_keywords, capabilities, &added);
	if (added && script_set_first(q->set, "ehlo_in: added"))
		log_warn(q->id,
		    "GetEHLOCapabilities: a keyword that socketmap.ehlo_keywords does not name; "
		    "keywords can only be removed (logged once for each loading of the scripts)");
	free(capabilities);
	free(offered);
	return removed;
}

struct map_answer ehlo_in_answer(const struct map_query *q, int number)
{
	unsigned generation = script_set_generation(q->set);
	struct ip_address client;
	char *value = NULL;

	if (!ip_address_parse(&client, q->key) ||
	    !script_set_has_hook(q->set, SCRIPT_SMTPSVR, "GetEHLOCapabilities"))
		return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
	if (!recall(&client, number, generation, &value)) {
		value = ask(q, number, &client);
		/* no answer because time was up is not one to remember */
		if (value != NULL || clock_ms() < q->deadline_ms)
			remember(&client, number, q->set, value);
	}
	return (struct map_answer){value != NULL ? SOCKETMAP_OK : SOCKETMAP_NOTFOUND, value};
}
