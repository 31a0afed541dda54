/* A configuration file: any text loads or is refused with its place, and nothing is lost. What
 * loads still says the same when its comments are blanks. */
#include "common/config.h"
#include "common/config/config_private.h"
#include "tests/fuzz/must.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char path[32];

/* The text as a file, without a disk. */
static void write_text(const char *text, size_t n)
{
	static int fd = -1;

	if (fd < 0) {
		fd = memfd_create("config", MFD_CLOEXEC);
		MUST(fd >= 0);
		snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	}
	MUST(ftruncate(fd, 0) == 0);
	MUST(pwrite(fd, text, n, 0) == (ssize_t)n);
}

static void must_be_sound(const struct config *c)
{
	MUST(c->nservices >= 1 && c->milter.listen.n >= 1);
	MUST(c->lua.hook_ms >= 1 && c->lua.hook_ms <= c->lua.command_ms);
	MUST(c->lua.command_ms <= 28000 && c->lua.instructions >= 1);
	MUST(c->scripts[0] == '/' && c->state_dir[0] == '/');
	MUST(c->rbl.message[0] == '4' || c->rbl.message[0] == '5');
	MUST(strpbrk(c->rbl.header, "\r\n") == NULL);
	for (size_t i = 0; i < c->nservices; i++)
		MUST(c->services[i].id >= 1 && c->services[i].name[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config_overrides overrides = {STRLIST_INIT};
	char *text = xmalloc(size + 1), error[1024];
	const char *o = memchr(data, '\n', size); /* the first line is a -o argument, too */
	struct config *c;
	const char *why;
	int line;

	memcpy(text, data, size);
	text[size] = '\0';
	write_text(text, size);
	if (size > 0 && data[0] == '#' && o != NULL)
		strlist_addn(&overrides.items, text + 1, (size_t)(o - (const char *)data) - 1);
	c = config_load(path, &overrides, error, sizeof error);
	MUST((c == NULL) == (error[0] != '\0'));
	if (c == NULL) {
		MUST(strncmp(error, path, strlen(path)) == 0 || strncmp(error, "-o", 2) == 0);
		MUST(strlen(error) > strlen("-o: "));
		for (const char *p = error; *p != '\0'; p++)
			MUST((unsigned char)*p >= ' ' && *p != 0x7f);
	} else {
		must_be_sound(c);
		config_unref(c);
		MUST(config_source_clean(text, &line, &why));
		write_text(text, strlen(text));
		c = config_load(path, &overrides, error, sizeof error);
		MUST(c != NULL);
		config_unref(c);
	}
	strlist_clear(&overrides.items);
	free(text);
	return 0;
}
