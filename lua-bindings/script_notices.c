/* script_notices.c - the old idioms of a script directory, one by one and in the log. */
#include "common/log.h"
#include "lua-bindings/script_files.h"

#include <stdio.h>

#define TOLD_OF_A_FILE 20 /* in the log; `mailhooks check` lists all */

bool script_files_rewrite(
    struct script_files *files, enum compat_mode mode, char *error, size_t size)
{
	for (size_t i = 0; i < files->n; i++) {
		struct script_file *f = &files->v[i];
		size_t n = f->size;
		const char *text = compat_text_start(f->text, &n);

		if (!compat_rewrite(text, n, mode, false, &f->compat)) {
			snprintf(error, size, "script %s: out of memory", f->name);
			return false;
		}
	}
	return true;
}

const struct compat_notice *script_files_notice(
    const struct script_files *files, size_t i, const char **file)
{
	for (size_t f = 0; f < files->n; f++) {
		const struct compat_notices *notices = &files->v[f].compat.notices;

		if (i < notices->n) {
			*file = files->v[f].name;
			return &notices->v[i];
		}
		i -= notices->n;
	}
	return NULL;
}

static void tell(const struct script_file *f)
{
	const struct compat_notices *notices = &f->compat.notices;
	size_t told = 0;
	char text[400];

	for (size_t i = 0; i < notices->n; i++) {
		enum compat_done done = notices->v[i].done;

		if (done != COMPAT_REWRITTEN && done != COMPAT_REFUSED)
			continue;
		if (++told > TOLD_OF_A_FILE)
			continue;
		compat_notice_text(&notices->v[i], f->name, text, sizeof text);
		log_info(NULL, "script %s", text);
	}
	if (told > TOLD_OF_A_FILE)
		log_info(NULL, "script %s: %zu more such places; see `mailhooks check`", f->name,
		    told - TOLD_OF_A_FILE);
}

void script_files_tell(const struct script_files *files)
{
	for (size_t i = 0; i < files->n; i++)
		tell(&files->v[i]);
}
