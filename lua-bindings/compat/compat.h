/* compat.h - scripts written for Lua 5.0, 5.1 and 5.2: what is old in a source text, and the same
 * program as Lua 5.4.
 *
 * compat_rewrite() is pure: text in, text out, no Lua state, no log, no clock. A rewritten text has
 * the lines of the original, so messages name the lines that the author sees. What a source text
 * does not show is left to the functions that scripts call (lib/). The setting lua.compat says how
 * far this goes; doc/old-scripts.md is the table of compat_idiom_info(), for authors.
 *
 * Public: for lua-bindings/ and cli/. Thread-safe, holds no state. */
#pragma once

#include "common/config.h"

#include <stdbool.h>
#include <stddef.h>

enum compat_idiom {
	COMPAT_ARG,
	COMPAT_FOR_TABLE,
	COMPAT_ESCAPE,
	COMPAT_LONG_STRING,
	COMPAT_GOTO,
	COMPAT_CTRL_Z,
	COMPAT_NUMBER_TEXT,
	COMPAT_GSUB_PERCENT,
	COMPAT_FORMAT_FRACTION,
	COMPAT_FRACTION,
	COMPAT_TABLE_POSITION,
	COMPAT_ARGUMENT,
	COMPAT_DATE,
	COMPAT_OLD_FUNCTION,
	COMPAT_REFUSED_FUNCTION,
	COMPAT_IDIOMS
};

/* What is done about one occurrence. */
enum compat_done {
	COMPAT_REWRITTEN, /* the text is changed at load */
	COMPAT_SUPPLIED,  /* the function exists, or does not mind */
	COMPAT_REFUSED,	  /* it fails; the error message says what to write instead */
	COMPAT_LEFT,	  /* nothing: it works, but perhaps in another way; not worth a log line */
};

struct compat_idiom_info {
	const char *name;   /* for machines: "unknown-escape" */
	const char *idiom;  /* what a script writes, Markdown */
	const char *since;  /* from which Lua on it does not work: "5.2" */
	const char *stock;  /* what Lua 5.4 does about it, Markdown */
	const char *remedy; /* what happens here, Markdown */
	const char *brief;  /* the same for one line of a log */
	unsigned modes;	    /* bits 1u << enum compat_mode in which that is so */
};

/* One occurrence in one text. */
struct compat_notice {
	int line;
	enum compat_idiom idiom;
	enum compat_done done;
	char detail[40]; /* the words of the script, printable: "\V", "table.getn"; may be "" */
};

struct compat_notices { /* in the order of their lines */
	struct compat_notice *v;
	size_t n, cap;
};

const struct compat_idiom_info *compat_idiom_info(enum compat_idiom);
const char *compat_done_name(enum compat_done);	     /* "rewritten", "supplied" ... */
const char *compat_mode_name(enum compat_mode mode); /* as in the configuration */
/* smtpsvr.lua:12: unknown-escape \V: the backslash is dropped, as in Lua 5.0 */
void compat_notice_text(const struct compat_notice *, const char *file, char *out, size_t size);

/* What becomes of a text. */
struct compat_source {
	char *text; /* malloc'ed; NULL: the original, byte for byte */
	size_t size;
	bool wrapped; /* text is a chunk that gives the script when called with the helpers */
	bool old;     /* numbers are written as before Lua 5.3 */
	struct compat_notices notices;
};

/* Behind a byte order mark and a first line that begins with #, whose line end stays. */
const char *compat_text_start(const char *text, size_t *n);

/* The n bytes of text, which has no byte order mark and no #! line any more, as Lua 5.4. mode is
 * the setting; inherited: the text comes out of a script that was found to be old. A text that no
 * version of Lua would load comes out so that liblua finds its fault. False: out of memory, nothing
 * to free. */
bool compat_rewrite(
    const char *text, size_t n, enum compat_mode mode, bool inherited, struct compat_source *);
void compat_source_free(struct compat_source *);

/* Does this text, as it stands in its file and for Lua 5.4, use the tables of the names in library
 * only to read and call what is in them, and define the globals of the names in base never as
 * anything but a function? Both give a name for 0, 1 ... and then NULL. True is certain. */
bool compat_leaves_libraries(
    const char *text, size_t n, const char *(*library)(size_t i), const char *(*base)(size_t i));
