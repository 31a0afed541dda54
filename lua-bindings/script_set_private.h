/* script_set_private.h - private to lua-bindings/: the inside of a script set. */
#pragma once

#include "lua-bindings/script_set.h"

#include <stddef.h>

struct lua_State;
struct script_definition;
struct smtpsvr_needs;

struct script {
	char *path;	/* of the file, NULL = no script */
	char *label;	/* file name for messages, never NULL */
	char *name;	/* chunk name, "@" + file name */
	void *bytecode; /* NULL = no script */
	size_t size;
	bool wrapped; /* see struct compat_source */
	int service;  /* of smtprules_N.lua: N */
	char *user;   /* whose own script it is, in lower case; NULL: the administrator's */
	char *broken; /* why a user's script was left out */
	struct script_setting *settings; /* script_settings.c */
	size_t nsettings;
	bool *hooks;	/* parallel to definition->hooks */
	int *arguments; /* the same: how many arguments the hook can see */
	struct script_budget budget;
	const struct script_definition *definition;
};

const struct script *script_set_script(const struct script_set *, enum script_id);
/* All files, whether scripts of ours or siblings. */
struct script_files;
const struct script_files *script_set_files(const struct script_set *);
const struct script_definition *script_set_definition(enum script_id); /* id below SCRIPT_COUNT */
/* Compile a script whose path is not NULL. False: error holds "name:line: what". */
bool script_set_compile(struct script_set *, enum script_id, char *error, size_t size);
bool script_set_leaves_libraries(const struct script_set *); /* compat_leaves_libraries() of all */
const struct smtpsvr_needs *script_set_needs(const struct script_set *);

/* One hook. Arguments and results are "name: type, name: type", "" for none; a type is string,
 * number, boolean, table, list (of text), reply (an SMTP reply) or any. A result may always be
 * missing. */
struct script_hook {
	const char *name;
	const char *arguments, *results;
	const char *sample; /* arguments for a call on trial, as Lua expressions */
};

/* One script that mailhooks knows: its file, its hooks, and what its top-level code finds. */
struct script_definition {
	const char *file;
	const struct script_hook *hooks; /* ends with name NULL; script_hooks.c */
	/* set the documented globals to sample values for the dry run; or Lua code that does so */
	void (*l_sample)(struct lua_State *L, void *config);
	const char *globals;
};

extern const struct script_hook smtpsvr_script_hooks[];
extern const struct script_hook smtprules_script_hooks[];
extern const struct script_hook mxserverrules_script_hooks[];
extern const struct script_hook mxout_script_hooks[];
extern const struct script_hook relayout_script_hooks[];
extern const struct script_hook user_redirect_script_hooks[];
extern const struct script_hook delivery_script_hooks[];
extern const struct script_hook signature_script_hooks[];
extern const struct script_hook errors_script_hooks[];
extern const struct script_hook passwordcheck_script_hooks[];

extern const struct script_definition smtpsvr_definition;
extern const struct script_definition smtprules_definition;
extern const struct script_definition mxserverrules_definition; /* script_definitions.c */
extern const struct script_definition mxout_definition;
extern const struct script_definition relayout_definition;
extern const struct script_definition user_redirect_definition;
extern const struct script_definition delivery_definition;
extern const struct script_definition signature_definition;
extern const struct script_definition errors_definition;
extern const struct script_definition passwordcheck_definition;

struct runtime;
struct run_budget;

/* What a file called <user>/<script>.lua is, whose *user (malloc'ed) is in lower case;
 * SCRIPT_COUNT: none of a user's (script_users.c). */
enum script_id script_users_kind(const char *name, char **user);

/* Note what MainGetSettings() of a script that was just run declares. A failure is logged. */
void script_settings_note(struct runtime *, struct script *, const struct run_budget *);
void script_settings_free(struct script *);

/* Set the sample values of the script's documented globals in the environment. */
void l_script_sample(struct lua_State *L, const struct script_definition *, struct config *);

/* The pool of the set (pool.c): prepared runtimes nobody uses. */
struct runtime_pool *runtime_pool_new(int most);
void runtime_pool_free(struct runtime_pool *);
struct runtime_pool *script_set_pool(const struct script_set *);
