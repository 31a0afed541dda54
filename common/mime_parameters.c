/* mime_parameters.c - what is ambiguous in the parameters of Content-Type and
 * Content-Disposition: the same one given twice, in two forms, or hidden behind a quote.
 *
 * GMime reads the values. It keeps quiet about what it passed over, and what one reader passes
 * over another one obeys (R8), so this looks at every name=, also where GMime has stopped.
 * Pure, linear in the length of the value. */
#include "common/mime_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

static const struct {
	const char *name;
	unsigned flag;
} watched[] = {
    {"boundary", MIME_DUPLICATE_BOUNDARY},
    {"charset", MIME_DUPLICATE_CHARSET},
    {"name", MIME_DUPLICATE_NAME},
    {"filename", MIME_DUPLICATE_NAME},
};
#define WATCHED (sizeof watched / sizeof *watched)
#define SEGMENTS 64

struct seen {
	bool plain, extended;
	uint64_t segments; /* RFC 2231 name*0, name*1 ...: a bit for each number */
};

struct check {
	const char *p;
	bool unclosed; /* the last quote has no end: from there on quotes mean nothing */
	struct seen seen[WATCHED];
	unsigned flags;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Over blanks and comments. */
static void skip_blanks(struct check *c)
{
	unsigned depth = 0;

	for (; *c->p != '\0'; c->p++) {
		if (*c->p == '(')
			depth++;
		else if (*c->p == ')' && depth > 0)
			depth--;
		else if (depth > 0 && *c->p == '\\' && c->p[1] != '\0')
			c->p++;
		else if (depth == 0 && !blank(*c->p))
			return;
	}
	if (depth > 0) /* to others it may not be a comment */
		c->flags |= MIME_BAD_PARAMETER;
}

/* At a quote: over the quoted string, or over the quote alone when nothing closes it. */
static void skip_quoted(struct check *c)
{
	const char *p = ++c->p;

	if (c->unclosed)
		return;
	for (; *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0') {
			p++;
		} else if (*p == '"') {
			c->p = p + 1;
			return;
		}
	}
	c->unclosed = true;
	c->flags |= MIME_BAD_PARAMETER;
}

/* Notes one form of a parameter: star is what follows its name. True: it was there before. */
static bool note(struct seen *seen, const char *star)
{
	struct seen before = *seen;
	unsigned long number = 0;
	const char *p = star + 1;

	if (*star != '*') {
		seen->plain = true;
		return before.plain || before.extended || before.segments;
	}
	if (!isdigit((unsigned char)*p)) {
		seen->extended = true;
		return before.plain || before.extended || before.segments;
	}
	for (; isdigit((unsigned char)*p) && number < SEGMENTS; p++)
		number = 10 * number + (unsigned long)(*p - '0');
	if (number >= SEGMENTS)
		return true; /* nobody's file name: readers give up at different numbers */
	seen->segments |= UINT64_C(1) << number;
	return before.plain || before.extended || (before.segments >> number & 1);
}

static void check_name(struct check *c, const char *name, size_t n)
{
	const char *star = memchr(name, '*', n);
	size_t length = star != NULL ? (size_t)(star - name) : n;

	for (size_t i = 0; i < WATCHED; i++)
		if (strlen(watched[i].name) == length &&
		    strncasecmp(watched[i].name, name, length) == 0 &&
		    note(&c->seen[i], name + length))
			c->flags |= watched[i].flag;
}

static void check_one(struct check *c)
{
	const char *name = c->p;
	size_t n = strcspn(name, "=;\" \t\r\n(");

	c->p += n;
	skip_blanks(c);
	if (n == 0 || *c->p != '=') {
		c->flags |= MIME_BAD_PARAMETER;
		if (*c->p == '"')
			skip_quoted(c);
		else if (n == 0 && *c->p != '\0')
			c->p++; /* a stray character */
		return;
	}
	check_name(c, name, n);
	c->p++;
	skip_blanks(c);
	if (*c->p == '"')
		skip_quoted(c);
	else
		c->p += strcspn(c->p, "; \t\r\n\"");
}

unsigned mime_parameters_check(const char *value)
{
	struct check c = {.p = strchr(value, ';')};
	bool separated = true;

	if (c.p == NULL)
		return 0;
	if (strstr(value, "%00") != NULL)
		c.flags |= MIME_NUL;
	for (;;) {
		skip_blanks(&c);
		if (*c.p == '\0')
			return c.flags;
		if (*c.p == ';') {
			separated = true;
			c.p++;
			continue;
		}
		if (!separated)
			c.flags |= MIME_BAD_PARAMETER;
		separated = false;
		check_one(&c);
	}
}
