/* check.c - see check.h: every script of the set in turn. */
#include "lua-bindings/check/check.h"

#include "common/near.h"
#include "common/return_path.h"
#include "lua-bindings/check/check_private.h"
#include "lua-bindings/compat/compat.h"
#include "lua-bindings/lib/dry.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_files.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define NEAR 2 /* letters of a file name */

bool check_is_file(const struct checker *c, const char *name)
{
	return script_set_file(c->set, name) != NULL;
}

/* ---- what there is ---- */

/* The names that scripts find, and the documented variables of all of them. */
static void l_list_given(lua_State *L, void *arg)
{
	struct checker *c = arg;

	l_push_env(L);
	l_check_list_names(L, &c->given);
	for (int i = 0; i < SCRIPT_COUNT; i++)
		l_script_sample(
		    L, script_set_definition((enum script_id)i), script_set_config(c->set));
	l_check_list_names(L, &c->documented);
}

static void list_given(struct checker *c)
{
	struct runtime *rt = runtime_new(c->set, script_set_config(c->set)->lua.memory_bytes);

	if (rt != NULL && runtime_begin(rt, NULL)) {
		runtime_inside(rt, l_list_given, c);
		runtime_end(rt);
	}
	runtime_free(rt);
}

/* Code of all files, so that a variable that one assigns exists for the others. A sibling that is
 * no script is compiled nowhere else. */
static void read_code(struct checker *c)
{
	const struct script_files *files = script_set_files(c->set);
	struct runtime *rt = runtime_new(c->set, script_set_config(c->set)->lua.memory_bytes);
	char why[1000];

	for (size_t i = 0; rt != NULL && i < files->n; i++) {
		char *name = xasprintf("@%s", files->v[i].name);
		bool wrapped;
		void *code;
		size_t n;

		if (runtime_compile(rt, &files->v[i], name, &code, &n, &wrapped, why, sizeof why)) {
			code_scan(&c->files[i].uses, code, n);
			free(code);
		} else if (!c->files[i].is_script) {
			check_add_error(c, CHECK_SIBLING, files->v[i].name, why, "",
			    "a script that asks for this file will fail");
		}
		free(name);
	}
	runtime_free(rt);
}

/* ---- one script ---- */

struct look { /* at the environment that a script has left */
	struct checker *c;
	const struct script *script;
	struct strlist env, hooks;
};

static void l_prepare(lua_State *L, void *arg)
{
	struct look *look = arg;

	l_dry_wrap(L);
	l_script_sample(L, look->script->definition, script_set_config(look->c->set));
	l_check_keep_samples(L, &look->c->given);
}

static void l_look(lua_State *L, void *arg)
{
	struct look *look = arg;

	l_push_env(L);
	l_check_list_names(L, &look->env);
	l_check_hooks(L, look->c, look->script, &look->hooks);
}

static void note_script(struct checker *c, const struct script *s, const struct strlist *hooks)
{
	struct check_report *r = c->report;
	struct check_script *out;

	r->scripts = xgrow(r->scripts, r->nscripts, sizeof *r->scripts);
	out = &r->scripts[r->nscripts++];
	*out = (struct check_script){.path = xstrdup(s->path)};
	for (const struct script_hook *h = s->definition->hooks; h->name != NULL; h++)
		if (strlist_has(hooks, h->name))
			strlist_add(&out->hooks, h->name);
	if (hooks->n == 0)
		check_add(r, CHECK_NO_HOOK, s->path, 0,
		    xasprintf("no hook of %s is defined", s->definition->file),
		    "nothing is called after its top level; is that meant? A hook is %s",
		    s->definition->hooks[0].name);
}

static size_t file_of(const struct checker *c, const struct script *s)
{
	const struct script_files *files = script_set_files(c->set);
	size_t i = 0;

	while (i < files->n && strcmp(files->v[i].name, s->label) != 0)
		i++;
	return i;
}

static void run_script(struct checker *c, struct runtime *rt, enum script_id id)
{
	const struct script *s = script_set_script(c->set, id);
	struct look look = {.c = c, .script = s};
	struct run_budget budget = runtime_budget(c->set, id, INT64_MAX);
	char why[1000];

	if (runtime_inside(rt, l_prepare, &look) != RUN_OK)
		return;
	if (runtime_script(rt, id, &budget, why, sizeof why) != RUN_OK) {
		check_add_error(c, s->user != NULL ? CHECK_USER_SCRIPT : CHECK_TOP_LEVEL, s->path,
		    why, "",
		    s->user != NULL ? "until then it is left out, as if there were none"
				    : "the daemons go on with the scripts they have");
	} else if (runtime_inside(rt, l_look, &look) == RUN_OK) {
		note_script(c, s, &look.hooks);
		if (c->report->errors_only)
			goto out;
		check_names(c, file_of(c, s), &look.env);
		check_variables(c, rt, s);
		check_calls(c, rt, id, &look.hooks);
	}
out:
	strlist_clear(&look.env);
	strlist_clear(&look.hooks);
}

