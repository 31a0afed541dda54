/* aliases.c - see aliases.h. */
#include "common/users/aliases.h"

#include "common/limits.h"
#include "common/outgoing.h"
#include "common/users/users_parts.h"

#include <stdlib.h>
#include <string.h>

#define WORD_BYTES LIMIT_ADDRESS_BYTES /* longer targets are no addresses */

/* ---- words ---- */

/* The next word of a logical line: quotes taken away, up to one of the characters in ends, blanks
 * around it dropped. False: a quote without an end, or too long. */
static bool next_word(const char **p, const char *ends, char *word)
{
	size_t n = 0, keep = 0; /* keep: blanks before it were quoted */
	bool quoted = false;
	const char *s = *p + strspn(*p, " \t\r\n");

	for (; *s != '\0' && (quoted || strchr(ends, *s) == NULL); s++) {
		if (n >= WORD_BYTES)
			return false;
		if (*s == '"') {
			quoted = !quoted;
			keep = n;
			continue;
		}
		if (quoted && *s == '\\' && s[1] != '\0')
			s++;
		word[n++] = *s;
		if (quoted)
			keep = n;
	}
	while (n > keep && strchr(" \t\r\n", word[n - 1]) != NULL)
		n--;
	word[n] = '\0';
	*p = s;
	return !quoted;
}

/* A target is an address, or something that only the MTA follows. */
static void add_target(struct alias *a, const char *word)
{
	const char *address = word[0] == '\\' ? word + 1 : word;

	if (word[0] == '\0')
		return;
	if (word[0] == '|' || word[0] == '/' || word[0] == ':' ||
	    a->targets.n >= LIMIT_ALIAS_TARGETS || outgoing_address(address) != NULL)
		a->whole = false;
	else
		strlist_add(&a->targets, word);
}

/* "name: target, target ..." with the lines joined. */
static bool read_alias(struct alias *a, const char *line)
{
	char word[WORD_BYTES + 1];
	const char *p = line;

	*a = (struct alias){.whole = true};
	if (!next_word(&p, ":", word) || *p != ':' || word[0] == '\0')
		return false;
	a->name = users_lower(xstrdup(word));
	do {
		p++;
		if (!next_word(&p, ",", word)) {
			free(a->name);
			strlist_clear(&a->targets);
			return false;
		}
		add_target(a, word);
	} while (*p == ',');
	return true;
}

/* ---- lines ---- */

/* Takes the next logical line out of the text: a line and those below it that begin with white
 * space, without comments. NULL at the end. *number counts the lines. */
static char *next_line(char **rest, int *number, int *first)
{
	char *line, *out = NULL;

	while (*rest != NULL && *rest[0] != '\0') {
		bool more = **rest == ' ' || **rest == '\t';
		size_t used;

		if (out != NULL && !more && **rest != '#' && **rest != '\n' && **rest != '\r')
			return out;
		line = strsep(rest, "\n");
		++*number;
		used = strspn(line, " \t\r");
		if (line[used] == '\0' || line[used] == '#')
			continue;
		if (out == NULL) {
			*first = *number;
			out = line;
		} else {
			/* the line end between the two becomes a blank: they are one text */
			for (char *p = out + strlen(out); p < line; p++)
				*p = ' ';
		}
	}
	return out;
}

static int by_name(const void *a, const void *b)
{
	const struct alias *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order != 0 ? order : (x->line > y->line) - (x->line < y->line);
}

static int by_key(const void *key, const void *entry)
{
	return strcmp(key, ((const struct alias *)entry)->name);
}

static void skip(struct aliases *out, int line)
{
	if (out->skipped++ == 0)
		out->first_skipped = line;
}

/* Of two of one name the first one in the file counts, as for newaliases. */
static void drop_doubles(struct aliases *a)
{
	size_t kept = 0;

	for (size_t i = 0; i < a->n; i++) {
		if (kept > 0 && strcmp(a->v[kept - 1].name, a->v[i].name) == 0) {
			skip(a, a->v[i].line);
			free(a->v[i].name);
			strlist_clear(&a->v[i].targets);
		} else {
			a->v[kept++] = a->v[i];
		}
	}
	a->n = kept;
}

struct aliases *aliases_read(const char *text, size_t n)
{
	struct aliases *out = xcalloc(1, sizeof *out);
	char *copy = xstrndup(text, n), *rest = copy, *line;
	int number = 0, first = 0;

	while ((line = next_line(&rest, &number, &first)) != NULL) {
		struct alias a;

		if (out->n >= LIMIT_ALIASES || !read_alias(&a, line)) {
			skip(out, first);
			continue;
		}
		a.line = first;
		out->v = xgrow(out->v, out->n, sizeof *out->v);
		out->v[out->n++] = a;
	}
	free(copy);
	if (out->n > 1)
		qsort(out->v, out->n, sizeof *out->v, by_name);
	drop_doubles(out);
	return out;
}

void aliases_free(struct aliases *a)
{
	if (a == NULL)
		return;
	for (size_t i = 0; i < a->n; i++) {
		free(a->v[i].name);
		strlist_clear(&a->v[i].targets);
	}
	free(a->v);
	free(a);
}

const struct alias *aliases_find(const struct aliases *a, const char *name)
{
	return a->n > 0 ? bsearch(name, a->v, a->n, sizeof *a->v, by_key) : NULL;
}
