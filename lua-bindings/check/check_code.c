/* check_code.c - reads compiled code for the names it uses.
 *
 * The compiler has worked out already which name is a local variable, an upvalue or a global one,
 * and on which line, so bytecode tells more than tokens would. Written by hand: liblua has no
 * function that shows code, luac prints text for people. The layout is that of Lua 5.4
 * (lua_dump()), the only one that runtime.h accepts; input is what liblua wrote a moment ago, and
 * still every length is checked. */
#include "lua-bindings/check/check_private.h"

#include <stdlib.h>
#include <string.h>

#define HEADER_BYTES 31 /* signature, version, format, data, sizes, an integer, a number */
#define MOST_REGISTERS 256
#define MOST_DEPTH 200 /* of functions inside of functions, as LUAI_MAXCCALLS */

enum opcode { /* those that matter, as numbered in Lua 5.4 */
	OP_MOVE = 0,
	OP_GETTABUP = 11,
	OP_GETFIELD = 14,
	OP_SETTABUP = 15,
	OP_SETTABLE = 16,
	OP_SETI = 17,
	OP_SETFIELD = 18,
	OP_SELF = 20,
	OP_JMP = 56,
	OP_EQ = 57,
	OP_EQK = 60,
	OP_GEI = 65,
	OP_TEST = 66,
	OP_TESTSET = 67,
	OP_CALL = 68,
	OP_RETURN = 70,
	OP_VARARGPREP = 81,
};

enum constant { /* types of constants */
	K_NIL = 0x00,
	K_FALSE = 0x01,
	K_TRUE = 0x11,
	K_INTEGER = 0x03,
	K_FLOAT = 0x13,
	K_SHORT = 0x04,
	K_LONG = 0x14,
};

struct reader {
	const unsigned char *p, *end;
	bool broken;
	struct code_uses *uses;
};

struct text {
	const char *s; /* NULL: none */
	size_t n;
};

struct function {
	const unsigned char *code;
	size_t ncode;
	struct text *constants, *upvalues; /* of constants: those that are short strings */
	size_t nconstants, nupvalues;
	int *lines; /* of each instruction */
	int first;
};

/* ---- the layout ---- */

static const unsigned char *bytes(struct reader *r, size_t n)
{
	const unsigned char *p = r->p;

	if (r->broken || n > (size_t)(r->end - r->p)) {
		r->broken = true;
		return NULL;
	}
	r->p += n;
	return p;
}

static unsigned byte(struct reader *r)
{
	const unsigned char *p = bytes(r, 1);

	return p != NULL ? *p : 0;
}

/* Seven bits in each byte, the last one is marked. */
static size_t size(struct reader *r)
{
	size_t n = 0;
	unsigned b;

	do {
		b = byte(r);
		if (n > SIZE_MAX >> 7)
			r->broken = true;
		n = n << 7 | (b & 0x7f);
	} while (!r->broken && (b & 0x80) == 0);
	return r->broken ? 0 : n;
}

/* A number of things that take a byte each at least. */
static size_t count(struct reader *r)
{
	size_t n = size(r);

	if (n > (size_t)(r->end - r->p))
		r->broken = true;
	return r->broken ? 0 : n;
}

static struct text text(struct reader *r)
{
	size_t n = size(r);

	if (n == 0)
		return (struct text){NULL, 0};
	return (struct text){(const char *)bytes(r, n - 1), n - 1};
}

static void constants(struct reader *r, struct function *f)
{
	f->nconstants = count(r);
	f->constants = xcalloc(f->nconstants + 1, sizeof *f->constants);
	for (size_t i = 0; i < f->nconstants && !r->broken; i++)
		switch (byte(r)) {
		case K_SHORT:
			f->constants[i] = text(r);
			break;
		case K_LONG:
			text(r);
			break;
		case K_INTEGER:
		case K_FLOAT:
			bytes(r, 8);
			break;
		case K_NIL:
		case K_FALSE:
		case K_TRUE:
			break;
		default:
			r->broken = true;
		}
}

/* Each instruction has the difference to the line before it; where that does not fit into a byte
 * the line itself is in a second list. */
static void lines(struct reader *r, struct function *f)
{
	size_t n = count(r), nabsolute;
	const unsigned char *differences = bytes(r, n);
	int line = f->first;

	if (r->broken || n > f->ncode) {
		r->broken = r->broken || n > f->ncode;
		return;
	}
	f->lines = xcalloc(f->ncode + 1, sizeof *f->lines);
	for (size_t i = 0; i < n; i++) {
		if ((signed char)differences[i] != -0x80)
			line += (signed char)differences[i];
		f->lines[i] = (signed char)differences[i] != -0x80 ? line : -1;
	}
	nabsolute = count(r);
	for (size_t i = 0; i < nabsolute && !r->broken; i++) {
		size_t pc = size(r);

		line = (int)size(r);
		if (pc >= n || f->lines[pc] != -1) {
			r->broken = r->broken || pc >= n;
			continue;
		}
		for (size_t k = pc; k < n && (k == pc || f->lines[k] != -1); k++) {
			if (k > pc)
				line += (signed char)differences[k];
			f->lines[k] = line;
		}
	}
}

static void debug_names(struct reader *r, struct function *f)
{
	size_t n = count(r);

	for (size_t i = 0; i < n && !r->broken; i++) {
		text(r);
		size(r);
		size(r);
	}
	n = count(r);
	f->upvalues = xcalloc(n + 1, sizeof *f->upvalues);
	f->nupvalues = n;
	for (size_t i = 0; i < n && !r->broken; i++)
		f->upvalues[i] = text(r);
}

