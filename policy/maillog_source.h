/* maillog_source.h - where the lines come from: a file or the journal. One thread at a time. */
#pragma once

#include "common/config.h"
#include "common/maillog.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#define MAILLOG_KEY_BYTES 200	    /* "file:..." or "journal:..." */
#define MAILLOG_POSITION_BYTES 2000 /* a journal's cursor has some 180 */

struct maillog_source;

struct maillog_source_kind {
	const char *name; /* "file"; maillog.source is it, or it and ":..." */
	/* place: what follows the colon, or NULL. position may be NULL: from the beginning. */
	struct maillog_source *(*open)(
	    const struct config *, const char *place, const char *position);
	void (*close)(struct maillog_source *);
	/* The next line that says something about sending; valid until the next call. False:
	 * there is none now, or a while has been spent on others: *more tells which. */
	bool (*next)(struct maillog_source *, struct maillog_line *,
	    char key[static MAILLOG_KEY_BYTES], bool *more);
	void (*position)(struct maillog_source *, char *out, size_t size);
};

extern const struct maillog_source_kind maillog_source_file, maillog_source_journal;
