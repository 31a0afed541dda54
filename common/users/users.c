/* users.c - see users.h: loading, and whose an address is. */
#include "common/users.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "common/store/store_shared.h"
#include "common/users/users_parts.h"
#include "common/users/users_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_SOURCE "file:"

bool users_name_is_sound(const char *name)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+-=";
	size_t n = strlen(name);

	if (n == 0 || n > LIMIT_USER_NAME_BYTES || name[0] == '.' || name[0] == '-')
		return false;
	for (size_t i = 0; i < n; i++)
		if ((unsigned char)name[i] < 0x80 && strchr(letters, name[i]) == NULL)
			return false;
	return true;
}

/* ---- loading ---- */

static bool load_file(struct users *u, const char *path, char *error, size_t size)
{
	const char *why;
	size_t n;
	char *text = users_read_file(path, &n, &why);

	if (text == NULL) {
		snprintf(error, size,
		    "users.source = \"file:%s\": %s; write the file, or set users.source to \"\"",
		    path, why);
		return false;
	}
	u->text = users_text_read(text, n, path, error, size);
	free(text);
	return u->text != NULL;
}

char *users_check_file(const char *path, char *error, size_t size)
{
	const char *why;
	size_t n;
	char *text = users_read_file(path, &n, &why);
	struct users_text *parsed = NULL;

	if (text == NULL)
		snprintf(error, size, "%s: %s", path, why);
	else
		parsed = users_text_read(text, n, path, error, size);
	if (parsed == NULL) {
		free(text);
		text = NULL;
	}
	users_text_free(parsed);
	return text;
}

static bool load_aliases(struct users *u, char *error, size_t size)
{
	const char *path = u->config->users.aliases, *why;
	size_t n;
	char *text;

	if (*path == '\0')
		return true;
	text = users_read_file(path, &n, &why);
	if (text == NULL) {
		snprintf(
		    error, size, "users.aliases = \"%s\": %s; \"\" means no aliases", path, why);
		return false;
	}
	u->aliases = aliases_read(text, n);
	free(text);
	if (u->aliases->skipped > 0)
		log_warn(NULL,
		    "%s:%d: %d aliases left out, this is the first: not \"name: target\", "
		    "or there twice",
		    path, u->aliases->first_skipped, u->aliases->skipped);
	return true;
}

static enum users_source source_of(const struct config *c)
{
	if (strcmp(c->users.source, "system") == 0)
		return USERS_SYSTEM;
	if (strcmp(c->users.source, "store") == 0)
		return USERS_STORE;
	return *c->users.source != '\0' ? USERS_FILE : USERS_OFF;
}

struct users *users_load(struct config *config, char *error, size_t size)
{
	struct users *u = xcalloc(1, sizeof *u);
	bool fine = true;

	u->config = config_ref(config);
	u->source = source_of(config);
	pthread_rwlock_init(&u->lock, NULL);
	pthread_mutex_init(&u->refresh, NULL);
	if (u->source == USERS_FILE)
		fine = load_file(u, config->users.source + strlen(FILE_SOURCE), error, size);
	if (fine && u->source != USERS_OFF)
		fine = load_aliases(u, error, size);
	if (fine)
		return u;
	users_free(u);
	return NULL;
}

void users_free(struct users *u)
{
	if (u == NULL)
		return;
	users_text_free(u->text);
	aliases_free(u->aliases);
	pthread_rwlock_destroy(&u->lock);
	pthread_mutex_destroy(&u->refresh);
	config_unref(u->config);
	free(u);
}

/* ---- the text in the store ---- */

/* Takes over text, or keeps what was known when it cannot be read. */
static void take_text(struct users *u, const char *text)
{
	char error[400];
	struct users_text *fresh =
	    users_text_read(text, strlen(text), "store, setting Users", error, sizeof error);
	struct users_text *before;

	if (fresh == NULL) {
		log_error(NULL, "%s; the users known before stay in force", error);
		return;
	}
	pthread_rwlock_wrlock(&u->lock);
	before = u->text;
	u->text = fresh;
	pthread_rwlock_unlock(&u->lock);
	users_text_free(before);
}

static void ask_store(struct users *u)
{
	struct store *store = store_shared_get(u->config->store);
	enum store_answer answer = STORE_UNKNOWN;
	char *text = NULL;

	if (store != NULL) {
		answer = store_setting_get(
		    store, NULL, USERS_STORE_SETTING, &text, LIMIT_USERS_STORE_MS);
		store_shared_put(store);
		store_shared_report(u->config->store, answer);
	}
	if (answer != STORE_UNKNOWN)
		take_text(u, text != NULL ? text : "");
	u->next_ms =
	    clock_ms() + (answer != STORE_UNKNOWN ? LIMIT_USERS_FRESH_MS : LIMIT_USERS_RETRY_MS);
	free(text);
}

/* Whoever finds it stale asks; the others go on with what is known, or wait when nothing is. */
static void refresh(struct users *u)
{
	bool known;

	pthread_rwlock_rdlock(&u->lock);
	known = u->text != NULL;
	pthread_rwlock_unlock(&u->lock);
	if (known ? pthread_mutex_trylock(&u->refresh) != 0 : pthread_mutex_lock(&u->refresh) != 0)
		return;
	if (clock_ms() >= u->next_ms)
		ask_store(u);
	pthread_mutex_unlock(&u->refresh);
}

const struct users_text *users_lock(struct users *u)
{
	const struct users_text *text;

	if (u->source == USERS_STORE)
		refresh(u);
	pthread_rwlock_rdlock(&u->lock);
	text = u->text;
	if (text == NULL)
		pthread_rwlock_unlock(&u->lock);
	return text;
}

