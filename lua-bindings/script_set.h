/* script_set.h - the administrator's scripts: one compiled, checked generation.
 *
 * A set is loaded whole or not at all: every script is read, compiled and run once in a throw-away
 * instance (dry run), which also tells which hooks it defines. A loaded set is immutable and
 * reference counted; sessions pin the one they started with. No Lua type appears here: this header
 * is for milter/, policy/ and cli/. Thread-safe. */
#pragma once

#include "common/config.h"
#include "lua-bindings/compat/compat.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum script_id {
	SCRIPT_SMTPSVR,
	SCRIPT_MXSERVERRULES,
	SCRIPT_MXOUT,
	SCRIPT_RELAYOUT,
	SCRIPT_USER_REDIRECT,
	SCRIPT_DELIVERY,
	SCRIPT_SIGNATURE,
	SCRIPT_ERRORS,
	SCRIPT_PASSWORDCHECK,
	SCRIPT_SMTPRULES, /* smtprules_1.lua; see script_set_smtprules() */
	SCRIPT_COUNT,
};

struct script_set;
struct users;

/* Load every known script of cfg->scripts. NULL on failure with "file:line: ..." in error. Keeps a
 * reference to cfg. An empty or missing script is no script; a missing directory is an error. */
struct script_set *script_set_load(struct config *cfg, char *error, size_t size);
/* As script_set_load(), but what these scripts run changes nothing outside (lib/dry.h). */
struct script_set *script_set_load_to_look(struct config *cfg, char *error, size_t size);
bool script_set_only_looks(const struct script_set *);
/* The same files and scripts, none of which was compiled or run, so no error of a script matters:
 * script_set_has() says no to all. For a command that runs or checks single scripts. */
struct script_set *script_set_open(struct config *cfg, char *error, size_t size);
struct script_set *script_set_ref(struct script_set *);
void script_set_unref(struct script_set *);

struct config *script_set_config(const struct script_set *); /* borrowed */
unsigned script_set_generation(const struct script_set *);   /* 1, 2, ... in this process */
bool script_set_has(const struct script_set *, enum script_id);
const char *script_set_path(const struct script_set *, enum script_id); /* as found, or NULL */
bool script_set_has_hook(const struct script_set *, enum script_id, const char *hook);
/* How many arguments the hook can look at (INT_MAX for one with "..."), 0 when there is none. */
int script_set_hook_arguments(const struct script_set *, enum script_id, const char *hook);
/* How many scripts the set has: those of enum script_id, whether there is a file or not, then
 * smtprules_N.lua for every other N, then those of users. */
int script_set_count(const struct script_set *);
/* The smtprules_N.lua of an SMTP service by its number; false: it has none. */
bool script_set_smtprules(const struct script_set *, int service, enum script_id *id);
/* What a script beyond enum script_id is: SCRIPT_SMTPRULES, SCRIPT_USER_REDIRECT ... */
enum script_id script_set_kind(const struct script_set *, enum script_id);
/* The i-th hook that mailhooks knows for a script, NULL after the last; and its file name. */
const char *script_set_hook(enum script_id, size_t i);
const char *script_set_file_name(enum script_id);

/* Who is local, as the same configuration says (common/users.h). Never NULL. */
struct users *script_set_users(const struct script_set *);
/* The user's own <user>/user_redirect.lua or <user>/delivery.lua, else the one for all; false:
 * neither. A user's own script runs in safety mode. One that cannot be loaded is left out alone: it
 * is logged, and script_set_broken() says why. */
bool script_set_for_user(
    const struct script_set *, enum script_id kind, const char *user, enum script_id *id);
const char *script_set_user(const struct script_set *, enum script_id);	  /* whose it is, or NULL */
const char *script_set_broken(const struct script_set *, enum script_id); /* NULL: it is not */
/* A setting of users that the script declares in MainGetSettings(); NULL after the last. */
struct script_setting {
	char *name, *preset, *help;
};
const struct script_setting *script_set_setting(
    const struct script_set *, enum script_id, size_t i);

/* What the script may spend: its section of the configuration, else lua.*. */
struct script_budget {
	int hook_ms;
	int64_t instructions;
	size_t memory_bytes;
};
const struct script_budget *script_set_budget(const struct script_set *, enum script_id);
/* Does any script file of the directory contain this identifier? Used to ask the MTA for no
 * more than a script could use of what only a global variable shows (MaxLineLength ...). */
bool script_set_mentions(const struct script_set *, const char *identifier);

/* Every *.lua file of the directory is part of the set, so that require() and dofile() of a sibling
 * see the same generation. name is matched without regard to case; NULL when there is none. The
 * text belongs to the set. */
struct script_file {
	char *name; /* as found, relative to the directory */
	char *text; /* as found */
	size_t size;
	struct compat_source compat; /* as it is run, less a byte order mark and a #! line */
};
const struct script_file *script_set_file(const struct script_set *, const char *name);
/* The i-th old idiom found in these files when they were loaded (lua-bindings/compat/compat.h) and
 * the name of its file; NULL after the last. Files in alphabetical order, lines in theirs. */
const struct compat_notice *script_set_notice(
    const struct script_set *, size_t i, const char **file);

/* The set in force. publish() takes over the caller's reference and drops the one before. */
struct script_set *script_set_current(void); /* a new reference; NULL before the first publish */
void script_set_publish(struct script_set *);

/* The last set that was published is kept below cfg->state_dir, so that a broken edit and a
 * restart do not take the service down. name tells daemons apart. */
bool script_set_keep(const struct script_set *, const char *name, char *error, size_t size);
struct script_set *script_set_load_kept(
    struct config *cfg, const char *name, char *error, size_t size);

/* For the start of a daemon: the scripts of the directory, which are kept if `keep`, else the last
 * good ones, else NULL. All of it is logged. */
struct script_set *script_set_start(struct config *cfg, const char *name, bool keep);

/* A "once per script" notice: true the first time for this key in this generation. For results
 * that cannot be honoured, so that the log says it once and not for every session. */
bool script_set_first(struct script_set *, const char *key);
