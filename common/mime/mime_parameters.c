/* mime_parameters.c - the parameters of Content-Type and Content-Disposition: what is ambiguous
 * in them, and a clean list of them for GMime.
 *
 * GMime decodes the values (RFC 2231, encoded words). It stops without a word at the first
 * parameter that it cannot read ("charset=; boundary=b" has no boundary for it), while others
 * go on, and says nothing of one that is given twice (R8). So this reads every name=value there
 * is, notes what readers may disagree about, and hands on those that are well-formed.
 * Linear in the length of the value. */
#include "common/mime/mime_internal.h"

#include "common/list.h"

#include <ctype.h>
#include <stdlib.h>
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
#define SEGMENTS 64 /* of one value after RFC 2231; a line has room for some 50 characters */

/* The forms in which a parameter was met. */
struct seen {
	bool plain, extended;
	uint64_t segments; /* name*0, name*1 ...: a bit for each number */
};

struct reading {
	const char *p;
	bool unclosed; /* the last quote has no end: from there on quotes mean nothing */
	struct seen seen[WATCHED];
	unsigned flags, left; /* left: how many may still be handed on */
	char *out;
	size_t n;
	const char *open; /* what out ends in is a value without quotes that ended here */
};

/* Between the name and "=": nothing, "*", "*0" or "*0*". */
struct form {
	bool extended, segmented;
	unsigned number;
};

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* RFC 2045 5.1; 8-bit characters have a flag of their own. */
static bool is_token(char c)
{
	unsigned char u = (unsigned char)c;

	return u > 0x7f || (u > ' ' && u < 0x7f && strchr("()<>@,;:\\\"/[]?=", c) == NULL);
}

static void put(struct reading *r, const char *s, size_t n)
{
	memcpy(r->out + r->n, s, n);
	r->n += n;
}

/* Over blanks and comments. Comments are allowed here and known to few readers. */
static void skip_blanks(struct reading *r)
{
	unsigned depth = 0;

	for (; *r->p != '\0'; r->p++) {
		if (*r->p == '(') {
			depth++;
			r->flags |= MIME_BAD_PARAMETER;
		} else if (*r->p == ')' && depth > 0) {
			depth--;
		} else if (depth > 0 && *r->p == '\\' && r->p[1] != '\0') {
			r->p++;
		} else if (depth == 0 && !blank(*r->p)) {
			return;
		}
	}
}

/* At a quote: over the quoted string, or over the quote alone when nothing closes it. */
static bool skip_quoted(struct reading *r)
{
	const char *p = ++r->p;

	r->flags |= r->unclosed ? MIME_BAD_PARAMETER : 0;
	for (; !r->unclosed && *p != '\0'; p++) {
		if (*p == '\\' && p[1] != '\0') {
			p++;
		} else if (*p == '"') {
			r->p = p + 1;
			return true;
		}
	}
	r->unclosed = true;
	r->flags |= MIME_BAD_PARAMETER;
	return false;
}

/* n characters from the star on. */
static bool read_form(const char *s, size_t n, struct form *form)
{
	size_t i = 1;

	*form = (struct form){false, false, 0};
	if (n == 0)
		return true;
	for (; i < n && isdigit((unsigned char)s[i]) && form->number < SEGMENTS; i++)
		form->number = 10 * form->number + (unsigned)(s[i] - '0');
	form->segmented = i > 1;
	form->extended = n == 1 || (i < n && s[i] == '*');
	return i == n || (form->segmented && form->extended && i + 1 == n);
}

/* True: the parameter was there before, in this form or another one. */
static bool note(struct seen *seen, const struct form *form)
{
	struct seen before = *seen;

	if (form->segmented && form->number < SEGMENTS) {
		seen->segments |= UINT64_C(1) << form->number;
		return before.plain || before.extended || (before.segments >> form->number & 1);
	}
	if (form->segmented)
		return true; /* nobody's file name: readers give up at different numbers */
	*(form->extended ? &seen->extended : &seen->plain) = true;
	return before.plain || before.extended || before.segments;
}

