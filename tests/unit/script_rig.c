/* script_rig.c - see script_rig.h. */
#include "tests/unit/script_rig.h"

#include "common/list.h"
#include "lua-bindings/luaout.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char *path_of(const struct script_rig *r, const char *directory, const char *name)
{
	return xasprintf("%s/%s/%s", r->directory, directory, name);
}

static void set(
    struct config_overrides *o, const char *name, const char *directory, const char *file)
{
	char *value = xasprintf("%s=%s/%s", name, directory, file);

	strlist_add(&o->items, value);
	free(value);
}

void script_rig_open(struct script_rig *r, const char *const *settings)
{
	struct config_overrides o = {STRLIST_INIT};
	char error[500] = "";
	char *scripts, *store;

	snprintf(r->directory, sizeof r->directory, "/var/tmp/mailhooks-test.XXXXXX");
	assert_non_null(mkdtemp(r->directory));
	scripts = path_of(r, "", "scripts");
	assert_int_equal(mkdir(scripts, 0700), 0);
	free(scripts);
	set(&o, "scripts", r->directory, "scripts");
	set(&o, "state_dir", r->directory, "");
	store = xasprintf("store=sqlite:%s/store.db", r->directory);
	strlist_add(&o.items, store);
	free(store);
	set(&o, "lua.out", r->directory, "LUA.OUT");
	set(&o, "lua.errors", r->directory, "LUAERRORS.LOG");
	for (size_t i = 0; settings != NULL && settings[i] != NULL; i++)
		strlist_add(&o.items, settings[i]);
	r->config = config_load("/dev/null", &o, error, sizeof error);
	assert_string_equal(error, "");
	assert_non_null(r->config);
	strlist_clear(&o.items);
	luaout_configure(r->config);
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

void script_rig_close(struct script_rig *r)
{
	config_unref(r->config);
	nftw(r->directory, unlink_one, 10, FTW_DEPTH | FTW_PHYS);
}

void script_rig_write(const struct script_rig *r, const char *name, const char *text)
{
	char *path = path_of(r, "scripts", name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	assert_int_equal(fclose(f), 0);
	free(path);
}

void script_rig_remove(const struct script_rig *r, const char *name)
{
	char *path = path_of(r, "scripts", name);

	assert_int_equal(unlink(path), 0);
	free(path);
}

char *script_rig_errors(const struct script_rig *r)
{
	char *path = path_of(r, "", "LUAERRORS.LOG"), *text = xcalloc(1, 1 << 20);
	FILE *f = fopen(path, "r");

	if (f != NULL) {
		text[fread(text, 1, (1 << 20) - 1, f)] = '\0';
		fclose(f);
	}
	free(path);
	return text;
}
