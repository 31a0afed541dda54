/* signing_watch.h - what is to know of a text before something is put into it. Private to
 * common/signing*.
 *
 * Takes the decoded bytes of a part in an ASCII-compatible charset. Fixed memory, linear time. */
#pragma once

#include "common/signing/signing_decode.h"

#include <stdbool.h>
#include <stdint.h>

#define SIGNING_HTML_NAME 12 /* bytes of a tag's name that are looked at */

struct signing_html {
	enum {
		HTML_TEXT,
		HTML_LESS,     /* "<" */
		HTML_NAME,     /* of a tag, until it ends */
		HTML_TAG,      /* attributes */
		HTML_VALUE,    /* after "=" */
		HTML_QUOTE,    /* within a quoted value */
		HTML_BANG,     /* "<!" */
		HTML_COMMENT,  /* "<!--" */
		HTML_BOGUS,    /* other markup, to the next ">" */
		HTML_RAW,      /* text of script, style ..., to the end tag of that name */
		HTML_RAW_LESS, /* "<" in it */
		HTML_RAW_NAME  /* "</" in it */
	} state;
	bool closing; /* the tag began with "</" */
	char quote;
	unsigned dashes;
	char name[SIGNING_HTML_NAME], raw[SIGNING_HTML_NAME];
	unsigned n;
};

struct signing_spot {
	bool found;
	bool line_start;
	struct signing_place place;
};

struct signing_watch {
	/* set by the caller */
	bool is_html;
	bool iso2022; /* escapes switch to and from charsets of two bytes */

	/* results */
	bool nul;			/* a NUL in it */
	bool pgp;			/* a line begins a message encrypted or signed with PGP */
	bool shifted;			/* ends outside of ASCII */
	bool bare_lf;			/* the last line end is LF alone */
	bool empty_line;		/* ends in a line end, or is empty */
	bool blank_end;			/* the last line ends in a blank and is no "-- " */
	uint64_t size;			/* bytes seen */
	struct signing_spot body, html; /* of the last </body>, </html> */

	/* private */
	char line[40]; /* the beginning of the current line */
	uint64_t line_n;
	unsigned char last;
	char escape[4];
	unsigned escape_n; /* bytes of an escape sequence so far, with the ESC */
	struct signing_html state;
	struct signing_spot less; /* of the "<" last seen */
};

void signing_watch_start(struct signing_watch *, bool is_html, bool iso2022);
/* A struct signing_taker's byte(); arg is the struct signing_watch. */
void signing_watch_byte(void *arg, unsigned char c, const struct signing_place *);
/* HTML: the text ended where a tag may be put. */
bool signing_watch_html_open(const struct signing_watch *);
