/* config_rig.h - configuration files for tests: written to a directory of their own, loaded. */
#pragma once

#include "common/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static char rig_directory[] = "/tmp/mailhooks-config-XXXXXX";
static char rig_path[sizeof rig_directory + 16]; /* of the file that a test writes */

static inline int rig_setup(void **state)
{
	(void)state;
	if (mkdtemp(rig_directory) == NULL)
		return -1;
	snprintf(rig_path, sizeof rig_path, "%s/test.conf", rig_directory);
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	unlink(rig_path);
	return rmdir(rig_directory);
}

static inline void rig_write(const char *file, const char *text, size_t n)
{
	FILE *f = fopen(file, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

/* Load text as a file, with up to one -o argument. */
static inline struct config *rig_load(const char *text, const char *o, char *error, size_t size)
{
	struct config_overrides overrides = {STRLIST_INIT};
	struct config *c;

	rig_write(rig_path, text, strlen(text));
	if (o != NULL)
		strlist_add(&overrides.items, o);
	c = config_load(rig_path, &overrides, error, size);
	strlist_clear(&overrides.items);
	return c;
}

static inline struct config *rig_load_ok(const char *text, const char *o)
{
	char error[1024];
	struct config *c = rig_load(text, o, error, sizeof error);

	if (c == NULL)
		fail_msg("%s", error);
	assert_string_equal(error, "");
	return c;
}
