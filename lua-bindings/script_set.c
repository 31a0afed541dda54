/* script_set.c - see script_set.h. Loading: read all files, compile the known scripts, run each
 * once in a throw-away state (dry run), note which hooks exist, work out what the MTA must be asked
 * for. Somewhat long, because the accessors of the one struct stand with its loading. */
#include "lua-bindings/script_set.h"

#include "common/list.h"
#include "common/log.h"
#include "common/users.h"
#include "lua-bindings/guard.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_files.h"
#include "lua-bindings/script_set_private.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum script_use { SCRIPTS_RUN, SCRIPTS_LOOK, SCRIPTS_STAY }; /* see load_to_look() and open() */

struct script_set {
	atomic_int refs;
	struct config *config;
	char *directory;
	unsigned generation;
	struct script_files files;
	struct users *users;
	struct script *scripts; /* of enum script_id, then smtprules_N.lua, then those of users */
	int nscripts;
	enum script_use use;
	struct smtpsvr_needs needs;
	bool leaves_libraries;
	struct runtime_pool *pool;
	pthread_mutex_t lock;	/* of notices */
	struct strlist notices; /* keys that script_set_first() has seen */
};

static const struct script_definition *const definitions[SCRIPT_COUNT] = {
    [SCRIPT_SMTPSVR] = &smtpsvr_definition,
    [SCRIPT_MXSERVERRULES] = &mxserverrules_definition,
    [SCRIPT_MXOUT] = &mxout_definition,
    [SCRIPT_RELAYOUT] = &relayout_definition,
    [SCRIPT_USER_REDIRECT] = &user_redirect_definition,
    [SCRIPT_DELIVERY] = &delivery_definition,
    [SCRIPT_SIGNATURE] = &signature_definition,
    [SCRIPT_ERRORS] = &errors_definition,
    [SCRIPT_PASSWORDCHECK] = &passwordcheck_definition,
    [SCRIPT_SMTPRULES] = &smtprules_definition,
};

static pthread_mutex_t current_lock = PTHREAD_MUTEX_INITIALIZER;
static struct script_set *current;
static atomic_uint generations;

static size_t count_hooks(const struct script_definition *d)
{
	size_t n = 0;

	while (d->hooks[n].name != NULL)
		n++;
	return n;
}

/* Of the function on top, which stays there. */
static int l_arguments(lua_State *L)
{
	lua_Debug ar;

	lua_pushvalue(L, -1);
	lua_getinfo(L, ">u", &ar);
	return ar.isvararg ? INT_MAX : ar.nparams;
}

static void l_note_hooks(lua_State *L, void *arg)
{
	struct script *s = arg;
	const struct script_definition *d = s->definition;

	l_push_env(L);
	for (size_t i = 0; d->hooks[i].name != NULL; i++) {
		lua_pushstring(L, d->hooks[i].name);
		lua_rawget(L, -2);
		s->hooks[i] = lua_isfunction(L, -1);
		s->arguments[i] = s->hooks[i] ? l_arguments(L) : 0;
		lua_pop(L, 1);
	}
}

struct sample {
	const struct script_definition *definition;
	struct config *config;
};

static void l_sample(lua_State *L, void *arg)
{
	const struct sample *s = arg;

	l_script_sample(L, s->definition, s->config);
}

static bool dry_run(struct script_set *set, enum script_id id, char *error, size_t size)
{
	struct script *s = &set->scripts[id];
	struct sample sample = {s->definition, set->config};
	struct runtime *rt = runtime_new(set, s->budget.memory_bytes);
	struct run_budget budget = runtime_budget(set, id, INT64_MAX);
	bool fine = rt != NULL && runtime_begin(rt, NULL) &&
		    (set->use != SCRIPTS_LOOK || runtime_only_looks(rt));

	snprintf(error, size, "out of memory");
	if (fine)
		fine = runtime_inside(rt, l_sample, &sample) == RUN_OK;
	if (fine)
		fine = runtime_script(rt, id, &budget, error, size) == RUN_OK;
	if (fine)
		fine = runtime_inside(rt, l_note_hooks, s) == RUN_OK;
	if (fine) {
		script_settings_note(rt, s, &budget);
		runtime_end(rt);
	}
	runtime_free(rt);
	return fine;
}

static bool is_blank(const struct script_file *f)
{
	return strspn(f->text, " \t\r\n\v\f") == f->size;
}

/* why, with the path of the file it is about: it begins with the name of that file ("lists.lua:3:
 * ..."), or is about the script as a whole. */