/* False: the name is none. */
static bool check_name(struct reading *r, const char *name, size_t n, struct form *form)
{
	const char *star = memchr(name, '*', n);
	size_t length = star != NULL ? (size_t)(star - name) : n;
	bool good = length > 0 && read_form(name + length, n - length, form);

	for (size_t i = 0; i < n; i++)
		good = good && is_token(name[i]);
	if (!good) {
		r->flags |= MIME_BAD_PARAMETER;
		return false;
	}
	for (size_t i = 0; i < WATCHED; i++)
		if (strlen(watched[i].name) == length &&
		    strncasecmp(watched[i].name, name, length) == 0 && note(&r->seen[i], form))
			r->flags |= watched[i].flag;
	return true;
}

/* RFC 2231: charset'language'text, in "name*" and in the first segment. */
static bool has_charset(const char *value, size_t n)
{
	const char *first = memchr(value, '\'', n);

	return first != NULL && memchr(first + 1, '\'', n - (size_t)(first + 1 - value)) != NULL;
}

/* After "=": reads the value and hands the parameter on. */
static void read_value(struct reading *r, const char *name, size_t n, const struct form *form)
{
	const char *value = r->p;
	bool quoted = *value == '"' && skip_quoted(r);
	size_t length;

	if (!quoted) {
		value = r->p; /* behind a quote that nothing closes */
		r->p += strcspn(r->p, "; \t\r\n\"(");
	}
	length = (size_t)(r->p - value);
	if (form->extended && form->number == 0 && !has_charset(value, length))
		r->flags |= MIME_BAD_PARAMETER;
	if (length == 0 || r->left == 0) {
		r->flags |= length == 0 ? MIME_BAD_PARAMETER : MIME_CUT;
		return;
	}
	r->left--;
	put(r, "; ", 2);
	put(r, name, n);
	put(r, "=", 1);
	put(r, value, length);
	r->open = quoted ? NULL : r->p;
}

static void read_one(struct reading *r)
{
	const char *name = r->p;
	size_t n = strcspn(name, "=;\" \t\r\n(");
	const char *open = r->open;
	struct form form = {false, false, 0};

	r->open = NULL;
	r->p += n;
	skip_blanks(r);
	if (n > 0 && *r->p == '=') {
		r->p++;
		skip_blanks(r);
		if (check_name(r, name, n, &form))
			read_value(r, name, n, &form);
		return;
	}
	r->flags |= MIME_BAD_PARAMETER;
	if (n > 0 && open != NULL) { /* name=two (2) words: most take all for the value */
		put(r, open, (size_t)(name + n - open));
		r->open = name + n;
	} else if (n == 0 && *r->p == '"') {
		(void)skip_quoted(r);
	} else if (n == 0 && *r->p != '\0') {
		r->p++; /* a stray character */
	}
}

/* A value in segments has each from 0 on; where one is missing some stop and some go on. */
static void check_segments(struct reading *r)
{
	for (size_t i = 0; i < WATCHED; i++)
		if ((r->seen[i].segments & (r->seen[i].segments + 1)) != 0)
			r->flags |= MIME_BAD_PARAMETER;
}

char *mime_parameters(const char *value, unsigned *left, unsigned *flags)
{
	struct reading r = {.p = strchr(value, ';'), .left = *left};
	bool separated = true;

	if (r.p == NULL)
		return xstrdup("");
	/* "; " may come before each parameter, and each has three characters at least */
	r.out = xmalloc(2 * strlen(r.p) + 1);
	if (strstr(value, "%00") != NULL)
		r.flags |= MIME_NUL;
	for (skip_blanks(&r); *r.p != '\0'; skip_blanks(&r)) {
		if (*r.p == ';') {
			separated = true;
			r.open = NULL;
			r.p++;
			continue;
		}
		if (!separated)
			r.flags |= MIME_BAD_PARAMETER;
		separated = false;
		read_one(&r);
	}
	check_segments(&r);
	r.out[r.n] = '\0';
	*left = r.left;
	*flags |= r.flags;
	return r.out;
}
