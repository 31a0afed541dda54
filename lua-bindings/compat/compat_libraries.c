/* compat_libraries.c - whether a source text leaves the libraries alone.
 *
 * The tables string, os, VPOP3 ... and the functions beside them serve all lives of a state when
 * none changes them, and making them anew is a third of what a short SMTP session costs. Most
 * scripts say string.sub(...) and the like and nothing else, which shows in their text. What counts
 * is the text that liblua compiles, token by token: a difference would let one session change the
 * next one (R14). */
#include "lua-bindings/compat/compat.h"
#include "lua-bindings/compat/compat_private.h"

/* Names through which a library is reached without its own name. */
static const char *const doors[] = {"_G", "_ENV", "package", "require", "load", "loadstring",
    "loadfile", "dofile", "getfenv", "setfenv", "module"};

static const char *door(size_t i)
{
	return i < sizeof doors / sizeof *doors ? doors[i] : NULL;
}

static bool is_one_of(const struct lexer *x, const struct token *t, const char *(*word)(size_t))
{
	for (size_t i = 0; word(i) != NULL; i++)
		if (lex_is(x, t, word(i)))
			return true;
	return false;
}

/* Behind "library.name": what can stand behind a value that is read or called only. */
static bool only_reads(int kind)
{
	return kind != '=' && kind != ',' && kind != '.' && kind != ':' && kind != '[' &&
	       kind != TOKEN_IN;
}

/* From the library's name on: "." name, and then no assignment. *t becomes the last token read. */
static bool is_read_of_a_field(struct lexer *x, struct token *t)
{
	*t = lex_token(x);
	if (t->kind != '.')
		return false;
	*t = lex_token(x);
	if (t->kind != TOKEN_NAME)
		return false;
	*t = lex_token(x);
	return only_reads(t->kind);
}

/* From the name of a function like print on: no assignment. It would stand in the life's own
 * table, but "print = nil" would bring the shared one to light. A ',' may belong to a list that is
 * assigned to, but not right behind the first argument of a call. *t as above. */
static bool is_no_assignment(struct lexer *x, struct token *t, int before)
{
	*t = lex_token(x);
	return before == TOKEN_LOCAL || (t->kind != '=' && (t->kind != ',' || before == '('));
}

bool compat_leaves_libraries(
    const char *text, size_t n, const char *(*library)(size_t i), const char *(*base)(size_t i))
{
	struct lexer x = {.line = 1, .reading = {.mode = COMPAT_54}};
	int before = TOKEN_END;
	bool fine = true;

	x.s = compat_text_start(text, &n); /* as it will be compiled */
	x.n = n;
	for (struct token t = lex_token(&x); fine && t.kind != TOKEN_END;) {
		int kind = t.kind;

		/* a field of that name in another table, and "function string.trim()" */
		if (kind == TOKEN_NAME && before != '.' && before != ':') {
			fine = !is_one_of(&x, &t, door);
			if (fine && is_one_of(&x, &t, library)) {
				fine = before != TOKEN_FUNCTION && is_read_of_a_field(&x, &t);
				before = TOKEN_NAME;
				continue;
			}
			if (fine && is_one_of(&x, &t, base)) {
				fine = is_no_assignment(&x, &t, before);
				before = TOKEN_NAME;
				continue;
			}
		}
		before = kind;
		t = lex_token(&x);
	}
	fine = fine && !x.failed && !x.no_memory;
	lex_free(&x);
	return fine;
}
