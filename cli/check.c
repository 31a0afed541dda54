/* check.c - `mailhooks check`: would a daemon start with this, and what is doubtful in the scripts?
 *
 * Text for people, JSON for editors and CI. Exit status: 0 nothing but notes, 1 warnings, 78
 * errors.
 */
#include "cli/cli.h"

#include "common/log.h"
#include "lua-bindings/check/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ESCAPED 6 /* bytes that one byte may become */

static const char *path_of(const struct config *cfg)
{
	return *cfg->path != '\0' ? cfg->path : "(built-in defaults)";
}

/* Is there nothing wrong with the configuration itself? */
static bool is_good(const struct check_report *r)
{
	for (size_t i = 0; i < r->nfindings; i++)
		if (r->findings[i].kind == CHECK_CONFIGURATION)
			return false;
	return true;
}

static int status(const struct check_report *r)
{
	if (r->count[CHECK_ERROR] > 0)
		return EX_CONFIG;
	return r->count[CHECK_WARNING] > 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

/* ---- text ---- */

/* Foreign text is escaped, as in the log; but a backslash stays one, for people. */
static void put(const char *s)
{
	size_t size = ESCAPED * strlen(s) + 1;
	char *out = malloc(size);

	if (out == NULL)
		return;
	log_escape(out, size, s, strlen(s));
	for (const char *p = out; *p != '\0'; p++) {
		putchar(*p);
		if (p[0] == '\\' && p[1] == '\\')
			p++;
	}
	free(out);
}

static void put_finding(const struct check_finding *f)
{
	const struct check_kind_info *kind = check_kind_info(f->kind);

	put(f->file);
	if (f->line > 0)
		printf(":%d", f->line);
	printf("%s%s: ", *f->file != '\0' ? ": " : "", check_severity_name(kind->severity));
	put(f->what);
	printf(" [%s]\n    ", kind->name);
	put(f->way_out);
	putchar('\n');
}

static void as_text(const struct check_report *r)
{
	for (size_t i = 0; i < r->nscripts; i++) {
		printf("%s: hooks", r->scripts[i].path);
		for (size_t k = 0; k < r->scripts[i].hooks.n; k++)
			printf(" %s", r->scripts[i].hooks.v[k]);
		putchar('\n');
	}
	for (size_t i = 0; i < r->nfindings; i++)
		put_finding(&r->findings[i]);
	for (int severity = CHECK_ERROR; severity >= CHECK_NOTE; severity--)
		printf("%zu %s%s%s", r->count[severity],
		    check_severity_name((enum check_severity)severity),
		    r->count[severity] == 1 ? "" : "s", severity > CHECK_NOTE ? ", " : "\n");
}

/* ---- JSON. Written by hand: no library that is linked writes it; the log escapes its texts. ----
 */

static void json_text(const char *s)
{
	size_t size = ESCAPED * strlen(s) + 1;
	char *out = malloc(size);

	if (out != NULL)
		log_escape_json(out, size, s, strlen(s));
	printf("\"%s\"", out != NULL ? out : "");
	free(out);
}

static void json_member(const char *before, const char *name, const char *value)
{
	printf("%s\"%s\": ", before, name);
	json_text(value);
}

static void json_script(const struct check_script *s)
{
	json_member("    {", "file", s->path);
	printf(", \"hooks\": [");
	for (size_t k = 0; k < s->hooks.n; k++) {
		fputs(k > 0 ? ", " : "", stdout);
		json_text(s->hooks.v[k]);
	}
	printf("]}");
}

static void json_finding(const struct check_finding *f)
{
	const struct check_kind_info *kind = check_kind_info(f->kind);

	json_member("    {", "severity", check_severity_name(kind->severity));
	json_member(", ", "kind", kind->name);
	json_member(", ", "file", f->file);
	printf(", \"line\": %d", f->line);
	json_member(", ", "what", f->what);
	json_member(", ", "way_out", f->way_out);
	putchar('}');
}

static void as_json(const struct check_report *r)
{
	printf("{\n  \"errors\": %zu, \"warnings\": %zu, \"notes\": %zu,\n  \"scripts\": [",
	    r->count[CHECK_ERROR], r->count[CHECK_WARNING], r->count[CHECK_NOTE]);
	for (size_t i = 0; i < r->nscripts; i++) {
		fputs(i > 0 ? ",\n" : "\n", stdout);
		json_script(&r->scripts[i]);
	}
	printf("],\n  \"findings\": [");
	for (size_t i = 0; i < r->nfindings; i++) {
		fputs(i > 0 ? ",\n" : "\n", stdout);
		json_finding(&r->findings[i]);
	}
	puts("]\n}");
}

/* ---- the command ---- */

struct options {
	bool json, errors;
};

static bool parse(int argc, char **argv, struct options *o)
{
	*o = (struct options){false, false};
	for (int i = 0; i < argc; i++)
		if (strcmp(argv[i], "--json") == 0) {
			o->json = true;
		} else if (strcmp(argv[i], "--errors") == 0) {
			o->errors = true;
		} else {
			fputs("usage: mailhooks check [--errors] [--json]\n", stderr);
			return false;
		}
	return true;
}

int cmd_check(struct config *cfg, int argc, char **argv)
{
	struct check_report report;
	struct options o;
	int end;

	if (!parse(argc, argv, &o))
		return EXIT_USAGE;
	check_scripts(cfg, o.errors, &report);
	if (o.json) {
		as_json(&report);
	} else {
		if (is_good(&report))
			printf("configuration %s: good\n", path_of(cfg));
		as_text(&report);
	}
	end = status(&report);
	check_report_clear(&report);
	return end;
}

int cmd_check_bad_config(const char *error, int argc, char **argv)
{
	struct check_report report;
	struct options o;

	if (!parse(argc, argv, &o))
		return EXIT_USAGE;
	if (!o.json) {
		fprintf(stderr, "mailhooks: %s\n", error);
		return EX_CONFIG;
	}
	check_configuration(&report, error);
	as_json(&report);
	check_report_clear(&report);
	return EX_CONFIG;
}
