/* maillog_source_file.c - a log file as the source of lines. */
#include "common/list.h"
#include "policy/logfile.h"
#include "policy/maillog_source.h"

#include <stdlib.h>
#include <time.h>

#define LINES_AT_ONCE 1000 /* of others, before somebody may ask whether we shall stop */

struct maillog_source {
	struct logfile *file;
	struct strlist postfix, sendmail;
};

static struct maillog_source *open_file(
    const struct config *cfg, const char *place, const char *position)
{
	struct maillog_source *s = xcalloc(1, sizeof *s);

	s->file = logfile_open(place, position);
	strlist_copy(&s->postfix, &cfg->maillog.postfix);
	strlist_copy(&s->sendmail, &cfg->maillog.sendmail);
	return s;
}

static void close_file(struct maillog_source *s)
{
	logfile_close(s->file);
	strlist_clear(&s->postfix);
	strlist_clear(&s->sendmail);
	free(s);
}

static bool next(struct maillog_source *s, struct maillog_line *line,
    char key[static MAILLOG_KEY_BYTES], bool *more)
{
	const struct maillog_names names = {&s->postfix, &s->sendmail};
	char place[LOGFILE_KEY_BYTES];
	struct maillog_text text;

	*more = false;
	for (int i = 0; i < LINES_AT_ONCE; i++) {
		if (!logfile_next(s->file, &text, place))
			return false;
		if (maillog_read_line(line, text.s, text.n, &names, (int64_t)time(NULL) * 1000)) {
			snprintf(key, MAILLOG_KEY_BYTES, "file:%s", place);
			return true;
		}
	}
	*more = true;
	return false;
}

static void position(struct maillog_source *s, char *out, size_t size)
{
	logfile_position(s->file, out, size);
}

const struct maillog_source_kind maillog_source_file = {
    "file", open_file, close_file, next, position};
