/* compat_scope.c - which names are local variables, and the arg of Lua 5.0. */
#include "lua-bindings/compat/compat_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* FNV-1a */
static uint32_t hash_of(const char *s, size_t n)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < n; i++)
		hash = (hash ^ (unsigned char)s[i]) * 16777619u;
	return hash;
}

static bool is_same(const struct parser *p, const struct name *a, const char *s, size_t n)
{
	return a->n == n && memcmp(p->lexer.s + a->at, s, n) == 0;
}

/* The local variable of this name in force, NULL: none. */
static const struct name *find(struct parser *p, const struct token *t)
{
	const char *s = p->lexer.s + t->at;
	size_t n = t->end - t->at;
	uint32_t hash = hash_of(s, n);

	for (int i = p->names.buckets[hash % NAME_BUCKETS]; i >= 0; i = p->names.v[i].next) {
		p->steps++;
		if (p->names.v[i].hash == hash && is_same(p, &p->names.v[i], s, n))
			return &p->names.v[i];
	}
	return NULL;
}

enum operand scope_find(struct parser *p, const struct token *t)
{
	const struct name *name = find(p, t);

	if (name == NULL)
		return OPERAND_GLOBAL;
	return name->function == p->function->depth ? OPERAND_LOCAL : OPERAND_UPVALUE;
}

void scope_declare(struct parser *p, const struct token *t)
{
	const char *s = p->lexer.s + t->at;
	void *v = p->names.v;
	struct name *name;

	if (!edits_grow(&v, p->names.n, &p->names.cap, sizeof *p->names.v)) {
		p->lexer.no_memory = true;
		return;
	}
	p->names.v = v;
	name = &p->names.v[p->names.n];
	name->at = t->at;
	name->n = t->end - t->at;
	name->hash = hash_of(s, name->n);
	name->function = p->function->depth;
	name->next = p->names.buckets[name->hash % NAME_BUCKETS];
	p->names.buckets[name->hash % NAME_BUCKETS] = (int)p->names.n++;
}

size_t scope_enter(const struct parser *p)
{
	return p->names.n;
}

void scope_leave(struct parser *p, size_t mark)
{
	while (p->names.n > mark) {
		const struct name *name = &p->names.v[--p->names.n];

		p->names.buckets[name->hash % NAME_BUCKETS] = name->next;
	}
}

/* ---- arg ---- */

/* The function whose implicit arg this name is, NULL: it is none. In Lua 5.0 it hides local
 * variables further out; a correct script of Lua 5.4 means those. */
static struct function *owner_of_arg(struct parser *p, const struct token *t)
{
	const struct name *name = find(p, t);
	struct function *f = p->function;

	while (f != NULL && !f->vararg)
		f = f->outer;
	if (f == NULL || (name != NULL && (!p->lexer.reading.old || name->function >= f->depth)))
		return NULL;
	return f;
}

void scope_use_arg(struct parser *p, const struct token *t, int before)
{
	struct function *f = owner_of_arg(p, t);
	int after = p->now.kind;

	if (f == NULL)
		return;
	f->reads_arg = true;
	if (before == TOKEN_NOT || after == TOKEN_THEN || after == TOKEN_AND || after == TOKEN_OR ||
	    after == TOKEN_EQ || after == TOKEN_NE)
		f->asks_arg = true;
}

void scope_set_arg(struct parser *p, const struct token *t)
{
	struct function *f = owner_of_arg(p, t);

	if (f != NULL)
		f->reads_arg = true;
	if (find(p, t) == NULL)
		p->sets_arg = true;
}

void scope_end_function(struct parser *p)
{
	const struct function *f = p->function;
	void *v = p->args;

	if (!f->vararg || !f->reads_arg || f->uses_dots || (f->asks_arg && !p->lexer.reading.old))
		return;
	if (!edits_grow(&v, p->nargs, &p->args_cap, sizeof *p->args)) {
		p->lexer.no_memory = true;
		return;
	}
	p->args = v;
	p->args[p->nargs++] = (struct arg_place){f->body_at, f->line};
}

void scope_write_arg(struct parser *p)
{
	bool old = p->lexer.reading.old;
	char text[80];

	if (!old && (p->sets_arg || p->lexer.reading.mode != COMPAT_AUTO))
		return;
	snprintf(text, sizeof text, " local arg=%s_arg(%s,...)", p->prefix, old ? "nil" : "_ENV");
	for (size_t i = 0; i < p->nargs; i++) {
		edits_add(&p->lexer.edits, EDIT_CLOSE, p->args[i].at, 0, text);
		lex_notice(&p->lexer, p->args[i].line, COMPAT_ARG, COMPAT_REWRITTEN, "", 0);
		p->helpers = true;
	}
}
