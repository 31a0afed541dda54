/* script_files.h - private to lua-bindings/: the *.lua files of a script directory, read whole. */
#pragma once

#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stddef.h>

struct script_files {
	struct script_file *v;
	size_t n;
};

/* Read every *.lua file (any case) of directory and of its subdirectories one level down
 * ("<username>/user_redirect.lua"). False: error names the file and the cause. */
bool script_files_read(struct script_files *, const char *directory, char *error, size_t size);
/* Scripts for older versions of Lua as Lua 5.4 (compat/). False: out of memory. */
bool script_files_rewrite(struct script_files *, enum compat_mode, char *error, size_t size);
/* The i-th old idiom and the name of its file; NULL after the last. */
const struct compat_notice *script_files_notice(
    const struct script_files *, size_t i, const char **file);
/* What is done about them, to the log. */
void script_files_tell(const struct script_files *);
void script_files_free(struct script_files *);
/* By name relative to the directory, ASCII case ignored; the exact spelling wins. */
const struct script_file *script_files_find(const struct script_files *, const char *name);
bool script_files_mention(const struct script_files *, const char *identifier);
/* Write all files below directory, which is replaced as a whole. */
bool script_files_write(
    const struct script_files *, const char *directory, char *error, size_t size);