static void explain(
    const struct script_set *set, const struct script *s, const char *why, char *error, size_t size)
{
	char name[256];
	int n = snprintf(name, sizeof name, "%.*s", (int)strcspn(why, ":"), why);
	bool named = n < (int)sizeof name && script_files_find(&set->files, name) != NULL;

	if (named)
		snprintf(error, size, "%s/%s", set->directory, why);
	else
		snprintf(error, size, "%s: %s", s->path, why);
}

static const struct script_definition *definition_of(enum script_id kind)
{
	return kind < SCRIPT_COUNT ? definitions[kind] : &smtprules_definition;
}

/* Sections are called as the script's file, without ".lua"; a user's own script falls back on the
 * name behind the directory. */
static const struct script_config *section_of(const struct config *c, const char *file)
{
	const char *slash = strchr(file, '/');

	for (size_t i = 0; i < c->nscripts; i++) {
		const char *section = c->script_sections[i].name;
		size_t n = strlen(section);

		if (strncasecmp(section, file, n) == 0 && strcasecmp(file + n, ".lua") == 0)
			return &c->script_sections[i];
	}
	return slash != NULL ? section_of(c, slash + 1) : NULL;
}

static void set_budget(struct script_budget *b, const struct config *c, const char *file)
{
	const struct script_config *s = section_of(c, file);

	*b = (struct script_budget){c->lua.hook_ms, c->lua.instructions, c->lua.memory_bytes};
	if (s != NULL && s->hook_ms > 0)
		b->hook_ms = s->hook_ms;
	if (s != NULL && s->instructions > 0)
		b->instructions = s->instructions;
	if (s != NULL && s->memory_bytes > 0)
		b->memory_bytes = s->memory_bytes;
}

bool script_set_compile(struct script_set *set, enum script_id id, char *error, size_t size)
{
	struct script *s = &set->scripts[id];
	struct runtime *rt = runtime_new(set, set->config->lua.memory_bytes);
	bool fine;

	snprintf(error, size, "out of memory");
	fine = rt != NULL && runtime_compile(rt, script_files_find(&set->files, s->label), s->name,
				 &s->bytecode, &s->size, &s->wrapped, error, size);
	runtime_free(rt);
	return fine;
}

static bool load_script(struct script_set *set, enum script_id id,
    const struct script_definition *d, const char *file, char *error, size_t size)
{
	const struct script_file *f = script_files_find(&set->files, file);
	struct script *s = &set->scripts[id];
	char why[1024];

	s->definition = d;
	set_budget(&s->budget, set->config, file);
	s->label = xstrdup(f != NULL ? f->name : file);
	s->hooks = xcalloc(count_hooks(d) + 1, sizeof(bool));
	s->arguments = xcalloc(count_hooks(d) + 1, sizeof(int));
	if (f == NULL || is_blank(f)) /* VPOP3: emptying a script is how one removes it */
		return true;
	s->path = xasprintf("%s/%s", set->directory, f->name);
	s->name = xasprintf("@%s", f->name);
	if (set->use == SCRIPTS_STAY ||
	    (script_set_compile(set, id, why, sizeof why) && dry_run(set, id, why, sizeof why)))
		return true;
	explain(set, s, why, error, size);
	return false;
}

/* N of smtprules_N.lua; 0: it is another file. */
static int smtprules_number(const char *name)
{
	static const char head[] = "smtprules_";
	const char *digits = name + sizeof head - 1;
	size_t n;

	if (strncasecmp(name, head, sizeof head - 1) != 0)
		return 0;
	n = strspn(digits, "0123456789");
	return n > 0 && n <= 5 && *digits != '0' && strcasecmp(digits + n, ".lua") == 0
		   ? (int)strtol(digits, NULL, 10)
		   : 0;
}

static bool has_number(const struct script_set *set, int number)
{
	for (int i = 0; i < set->nscripts; i++)
		if (set->scripts[i].service == number)
			return true;
	return false;
}

/* ---- the users' own scripts ---- */

/* A mistake in one must not take the others down, nor keep the administrator from reloading. */
static void leave_out(struct script *s, const char *why)
{
	log_error(
	    NULL, "%s; this script of user %s is left out, as if there were none", why, s->user);
	s->broken = xstrdup(why);
	free(s->bytecode);
	s->bytecode = NULL;
	script_settings_free(s);
}

