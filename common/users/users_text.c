/* users_text.c - see users_text.h. */
#include "common/users/users_text.h"

#include "common/limits.h"
#include "common/outgoing.h"
#include "common/users.h"
#include "common/users/users_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	struct users_text *out;
	const char *place;
	int line;
	char *error;
	size_t size;
};

static bool failed(struct reader *r, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static bool failed(struct reader *r, const char *fmt, ...)
{
	char why[300];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof why, fmt, ap);
	va_end(ap);
	snprintf(r->error, r->size, "%s:%d: %s", r->place, r->line, why);
	return false;
}

static char *trim(char *s)
{
	size_t n;

	s += strspn(s, " \t\r");
	for (n = strlen(s); n > 0 && strchr(" \t\r", s[n - 1]) != NULL; n--)
		s[n - 1] = '\0';
	return s;
}

/* ---- lines ---- */

static bool read_addresses(struct reader *r, struct users_entry *u, char *list)
{
	char *word;

	while ((word = strsep(&list, ", \t\r")) != NULL) {
		const char *why;

		if (*word == '\0')
			continue;
		users_lower(word);
		why = outgoing_address(word);
		if (why != NULL || strchr(word, '@') == NULL)
			return failed(r, "\"%.100s\" is no address: %s", word,
			    why != NULL ? why : "without a domain");
		if (u->addresses.n >= LIMIT_USER_ADDRESSES)
			return failed(
			    r, "user %s has more than %d addresses", u->name, LIMIT_USER_ADDRESSES);
		strlist_add(&u->addresses, word);
		r->out->naddresses++;
	}
	return true;
}

static bool read_user(struct reader *r, char *line)
{
	char *colon = strchr(line, ':'), *name;
	struct users_entry *u;

	if (colon == NULL)
		return failed(r, "\"user: addresses\" is wanted, or a setting of the user above, "
				 "indented");
	*colon = '\0';
	name = users_lower(trim(line));
	if (!users_name_is_sound(name))
		return failed(r,
		    "\"%.100s\" cannot be the name of a user: letters, digits and ._+-= are "
		    "wanted, %d at most",
		    name, LIMIT_USER_NAME_BYTES);
	if (r->out->n >= LIMIT_USERS)
		return failed(r, "more than %d users", LIMIT_USERS);
	r->out->v = xgrow(r->out->v, r->out->n, sizeof *r->out->v);
	u = &r->out->v[r->out->n++];
	*u = (struct users_entry){.name = xstrdup(name)};
	return read_addresses(r, u, colon + 1);
}

static bool read_setting(struct reader *r, char *line)
{
	char *equals = strchr(line, '='), *name;
	struct users_entry *u = r->out->n > 0 ? &r->out->v[r->out->n - 1] : NULL;

	if (u == NULL)
		return failed(r, "a setting without a user above it");
	if (equals == NULL)
		return failed(r, "\"Name = value\" is wanted");
	*equals = '\0';
	name = trim(line);
	if (*name == '\0' || strlen(name) > LIMIT_STORE_KEY_BYTES)
		return failed(r, "the name of a setting has 1 to %d bytes", LIMIT_STORE_KEY_BYTES);
	if (u->settings.n / 2 >= LIMIT_USER_SETTINGS)
		return failed(r, "user %s has more than %d settings", u->name, LIMIT_USER_SETTINGS);
	strlist_add(&u->settings, name);
	strlist_add(&u->settings, trim(equals + 1));
	return true;
}

static bool read_line(struct reader *r, char *line)
{
	bool indented = *line == ' ' || *line == '\t';
	const char *first = line + strspn(line, " \t\r");

	if (*first == '\0' || *first == '#')
		return true;
	return indented ? read_setting(r, line) : read_user(r, line);
}

/* ---- index ---- */

static int by_name(const void *a, const void *b)
{
	const struct users_entry *x = a, *y = b;

	return strcmp(x->name, y->name);
}

static int by_address(const void *a, const void *b)
{
	const struct users_address *x = a, *y = b;

	return strcmp(x->address, y->address);
}

static int is_name(const void *key, const void *entry)
{
	return strcmp(key, ((const struct users_entry *)entry)->name);
}

static int is_address(const void *key, const void *entry)
{
	return strcmp(key, ((const struct users_address *)entry)->address);
}

static bool sort_users(struct reader *r)
{
	struct users_text *t = r->out;

	if (t->n > 1)
		qsort(t->v, t->n, sizeof *t->v, by_name);
	for (size_t i = 1; i < t->n; i++)
		if (strcmp(t->v[i - 1].name, t->v[i].name) == 0) {
			snprintf(r->error, r->size, "%s: user %s stands there twice", r->place,
			    t->v[i].name);
			return false;
		}
	return true;
}

static bool sort_addresses(struct reader *r)
{
	struct users_text *t = r->out;
	size_t n = 0;

	t->addresses = xcalloc(t->naddresses + 1, sizeof *t->addresses);
	for (size_t i = 0; i < t->n; i++)
		for (size_t k = 0; k < t->v[i].addresses.n; k++)
			t->addresses[n++] = (struct users_address){t->v[i].addresses.v[k], i};
	if (n > 1)
		qsort(t->addresses, n, sizeof *t->addresses, by_address);
	for (size_t i = 1; i < n; i++)
		if (strcmp(t->addresses[i - 1].address, t->addresses[i].address) == 0) {
			snprintf(r->error, r->size,
			    "%s: %.200s is given twice; an alias gives an address to several",
			    r->place, t->addresses[i].address);
			return false;
		}
	return true;
}

/* ---- public ---- */

struct users_text *users_text_read(
    const char *text, size_t n, const char *place, char *error, size_t size)
{
	struct users_text *t = xcalloc(1, sizeof *t);
	struct reader r = {.out = t, .place = place, .error = error, .size = size};
	char *copy = xstrndup(text, n), *rest = copy, *line;
	bool fine = true;

	if (strlen(copy) < n)
		fine = failed(&r, "a zero byte in the text");
	while (fine && (line = strsep(&rest, "\n")) != NULL) {
		r.line++;
		fine = read_line(&r, line);
	}
	free(copy);
	fine = fine && sort_users(&r) && sort_addresses(&r);
	if (fine)
		return t;
	users_text_free(t);
	return NULL;
}

void users_text_free(struct users_text *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->n; i++) {
		free(t->v[i].name);
		strlist_clear(&t->v[i].addresses);
		strlist_clear(&t->v[i].settings);
	}
	free(t->v);
	free(t->addresses);
	free(t);
}

const struct users_entry *users_text_find(const struct users_text *t, const char *name)
{
	return t->n > 0 ? bsearch(name, t->v, t->n, sizeof *t->v, is_name) : NULL;
}

const struct users_entry *users_text_owner(const struct users_text *t, const char *address)
{
	const struct users_address *found;

	if (t->naddresses == 0)
		return NULL;
	found = bsearch(address, t->addresses, t->naddresses, sizeof *t->addresses, is_address);
	return found != NULL ? &t->v[found->user] : NULL;
}
