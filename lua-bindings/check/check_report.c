/* check_report.c - the kinds of findings, and the list of them. */
#include "lua-bindings/check/check_private.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct check_kind_info kinds[CHECK_KINDS] = {
    [CHECK_CONFIGURATION] = {"configuration", CHECK_ERROR},
    [CHECK_KEY_FILE] = {"key-file", CHECK_WARNING},
    [CHECK_SYNTAX] = {"syntax", CHECK_ERROR},
    [CHECK_TOP_LEVEL] = {"top-level", CHECK_ERROR},
    [CHECK_USER_SCRIPT] = {"user-script", CHECK_WARNING},
    [CHECK_SIBLING] = {"sibling-syntax", CHECK_WARNING},
    [CHECK_SECTION] = {"section", CHECK_WARNING},
    [CHECK_FILE_NAME] = {"file-name", CHECK_WARNING},
    [CHECK_NO_HOOK] = {"no-hook", CHECK_NOTE},
    [CHECK_HOOK_NAME] = {"hook-name", CHECK_WARNING},
    [CHECK_OTHER_HOOK] = {"other-hook", CHECK_WARNING},
    [CHECK_HOOK_VALUE] = {"hook-value", CHECK_WARNING},
    [CHECK_PARAMETERS] = {"parameters", CHECK_WARNING},
    [CHECK_GLOBAL] = {"unknown-global", CHECK_WARNING},
    [CHECK_FIELD] = {"unknown-function", CHECK_WARNING},
    [CHECK_REFUSED] = {"refused-function", CHECK_WARNING},
    [CHECK_OLD_IDIOM] = {"old-idiom", CHECK_NOTE},
    [CHECK_CALL_FAILS] = {"call-fails", CHECK_WARNING},
    [CHECK_CALL_BUDGET] = {"call-budget", CHECK_WARNING},
    [CHECK_CALL_UNSURE] = {"call-unsure", CHECK_NOTE},
    [CHECK_RESULT] = {"result-type", CHECK_WARNING},
    [CHECK_VALUE] = {"wrong-value", CHECK_WARNING},
};

const struct check_kind_info *check_kind_info(enum check_kind kind)
{
	return &kinds[kind];
}

const char *check_severity_name(enum check_severity severity)
{
	static const char *const names[] = {
	    [CHECK_NOTE] = "note",
	    [CHECK_WARNING] = "warning",
	    [CHECK_ERROR] = "error",
	};

	return names[severity];
}

static bool is_there(const struct check_report *r, const struct check_finding *f)
{
	for (size_t i = 0; i < r->nfindings; i++)
		if (r->findings[i].kind == f->kind && r->findings[i].line == f->line &&
		    strcmp(r->findings[i].file, f->file) == 0 &&
		    strcmp(r->findings[i].what, f->what) == 0)
			return true;
	return false;
}

static void clear_finding(struct check_finding *f)
{
	free(f->file);
	free(f->what);
	free(f->way_out);
}

void check_add(struct check_report *r, enum check_kind kind, const char *file, int line, char *what,
    const char *way_out, ...)
{
	struct check_finding f = {kind, xstrdup(file), line, what, NULL};
	char way[500];
	va_list ap;

	va_start(ap, way_out);
	vsnprintf(way, sizeof way, way_out, ap);
	va_end(ap);
	f.way_out = xstrdup(way);
	if (is_there(r, &f) || (r->errors_only && kinds[kind].severity < CHECK_ERROR)) {
		clear_finding(&f);
		return;
	}
	r->findings = xgrow(r->findings, r->nfindings, sizeof f);
	r->findings[r->nfindings++] = f;
	r->count[kinds[kind].severity]++;
}

void check_add_error(struct checker *c, enum check_kind kind, const char *path, const char *error,
    const char *prefix, const char *way_out)
{
	size_t name = strcspn(error, ":");
	char *file = xstrndup(error, name), *end = NULL;
	long line = error[name] == ':' && isdigit((unsigned char)error[name + 1])
			? strtol(error + name + 1, &end, 10)
			: 0;

	if (end != NULL && *end == ':' && check_is_file(c, file)) {
		char *full = xasprintf("%s/%s", script_set_config(c->set)->scripts, file);

		check_add(c->report, kind, full, (int)line, xasprintf("%s%s", prefix, end + 2),
		    "%s", way_out);
		free(full);
	} else {
		check_add(
		    c->report, kind, path, 0, xasprintf("%s%s", prefix, error), "%s", way_out);
	}
	free(file);
}

void check_configuration(struct check_report *r, const char *error)
{
	*r = (struct check_report){0};
	check_add(r, CHECK_CONFIGURATION, "", 0, xstrdup(error), "mailhooks.conf(5) describes it");
}

static int by_place(const void *a, const void *b)
{
	const struct check_finding *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	if (order == 0)
		order = (x->line > y->line) - (x->line < y->line);
	return order != 0 ? order : (x->kind > y->kind) - (x->kind < y->kind);
}

void check_sort(struct check_report *r)
{
	if (r->nfindings > 1)
		qsort(r->findings, r->nfindings, sizeof *r->findings, by_place);
}

void check_report_clear(struct check_report *r)
{
	for (size_t i = 0; i < r->nfindings; i++)
		clear_finding(&r->findings[i]);
	for (size_t i = 0; i < r->nscripts; i++) {
		free(r->scripts[i].path);
		strlist_clear(&r->scripts[i].hooks);
	}
	free(r->findings);
	free(r->scripts);
	*r = (struct check_report){0};
}