void users_unlock(struct users *u)
{
	pthread_rwlock_unlock(&u->lock);
}

/* ---- whose an address is ---- */

bool users_are_off(const struct users *u)
{
	return u->source == USERS_OFF;
}

bool users_in_local_domain(const struct users *u, const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL || strlist_has_nocase(&u->config->local_domains, at + 1);
}

char *users_without_extension(const struct users *u, const char *local)
{
	const char *end = *u->config->users.delimiter != '\0'
			      ? strchr(local, u->config->users.delimiter[0])
			      : NULL;

	return end != NULL && end != local ? xstrndup(local, (size_t)(end - local)) : NULL;
}

enum users_answer users_exist(struct users *u, const char *name)
{
	const struct users_text *text;
	enum users_answer answer;
	char *lower;

	if (!users_name_is_sound(name) || u->source == USERS_OFF)
		return USERS_NO;
	lower = users_lower(xstrdup(name));
	if (u->source == USERS_SYSTEM) {
		answer = users_system_has(u, lower);
	} else if ((text = users_lock(u)) == NULL) {
		answer = USERS_UNKNOWN;
	} else {
		answer = users_text_find(text, lower) != NULL ? USERS_YES : USERS_NO;
		users_unlock(u);
	}
	free(lower);
	return answer;
}

/* The user to whom the file gives exactly this address, in lower case. */
static enum users_answer owner(struct users *u, const char *address, char **name)
{
	const struct users_text *text;
	const struct users_entry *entry;

	if (u->source != USERS_FILE && u->source != USERS_STORE)
		return USERS_NO;
	if ((text = users_lock(u)) == NULL)
		return USERS_UNKNOWN;
	entry = users_text_owner(text, address);
	if (entry != NULL)
		*name = xstrdup(entry->name);
	users_unlock(u);
	return entry != NULL ? USERS_YES : USERS_NO;
}

/* By the address as a whole, else by the local part when the domain is local. */
static enum users_answer owner_or_name(
    struct users *u, const char *address, const char *local, char **name)
{
	enum users_answer answer = owner(u, address, name);

	if (answer != USERS_NO || !users_in_local_domain(u, address))
		return answer;
	answer = users_exist(u, local);
	if (answer == USERS_YES)
		*name = xstrdup(local);
	return answer;
}

enum users_answer users_find(struct users *u, const char *address, char **name)
{
	char *lower, *local, *shorter, *without = NULL;
	enum users_answer answer;
	const char *at;

	*name = NULL;
	if (u->source == USERS_OFF || strlen(address) > LIMIT_ADDRESS_BYTES)
		return USERS_NO;
	lower = users_lower(xstrdup(address));
	at = strrchr(lower, '@');
	local = xstrndup(lower, at != NULL ? (size_t)(at - lower) : strlen(lower));
	answer = owner_or_name(u, lower, local, name);
	shorter = answer == USERS_NO ? users_without_extension(u, local) : NULL;
	if (shorter != NULL) {
		without = xasprintf("%s%s", shorter, at != NULL ? at : "");
		answer = owner_or_name(u, without, shorter, name);
	}
	free(without);
	free(shorter);
	free(local);
	free(lower);
	return answer;
}

bool users_is_local(struct users *u, const char *address)
{
	char *name;
	bool local = users_in_local_domain(u, address);

	if (!local) {
		local = users_find(u, address, &name) == USERS_YES;
		free(name);
	}
	return local;
}

/* ---- lists ---- */

/* Of those from the n-th on, which are sorted. */
static void drop_doubles(struct strlist *names, size_t n)
{
	size_t kept = n;

	for (size_t i = n; i < names->n; i++)
		if (kept > n && strcmp(names->v[kept - 1], names->v[i]) == 0)
			free(names->v[i]);
		else
			names->v[kept++] = names->v[i];
	names->n = kept;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

enum users_answer users_list(struct users *u, struct strlist *names)
{
	enum users_answer answer = USERS_YES;
	const struct users_text *text;
	size_t first = names->n;

	if (u->source == USERS_SYSTEM) {
		answer = users_system_list(u, names);
	} else if (u->source != USERS_OFF) {
		if ((text = users_lock(u)) == NULL)
			return USERS_UNKNOWN;
		for (size_t i = 0; i < text->n; i++)
			strlist_add(names, text->v[i].name);
		users_unlock(u);
	}
	if (names->n > first + 1)
		qsort(names->v + first, names->n - first, sizeof *names->v, by_text);
	drop_doubles(names, first);
	return answer;
}

enum users_answer users_addresses(struct users *u, const char *name, struct strlist *addresses)
{
	enum users_answer answer = users_exist(u, name);
	char *lower = users_lower(xstrdup(name));
	const struct users_entry *entry;
	const struct users_text *text;
	size_t first = addresses->n;

	if (answer == USERS_YES && u->source != USERS_SYSTEM && (text = users_lock(u)) != NULL) {
		entry = users_text_find(text, lower);
		for (size_t i = 0; entry != NULL && i < entry->addresses.n; i++)
			strlist_add(addresses, entry->addresses.v[i]);
		users_unlock(u);
	}
	if (answer == USERS_YES && addresses->n == first)
		for (size_t i = 0; i < u->config->local_domains.n; i++) {
			char *address = xasprintf("%s@%s", lower, u->config->local_domains.v[i]);

			strlist_add(addresses, address);
			free(address);
		}
	free(lower);
	return answer;
}
