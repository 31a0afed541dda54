/* mime_embedded.c - see mime_embedded.h. */
#include "common/mime/mime_embedded.h"

#include "common/mime/binhex.h"
#include "common/mime/mime_uue.h"

#include <string.h>

static bool write_bytes(void *arg, const void *bytes, size_t n)
{
	struct embedded *e = arg;

	if (n > e->room && e->file.binhex) {
		n = (size_t)e->room;
		e->file.flags |= MIME_NOT_UNPACKED;
	}
	if (e->file.binhex)
		e->room -= n;
	e->file.size += n;
	if (e->writing && n > 0 && !e->sink->write(e->sink->arg, bytes, n))
		e->stopped = true;
	return !e->stopped && !(e->file.flags & MIME_NOT_UNPACKED);
}

static void start_file(struct embedded *e, bool binhex, const struct mime_line *line)
{
	e->file = (struct embedded_file){.binhex = binhex, .from = line->offset};
	e->writing = e->wanted == line->offset;
	e->empty_line = false;
}

static void end_file(struct embedded *e)
{
	e->state = EMBEDDED_NONE;
	if (e->found != NULL)
		e->found(e->arg, &e->file);
	e->done = e->writing;
	e->writing = false;
}

static void end_uue(struct embedded *e, bool complete)
{
	if (!complete)
		e->file.flags |= MIME_FILE_DAMAGED;
	e->file.name = e->name;
	end_file(e);
}

/* Without a header there was no file, whatever the text announced. */
static void end_binhex(struct embedded *e)
{
	const struct binhex_info *info = binhex_info(e->binhex);

	e->state = EMBEDDED_NONE;
	if (info->header) {
		if (!info->complete || info->wrong_sum)
			e->file.flags |= MIME_FILE_DAMAGED;
		if (info->too_large)
			e->file.flags |= MIME_NOT_UNPACKED;
		e->file.name = (const char *)info->name;
		e->file.name_size = info->name_size;
		end_file(e);
	}
	binhex_free(e->binhex);
	e->binhex = NULL;
}

static bool announces_binhex(const struct mime_line *line)
{
	static const char words[] =
	    "(This file must be converted"; /* "with BinHex 4.0)" and others */

	return line->first && line->n >= sizeof words - 1 &&
	       memcmp(line->s, words, sizeof words - 1) == 0;
}

/* Outside of a file: does one begin here? */
static void look(struct embedded *e, const struct mime_line *line)
{
	const char *name;
	size_t n;

	if (!line->first)
		return;
	if (line->last && mime_uue_begin(line->s, line->n, &name, &n)) {
		start_file(e, false, line);
		e->file.name_size = n < sizeof e->name ? n : sizeof e->name;
		memcpy(e->name, name, e->file.name_size);
		e->state = EMBEDDED_UUE_BEGUN;
	} else if (announces_binhex(line)) {
		e->announced = true;
	} else if ((e->announced || e->bare_binhex) && line->n > 0 && line->s[0] == ':') {
		e->announced = false;
		if (e->room == 0) {
			e->flags |= MIME_NOT_UNPACKED;
			return;
		}
		start_file(e, true, line);
		e->binhex = binhex_new(write_bytes, e);
		e->state = EMBEDDED_BINHEX;
		if (binhex_feed(e->binhex, line->s, line->n) != BINHEX_MORE)
			end_binhex(e);
	}
}

static void take_uue(struct embedded *e, const struct mime_line *line)
{
	unsigned char bytes[MIME_UUE_LINE_BYTES];
	enum mime_uue_line is = UUE_WRONG;
	size_t n;

	if (line->first && line->last)
		is = mime_uue_line(line->s, line->n, bytes, &n);
	if (e->state == EMBEDDED_UUE_BEGUN) {
		/* "begin 100 miles from here" in a letter is followed by something else */
		if (is == UUE_WRONG || is == UUE_END || (is == UUE_EMPTY && line->n == 0)) {
			e->state = EMBEDDED_NONE;
			e->writing = false;
			look(e, line);
			return;
		}
		e->state = EMBEDDED_UUE;
	}
	if (is == UUE_END) {
		end_uue(e, true);
	} else if (e->empty_line || is == UUE_WRONG) {
		end_uue(e, e->empty_line); /* "end" is missing; the file was over all the same */
		if (!e->done)
			look(e, line);
	} else if (is == UUE_EMPTY) {
		e->empty_line = true;
	} else {
		if (is == UUE_SHORT)
			e->file.flags |= MIME_FILE_DAMAGED;
		(void)write_bytes(e, bytes, n);
	}
}

void embedded_line(struct embedded *e, const struct mime_line *line)
{
	if (e->done || e->stopped || e->full)
		return;
	if (e->state == EMBEDDED_NONE) {
		look(e, line);
	} else if (e->state != EMBEDDED_BINHEX) {
		take_uue(e, line);
	} else {
		enum binhex_state state = binhex_feed(e->binhex, line->s, line->n);

		if (state != BINHEX_MORE)
			end_binhex(e);
		if (state == BINHEX_WRONG && !e->done && !e->stopped)
			look(e, line); /* it is text again, or the next file */
	}
}

void embedded_end(struct embedded *e)
{
	if (e->state == EMBEDDED_BINHEX)
		end_binhex(e);
	else if (e->state == EMBEDDED_UUE)
		end_uue(e, e->empty_line);
	e->state = EMBEDDED_NONE;
}
