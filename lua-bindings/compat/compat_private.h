/* compat_private.h - private to lua-bindings/compat/: tokens, edits and the parser's state.
 *
 * One pass over the text: the lexer (compat_lex.c) gives tokens, the parser (compat_block.c,
 * compat_expr.c) follows the grammar of Lua 5.4 with what older versions allowed, knows which names
 * are local (compat_scope.c), and notes edits of the text (compat_edit.c). compat_rewrite.c decides
 * how a text is read and puts the edits in force. Nothing is copied out of the text: a token is a
 * pair of offsets. */
#pragma once

#include "lua-bindings/compat/compat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- edits ---- */

/* Where several edits begin at one offset: ends of what stands before, then beginnings, the outer
 * one first, then a change of the text that follows. */
enum edit_kind { EDIT_CLOSE, EDIT_OPEN, EDIT_REPLACE };

struct edit {
	size_t at, removes; /* bytes of the original text */
	size_t text, n;	    /* what comes instead, in edits.pool */
	size_t order;
	size_t before; /* for compat_concat.c: another edit, counted from 1 */
	enum edit_kind kind;
};

struct edits {
	struct edit *v;
	size_t n, cap;
	char *pool;
	size_t pool_n, pool_cap;
	bool no_memory, too_many;
};

/* Gives the number of edits there are now, 0 when out of memory or when there are too many. */
size_t edits_add(struct edits *, enum edit_kind, size_t at, size_t removes, const char *text);
void edits_free(struct edits *);
/* The text with all edits between head and tail, malloc'ed and NUL-terminated; NULL: no memory. */
char *edits_apply(
    struct edits *, const char *text, size_t n, const char *head, const char *tail, size_t *size);
/* More room for one more element; false: no memory. */
bool edits_grow(void **v, size_t n, size_t *cap, size_t element);

/* ---- tokens ---- */

enum token_kind { /* single characters stand for themselves */
	TOKEN_END = 256,
	TOKEN_NAME,
	TOKEN_STRING,
	TOKEN_INTEGER,
	TOKEN_NUMBER,
	TOKEN_CONCAT, /* .. */
	TOKEN_DOTS,
	TOKEN_EQ,
	TOKEN_GE,
	TOKEN_LE,
	TOKEN_NE,
	TOKEN_SHL,
	TOKEN_SHR,
	TOKEN_IDIV,
	TOKEN_LABEL, /* :: */
	TOKEN_AND,   /* the reserved words, in alphabetical order */
	TOKEN_BREAK,
	TOKEN_DO,
	TOKEN_ELSE,
	TOKEN_ELSEIF,
	TOKEN_ENDWORD,
	TOKEN_FALSE,
	TOKEN_FOR,
	TOKEN_FUNCTION,
	TOKEN_GOTO,
	TOKEN_IF,
	TOKEN_IN,
	TOKEN_LOCAL,
	TOKEN_NIL,
	TOKEN_NOT,
	TOKEN_OR,
	TOKEN_REPEAT,
	TOKEN_RETURN,
	TOKEN_THEN,
	TOKEN_TRUE,
	TOKEN_UNTIL,
	TOKEN_WHILE,
};

struct token {
	int kind;
	int line; /* of its end, as in liblua */
	size_t at, end;
};

/* How a text is read. */
struct reading {
	enum compat_mode mode;
	bool nested; /* [[ ]] nests */
	bool old;    /* the meanings of Lua 5.0 and 5.1 */
	bool number_text;
};

/* What was seen in it. */
struct findings {
	bool proof;	    /* Lua 5.2 and later would not have loaded it */
	bool newer;	    /* Lua 5.1 and earlier would not have */
	bool newer_numbers; /* nor would Lua 5.2 */
};

struct lexer {
	const char *s;
	size_t n, at;
	int line;
	bool failed, no_memory;
	struct reading reading;
	struct findings found;
	struct edits edits;
	struct compat_notices notices;
};

/* The next token; TOKEN_END at the end and after a fault, which sets failed. */
struct token lex_token(struct lexer *);
void lex_free(struct lexer *);
/* detail: n bytes of the script. */
void lex_notice(
    struct lexer *, int line, enum compat_idiom, enum compat_done, const char *detail, size_t n);
bool lex_is(const struct lexer *, const struct token *, const char *word);

/* ---- names ---- */

struct name { /* a local variable in force */
	size_t at, n;
	uint32_t hash;
	int next;     /* in its bucket, -1 */
	int function; /* depth of the function it belongs to */
};

#define NAME_BUCKETS 512

struct names {
	struct name *v;
	size_t n, cap;
	int buckets[NAME_BUCKETS];
};

/* ---- the parser ---- */