/* ---- the names ---- */

static void add_use(
    struct reader *r, struct text table, struct text name, int line, bool assigned, bool tested)
{
	struct code_uses *u = r->uses;

	u->v = xgrow(u->v, u->n, sizeof *u->v);
	u->v[u->n++] = (struct code_use){
	    .table = table.s != NULL ? xstrndup(table.s, table.n) : NULL,
	    .name = xstrndup(name.s, name.n),
	    .line = line,
	    .assigned = assigned,
	    .tested = tested,
	};
}

struct instruction {
	enum opcode op;
	unsigned a, b, c;
};

static struct instruction instruction(const struct function *f, size_t pc)
{
	uint32_t i = 0;

	if (pc < f->ncode)
		memcpy(&i, f->code + 4 * pc, sizeof i);
	return (struct instruction){
	    (enum opcode)(i & 0x7f), i >> 7 & 0xff, i >> 16 & 0xff, i >> 24 & 0xff};
}

static bool is_env(const struct function *f, unsigned upvalue)
{
	return upvalue < f->nupvalues && f->upvalues[upvalue].n == 4 &&
	       memcmp(f->upvalues[upvalue].s, "_ENV", 4) == 0;
}

static struct text constant(const struct function *f, unsigned i)
{
	return i < f->nconstants ? f->constants[i] : (struct text){NULL, 0};
}

/* Is the value that the instruction before pc put into the register only asked for? The last
 * argument of type() counts, too. */
static bool is_tested(const struct function *f, size_t pc, unsigned reg)
{
	struct instruction next = instruction(f, pc), before;

	if (next.op == OP_TEST || next.op == OP_EQK)
		return next.a == reg;
	if (next.op == OP_TESTSET)
		return next.b == reg;
	if (next.op != OP_CALL || pc < 2 || reg == 0 || next.a != reg - 1)
		return false;
	before = instruction(f, pc - 2);
	return before.op == OP_GETTABUP && before.a == reg - 1 && constant(f, before.c).n == 4 &&
	       memcmp(constant(f, before.c).s, "type", 4) == 0;
}

/* registers: the global variable that was read into each; it is forgotten at jumps. */
static void forget(struct text *registers, const struct instruction *i)
{
	static const struct text none;

	if (i->op >= OP_JMP && i->op <= OP_TESTSET)
		memset(registers, 0, MOST_REGISTERS * sizeof *registers);
	else if (i->op == OP_CALL)
		memset(registers + i->a, 0, (MOST_REGISTERS - i->a) * sizeof *registers);
	else if (i->op != OP_SETTABUP && i->op != OP_SETTABLE && i->op != OP_SETI &&
		 i->op != OP_SETFIELD)
		registers[i->a] = none;
}

static void names(struct reader *r, const struct function *f)
{
	static const struct text none;
	struct text registers[MOST_REGISTERS] = {{NULL, 0}};

	for (size_t pc = 0; pc < f->ncode; pc++) {
		struct instruction i = instruction(f, pc);
		struct text table = registers[i.op == OP_SETFIELD ? i.a : i.b], name = none;
		bool global = i.op == OP_GETTABUP && is_env(f, i.b);
		int line = f->lines != NULL ? f->lines[pc] : 0;

		if (global || i.op == OP_GETFIELD)
			name = constant(f, i.c);
		else if (i.op == OP_SETFIELD || (i.op == OP_SETTABUP && is_env(f, i.a)))
			name = constant(f, i.b);
		forget(registers, &i);
		if (name.s == NULL)
			continue;
		if (i.op == OP_SETTABUP || (i.op == OP_SETFIELD && table.s != NULL))
			add_use(r, i.op == OP_SETFIELD ? table : none, name, line, true, false);
		else if (global || (i.op == OP_GETFIELD && table.s != NULL))
			add_use(
			    r, global ? none : table, name, line, false, is_tested(f, pc + 1, i.a));
		if (global)
			registers[i.a] = name;
	}
}

static void function(struct reader *r, int depth)
{
	struct function f = {NULL};
	size_t n;

	text(r); /* source */
	f.first = (int)size(r);
	size(r);     /* last line */
	bytes(r, 3); /* parameters, vararg, registers */
	f.ncode = count(r);
	f.code = bytes(r, 4 * f.ncode);
	constants(r, &f);
	n = count(r);
	bytes(r, 3 * n); /* upvalues */
	n = count(r);
	r->broken |= depth > MOST_DEPTH;
	for (size_t i = 0; i < n && !r->broken; i++)
		function(r, depth + 1);
	lines(r, &f);
	debug_names(r, &f);
	if (!r->broken)
		names(r, &f);
	free(f.constants);
	free(f.upvalues);
	free(f.lines);
}

bool code_scan(struct code_uses *uses, const void *bytecode, size_t n)
{
	static const unsigned char start[] = "\x1bLua\x54\x00\x19\x93\r\n\x1a\n\x04\x08\x08";
	struct reader r = {bytecode, (const unsigned char *)bytecode + n, false, uses};
	const unsigned char *header = bytes(&r, HEADER_BYTES);

	if (header == NULL || memcmp(header, start, sizeof start - 1) != 0)
		return false;
	byte(&r); /* upvalues of the main function */
	function(&r, 0);
	return !r.broken;
}

void code_uses_clear(struct code_uses *uses)
{
	for (size_t i = 0; i < uses->n; i++) {
		free(uses->v[i].table);
		free(uses->v[i].name);
	}
	free(uses->v);
	*uses = (struct code_uses){NULL, 0};
}