static void load_user_scripts(struct script_set *set)
{
	for (size_t i = 0; i < set->files.n; i++) {
		const char *name = set->files.v[i].name;
		char *user, why[1024];
		enum script_id kind = script_users_kind(name, &user);
		struct script *s = &set->scripts[set->nscripts];

		if (kind == SCRIPT_COUNT)
			continue;
		s->user = user;
		if (!load_script(set, (enum script_id)set->nscripts, definitions[kind], name, why,
			sizeof why))
			leave_out(s, why);
		set->nscripts++;
	}
}

struct users *script_set_users(const struct script_set *set)
{
	return set->users;
}

/* ---- loading ---- */

static bool load_scripts(struct script_set *set, char *error, size_t size)
{
	bool fine = true;

	set->scripts = xcalloc(SCRIPT_COUNT + set->files.n, sizeof *set->scripts);
	set->nscripts = SCRIPT_COUNT;
	set->scripts[SCRIPT_SMTPRULES].service = 1;
	for (int i = 0; fine && i < SCRIPT_COUNT; i++)
		fine = load_script(
		    set, (enum script_id)i, definitions[i], definitions[i]->file, error, size);
	for (size_t i = 0; fine && i < set->files.n; i++) {
		int number = smtprules_number(set->files.v[i].name);

		if (number == 0 || has_number(set, number))
			continue;
		set->scripts[set->nscripts].service = number;
		fine = load_script(set, (enum script_id)set->nscripts++, &smtprules_definition,
		    set->files.v[i].name, error, size);
	}
	if (fine)
		load_user_scripts(set);
	return fine;
}

static void set_free(struct script_set *set)
{
	runtime_pool_free(set->pool);
	for (int i = 0; i < set->nscripts; i++) {
		free(set->scripts[i].path);
		free(set->scripts[i].label);
		free(set->scripts[i].name);
		free(set->scripts[i].bytecode);
		free(set->scripts[i].hooks);
		free(set->scripts[i].arguments);
		free(set->scripts[i].user);
		free(set->scripts[i].broken);
		script_settings_free(&set->scripts[i]);
	}
	free(set->scripts);
	script_files_free(&set->files);
	users_free(set->users);
	strlist_clear(&set->notices);
	pthread_mutex_destroy(&set->lock);
	free(set->directory);
	config_unref(set->config);
	free(set);
}

/* A file that was rewritten gets helpers whose own names are not looked at. */
static bool leave_libraries(const struct script_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		if (files->v[i].compat.text != NULL ||
		    !compat_leaves_libraries(
			files->v[i].text, files->v[i].size, sandbox_library, sandbox_base))
			return false;
	return true;
}

static struct script_set *load_from(
    struct config *cfg, const char *directory, enum script_use use, char *error, size_t size)
{
	struct script_set *set = xcalloc(1, sizeof *set);
	bool fine;

	set->use = use;
	atomic_init(&set->refs, 1);
	pthread_mutex_init(&set->lock, NULL);
	set->config = config_ref(cfg);
	set->directory = xstrdup(directory);
	set->pool = runtime_pool_new(cfg->lua.idle_instances);
	fine = script_files_read(&set->files, directory, error, size) &&
	       script_files_rewrite(&set->files, cfg->lua.compat, error, size);
	if (fine)
		set->users = users_load(cfg, error, size);
	fine = fine && set->users != NULL && load_scripts(set, error, size);
	if (!fine) {
		set_free(set);
		return NULL;
	}
	set->generation = atomic_fetch_add(&generations, 1) + 1;
	set->leaves_libraries = leave_libraries(&set->files);
	needs_from_set(set, &set->needs);
	return set;
}

struct script_set *script_set_load(struct config *cfg, char *error, size_t size)
{
	return load_from(cfg, cfg->scripts, SCRIPTS_RUN, error, size);
}

struct script_set *script_set_load_to_look(struct config *cfg, char *error, size_t size)
{
	return load_from(cfg, cfg->scripts, SCRIPTS_LOOK, error, size);
}

bool script_set_only_looks(const struct script_set *set)
{
	return set->use == SCRIPTS_LOOK;
}

struct script_set *script_set_open(struct config *cfg, char *error, size_t size)
{
	return load_from(cfg, cfg->scripts, SCRIPTS_STAY, error, size);
}

struct script_set *script_set_ref(struct script_set *set)
{
	atomic_fetch_add(&set->refs, 1);
	return set;
}

void script_set_unref(struct script_set *set)
{
	if (set != NULL && atomic_fetch_sub(&set->refs, 1) == 1)
		set_free(set);
}

struct config *script_set_config(const struct script_set *set)
{
	return set->config;
}

unsigned script_set_generation(const struct script_set *set)
{
	return set->generation;
}

