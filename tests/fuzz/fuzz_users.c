/* The file of users and the file of aliases, from one text: what is found was there, and looking
 * anything up ends (R5, R6, R16). */
#include "common/limits.h"
#include "common/list.h"
#include "common/outgoing.h"
#include "common/redirect.h"
#include "common/users.h"
#include "common/users/aliases.h"
#include "common/users/users_text.h"
#include "tests/fuzz/must.h"

#include <string.h>

static void read_users(const char *text, size_t n)
{
	char error[300] = "";
	struct users_text *t = users_text_read(text, n, "fuzz", error, sizeof error);

	if (t == NULL) {
		MUST(error[0] != '\0');
		return;
	}
	for (size_t i = 0; i < t->n; i++) {
		const struct users_entry *u = &t->v[i];

		MUST(users_name_is_sound(u->name));
		MUST(users_text_find(t, u->name) == u);
		MUST(u->settings.n % 2 == 0);
		for (size_t k = 0; k < u->addresses.n; k++) {
			MUST(outgoing_address(u->addresses.v[k]) == NULL);
			MUST(users_text_owner(t, u->addresses.v[k]) == u);
		}
	}
	users_text_free(t);
}

static void read_aliases(const char *text, size_t n)
{
	struct aliases *a = aliases_read(text, n);

	for (size_t i = 0; i < a->n; i++) {
		MUST(aliases_find(a, a->v[i].name) == &a->v[i]);
		for (size_t k = 0; k < a->v[i].targets.n; k++) {
			const char *target = a->v[i].targets.v[k];

			MUST(outgoing_address(target + (target[0] == '\\')) == NULL);
		}
	}
	MUST(a->skipped == 0 || a->first_skipped > 0);
	aliases_free(a);
}

/* A text of settings: where would the mail go? Never nowhere. */
static void decide(const char *text, size_t n)
{
	struct strlist pairs = STRLIST_INIT;
	char *copy = xstrndup(text, n), *rest = copy, *line;
	struct redirect_result result;
	struct redirect r;

	while ((line = strsep(&rest, "\n")) != NULL) {
		char *value = strchr(line, '=');

		if (value == NULL)
			continue;
		*value = '\0';
		strlist_add(&pairs, line);
		strlist_add(&pairs, value + 1);
	}
	redirect_from_settings(&r, &pairs);
	redirect_decide(&r, n, NULL, NULL, &result);
	MUST(result.mailbox || result.targets.n > 0);
	strlist_clear(&result.targets);
	redirect_clear(&r);
	strlist_clear(&pairs);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;

	if (size > LIMIT_USERS_BYTES)
		return 0;
	read_users(text, size);
	read_aliases(text, size);
	decide(text, size);
	return 0;
}
