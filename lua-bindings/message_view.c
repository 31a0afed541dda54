/* message_view.c - see message_view.h: the tables of ProcessMessage(). Source: VPOP3 manual.
 *
 * The manual can be read as a list of sections and as the fields of one; so for a message of one
 * section its fields stand on the list itself too. Beyond the manual each section has BodyStart and
 * Flags, a list of words for what is ambiguous in it (R8). */
#include "lua-bindings/message_view.h"

#include "lua-bindings/convert.h"

#include <lauxlib.h>

static void l_set_text(lua_State *L, const char *field, const char *text)
{
	lua_pushstring(L, text);
	lua_setfield(L, -2, field);
}

static void l_set_number(lua_State *L, const char *field, uint64_t n)
{
	lua_pushinteger(L, (lua_Integer)n);
	lua_setfield(L, -2, field);
}

static void l_set_flags(lua_State *L, unsigned flags)
{
	lua_Integer n = 0;

	lua_newtable(L);
	for (int bit = 0; bit < MIME_FLAGS; bit++) {
		if ((flags & 1u << bit) == 0)
			continue;
		lua_pushstring(L, mime_flag_name((enum mime_flag)(1u << bit)));
		lua_rawseti(L, -2, ++n);
	}
	lua_setfield(L, -2, "Flags");
}

/* Fill the table on top. */
static void l_section_fields(lua_State *L, const struct mime_section *s)
{
	l_set_text(L, "Path", s->path);
	l_set_text(L, "ContentType", s->type);
	l_set_text(L, "ContentSubtype", s->subtype);
	l_set_text(L, "ContentTypeFilename", s->type_filename);
	l_set_text(L, "ContentDisposition", s->disposition);
	l_set_text(L, "ContentDispositionFilename", s->disposition_filename);
	l_set_text(L, "ContentTransferEncoding", s->encoding);
	l_set_text(L, "Charset", s->charset);
	l_set_number(L, "Start", s->start);
	l_set_number(L, "BodyStart", s->body);
	l_set_number(L, "End", s->end);
	l_set_flags(L, s->flags);
}

void l_push_mime(lua_State *L, const struct mime *mime)
{
	size_t n = mime != NULL ? mime_section_count(mime) : 0;

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		lua_createtable(L, 0, 12);
		l_section_fields(L, mime_section(mime, i));
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	if (n == 1)
		l_section_fields(L, mime_section(mime, 0));
	l_iterable(L, -1);
}

void l_push_attachments(lua_State *L, const struct mime *mime)
{
	size_t n = mime != NULL ? mime_attachment_count(mime) : 0;

	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		const struct mime_attachment *a = mime_attachment(mime, i);

		lua_createtable(L, 0, 6);
		l_set_number(L, "MIMESection", a->section);
		l_set_text(L, "Name", a->name);
		l_set_text(L, "MIMEType", a->type);
		l_set_number(L, "Size", a->size);
		l_set_text(L, "Type", mime_kind_name(a->kind));
		l_set_flags(L, a->flags);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
}