static void check_script(struct checker *c, enum script_id id)
{
	const struct script *s = script_set_script(c->set, id);
	struct runtime *rt;
	char why[1000];

	if (s->path == NULL)
		return;
	if (!script_set_compile(c->set, id, why, sizeof why)) {
		check_add_error(c, s->user != NULL ? CHECK_USER_SCRIPT : CHECK_SYNTAX, s->path, why,
		    "",
		    s->user != NULL ? "until then it is left out, as if there were none"
				    : "the daemons go on with the scripts they have");
		return;
	}
	rt = runtime_new(c->set, s->budget.memory_bytes);
	if (rt != NULL && runtime_begin(rt, NULL)) {
		run_script(c, rt, id);
		runtime_end(rt);
	}
	runtime_free(rt);
}

/* ---- everything else ---- */

static bool is_script_name(const struct checker *c, const char *name)
{
	for (int i = 0; i < script_set_count(c->set); i++)
		if (strcasecmp(script_set_script(c->set, (enum script_id)i)->label, name) == 0)
			return true;
	return false;
}

/* smtpserv.lua */
static void check_file_name(struct checker *c, const char *name)
{
	char *stem = xstrndup(name, strcspn(name, "."));

	for (int i = 0; i < SCRIPT_COUNT && !check_uses(c, stem); i++) {
		const char *file = script_set_definition((enum script_id)i)->file;

		if (strchr(name, '/') == NULL && near_distance(name, file) <= NEAR) {
			char *path = xasprintf("%s/%s", script_set_config(c->set)->scripts, name);

			check_add(c->report, CHECK_FILE_NAME, path, 0,
			    xasprintf("%s is the name of no script", name),
			    "did you mean %s? If it is there for require(), all is well", file);
			free(path);
			break;
		}
	}
	free(stem);
}

static void check_sections(struct checker *c)
{
	const struct config *cfg = script_set_config(c->set);

	for (size_t i = 0; i < cfg->nscripts; i++) {
		char *file = xasprintf("%s.lua", cfg->script_sections[i].name);

		if (!is_script_name(c, file))
			check_add(c->report, CHECK_SECTION, cfg->path, 0,
			    xasprintf("section script \"%s\" is about no script that there is",
				cfg->script_sections[i].name),
			    "its name is that of the script's file without .lua, as in smtpsvr");
		free(file);
	}
}

static void check_idioms(struct checker *c)
{
	const struct compat_notice *notice;
	const char *file;

	for (size_t i = 0; (notice = script_set_notice(c->set, i, &file)) != NULL; i++) {
		const struct compat_idiom_info *info = compat_idiom_info(notice->idiom);
		char *path = xasprintf("%s/%s", script_set_config(c->set)->scripts, file);
		bool refused = notice->done == COMPAT_REFUSED;

		check_add(c->report, refused ? CHECK_REFUSED : CHECK_OLD_IDIOM, path, notice->line,
		    xasprintf("old idiom %s%s%s (Lua %s changed it)", info->name,
			notice->detail[0] != '\0' ? " " : "", notice->detail, info->since),
		    notice->done == COMPAT_LEFT ? "left as it is; with lua.compat = \"5.2\" %s"
						: "%s",
		    info->brief);
		free(path);
	}
}

/* What no daemon minds. */
static void check_doubts(struct checker *c)
{
	const struct script_files *files = script_set_files(c->set);

	for (size_t i = 0; i < files->n; i++)
		if (!c->files[i].is_script) {
			check_names(c, i, NULL);
			check_file_name(c, files->v[i].name);
		}
	check_sections(c);
	check_idioms(c);
}

static void check_set(struct checker *c)
{
	const struct script_files *files = script_set_files(c->set);

	c->files = xcalloc(files->n + 1, sizeof *c->files);
	for (size_t i = 0; i < files->n; i++)
		c->files[i].is_script = is_script_name(c, files->v[i].name);
	list_given(c);
	if (!c->report->errors_only)
		read_code(c);
	for (int i = 0; i < script_set_count(c->set); i++)
		check_script(c, (enum script_id)i);
	if (!c->report->errors_only)
		check_doubts(c);
	for (size_t i = 0; i < files->n; i++)
		code_uses_clear(&c->files[i].uses);
	free(c->files);
	strlist_clear(&c->given);
	strlist_clear(&c->documented);
}

static void hear_nothing(const char *text, size_t n, void *arg)
{
	(void)text, (void)n, (void)arg;
}

static void hear_no_log(enum log_level level, const char *line, void *arg)
{
	(void)level, (void)line, (void)arg;
}

/* Mail goes on without them, so a daemon starts all the same. */
static void key_file(void *arg, const char *path, const char *why)
{
	check_add(arg, CHECK_KEY_FILE, path, 0, xstrdup(why),
	    "nothing is signed or verified until that is put right");
}

void check_scripts(struct config *config, bool errors_only, struct check_report *report)
{
	struct checker c = {.report = report};
	char error[1024];

	*report = (struct check_report){.errors_only = errors_only};
	/* what scripts print and what is logged about them is no business of whoever checks */
	luaout_capture(hear_nothing, NULL);
	luaout_capture_errors(hear_nothing, NULL);
	log_capture(hear_no_log, NULL);
	c.set = script_set_open(config, error, sizeof error);
	if (c.set != NULL)
		check_set(&c);
	else
		check_add(report, CHECK_CONFIGURATION, config->path, 0, xstrdup(error),
		    "no script can be looked at before that");
	script_set_unref(c.set);
	return_path_check(config, key_file, report);
	log_capture(NULL, NULL);
	luaout_capture(NULL, NULL);
	luaout_capture_errors(NULL, NULL);
	check_sort(report);
}
