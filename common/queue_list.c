/* queue_list.c - see queue_list.h. The JSON is read by SQLite's functions for it. */
#include "common/queue_list.h"

#include "common/queue_record.h"

#include <sqlite3.h>

#include <stdlib.h>
#include <string.h>

#define QUERY                                                                                                               \
	"SELECT json_extract(?1, '$.queue_name'), json_extract(?1, '$.queue_id'), "                                         \
	"json_extract(?1, '$.sender'), json_extract(?1, '$.arrival_time'), "                                                \
	"json_extract(?1, '$.message_size'), json_extract(value, '$.address'), json_extract(value, '$.delay_reason') FROM " \
	"json_each(CASE WHEN json_type(?1, '$.recipients') = 'array' THEN ?1 ELSE "                                         \
	"'{\"recipients\":[{}]}' END, '$.recipients')"

struct queue_reader {
	sqlite3 *db;
	sqlite3_stmt *query;
};

void queue_entry_clear(struct queue_entry *e)
{
	free(e->queue);
	free(e->id);
	free(e->sender);
	strlist_clear(&e->recipients);
	*e = (struct queue_entry){0};
}

struct queue_reader *queue_reader_new(void)
{
	struct queue_reader *r = xcalloc(1, sizeof *r);

	if (sqlite3_open_v2(":memory:", &r->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_MEMORY,
		NULL) == SQLITE_OK &&
	    sqlite3_prepare_v2(r->db, QUERY, -1, &r->query, NULL) == SQLITE_OK)
		return r;
	queue_reader_free(r);
	return NULL;
}

void queue_reader_free(struct queue_reader *r)
{
	if (r == NULL)
		return;
	sqlite3_finalize(r->query);
	sqlite3_close(r->db);
	free(r);
}

static void take_text(sqlite3_stmt *q, int column, char **out)
{
	if (sqlite3_column_type(q, column) == SQLITE_TEXT)
		xreplace(out, (const char *)sqlite3_column_text(q, column));
}

static void take_row(sqlite3_stmt *q, struct queue_entry *e)
{
	if (e->id == NULL) {
		take_text(q, 0, &e->queue);
		take_text(q, 1, &e->id);
		take_text(q, 2, &e->sender);
		e->arrival_ms = sqlite3_column_int64(q, 3) * 1000;
		e->size = sqlite3_column_int64(q, 4);
	}
	if (sqlite3_column_type(q, 5) == SQLITE_TEXT)
		strlist_add(&e->recipients, (const char *)sqlite3_column_text(q, 5));
	e->tried |= sqlite3_column_type(q, 6) == SQLITE_TEXT;
}

bool queue_reader_line(struct queue_reader *r, const char *line, size_t n, struct queue_entry *out)
{
	int rc;

	queue_entry_clear(out);
	sqlite3_bind_text(r->query, 1, line, (int)n, SQLITE_STATIC);
	while ((rc = sqlite3_step(r->query)) == SQLITE_ROW)
		take_row(r->query, out);
	sqlite3_reset(r->query);
	sqlite3_clear_bindings(r->query);
	if (rc == SQLITE_DONE && out->queue != NULL && out->id != NULL && out->sender != NULL &&
	    out->arrival_ms > 0 && queue_record_is_id(out->id)) {
		if (strcmp(out->sender, "MAILER-DAEMON") == 0)
			out->sender[0] = '\0'; /* the null sender, as showq(8) writes it */
		return true;
	}
	queue_entry_clear(out);
	return false;
}
