/* maillog_source_journal.c - the journal as the source of lines, through libsystemd.
 *
 * An entry is believed by what the journal itself recorded of its writer: unit and user. Its key
 * is made of what stays when the journal copies it from memory to disk: boot, clock and content. */
#include "common/list.h"
#include "common/log.h"
#include "policy/maillog_source.h"

#include <systemd/sd-journal.h>

#include <errno.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES_AT_ONCE 1000	     /* of others, before somebody may ask whether we shall stop */
#define FIRST_LOOK_US 86400000000ull /* how far back the first start begins */
#define TEXT_BYTES 65536	     /* of a message */

struct maillog_source {
	sd_journal *journal;
	struct strlist postfix, sendmail;
	uid_t *users;
	size_t nusers;
	char *cursor; /* of the last entry that was looked at */
	bool unread;  /* the journal stands on an entry that is still to be looked at */
	char program[256], text[TEXT_BYTES];
};

static void close_journal(struct maillog_source *s)
{
	if (s->journal != NULL)
		sd_journal_close(s->journal);
	strlist_clear(&s->postfix);
	strlist_clear(&s->sendmail);
	free(s->users);
	free(s->cursor);
	free(s);
}

static void note_users(struct maillog_source *s, const struct strlist *names)
{
	char buffer[4096];
	struct passwd entry, *found;

	s->users = xcalloc(names->n + 1, sizeof *s->users);
	for (size_t i = 0; i < names->n; i++)
		if (getpwnam_r(names->v[i], &entry, buffer, sizeof buffer, &found) == 0 &&
		    found != NULL)
			s->users[s->nusers++] = found->pw_uid;
}

static int open_place(struct maillog_source *s, const char *place)
{
	return place != NULL ? sd_journal_open_directory(&s->journal, place, 0)
			     : sd_journal_open(&s->journal, SD_JOURNAL_LOCAL_ONLY);
}

static int match_units(struct maillog_source *s, const struct strlist *units)
{
	int rc = 0;

	for (size_t i = 0; i < units->n && rc >= 0; i++) {
		char *match = xasprintf("_SYSTEMD_UNIT=%s", units->v[i]);

		rc = sd_journal_add_match(s->journal, match, 0);
		free(match);
	}
	return rc;
}

/* Behind the entry of the cursor, or at the next one when it is no longer there. */
static int go_to(struct maillog_source *s, const char *cursor)
{
	uint64_t now_us;
	int rc;

	if (cursor == NULL) {
		now_us = (uint64_t)time(NULL) * 1000000;
		/* a clock that was never set begins in 1970 */
		return sd_journal_seek_realtime_usec(
		    s->journal, now_us > FIRST_LOOK_US ? now_us - FIRST_LOOK_US : 0);
	}
	rc = sd_journal_seek_cursor(s->journal, cursor);
	if (rc >= 0)
		rc = sd_journal_next(s->journal);
	if (rc <= 0)
		return rc;
	if (sd_journal_test_cursor(s->journal, cursor) > 0)
		return rc;
	log_warn(NULL, "gap in the journal: the entry that was read last is no longer there; "
		       "what was written between it and the next one, if anything, is lost");
	s->unread = true;
	return rc;
}

static struct maillog_source *open_journal(
    const struct config *cfg, const char *place, const char *position)
{
	struct maillog_source *s = xcalloc(1, sizeof *s);
	const char *cursor = position;
	int rc;

	if (cursor != NULL && strncmp(cursor, "journal 1 ", 10) == 0 && cursor[10] != '-')
		cursor += 10;
	else
		cursor = NULL;
	strlist_copy(&s->postfix, &cfg->maillog.postfix);
	strlist_copy(&s->sendmail, &cfg->maillog.sendmail);
	note_users(s, &cfg->maillog.users);
	rc = open_place(s, place);
	if (rc >= 0)
		rc = sd_journal_get_fd(s->journal); /* begins to watch the directory */
	if (rc >= 0)
		rc = match_units(s, &cfg->maillog.units);
	if (rc >= 0)
		rc = go_to(s, cursor);
	if (rc < 0) {
		log_error(NULL,
		    "journal%s%s: %s: send attempts are not recorded until it can be read",
		    place != NULL ? " " : "", place != NULL ? place : "", strerror(-rc));
		close_journal(s);
		return NULL;
	}
	xreplace(&s->cursor, cursor);
	return s;
}

/* The value of a field of the entry, cut at size; false: it has none. */
static bool field(struct maillog_source *s, const char *name, char *out, size_t size, size_t *n)
{
	const void *data;
	size_t bytes, skip = strlen(name) + 1;

	if (sd_journal_get_data(s->journal, name, &data, &bytes) < 0 || bytes < skip)
		return false;
	*n = bytes - skip < size ? bytes - skip : size - 1;
	memcpy(out, (const char *)data + skip, *n);
	out[*n] = '\0';
	return true;
}

static bool number(struct maillog_source *s, const char *name, unsigned long *value)
{
	char text[32], *end;
	size_t n;

	if (!field(s, name, text, sizeof text, &n) || n == 0)
		return false;
	*value = strtoul(text, &end, 10);
	return *end == '\0';
}

static bool is_believed(struct maillog_source *s)
{
	unsigned long uid;

	if (!number(s, "_UID", &uid))
		return false;
	for (size_t i = 0; i < s->nusers; i++)
		if (s->users[i] == (uid_t)uid)
			return true;
	return false;
}

static bool read_entry(struct maillog_source *s, struct maillog_line *line)
{
	const struct maillog_names names = {&s->postfix, &s->sendmail};
	struct maillog_text program = {s->program, 0}, text = {s->text, 0};
	unsigned long pid;
	uint64_t us;

	return is_believed(s) &&
	       field(s, "SYSLOG_IDENTIFIER", s->program, sizeof s->program, &program.n) &&
	       field(s, "MESSAGE", s->text, sizeof s->text, &text.n) && number(s, "_PID", &pid) &&
	       sd_journal_get_realtime_usec(s->journal, &us) >= 0 &&
	       maillog_read_message(line, program, pid, (int64_t)(us / 1000), text, &names);
}

/* Remember where we are. False: the entry has just gone. */
static bool note_cursor(struct maillog_source *s)
{
	char *cursor;

	if (sd_journal_get_cursor(s->journal, &cursor) < 0)
		return false;
	free(s->cursor);
	s->cursor = cursor;
	return true;
}

/* "s=...;i=...;b=...;m=...;t=...;x=...": what is in front of ";b=" belongs to the file. */
static void make_key(const struct maillog_source *s, char key[static MAILLOG_KEY_BYTES])
{
	const char *lasting = strstr(s->cursor, ";b=");

	snprintf(key, MAILLOG_KEY_BYTES, "journal:%s", lasting != NULL ? lasting + 1 : s->cursor);
}

static bool next(struct maillog_source *s, struct maillog_line *line,
    char key[static MAILLOG_KEY_BYTES], bool *more)
{
	*more = false;
	sd_journal_process(s->journal); /* files that came or went */
	for (int i = 0; i < ENTRIES_AT_ONCE; i++) {
		if (!s->unread && sd_journal_next(s->journal) <= 0)
			return false;
		s->unread = false;
		if (!note_cursor(s))
			continue;
		if (read_entry(s, line)) {
			make_key(s, key);
			return true;
		}
	}
	*more = true;
	return false;
}

static void position(struct maillog_source *s, char *out, size_t size)
{
	snprintf(out, size, "journal 1 %s", s->cursor != NULL ? s->cursor : "-");
}

const struct maillog_source_kind maillog_source_journal = {
    "journal", open_journal, close_journal, next, position};
