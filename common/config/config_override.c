/* config_override.c - the -o arguments, and the setting that a wrong name was meant to be. */
#include "common/config/config_private.h"
#include "common/near.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The titled section that "section.title" begins with, or NULL. */
static const struct titled_section *titled_of(const char *item, const char *end)
{
	for (const struct titled_section *t = config_titled; t->name != NULL; t++) {
		size_t n = strlen(t->name);

		if (end > item + n + 1 && strncmp(item, t->name, n) == 0 && item[n] == '.')
			return t;
	}
	return NULL;
}

bool config_override_parse(struct config_override *o, const char *item)
{
	const char *equal = strchr(item, '='), *name, *dot;
	const struct titled_section *titled;

	*o = (struct config_override){.item = item};
	if (equal == NULL || equal == item)
		return false;
	o->value = equal + 1;
	/* A title may contain dots, the name of a setting does not. */
	dot = memrchr(item, '.', (size_t)(equal - item));
	name = dot != NULL ? dot + 1 : item;
	o->name = xstrndup(name, (size_t)(equal - name));
	titled = dot != NULL ? titled_of(item, dot) : NULL;
	if (dot == NULL) {
		o->section = xstrdup("");
	} else if (titled != NULL) {
		const char *title = item + strlen(titled->name) + 1;

		o->section = xstrdup(titled->name);
		o->title = xstrndup(title, (size_t)(dot - title));
	} else {
		o->section = xstrndup(item, (size_t)(dot - item));
	}
	return true;
}

void config_override_clear(struct config_override *o)
{
	free(o->section);
	free(o->title);
	free(o->name);
	*o = (struct config_override){.item = NULL};
}

const char *config_suggest(const char *section, const char *name, char *out, size_t size)
{
	size_t best = 2 * (strnlen(name, NEAR_MOST) / 2 + 1); /* farther away is no likeness */

	snprintf(out, size, " (all settings are listed in mailhooks.conf(5))");
	for (size_t i = 0; i < config_nsettings; i++) {
		const struct setting *s = &config_settings[i];
		size_t elsewhere = near_distance(section, s->section);
		/* A right name in the wrong section is a little less likely than two wrong
		 * letters. */
		size_t d = 2 * near_distance(name, s->name) + (elsewhere > 2 ? 5 : 2 * elsewhere);

		if (d >= best)
			continue;
		best = d;
		snprintf(out, size, " (did you mean \"%s%s%s\"?)", s->section,
		    s->section[0] != '\0' ? "." : "", s->name);
	}
	for (size_t i = 0; section[0] == '\0' && config_sections[i] != NULL; i++) {
		size_t d = 2 * near_distance(name, config_sections[i]);

		if (d < best) {
			best = d;
			snprintf(out, size, " (did you mean the section \"%s { ... }\"?)",
			    config_sections[i]);
		}
	}
	return out;
}
