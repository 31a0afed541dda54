/* tnef.c - see tnef.h.
 *
 * By hand although libytnef and tnef exist: both are GPL, both write files named by the mail or
 * trust its lengths, and their record of memory errors is long (R15). Only what leads to files
 * is read. */
#include "common/mime/tnef.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define SIGNATURE 0x223e9f78u
#define STREAM_HEADER 6	   /* signature, key */
#define ATTRIBUTE_HEADER 9 /* level, id with type, length */
#define UTF16 1200
#define NOTHING SIZE_MAX

/* MS-OXTNEF 2.1.3.2; the upper half of an id is the type of its data. */
enum attribute {
	ATTACH_DATA = 0x800f,
	ATTACH_TITLE = 0x8010,
	ATTACH_RENDERING = 0x9002, /* comes first of an attachment */
	ATTACH_PROPERTIES = 0x9005,
	OEM_CODEPAGE = 0x9007,
};

/* MS-OXPROPS */
enum property {
	DISPLAY_NAME = 0x3001,
	DATA_OBJECT = 0x3701,
	FILE_NAME = 0x3704,
	LONG_FILE_NAME = 0x3707,
	MIME_TYPE = 0x370e,
	FIRST_NAMED = 0x8000,
};

enum type { STRING8 = 0x1e, UNICODE = 0x1f, BINARY = 0x102, OBJECT = 0x0d, MULTIPLE = 0x1000 };

/* A range of the bytes that is being read; wrong: something did not fit. */
struct cursor {
	const unsigned char *p, *end;
	bool wrong;
};

struct reading {
	struct tnef *t;
	const unsigned char *base;
	size_t cap;
};

/* The attachment that is being read, and how good its name is. */
struct current {
	size_t file;
	int name_rank;
	unsigned codepage;
};

static size_t left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

/* The next n bytes, NULL when there are fewer. */
static const unsigned char *take(struct cursor *c, uint64_t n)
{
	const unsigned char *p = c->p;

	if (c->wrong || n > left(c)) {
		c->wrong = true;
		return NULL;
	}
	c->p += n;
	return p;
}

static unsigned get16(struct cursor *c)
{
	const unsigned char *p = take(c, 2);

	return p != NULL ? p[0] | (unsigned)p[1] << 8 : 0;
}

static uint32_t get32(struct cursor *c)
{
	uint32_t low = get16(c);

	return low | (uint32_t)get16(c) << 16;
}

/* n bytes and what fills them up to a multiple of four; at the very end it may be missing. */
static const unsigned char *take_padded(struct cursor *c, uint32_t n)
{
	const unsigned char *p = take(c, n);
	size_t padding = (4 - n % 4) % 4;

	if (p != NULL)
		c->p += padding < left(c) ? padding : left(c);
	return p;
}

static struct tnef_file *file(const struct reading *r, const struct current *now)
{
	return now->file != NOTHING ? &r->t->files[now->file] : NULL;
}

static void new_file(struct reading *r, struct current *now)
{
	struct tnef *t = r->t;

	now->file = NOTHING;
	now->name_rank = 0;
	if (t->nfiles == LIMIT_TNEF_FILES) {
		t->too_many = true;
		return;
	}
	if (t->nfiles == r->cap) {
		r->cap = r->cap ? 2 * r->cap : 4;
		t->files = xrealloc(t->files, r->cap * sizeof *t->files);
	}
	now->file = t->nfiles++;
	t->files[now->file] = (struct tnef_file){0};
}

static void set_text(struct tnef_text *text, const unsigned char *s, size_t n, unsigned codepage)
{
	if (codepage == UTF16)
		while (n >= 2 && s[n - 2] == 0 && s[n - 1] == 0)
			n -= 2;
	else
		while (n > 0 && s[n - 1] == 0)
			n--;
	*text = (struct tnef_text){s, n, codepage};
}

/* The best name wins: the long one, the title, the short one, what is displayed. */
static void set_name(struct reading *r, struct current *now, int rank, const unsigned char *s,
    size_t n, unsigned codepage)
{
	struct tnef_file *f = file(r, now);

	if (f == NULL || rank <= now->name_rank)
		return;
	set_text(&f->name, s, n, codepage);
	if (f->name.n > 0)
		now->name_rank = rank;
}

static void read_stream(struct reading *r, struct cursor c, unsigned codepage, unsigned depth);

/* A second one for the same attachment is a file of its own: which one counts is anybody's guess.
 */
static void set_data(struct reading *r, struct current *now, const struct cursor *c)
{
	struct tnef_file *f = file(r, now);
	struct tnef_text name = f != NULL ? f->name : (struct tnef_text){0};

	if (f != NULL && f->size > 0) {
		new_file(r, now);
		f = file(r, now);
		if (f != NULL)
			f->name = name;
	}
	if (f == NULL)
		return;
	f->offset = (size_t)(c->p - r->base);
	f->size = left(c);
}

/* PidTagAttachDataObject: an embedded message or an OLE object, after the id of its interface. */
static void read_object(
    struct reading *r, struct current *now, unsigned type, struct cursor c, unsigned depth)
{
	struct tnef_file *f;
	struct cursor inner;

