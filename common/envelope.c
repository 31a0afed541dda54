/* envelope.c - see envelope.h.
 *
 * By hand: libmilter hands over the words of the command, and no library of the design reads SMTP
 * paths. The MTA has accepted the syntax before; here nothing is refused, only measured. */
#include "common/envelope.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct slice {
	const char *s;
	size_t n;
};

/* Position of the first `wanted` in t that no quotes, no backslash and no domain literal protects;
 * t.n when there is none. */
static size_t find_bare(struct slice t, char wanted)
{
	bool quoted = false, literal = false;

	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];

		if (c == '\\')
			i++;
		else if (c == '"')
			quoted = !quoted;
		else if (quoted)
			continue;
		else if (c == wanted && !literal)
			return i;
		else if (c == '[' || c == ']')
			literal = c == '[';
	}
	return t.n;
}

static struct slice after(struct slice t, size_t n)
{
	return n < t.n ? (struct slice){t.s + n, t.n - n} : (struct slice){t.s + t.n, 0};
}

static struct slice trimmed(struct slice t)
{
	while (t.n > 0 && (t.s[t.n - 1] == ' ' || t.s[t.n - 1] == '\t'))
		t.n--;
	while (t.n > 0 && (t.s[0] == ' ' || t.s[0] == '\t'))
		t = after(t, 1);
	return t;
}

/* What stands between the brackets, or all of it. */
static struct slice without_brackets(struct slice t)
{
	size_t open = find_bare(t, '<');

	if (open < t.n) {
		t = after(t, open + 1);
		t.n = find_bare(t, '>');
	}
	return trimmed(t);
}

/* RFC 5321 appendix C: "@x,@y:a@b" is "a@b". */
static struct slice without_route(struct slice t)
{
	size_t colon = t.n > 0 && t.s[0] == '@' ? find_bare(t, ':') : t.n;

	return colon < t.n ? trimmed(after(t, colon + 1)) : t;
}

/* The text without the blanks and comments that stand outside of quotes, which both MTAs skip
 * (observed). */
static char *without_blanks(struct slice t)
{
	char *out = xmalloc(t.n + 1);
	bool quoted = false, literal = false;
	size_t n = 0;
	int comments = 0; /* inside of each other */

	for (size_t i = 0; i < t.n; i++) {
		char c = t.s[i];
		bool bare = !quoted && !literal;
		size_t width = c == '\\' && i + 1 < t.n ? 2 : 1;

		if (width == 1 && c == '"' && comments == 0)
			quoted = !quoted;
		else if (width == 1 && !quoted && (c == '[' || c == ']'))
			literal = c == '[' && comments == 0;
		if (width == 1 && bare && c == '(')
			comments++;
		if (comments == 0 && !(bare && (c == ' ' || c == '\t'))) {
			memcpy(out + n, t.s + i, width);
			n += width;
		}
		if (width == 1 && bare && c == ')' && comments > 0)
			comments--;
		i += width - 1;
	}
	out[n] = '\0';
	return out;
}

/* Other ways to write the null sender: comments only, "", and a group without members (observed on
 * Postfix; Sendmail refuses what it does not take for it). */
static bool is_nobody(const char *plain)
{
	struct slice t = {plain, strlen(plain)};
	size_t end = find_bare(t, ';');

	if (t.n == 0 || strcmp(plain, "\"\"") == 0)
		return true;
	return end + 1 == t.n && (end == 0 || find_bare(t, ':') == end - 1);
}

static void parse_address(struct envelope_address *e, const char *argument)
{
	/* Brackets and a source route are not part of the address but may come along with it. */
	size_t most = 2 * LIMIT_ADDRESS_BYTES;
	struct slice t = {argument, strnlen(argument, most + 1)};
	bool path = find_bare(t, '<') < t.n; /* else a blank may be one of the local part */
	char *plain;

	if (t.n > most) {
		e->too_long = true;
		e->address = xstrndup(t.s, LIMIT_ADDRESS_BYTES);
		return;
	}
	t = without_route(without_brackets(t));
	plain = without_blanks(t);
	if (is_nobody(plain))
		t.n = 0;
	else if (path)
		t = (struct slice){plain, strlen(plain)};
	e->too_long = t.n > LIMIT_ADDRESS_BYTES;
	e->doubtful =
	    find_bare(t, ';') < t.n || (t.n > 0 && t.s[0] == '@' && find_bare(t, ':') < t.n);
	e->address = xstrndup(t.s, e->too_long ? LIMIT_ADDRESS_BYTES : t.n);
	free(plain);
}

/* A parameter that is not one ("", "=x") is left out; what is too long to be true as well. */
static bool parse_parameter(struct esmtp_parameter *p, const char *argument)
{
	size_t n = strnlen(argument, LIMIT_ADDRESS_BYTES + 1);
	const char *equals = memchr(argument, '=', n);
	size_t keyword = equals != NULL ? (size_t)(equals - argument) : n;

	if (keyword == 0 || n > LIMIT_ADDRESS_BYTES)
		return false;
	p->keyword = xstrndup(argument, keyword);
	for (char *c = p->keyword; *c != '\0'; c++)
		if (*c >= 'a' && *c <= 'z')
			*c = (char)(*c - 'a' + 'A');
	p->value = xstrdup(equals != NULL ? equals + 1 : "");
	return true;
}

static char *join(char **argv)
{
	size_t n = 0, used = 0;
	char *raw;

	for (size_t i = 0; argv[i] != NULL && n < LIMIT_COMMAND_BYTES; i++)
		n += (i > 0) + strnlen(argv[i], LIMIT_COMMAND_BYTES);
	if (n > LIMIT_COMMAND_BYTES)
		n = LIMIT_COMMAND_BYTES;
	raw = xmalloc(n + 1);
	for (size_t i = 0; argv[i] != NULL && used < n; i++) {
		size_t len;

		if (i > 0)
			raw[used++] = ' ';
		len = strnlen(argv[i], n - used);
		memcpy(raw + used, argv[i], len);
		used += len;
	}
	raw[used] = '\0';
	return raw;
}

void envelope_address_parse(struct envelope_address *e, char **argv)
{
	size_t given = 0;

	*e = (struct envelope_address){0};
	parse_address(e, argv[0] != NULL ? argv[0] : "");
	e->raw = join(argv);
	if (argv[0] == NULL)
		return;
	while (given < LIMIT_PARAMETERS && argv[1 + given] != NULL)
		given++;
	e->parameters = given > 0 ? xcalloc(given, sizeof *e->parameters) : NULL;
	for (size_t i = 0; i < given; i++)
		if (parse_parameter(&e->parameters[e->nparameters], argv[1 + i]))
			e->nparameters++;
}

void envelope_address_free(struct envelope_address *e)
{
	for (size_t i = 0; i < e->nparameters; i++) {
		free(e->parameters[i].keyword);
		free(e->parameters[i].value);
	}
	free(e->parameters);
	free(e->address);
	free(e->raw);
	*e = (struct envelope_address){0};
}

const char *envelope_parameter(const struct envelope_address *e, const char *keyword)
{
	for (size_t i = 0; i < e->nparameters; i++)
		if (strcasecmp(e->parameters[i].keyword, keyword) == 0)
			return e->parameters[i].value;
	return NULL;
}
