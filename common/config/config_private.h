/* config_private.h - private to common/: what the files config*.c share.
 *
 * The table of settings (config_schema.c) drives everything: the options that libconfuse knows,
 * the check of each value, where it is stored, the -o arguments and the suggestions. All of it
 * runs under the lock of config_load(), as libconfuse's lexer is one per process. */
#pragma once

#include "common/config.h"

#include <confuse.h>

enum setting_kind {
	SETTING_TEXT,	  /* char * */
	SETTING_PATH,	  /* char *, absolute */
	SETTING_INT,	  /* int */
	SETTING_INT64,	  /* int64_t */
	SETTING_SIZE,	  /* size_t */
	SETTING_BYTES,	  /* uint64_t */
	SETTING_MODE,	  /* mode_t, written in octal */
	SETTING_BOOL,	  /* bool */
	SETTING_WORD,	  /* an enum or int, one of .words */
	SETTING_LIST,	  /* struct strlist */
	SETTING_NETWORKS, /* struct network_list */
};

struct setting_word { /* a table of them ends with text NULL */
	const char *text;
	int value;
};

struct setting {
	const char *section; /* "" at the top of the file */
	const char *name;
	enum setting_kind kind;
	size_t offset;	     /* in struct config, or in the element of a titled section */
	const char *preset;  /* the default as it would stand in the file; lists in braces */
	bool optional;	     /* a path may be "" */
	int64_t least, most; /* of numbers, in the unit of the file */
	int64_t scale;	     /* what is stored = number * scale; 0 means 1 */
	const char *reason;  /* why a number is bounded as it is; may be NULL */
	const struct setting_word *words;
	const char *(*check)(const char *value); /* NULL when fine, else what is wanted */
};

/* config.c */

/* Note an error of this load, unless one is noted already. place NULL: the configuration as a
 * whole. Returns false, for `return config_failed(...)`. */
bool config_failed(const char *place, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Where a setting was last set: "FILE:LINE", "-o NAME" or "FILE". */
const char *config_place_of(const char *section, const char *name, char *out, size_t size);

bool config_is_set(const char *section, const char *name); /* by the file or by -o */

/* config_fits.c - lowers defaults that do not fit; false: reported with config_failed(). */
bool config_fits(struct config *);

/* config_schema.c */
#define CONFIG_SERVICE "service"
#define CONFIG_SCRIPT "script"
#define CONFIG_SENDER "sender"
#define CONFIG_PROFILE "profile"
#define CONFIG_FIRST_SERVICE "smtp" /* what the one service is called when the file names none */

extern const struct setting config_settings[];
extern const size_t config_nsettings;
extern const char *const config_sections[]; /* without "", ends with NULL */

/* A section that has a title and may stand more than once. It becomes an array in struct config,
 * whose elements begin with the title. */
struct titled_section {
	const char *name;
	const char *example; /* of a title, for messages */
	size_t array, count; /* offsets in struct config */
	size_t size;	     /* of an element */
};

extern const struct titled_section config_titled[];		      /* ends with name NULL */
const struct titled_section *config_titled_section(const char *name); /* NULL: it is no such */
void *config_titled_element(const struct titled_section *, const struct config *, size_t i);
size_t config_titled_count(const struct titled_section *, const struct config *);

const struct setting *config_setting(const char *section, const char *name); /* or NULL */
bool config_setting_is_list(const struct setting *);
const char *config_check_title(const char *title); /* of a section: NULL when fine */
/* libconfuse's options of a section, "" for the whole file; every value goes through parse. Free
 * with config_options_free() after cfg_init(). */
cfg_opt_t *config_options(const char *section, cfg_callback_t parse);
void config_options_free(cfg_opt_t *);

/* config_value.c - false: why says what is wanted. */
bool config_value_check(const struct setting *, const char *text, char *why, size_t size);
/* Store the checked value(s) of opt below base (struct config or the element of a section). */
void config_value_store(const struct setting *, void *base, cfg_opt_t *opt);
void config_value_free(const struct setting *, void *base);

/* config_source.c */
enum config_source { CONFIG_SOURCE_OK, CONFIG_SOURCE_MISSING, CONFIG_SOURCE_BAD };

/* The file as one string, to be freed; *why is the cause (a constant or strerror) otherwise. */
enum config_source config_source_read(const char *path, char **text, const char **why);
/* Blank out the comments. False: *why is wrong at *line. */
bool config_source_clean(char *text, int *line, const char **why);

/* config_override.c */
struct config_override {
	const char *item;	      /* the argument of -o */
	char *section, *title, *name; /* owned; title NULL but for a service */
	const char *value;	      /* points into item */
};

/* False: not of the form name=value. */
bool config_override_parse(struct config_override *, const char *item);
void config_override_clear(struct config_override *);
/* Write the nearest setting or section as " (did you mean ...?)", or where to look. */
const char *config_suggest(const char *section, const char *name, char *out, size_t size);
