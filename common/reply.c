/* reply.c - see reply.h.
 *
 * By hand: no library of the design knows what scripts of VPOP3 take for a reply. The grammar is
 * that of RFC 5321 4.2 (code, then end, blank or hyphen) and RFC 3463 2 (enhanced code), lenient
 * where a script may be sloppy. Every length is bounded and every pass is linear. */
#include "common/reply.h"

#include "common/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRING_OF(x) #x
#define NUMBER(x) STRING_OF(x)

struct slice {
	const char *s;
	size_t n;
};

/* Enhanced codes for bare ones: RFC 5248's "associated basic status codes", and where several fit
 * the one that a refusal by local policy is most likely to mean. */
static const struct {
	int code;
	char xcode[8];
} defaults[] = {
    {421, "4.3.2"},				     /* system not accepting network messages */
    {422, "4.7.12"},				     /* password transition needed */
    {432, "4.7.12"}, {450, "4.2.0"},		     /* mailbox unavailable */
    {451, "4.3.0"},				     /* local error */
    {452, "4.3.1"},				     /* mail system full */
    {453, "4.3.2"}, {454, "4.7.0"},		     /* temporary authentication or TLS failure */
    {455, "4.5.4"},				     /* parameters cannot be accommodated now */
    {500, "5.5.2"},				     /* syntax error */
    {501, "5.5.4"},				     /* invalid arguments */
    {502, "5.5.1"},				     /* invalid command */
    {503, "5.5.1"}, {504, "5.5.4"}, {521, "5.3.2"},  /* host accepts no mail */
    {523, "5.7.10"},				     /* encryption needed */
    {524, "5.7.11"},				     /* encryption required for the mechanism */
    {525, "5.7.13"},				     /* user account disabled */
    {530, "5.7.0"},				     /* authentication required */
    {534, "5.7.9"},				     /* mechanism too weak */
    {535, "5.7.8"},				     /* credentials invalid */
    {538, "5.7.11"}, {550, "5.7.1"},		     /* not authorised, message refused */
    {551, "5.1.6"},				     /* mailbox has moved */
    {552, "5.3.4"},				     /* message too big for the system */
    {553, "5.1.3"},				     /* bad mailbox address syntax */
    {554, "5.7.1"}, {555, "5.5.4"}, {556, "5.1.10"}, /* recipient's domain takes no mail */
};

static const struct {
	unsigned bit;
	const char *words;
} problem_words[] = {
    {REPLY_CONTROL, "control characters replaced by '?'"},
    {REPLY_LONG, "text cut at " NUMBER(LIMIT_REPLY_LINE_BYTES) " bytes"},
    {REPLY_LINES, "lines after the first " NUMBER(LIMIT_REPLY_LINES) " dropped"},
    {REPLY_CLASS, "enhanced status code of another class than the code replaced"},
    {REPLY_CODES_DIFFER, "lines with different codes, the first code used"},
};

static void default_xcode(struct reply *r)
{
	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
		if (defaults[i].code == r->code) {
			snprintf(r->xcode, sizeof r->xcode, "%s", defaults[i].xcode);
			return;
		}
	}
	/* x5x is about mail itself: "delivery not authorised"; anything else is left undefined. */
	memcpy(r->xcode, r->code / 10 % 10 == 5 ? "x.7.1" : "x.0.0", sizeof "x.7.1");
	r->xcode[0] = (char)('0' + r->code / 100);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_blank_or_line_end(char c)
{
	return is_blank(c) || c == '\r' || c == '\n';
}

static struct slice after(struct slice t, size_t n)
{
	return (struct slice){t.s + n, t.n - n};
}

static struct slice trimmed(struct slice t, bool (*unwanted)(char))
{
	while (t.n > 0 && unwanted(t.s[t.n - 1]))
		t.n--;
	while (t.n > 0 && unwanted(t.s[0]))
		t = after(t, 1);
	return t;
}

