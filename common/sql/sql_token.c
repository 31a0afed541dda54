/* sql_token.c - see sql_token.h. */
#include "common/sql/sql_token.h"

#include "common/limits.h"

#include <stdlib.h>
#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Bytes above ASCII are letters, as for PostgreSQL. */
static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

size_t sql_whole_part(const char *number)
{
	size_t whole = strspn(number, "0123456789"), zeros;

	if (whole == 0 || number[whole] != '.')
		return 0;
	zeros = strspn(number + whole + 1, "0");
	return zeros > 0 && number[whole + 1 + zeros] == '\0' ? whole : 0;
}

/* ---- one token at p; returns its length, 0: wrong ---- */

/* Where the quote that began at `at` is closed; 0: nowhere. *doubled: quotes inside. */
static size_t closing(const struct sql_tree *t, size_t at, size_t *doubled)
{
	*doubled = 0;
	for (size_t i = at + 1; i < t->n; i++) {
		if (t->text[i] != t->text[at])
			continue;
		if (i + 1 == t->n || t->text[i + 1] != t->text[at])
			return i;
		i++;
		(*doubled)++;
	}
	return 0;
}

/* 'text' or "name": up to the next quote that is not doubled. */
static size_t quoted(struct sql_tree *t, size_t at, struct sql_token *token)
{
	bool literal = t->text[at] == '\'';
	size_t doubled, end = closing(t, at, &doubled), n = 0;
	char *text;

	if (end == 0) {
		sql_wrong(t, at, literal ? "a literal has no end" : "a name has no end");
		return 0;
	}
	if (!literal && end == at + 1) {
		sql_wrong(t, at, "a name is empty");
		return 0;
	}
	text = sql_new(t, end - at - doubled);
	for (size_t i = at + 1; i < end; i++) {
		text[n++] = t->text[i];
		i += t->text[i] == t->text[at];
	}
	token->kind = literal ? TOKEN_STRING : TOKEN_QUOTED;
	token->text = text;
	return end + 1 - at;
}

static size_t word(struct sql_tree *t, size_t at, struct sql_token *token)
{
	size_t n = 1;
	char *text;

	while (at + n < t->n &&
	       (is_letter(t->text[at + n]) || is_digit(t->text[at + n]) || t->text[at + n] == '$'))
		n++;
	if (at + n < t->n && t->text[at + n] == '\'' &&
	    (n == 1 && strchr("eEbBxXnN", t->text[at]) != NULL)) {
		sql_wrong(t, at, "a literal with a letter before it is not understood");
		return 0;
	}
	text = sql_new(t, n + 1);
	for (size_t i = 0; i < n; i++) {
		char c = t->text[at + i];

		text[i] = (char)(c >= 'A' && c <= 'Z' ? c | 0x20 : c);
	}
	token->kind = TOKEN_WORD;
	token->text = text;
	return n;
}

static size_t digits(const struct sql_tree *t, size_t at)
{
	size_t n = 0;

	while (at + n < t->n && is_digit(t->text[at + n]))
		n++;
	return n;
}

static size_t number(struct sql_tree *t, size_t at, struct sql_token *token)
{
	size_t n = digits(t, at);

	if (at + n < t->n && t->text[at + n] == '.')
		n += 1 + digits(t, at + n + 1);
	if (at + n < t->n && (t->text[at + n] | 0x20) == 'e') {
		size_t sign = at + n + 1 < t->n && strchr("+-", t->text[at + n + 1]) != NULL;
		size_t power = digits(t, at + n + 1 + sign);

		if (power > 0)
			n += 1 + sign + power;
	}
	if (at + n < t->n && is_letter(t->text[at + n])) {
		sql_wrong(t, at, "a number goes on as a name");
		return 0;
	}
	token->kind = TOKEN_NUMBER;
	token->text = sql_keep(t, t->text + at, n);
	return n;
}

static size_t symbol(struct sql_tree *t, size_t at, struct sql_token *token)
{
	static const char *const symbols[] = {"<=", ">=", "<>", "!=", "||", "::", "(", ")", ",",
	    ".", ";", "*", "+", "-", "/", "%", "=", "<", ">"};
	const char *s = t->text + at;
	size_t left = t->n - at;

	if (left >= 2 && (memcmp(s, "--", 2) == 0 || memcmp(s, "/*", 2) == 0)) {
		sql_wrong(t, at, "comments are not taken here");
		return 0;
	}
	for (size_t i = 0; i < sizeof symbols / sizeof *symbols; i++) {
		size_t n = strlen(symbols[i]);

		if (left >= n && memcmp(s, symbols[i], n) == 0) {
			token->kind = TOKEN_SYMBOL;
			token->text = symbols[i];
			return n;
		}
	}
	sql_wrong(t, at, "this character means nothing here");
	return 0;
}

static size_t read_token(struct sql_tree *t, size_t at, struct sql_token *token)
{
	char c = t->text[at];

	*token = (struct sql_token){.at = at};
	if (c == '\'' || c == '"')
		return quoted(t, at, token);
	if (is_digit(c) || (c == '.' && at + 1 < t->n && is_digit(t->text[at + 1])))
		return number(t, at, token);
	if (is_letter(c))
		return word(t, at, token);
	return symbol(t, at, token);
}

static bool fits(struct sql_tree *t)
{
	const char *zero = memchr(t->text, '\0', t->n);

	if (t->n > LIMIT_SQL_BYTES)
		return sql_wrong(t, 0, "the query is longer than %u bytes", LIMIT_SQL_BYTES);
	if (zero != NULL)
		return sql_wrong(t, (size_t)(zero - t->text), "there is a zero byte in the query");
	return true;
}

const struct sql_token *sql_tokens(struct sql_tree *t)
{
	struct sql_token *tokens;
	size_t count = 0, n;

	if (!fits(t))
		return NULL;
	tokens = sql_new(t, (LIMIT_SQL_TOKENS + 1) * sizeof *tokens);
	for (size_t at = 0; at < t->n; at += n) {
		n = 1;
		if (is_space(t->text[at]))
			continue;
		if (count == LIMIT_SQL_TOKENS) {
			sql_wrong(t, at, "the query has more than %d words", LIMIT_SQL_TOKENS);
			return NULL;
		}
		n = read_token(t, at, &tokens[count++]);
		if (n == 0)
			return NULL;
	}
	tokens[count] = (struct sql_token){.kind = TOKEN_END, .at = t->n, .text = ""};
	return tokens;
}
