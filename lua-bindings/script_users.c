/* script_users.c - the scripts that users have of their own: which files they are, and whose script
 * is run for whom. Loading them is script_set.c's, as for all others. */
#include "common/list.h"
#include "common/users.h"
#include "lua-bindings/script_set_private.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum script_id script_users_kind(const char *name, char **user)
{
	static const enum script_id kinds[] = {SCRIPT_USER_REDIRECT, SCRIPT_DELIVERY};
	const char *slash = strchr(name, '/');

	for (size_t i = 0; slash != NULL && i < sizeof kinds / sizeof *kinds; i++) {
		if (strcasecmp(slash + 1, script_set_file_name(kinds[i])) != 0)
			continue;
		*user = xstrndup(name, (size_t)(slash - name));
		for (char *p = *user; *p != '\0'; p++)
			*p = (char)tolower((unsigned char)*p);
		if (users_name_is_sound(*user))
			return kinds[i];
		free(*user);
	}
	return SCRIPT_COUNT;
}

bool script_set_for_user(
    const struct script_set *set, enum script_id kind, const char *user, enum script_id *id)
{
	for (int i = SCRIPT_COUNT; i < script_set_count(set); i++) {
		const struct script *s = script_set_script(set, (enum script_id)i);

		if (s->user != NULL && s->bytecode != NULL && strcasecmp(s->user, user) == 0 &&
		    script_set_kind(set, (enum script_id)i) == kind) {
			*id = (enum script_id)i;
			return true;
		}
	}
	*id = kind;
	return script_set_has(set, kind);
}

const char *script_set_user(const struct script_set *set, enum script_id id)
{
	return script_set_script(set, id)->user;
}

const char *script_set_broken(const struct script_set *set, enum script_id id)
{
	return script_set_script(set, id)->broken;
}

const struct script_setting *script_set_setting(
    const struct script_set *set, enum script_id id, size_t i)
{
	const struct script *s = script_set_script(set, id);

	return i < s->nsettings ? &s->settings[i] : NULL;
}