bool script_set_has(const struct script_set *set, enum script_id id)
{
	return set->scripts[id].bytecode != NULL;
}

const char *script_set_path(const struct script_set *set, enum script_id id)
{
	return set->scripts[id].path;
}

const struct script *script_set_script(const struct script_set *set, enum script_id id)
{
	return &set->scripts[id];
}

bool script_set_leaves_libraries(const struct script_set *set)
{
	return set != NULL && set->leaves_libraries;
}

const struct script_files *script_set_files(const struct script_set *set)
{
	return &set->files;
}

const struct script_definition *script_set_definition(enum script_id id)
{
	return definitions[id];
}

const struct smtpsvr_needs *script_set_needs(const struct script_set *set)
{
	return &set->needs;
}

struct runtime_pool *script_set_pool(const struct script_set *set)
{
	return set->pool;
}

const struct script_budget *script_set_budget(const struct script_set *set, enum script_id id)
{
	return &set->scripts[id].budget;
}

int script_set_count(const struct script_set *set)
{
	return set->nscripts;
}

enum script_id script_set_kind(const struct script_set *set, enum script_id id)
{
	for (int i = 0; i < SCRIPT_COUNT; i++)
		if (set->scripts[id].definition == definitions[i])
			return (enum script_id)i;
	return SCRIPT_COUNT;
}

bool script_set_smtprules(const struct script_set *set, int service, enum script_id *id)
{
	for (int i = SCRIPT_SMTPRULES; i < set->nscripts; i++)
		if (set->scripts[i].service == service && set->scripts[i].bytecode != NULL) {
			*id = (enum script_id)i;
			return true;
		}
	return false;
}

bool script_set_has_hook(const struct script_set *set, enum script_id id, const char *hook)
{
	const struct script_definition *d = set->scripts[id].definition;

	for (size_t i = 0; d->hooks[i].name != NULL; i++)
		if (strcmp(d->hooks[i].name, hook) == 0)
			return set->scripts[id].hooks[i];
	return false;
}

int script_set_hook_arguments(const struct script_set *set, enum script_id id, const char *hook)
{
	const struct script_definition *d = set->scripts[id].definition;

	for (size_t i = 0; d->hooks[i].name != NULL; i++)
		if (strcmp(d->hooks[i].name, hook) == 0)
			return set->scripts[id].arguments[i];
	return 0;
}

const char *script_set_hook(enum script_id id, size_t i)
{
	return definition_of(id)->hooks[i].name;
}

const char *script_set_file_name(enum script_id id)
{
	return definition_of(id)->file;
}

bool script_set_mentions(const struct script_set *set, const char *identifier)
{
	return script_files_mention(&set->files, identifier);
}

const struct script_file *script_set_file(const struct script_set *set, const char *name)
{
	return script_files_find(&set->files, name);
}

const struct compat_notice *script_set_notice(
    const struct script_set *set, size_t i, const char **file)
{
	return script_files_notice(&set->files, i, file);
}

struct script_set *script_set_current(void)
{
	struct script_set *set;

	pthread_mutex_lock(&current_lock);
	set = current != NULL ? script_set_ref(current) : NULL;
	pthread_mutex_unlock(&current_lock);
	return set;
}

void script_set_publish(struct script_set *set)
{
	struct script_set *before;

	if (set != NULL) {
		guard_limit_total(set->config->lua.total_bytes);
		script_files_tell(&set->files);
	}
	pthread_mutex_lock(&current_lock);
	before = current;
	current = set;
	pthread_mutex_unlock(&current_lock);
	script_set_unref(before);
}

static char *kept_directory(const struct config *cfg, const char *name)
{
	return xasprintf("%s/scripts.%s", cfg->state_dir, name);
}

bool script_set_keep(const struct script_set *set, const char *name, char *error, size_t size)
{
	char *directory = kept_directory(set->config, name);
	bool fine = script_files_write(&set->files, directory, error, size);

	free(directory);
	return fine;
}

struct script_set *script_set_load_kept(
    struct config *cfg, const char *name, char *error, size_t size)
{
	char *directory = kept_directory(cfg, name);
	struct script_set *set = load_from(cfg, directory, SCRIPTS_RUN, error, size);

	free(directory);
	return set;
}

bool script_set_first(struct script_set *set, const char *key)
{
	bool first;

	pthread_mutex_lock(&set->lock);
	first = !strlist_has(&set->notices, key);
	if (first)
		strlist_add(&set->notices, key);
	pthread_mutex_unlock(&set->lock);
	return first;
}