	if (type == OBJECT && take(&c, 16) == NULL)
		return;
	set_data(r, now, &c);
	f = file(r, now);
	if (f == NULL)
		return;
	inner = c;
	f->message = get32(&inner) == SIGNATURE && !inner.wrong;
	if (!f->message)
		return;
	if (depth == LIMIT_TNEF_DEPTH)
		r->t->too_deep = true;
	else
		read_stream(r, c, now->codepage, depth + 1);
}

static void read_value(struct reading *r, struct current *now, unsigned id, unsigned type,
    const unsigned char *s, uint32_t n, unsigned depth)
{
	static const struct {
		enum property id;
		int rank;
	} names[] = {{LONG_FILE_NAME, 4}, {FILE_NAME, 2}, {DISPLAY_NAME, 1}};
	unsigned codepage = type == UNICODE ? UTF16 : now->codepage;

	if (id == DATA_OBJECT && (type == OBJECT || type == BINARY))
		read_object(r, now, type, (struct cursor){s, s + n, false}, depth);
	if (type != STRING8 && type != UNICODE)
		return;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (id == names[i].id)
			set_name(r, now, names[i].rank, s, n, codepage);
	if (id == MIME_TYPE && file(r, now) != NULL)
		set_text(&file(r, now)->type, s, n, codepage);
}

/* Bytes of a value of fixed size, its padding included; 0 for a type that is not known. */
static unsigned fixed_size(unsigned type)
{
	static const struct {
		unsigned type, size;
	} sizes[] = {
	    {0x02, 4},
	    {0x03, 4},
	    {0x04, 4},
	    {0x05, 8},
	    {0x06, 8},
	    {0x07, 8},
	    {0x0a, 4},
	    {0x0b, 4},
	    {0x14, 8},
	    {0x40, 8},
	    {0x48, 16},
	};

	for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
		if (sizes[i].type == type)
			return sizes[i].size;
	return 0;
}

/* A property with its own name has that before its values: a GUID, then a number or a text. */
static void skip_name(struct cursor *c)
{
	take(c, 16);
	if (get32(c) == 1)
		take_padded(c, get32(c));
	else
		take(c, 4);
}

static void read_properties(struct reading *r, struct current *now, struct cursor c, unsigned depth)
{
	for (uint32_t count = get32(&c); count > 0 && !c.wrong; count--) {
		unsigned type = get16(&c), id = get16(&c), size = fixed_size(type & ~MULTIPLE);

		if (id >= FIRST_NAMED)
			skip_name(&c);
		if (size > 0) {
			take(&c, type & MULTIPLE ? (uint64_t)get32(&c) * size : size);
			continue;
		}
		type &= ~(unsigned)MULTIPLE;
		if (type != STRING8 && type != UNICODE && type != BINARY && type != OBJECT)
			c.wrong = true;
		for (uint32_t values = get32(&c); values > 0 && !c.wrong; values--) {
			uint32_t n = get32(&c);
			const unsigned char *s = take_padded(&c, n);

			if (s != NULL)
				read_value(r, now, id, type, s, n, depth);
		}
	}
	if (c.wrong)
		r->t->damaged = true;
}

static void read_attribute(
    struct reading *r, struct current *now, unsigned id, struct cursor c, unsigned depth)
{
	bool of_attachment = id == ATTACH_TITLE || id == ATTACH_DATA || id == ATTACH_PROPERTIES;

	if (id == ATTACH_RENDERING || (of_attachment && now->file == NOTHING))
		new_file(r, now);
	switch (id) {
	case OEM_CODEPAGE:
		if (left(&c) >= 4)
			now->codepage = get32(&c);
		break;
	case ATTACH_TITLE:
		set_name(r, now, 3, c.p, left(&c), now->codepage);
		break;
	case ATTACH_DATA:
		set_data(r, now, &c);
		break;
	case ATTACH_PROPERTIES:
		read_properties(r, now, c, depth);
		break;
	}
}

static bool right_sum(const unsigned char *p, size_t n, unsigned stated)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += p[i];
	return (sum & 0xffff) == stated;
}

static void read_stream(struct reading *r, struct cursor c, unsigned codepage, unsigned depth)
{
	struct current now = {NOTHING, 0, codepage};

	take(&c, STREAM_HEADER);
	while (!c.wrong && left(&c) > 0) {
		const unsigned char *level = take(&c, 1), *data;
		unsigned id = get32(&c) & 0xffff;
		uint32_t n = get32(&c);
		bool there = n <= left(&c);

		if (c.wrong || *level < 1 || *level > 2) {
			c.wrong = true;
			break;
		}
		data = take(&c, there ? n : left(&c));
		read_attribute(r, &now, id, (struct cursor){data, c.p, false}, depth);
		if (!there || left(&c) < 2)
			c.wrong = true;
		else if (!right_sum(data, n, get16(&c)))
			r->t->wrong_sum = true;
	}
	if (c.wrong)
		r->t->damaged = true;
}

void tnef_read(struct tnef *t, const void *bytes, size_t n)
{
	struct reading r = {.t = t, .base = bytes};
	struct cursor c = {bytes, (const unsigned char *)bytes + n, false};
	struct cursor signature = c;

	*t = (struct tnef){0};
	if (get32(&signature) != SIGNATURE || signature.wrong)
		return;
	t->is_tnef = true;
	read_stream(&r, c, 1252, 1);
}

void tnef_clear(struct tnef *t)
{
	free(t->files);
	*t = (struct tnef){0};
}