/* Cut the next line, without its line end, off the front of rest. */
static struct slice take_line(struct slice *rest)
{
	const char *lf = memchr(rest->s, '\n', rest->n);
	struct slice line = {rest->s, lf != NULL ? (size_t)(lf - rest->s) : rest->n};

	*rest = after(*rest, line.n + (lf != NULL));
	while (line.n > 0 && is_blank_or_line_end(line.s[line.n - 1]))
		line.n--;
	return line;
}

/* If t begins with a reply code, return that and cut it and its separator off; otherwise 0. */
static int take_code(struct slice *t)
{
	const char *s = t->s;

	if (t->n < 3 || s[0] < '2' || s[0] > '5' || !is_digit(s[1]) || !is_digit(s[2]))
		return 0;
	if (t->n > 3 && !is_blank(s[3]) && s[3] != '-')
		return 0;
	*t = after(*t, t->n > 3 ? 4 : 3);
	return (s[0] - '0') * 100 + (s[1] - '0') * 10 + (s[2] - '0');
}

/* If t begins, blanks aside, with an enhanced status code, copy that and cut it and one blank off.
 * Something like "5.6.7.8 is listed" is text. */
static bool take_xcode(struct slice *t, char xcode[static 12])
{
	size_t start = 0, i, digits;

	while (start < t->n && is_blank(t->s[start]))
		start++;
	i = start;
	if (i == t->n || (t->s[i] != '2' && t->s[i] != '4' && t->s[i] != '5'))
		return false;
	i++;
	for (int part = 0; part < 2; part++) {
		if (i == t->n || t->s[i++] != '.')
			return false;
		for (digits = 0; i < t->n && digits < 3 && is_digit(t->s[i]); digits++)
			i++;
		if (digits == 0)
			return false;
	}
	if (i < t->n && !is_blank(t->s[i]))
		return false;
	memcpy(xcode, t->s + start, i - start);
	xcode[i - start] = '\0';
	*t = after(*t, i + (i < t->n));
	return true;
}

static bool class_fits(const struct reply *r, const char *xcode)
{
	return xcode[0] - '0' == r->code / 100;
}

/* Where to cut t so that no UTF-8 sequence that stands across byte `at` is torn. */
static size_t character_boundary(struct slice t, size_t at)
{
	size_t i = at;

	while (i > 0 && at - i < 3 && ((unsigned char)t.s[i] & 0xC0) == 0x80)
		i--;
	return ((unsigned char)t.s[i] & 0xC0) == 0xC0 ? i : at;
}

/* How much of t fits a line. A '%' counts twice: smfi_setmlreply wants it doubled. */
static size_t fitting(struct slice t, unsigned *problems)
{
	size_t used = 0;

	for (size_t i = 0; i < t.n; i++) {
		used += t.s[i] == '%' ? 2 : 1;
		if (used > LIMIT_REPLY_LINE_BYTES) {
			*problems |= REPLY_LONG;
			return character_boundary(t, i);
		}
	}
	return t.n;
}

static void add_line(struct reply *r, struct slice t, unsigned *problems)
{
	size_t n = fitting(t, problems);
	char *line = xmalloc(n + 1);

	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)t.s[i];

		if (c == '\t') {
			c = ' ';
		} else if (c < ' ' || c == 0x7F) {
			c = '?';
			*problems |= REPLY_CONTROL;
		}
		line[i] = (char)c;
	}
	line[n] = '\0';
	r->lines[r->nlines++] = line;
}

/* Take the code off a line after the first. A line without one is text, and so is what merely
 * looks like one: "300 messages" after "550-Limit:". */
static bool take_repeated_code(const struct reply *r, struct slice *t, unsigned *problems)
{
	struct slice line = *t;
	int code;

	while (line.n > 0 && is_blank(line.s[0]))
		line = after(line, 1);
	code = take_code(&line);
	if (code == 0 || (code < 400 && code / 100 != r->code / 100))
		return false;
	if (code != r->code)
		*problems |= REPLY_CODES_DIFFER;
	*t = line;
	return true;
}