struct function {
	struct function *outer;
	int depth;
	int line;
	size_t body_at; /* offset behind its parameters */
	bool vararg;	/* never the main chunk: that had no arg */
	bool uses_dots, reads_arg;
	bool asks_arg; /* whether there is one */
};

struct arg_place { /* a function that may need an arg */
	size_t at;
	int line;
};

struct value { /* the last value of a variable or field */
	size_t at, n;
	bool is_table;
};

struct call {
	struct token name;    /* of what is called */
	struct token bracket; /* before the arguments */
	bool method;
};

enum operand {	       /* what the message about a wrong operand calls it */
	OPERAND_VALUE, /* nothing */
	OPERAND_TEXT,  /* a string or an integer: needs no care */
	OPERAND_OTHER, /* no number and no table: nil, a function */
	OPERAND_CONCAT,
	OPERAND_DIVISION, /* or power: a float */
	OPERAND_LOCAL,
	OPERAND_UPVALUE,
	OPERAND_GLOBAL,
	OPERAND_FIELD,
	OPERAND_UNKNOWN_FIELD,
	OPERAND_INTEGER_FIELD,
	OPERAND_METHOD,
	OPERAND_TABLE,
	OPERAND_CALL,
};

struct expression {
	size_t at, end;
	enum operand what;
	struct token name; /* of OPERAND_LOCAL ... OPERAND_FIELD; of a call what is called */
};

struct chain {	     /* a .. b .. c */
	size_t last; /* edit of it that wants its line, counted from 1; 0: none */
	int line;    /* of the last .. so far */
};

struct parser {
	struct lexer lexer;
	struct token now, ahead;
	bool has_ahead;
	size_t last_end; /* of the token before now */
	int last_kind, last_line;
	int depth;
	size_t steps;	     /* work of looking names up */
	struct chain chain;  /* of .. around, if in_chain */
	bool in_chain;	     /* an operand of it begins */
	size_t statement_at; /* where what is assigned to begins */
	struct function *function;
	struct names names;
	struct arg_place *args;
	size_t nargs, args_cap;
	struct value values[256];
	size_t nvalues;
	struct token self;   /* somewhere in the text, end 0: nowhere */
	char prefix[24];     /* of the names that the rewritten text needs */
	char goto_name[24];  /* what a local variable named goto is called */
	char text[40];	     /* of parse_helper() */
	bool names_operands; /* in messages */
	bool numbers_noted, helpers, calls, sets_arg;
};

/* Read the whole text. False: it does not load as it is read. */
bool parse_text(struct parser *);

/* compat_parse.c: tokens. After a fault there are no more. */
void parse_fail(struct parser *);
void parse_next(struct parser *);
struct token parse_ahead(struct parser *);
bool parse_have(struct parser *, int kind);
void parse_want(struct parser *, int kind);
bool parse_is_name(const struct parser *); /* a name, or goto as one */
bool parse_enter(struct parser *);	   /* one level deeper; false: too deep */
void parse_leave(struct parser *);
void parse_replace(struct parser *, const struct token *, const char *text);
void parse_goto_name(struct parser *, const struct token *);
const char *parse_helper(struct parser *, const char *suffix); /* until the next call */

/* compat_block.c */
void parse_block(struct parser *);
void parse_statements(struct parser *);
bool parse_at_end(const struct parser *); /* of a block */
void parse_body(struct parser *, int line, bool method, bool write_self);

/* compat_expr.c */
struct expression parse_expression(struct parser *);
struct expression parse_expressions(struct parser *, int *n); /* gives the first one */
struct expression parse_suffixed(struct parser *);

/* compat_concat.c */
void concat_note(struct parser *, const struct expression *operand);
void concat_end(struct parser *); /* of p->chain */

/* compat_scope.c */
enum operand scope_find(struct parser *, const struct token *);
void scope_declare(struct parser *, const struct token *);
size_t scope_enter(const struct parser *);
void scope_leave(struct parser *, size_t mark);
void scope_use_arg(struct parser *, const struct token *, int before);
void scope_set_arg(struct parser *, const struct token *);
void scope_end_function(struct parser *);
void scope_write_arg(struct parser *);

/* compat_call.c. before: the token in front; the one behind is p->now */
void call_note_global(struct parser *, const struct token *name, int before);
void call_note_field(
    struct parser *, const struct token *library, const struct token *name, int before);
void call_note_method(struct parser *, const struct token *name);
void call_note_argument(struct parser *, const struct call *, int i);
void call_note_value(struct parser *, const struct token *name, bool is_table);
/* May the expression behind `in` be a table? certain: it is one. */
bool call_may_give_table(struct parser *, const struct expression *, bool *certain);
