/* compat_lex.c - the tokens of Lua 5.0 to 5.4, with their lines.
 *
 * By hand because liblua does not give its tokens away. What liblua refuses and no old version
 * takes is passed on as a token of some kind or ends the reading: liblua itself says what is wrong.
 */
#include "lua-bindings/compat/compat_private.h"

#include <stdlib.h>
#include <string.h>

#define MOST_NOTICES 1000 /* of one text: more is no news */
#define MOST_LEVEL 50	  /* = of a long bracket that a rewritten string may need */

/* As liblua's own tables: ASCII, whatever the locale. */
static bool is_digit(int c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(int c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_word(int c)
{
	return is_letter(c) || is_digit(c);
}

static bool is_hex(int c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_newline(int c)
{
	return c == '\n' || c == '\r';
}

/* The byte at offset at, -1 behind the end. */
static int peek(const struct lexer *x, size_t at)
{
	return at < x->n ? (unsigned char)x->s[at] : -1;
}

static void fail(struct lexer *x)
{
	x->failed = true;
}

/* Over one line end: \n, \r, \r\n or \n\r. */
static size_t skip_newline(struct lexer *x, size_t at)
{
	int first = peek(x, at), second = peek(x, at + 1);

	x->line++;
	return at + (is_newline(second) && second != first ? 2 : 1);
}

void lex_free(struct lexer *x)
{
	edits_free(&x->edits);
	free(x->notices.v);
	x->notices = (struct compat_notices){0};
}

void lex_notice(struct lexer *x, int line, enum compat_idiom idiom, enum compat_done done,
    const char *detail, size_t n)
{
	void *v = x->notices.v;
	struct compat_notice *notice;
	size_t i;

	if (x->notices.n >= MOST_NOTICES)
		return;
	if (!edits_grow(&v, x->notices.n, &x->notices.cap, sizeof *x->notices.v)) {
		x->no_memory = true;
		return;
	}
	x->notices.v = v;
	notice = &x->notices.v[x->notices.n++];
	memset(notice, 0, sizeof *notice);
	notice->line = line;
	notice->idiom = idiom;
	notice->done = done;
	for (i = 0; i < n && i < sizeof notice->detail - 1; i++)
		notice->detail[i] = (unsigned char)detail[i] > ' ' && (unsigned char)detail[i] < 127
					? detail[i]
					: '?';
}

bool lex_is(const struct lexer *x, const struct token *t, const char *word)
{
	size_t n = strlen(word);

	return t->end - t->at == n && memcmp(x->s + t->at, word, n) == 0;
}

/* ---- long brackets ---- */

/* The level of the bracket that begins at offset at, -1: none does. */
static int bracket_level(const struct lexer *x, size_t at, char bracket)
{
	size_t from = at + 1;

	while (peek(x, from) == '=')
		from++;
	return peek(x, from) == bracket && from - at - 1 < INT32_MAX ? (int)(from - at - 1) : -1;
}

/* Does the text from..to hold a closing bracket of this level? */
static bool holds_end(const struct lexer *x, size_t from, size_t to, int level)
{
	for (size_t i = from; i < to; i++)
		if (x->s[i] == ']' && bracket_level(x, i, ']') == level)
			return true;
	return false;
}

/* A nested string from..to, brackets included, as one of another level. */
static void unnest(struct lexer *x, size_t from, size_t to)
{
	char open[MOST_LEVEL + 3] = "[", close[MOST_LEVEL + 3] = "]";
	int level = 1;

	while (level < MOST_LEVEL && holds_end(x, from, to, level))
		level++;
	if (level == MOST_LEVEL) {
		fail(x);
		return;
	}
	memset(open + 1, '=', (size_t)level);
	memset(close + 1, '=', (size_t)level);
	open[level + 1] = '[';
	close[level + 1] = ']';
	edits_add(&x->edits, EDIT_REPLACE, from, 2, open);
	edits_add(&x->edits, EDIT_REPLACE, to - 2, 2, close);
}

/* From the opening bracket at x->at to behind the closing one. */
static void skip_long(struct lexer *x, int level)
{
	size_t from = x->at, at = from + (size_t)level + 2;
	int line = x->line, depth = 1, c;
	bool nested = false;

	while (depth > 0 && (c = peek(x, at)) >= 0) {
		if (is_newline(c)) {
			at = skip_newline(x, at);
		} else if (c == ']' && bracket_level(x, at, ']') == level) {
			at += (size_t)level + 2;
			depth--;
		} else if (level == 0 && x->reading.nested && c == '[' && peek(x, at + 1) == '[') {
			at += 2;
			depth++;
			nested = true;
		} else {
			at++;
		}
	}
	x->at = at;
	if (depth > 0) {
		fail(x);
	} else if (nested) {
		x->found.proof = true;
		unnest(x, from, at);
		lex_notice(x, line, COMPAT_LONG_STRING, COMPAT_REWRITTEN, "", 0);
	}
}

/* ---- strings ---- */

/* What follows a backslash at offset at: its bytes if every Lua since 5.2 takes it, else 0. */
static size_t new_escape(const struct lexer *x, size_t at)
{
	size_t end = at + 2;

	if (peek(x, at) == 'x')
		return is_hex(peek(x, at + 1)) && is_hex(peek(x, at + 2)) ? 3 : 0;
	if (peek(x, at) == 'z')
		return 1;
	if (peek(x, at) != 'u' || peek(x, at + 1) != '{' || !is_hex(peek(x, end)))
		return 0;
	while (is_hex(peek(x, end)))
		end++;
	return peek(x, end) == '}' ? end + 1 - at : 0;
}

static bool is_old_escape(int c)
{
	return c >= 0 && (is_digit(c) || is_newline(c) || strchr("abfnrtv\\\"'", c) != NULL);
}

/* Spaces that \z skips, with their lines. */
static size_t skip_spaces(struct lexer *x, size_t at)
{
	int c;

	while ((c = peek(x, at)) == ' ' || (c >= '\t' && c <= '\r'))
		at = is_newline(c) ? skip_newline(x, at) : at + 1;
	return at;
}

/* Over the escape whose backslash is at offset at. old: unknown and newer ones lose the backslash.
 * *unknown is set by an escape that Lua 5.4 does not take. */
static size_t skip_escape(struct lexer *x, size_t at, bool old, bool *unknown)
{
	int c = peek(x, at + 1);
	size_t n;

	if (is_newline(c))
		return skip_newline(x, at + 1);
	if (c < 0 || is_old_escape(c))
		return at + (c < 0 ? 1 : 2);
	n = new_escape(x, at + 1);
	if (n == 0)
		*unknown = true;
	if (old && !(c == 'z' && is_newline(peek(x, at + 2)))) {
		edits_add(&x->edits, EDIT_REPLACE, at, 1, "");
		lex_notice(x, x->line, COMPAT_ESCAPE, COMPAT_REWRITTEN, x->s + at, 2);
		return at + 2;
	}
	if (n == 0)
		return at + 2;
	x->found.newer = true;
	x->found.newer_numbers = x->found.newer_numbers || c == 'u';
	return c == 'z' ? skip_spaces(x, at + 2) : at + 1 + n;
}

/* To behind the closing quote of the string at x->at; false: there is none on the line. */
static bool skip_quoted(struct lexer *x, bool old, bool *unknown)
{
	int quote = peek(x, x->at), c;
	size_t at = x->at + 1;

	while ((c = peek(x, at)) != quote) {
		if (c < 0 || is_newline(c))
			return false;
		at = c == '\\' ? skip_escape(x, at, old, unknown) : at + 1;
	}
	x->at = at + 1;
	return true;
}

static void read_string(struct lexer *x)
{
	struct findings before = x->found;
	size_t from = x->at;
	int line = x->line;
	bool unknown = false, old = x->reading.old, repair = old || x->reading.mode == COMPAT_AUTO;

	if (!skip_quoted(x, old, &unknown)) {
		fail(x);
	} else if (unknown && repair) {
		x->found = before; /* one that has an unknown escape was written for 5.0 */
		x->found.proof = true;
		if (!old) {
			x->at = from;
			x->line = line;
			if (!skip_quoted(x, true, &unknown))
				fail(x);
		}
	}
}

/* ---- the rest ---- */

/* As liblua: anything that looks like a number. */
static int read_number(struct lexer *x)
{
	bool hex = peek(x, x->at) == '0' && (peek(x, x->at + 1) | 32) == 'x', integer = true;
	int exponent = hex ? 'p' : 'e', c;

	if (hex)
		x->at += 2;
	while (is_word(c = peek(x, x->at)) || c == '.') {
		if (c == '.' || (c | 32) == exponent)
			integer = false;
		x->at++;
		if ((c | 32) == exponent && (peek(x, x->at) == '+' || peek(x, x->at) == '-'))
			x->at++;
	}
	return integer ? TOKEN_INTEGER : TOKEN_NUMBER;
}

static int read_word(struct lexer *x)
{
	static const char *const reserved[] = {"and", "break", "do", "else", "elseif", "end",
	    "false", "for", "function", "goto", "if", "in", "local", "nil", "not", "or", "repeat",
	    "return", "then", "true", "until", "while"};
	const char *word = x->s + x->at;
	size_t n = 0;

	while (is_word(peek(x, x->at + n)))
		n++;
	x->at += n;
	for (size_t i = 0; i < sizeof reserved / sizeof *reserved; i++)
		if (word[0] == reserved[i][0] && strlen(reserved[i]) == n &&
		    memcmp(word, reserved[i], n) == 0)
			return TOKEN_AND + (int)i;
	return TOKEN_NAME;
}

static void skip_comment(struct lexer *x)
{
	int level, c;

	x->at += 2;
	level = peek(x, x->at) == '[' ? bracket_level(x, x->at, '[') : -1;
	if (level >= 0) {
		skip_long(x, level);
		return;
	}
	while ((c = peek(x, x->at)) >= 0 && !is_newline(c))
		x->at++;
}

static int read_symbol(struct lexer *x)
{
	static const struct {
		char text[4];
		int kind;
	} symbols[] = {{"...", TOKEN_DOTS}, {"..", TOKEN_CONCAT}, {"==", TOKEN_EQ},
	    {">=", TOKEN_GE}, {"<=", TOKEN_LE}, {"~=", TOKEN_NE}, {"<<", TOKEN_SHL},
	    {">>", TOKEN_SHR}, {"//", TOKEN_IDIV}, {"::", TOKEN_LABEL}};

	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		size_t n = strlen(symbols[i].text);

		if (x->n - x->at >= n && memcmp(x->s + x->at, symbols[i].text, n) == 0) {
			x->at += n;
			return symbols[i].kind;
		}
	}
	return (unsigned char)x->s[x->at++];
}

/* A text mode file of Windows ends at a Ctrl-Z. */
static int read_end(struct lexer *x)
{
	if (x->reading.mode == COMPAT_54) {
		fail(x);
		return TOKEN_END;
	}
	edits_add(&x->edits, EDIT_REPLACE, x->at, x->n - x->at, "");
	lex_notice(x, x->line, COMPAT_CTRL_Z, COMPAT_REWRITTEN, "", 0);
	x->n = x->at;
	return TOKEN_END;
}

/* Over spaces and comments. */
static void skip_blanks(struct lexer *x)
{
	int c;

	while (!x->failed && (c = peek(x, x->at)) >= 0) {
		if (is_newline(c))
			x->at = skip_newline(x, x->at);
		else if (c == ' ' || c == '\t' || c == '\v' || c == '\f')
			x->at++;
		else if (c == '-' && peek(x, x->at + 1) == '-')
			skip_comment(x);
		else
			return;
	}
}

static int read_kind(struct lexer *x)
{
	int c = peek(x, x->at), level;

	if (c < 0)
		return TOKEN_END;
	if (is_letter(c))
		return read_word(x);
	if (is_digit(c) || (c == '.' && is_digit(peek(x, x->at + 1))))
		return read_number(x);
	if (c == '"' || c == '\'') {
		read_string(x);
		return TOKEN_STRING;
	}
	if (c == '[' && (level = bracket_level(x, x->at, '[')) >= 0) {
		skip_long(x, level);
		return TOKEN_STRING;
	}
	return c == 26 ? read_end(x) : read_symbol(x);
}

struct token lex_token(struct lexer *x)
{
	struct token t = {.kind = TOKEN_END};

	if (!x->failed)
		skip_blanks(x);
	t.at = x->at;
	if (!x->failed)
		t.kind = read_kind(x);
	if (x->failed)
		t.kind = TOKEN_END;
	t.end = x->at;
	t.line = x->line;
	return t;
}
