/* users_settings.c - see users.h: what a user has set, in the store and below that in the file. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/store/store_shared.h"
#include "common/users/users_parts.h"
#include "common/users/users_private.h"

#include <stdlib.h>
#include <string.h>

const char *users_pair(const struct strlist *pairs, const char *name)
{
	for (size_t i = pairs->n; i >= 2; i -= 2)
		if (strcmp(pairs->v[i - 2], name) == 0)
			return pairs->v[i - 1];
	return NULL;
}

void users_presets(struct users *u, const char *user, struct strlist *pairs)
{
	const struct users_text *text;
	const struct users_entry *entry;
	char *lower;

	if ((u->source != USERS_FILE && u->source != USERS_STORE) || (text = users_lock(u)) == NULL)
		return;
	lower = users_lower(xstrdup(user));
	entry = users_text_find(text, lower);
	for (size_t i = 0; entry != NULL && i < entry->settings.n; i++)
		strlist_add(pairs, entry->settings.v[i]);
	users_unlock(u);
	free(lower);
}

/* ---- the store ---- */

static enum users_answer meaning(enum store_answer answer)
{
	switch (answer) {
	case STORE_FOUND:
		return USERS_YES;
	case STORE_ABSENT:
		return USERS_NO;
	case STORE_UNKNOWN:
		break;
	}
	return USERS_UNKNOWN;
}

static enum store_answer get(
    struct store *store, const char *user, const char *name, char **value, int64_t until)
{
	int64_t left = until - clock_ms();

	*value = NULL;
	return left > 0 ? store_setting_get(store, user, name, value, (int)left) : STORE_UNKNOWN;
}

enum users_answer users_setting(
    struct users *u, const char *user, const char *name, char **value, int ms)
{
	struct store *store = store_shared_get(u->config->store);
	char *lower = user != NULL ? users_lower(xstrdup(user)) : NULL;
	enum store_answer answer = STORE_UNKNOWN;
	struct strlist presets = STRLIST_INIT;
	const char *preset;

	*value = NULL;
	if (store != NULL) {
		answer = get(store, lower, name, value, clock_ms() + ms);
		store_shared_put(store);
		store_shared_report(u->config->store, answer);
	}
	if (answer == STORE_ABSENT && lower != NULL) {
		users_presets(u, lower, &presets);
		preset = users_pair(&presets, name);
		if (preset != NULL) {
			*value = xstrdup(preset);
			answer = STORE_FOUND;
		}
		strlist_clear(&presets);
	}
	free(lower);
	return meaning(answer);
}

/* The names first: most users have set nothing, and then that is all there is to ask. */
static enum store_answer get_all(
    struct store *store, const char *user, struct strlist *pairs, int64_t until)
{
	struct strlist names = STRLIST_INIT;
	int64_t left = until - clock_ms();
	enum store_answer answer =
	    left > 0 ? store_setting_list(store, user, &names, (int)left) : STORE_UNKNOWN;
	char *value;

	for (size_t i = 0; i < names.n && answer != STORE_UNKNOWN; i++) {
		answer = get(store, user, names.v[i], &value, until);
		if (answer == STORE_FOUND) {
			strlist_add(pairs, names.v[i]);
			strlist_add(pairs, value);
		}
		free(value);
	}
	strlist_clear(&names);
	return answer == STORE_UNKNOWN ? STORE_UNKNOWN : STORE_FOUND;
}

enum users_answer users_settings(struct users *u, const char *user, struct strlist *pairs, int ms)
{
	struct store *store = store_shared_get(u->config->store);
	char *lower = users_lower(xstrdup(user));
	enum store_answer answer = STORE_UNKNOWN;

	users_presets(u, lower, pairs);
	if (store != NULL) {
		answer = get_all(store, lower, pairs, clock_ms() + ms);
		store_shared_put(store);
		store_shared_report(u->config->store, answer);
	}
	free(lower);
	return meaning(answer);
}
