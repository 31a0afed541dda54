/* check.h - what is wrong, doubtful or old in the scripts of a configuration: `mailhooks check`.
 *
 * Each script is compiled and its top level run, as a daemon does when it loads it; all are looked
 * at, whatever is wrong with one. Then the compiled code is read for names that do not exist, and
 * each hook is called on trial with sample arguments; functions that reach out of the process
 * answer "unknown" in such a call (lib/dry.h). No Lua type appears here. One thread. */
#pragma once

#include "common/config.h"
#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>

enum check_severity {
	CHECK_NOTE,    /* works, worth knowing */
	CHECK_WARNING, /* does something else than its author means, probably */
	CHECK_ERROR,   /* a daemon would not take these scripts */
	CHECK_SEVERITIES
};

enum check_kind {
	CHECK_CONFIGURATION,
	CHECK_KEY_FILE,
	CHECK_SYNTAX,
	CHECK_TOP_LEVEL,
	CHECK_USER_SCRIPT,
	CHECK_SIBLING,
	CHECK_SECTION,
	CHECK_FILE_NAME,
	CHECK_NO_HOOK,
	CHECK_HOOK_NAME,
	CHECK_OTHER_HOOK,
	CHECK_HOOK_VALUE,
	CHECK_PARAMETERS,
	CHECK_GLOBAL,
	CHECK_FIELD,
	CHECK_REFUSED,
	CHECK_OLD_IDIOM,
	CHECK_CALL_FAILS,
	CHECK_CALL_BUDGET,
	CHECK_CALL_UNSURE,
	CHECK_RESULT,
	CHECK_VALUE,
	CHECK_KINDS
};

struct check_kind_info {
	const char *name; /* for machines, and in mailhooks(1) */
	enum check_severity severity;
};

struct check_finding {
	enum check_kind kind;
	char *file;    /* path */
	int line;      /* 0: the file as a whole */
	char *what;    /* what was found */
	char *way_out; /* what to do about it */
};

struct check_script { /* a script that is there */
	char *path;
	struct strlist hooks; /* that it defines */
};

struct check_report {
	bool errors_only;
	struct check_finding *findings; /* by file and line */
	size_t nfindings;
	struct check_script *scripts;
	size_t nscripts;
	size_t count[CHECK_SEVERITIES];
};

/* Fill the report, which is zeroed first; free it with check_report_clear(). errors_only: what a
 * daemon would refuse, nothing else, and no calls on trial. */
void check_scripts(struct config *, bool errors_only, struct check_report *);
/* One finding from outside, of a configuration that cannot be loaded. */
void check_configuration(struct check_report *, const char *error);
void check_report_clear(struct check_report *);

const struct check_kind_info *check_kind_info(enum check_kind);
const char *check_severity_name(enum check_severity);
