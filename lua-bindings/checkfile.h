/* checkfile.h - CheckFile() of mxout.lua: may this message be sent in this run, how, and when.
 *
 * Asked by the milter when a message comes in and by the queue agent later; a run is one instance
 * of the script, whose global variables live from the first message to the last. No Lua type
 * appears here. A run belongs to one thread. */
#pragma once

#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/mxout.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stdint.h>

#define CHECKFILE_PRIORITY 50 /* 1 .. 100, higher goes first */

struct checkfile_message {    /* borrowed */
	const char *filename; /* queue id */
	int64_t size, created_ms, retries;
	int64_t last_try_ms; /* 0 = never tried */
	const char *sender;  /* "" = null sender */
	const struct strlist *recipients;
	const struct strlist *header_lines; /* "Name: value", folds as they are in the message */
};

/* VPOP3's names. Zero it before use. */
struct checkfile_actions {
	bool SkipSend, ForceLastTry, ForceRetry;
	int64_t Priority;
	char *Reason; /* NULL or text of the script: escape it */
};

struct checkfile_run;

bool checkfile_wanted(const struct script_set *);
/* The instance is opened when the first message is asked for. The set is borrowed. */
struct checkfile_run *checkfile_open(struct script_set *);
void checkfile_close(struct checkfile_run *);
/* DECIDED: *out is what the hook wants. Otherwise *out holds what is to be done without one. The
 * id and the deadline are of this call. Free *out with checkfile_actions_clear(). */
enum mxout_answer checkfile_ask(struct checkfile_run *, const struct checkfile_message *,
    const struct log_id *, int64_t deadline_ms, struct checkfile_actions *out);
void checkfile_actions_clear(struct checkfile_actions *);