/* False: the first line does not begin with a code. */
static bool parse_line(struct reply *r, struct slice t, unsigned *problems)
{
	struct slice text;
	bool coded;
	char xcode[12] = "";

	if (r->nlines == 0) {
		r->code = take_code(&t);
		if (r->code == 0)
			return false;
		coded = true;
	} else {
		coded = take_repeated_code(r, &t, problems);
	}
	text = t;
	if (take_xcode(&text, xcode)) {
		if (coded && !class_fits(r, xcode))
			*problems |= REPLY_CLASS;
		else if (coded && r->xcode[0] == '\0')
			memcpy(r->xcode, xcode, sizeof xcode);
		/* Without a code before it only a repetition of ours is no text. */
		if (coded || strcmp(xcode, r->xcode) == 0)
			t = text;
	}
	add_line(r, t, problems);
	return true;
}

enum reply_parsed reply_parse(struct reply *r, const char *s, size_t n, unsigned *problems)
{
	struct slice rest = trimmed((struct slice){s, s != NULL ? n : 0}, is_blank_or_line_end);
	unsigned ignored;

	if (problems == NULL)
		problems = &ignored;
	*problems = 0;
	*r = (struct reply){0};
	if (rest.n == 0)
		return REPLY_NONE;
	while (rest.n > 0) {
		if (r->nlines == LIMIT_REPLY_LINES) {
			*problems |= REPLY_LINES;
			break;
		}
		if (!parse_line(r, take_line(&rest), problems))
			return REPLY_NONSENSE;
	}
	if (r->code >= 400 && r->xcode[0] == '\0')
		default_xcode(r);
	return REPLY_OK;
}

void reply_set(struct reply *r, int code, const char *xcode, const char *text)
{
	struct slice given = {xcode, xcode != NULL ? strlen(xcode) : 0};
	struct slice t = {text, text != NULL ? strlen(text) : 0};
	unsigned ignored = 0;

	*r = (struct reply){0};
	if (code < 200 || code > 599)
		return;
	r->code = code;
	if (!take_xcode(&given, r->xcode) || given.n > 0 || !class_fits(r, r->xcode))
		r->xcode[0] = '\0';
	if (code >= 400 && r->xcode[0] == '\0')
		default_xcode(r);
	add_line(r, trimmed(t, is_blank_or_line_end), &ignored);
}

void reply_copy(struct reply *to, const struct reply *from)
{
	struct reply copy = *from;

	for (int i = 0; i < from->nlines; i++)
		copy.lines[i] = xstrdup(from->lines[i]);
	reply_free(to);
	*to = copy;
}

void reply_free(struct reply *r)
{
	for (int i = 0; i < r->nlines; i++)
		free(r->lines[i]);
	*r = (struct reply){0};
}

const char *reply_problem_text(unsigned problems, char *out, size_t size)
{
	size_t used = 0;

	if (size > 0)
		out[0] = '\0';
	for (size_t i = 0; i < sizeof problem_words / sizeof problem_words[0]; i++) {
		int n;

		if (!(problems & problem_words[i].bit))
			continue;
		n = snprintf(
		    out + used, size - used, "%s%s", used > 0 ? ", " : "", problem_words[i].words);
		if (n < 0 || (size_t)n >= size - used)
			break; /* cut, but terminated */
		used += (size_t)n;
	}
	return out;
}

char *reply_text(const struct reply *r)
{
	size_t size = 32; /* "550 5.7.100 " and the end */
	char *text, *p;

	for (int i = 0; i < r->nlines; i++)
		size += strlen(r->lines[i]) + 3;
	p = text = xcalloc(1, size);
	if (r->code == 0)
		return text;
	p += snprintf(p, size, "%d%s%s", r->code, r->xcode[0] != '\0' ? " " : "", r->xcode);
	for (int i = 0; i < r->nlines; i++) {
		const char *before = i > 0 ? " / " : r->lines[i][0] != '\0' ? " " : "";

		p += snprintf(p, size - (size_t)(p - text), "%s%s", before, r->lines[i]);
	}
	return text;
}
