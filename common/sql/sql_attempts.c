/* sql_attempts.c - see sql_tables.h: send attempts as a virtual table, for stores that are no
 * SQLite file.
 *
 * What the store can look up is asked of it: one of server, address, domain and provider, the time,
 * and the reply code. SQLite checks all conditions once more. Attempts come in pages, newest first,
 * so that memory is bounded and LIMIT ends early. */
#include "common/sql/sql_tables.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/store.h"

#include <stdlib.h>
#include <string.h>

static const char declaration[] =
    "CREATE TABLE x(server TEXT, address TEXT, domain TEXT, provider TEXT, starttime INTEGER,"
    " result TEXT, queueid TEXT, sender TEXT, recipients TEXT, stage TEXT, tls TEXT,"
    " connection TEXT, delay INTEGER, code TEXT HIDDEN)";

enum column {
	COLUMN_SERVER,
	COLUMN_ADDRESS,
	COLUMN_DOMAIN,
	COLUMN_PROVIDER,
	COLUMN_TIME,
	COLUMN_RESULT,
	COLUMN_QUEUE_ID,
	COLUMN_SENDER,
	COLUMN_RECIPIENTS,
	COLUMN_STAGE,
	COLUMN_TLS,
	COLUMN_CONNECTION,
	COLUMN_DELAY,
	COLUMN_CODE,
	COLUMNS
};

struct table {
	sqlite3_vtab base;
	struct sql_run *run;
};

struct row {
	char *texts[COLUMNS]; /* NULL for NULL and for numbers */
	int64_t time, delay;
	sqlite3_int64 id;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct store_window window;
	char *key, code[4];
	struct store_cursor at;
	struct row rows[LIMIT_STORE_PAGE];
	size_t n, next;
};

/* ---- a page ---- */

static void clear_rows(struct cursor *c)
{
	for (size_t i = 0; i < c->n; i++)
		for (size_t k = 0; k < COLUMNS; k++)
			free(c->rows[i].texts[k]);
	c->n = c->next = 0;
}

static char *or_null(const char *text)
{
	return text[0] != '\0' ? xstrdup(text) : NULL;
}

static char *recipients(const struct store_attempt *a)
{
	size_t size = 1, used = 0;
	char *text;

	for (size_t i = 0; i < a->nrecipients; i++)
		size += strlen(a->recipients[i].address) + 1;
	text = xmalloc(size);
	for (size_t i = 0; i < a->nrecipients; i++) {
		size_t n = strlen(a->recipients[i].address);

		if (i > 0)
			text[used++] = ' ';
		memcpy(text + used, a->recipients[i].address, n);
		used += n;
	}
	text[used] = '\0';
	return text;
}

/* As the store classes results. */
static char *code_of(const char *result)
{
	size_t n = strspn(result, "0123456789");
	char code[] = "---";

	memcpy(code, result, n < 3 ? n : 3);
	return xstrdup(code);
}

/* The same attempt has the same number in every scan: SQLite looks for both sides of an OR by
 * themselves and tells by it what it has seen. FNV-1a of its key; keys are our own, so that nobody
 * chooses two of the same number. */
static sqlite3_int64 number_of(const char *event)
{
	uint64_t hash = 14695981039346656037u;

	for (; *event != '\0'; event++)
		hash = (hash ^ (unsigned char)*event) * 1099511628211u;
	return (sqlite3_int64)(hash >> 1);
}

static bool keep(const struct store_attempt *a, void *arg)
{
	struct cursor *c = arg;
	struct row *r = &c->rows[c->n++];

	*r = (struct row){
	    .texts =
		{
		    [COLUMN_SERVER] = or_null(a->server),
		    [COLUMN_ADDRESS] = or_null(a->address),
		    [COLUMN_DOMAIN] = or_null(a->domain),
		    [COLUMN_PROVIDER] = or_null(a->provider),
		    [COLUMN_RESULT] = xstrdup(a->result),
		    [COLUMN_QUEUE_ID] = xstrdup(a->queue_id),
		    [COLUMN_SENDER] = xstrdup(a->sender),
		    [COLUMN_RECIPIENTS] = recipients(a),
		    [COLUMN_STAGE] = xstrdup(a->stage),
		    [COLUMN_TLS] = xstrdup(a->tls),
		    [COLUMN_CONNECTION] = xstrdup(a->connection),
		    [COLUMN_CODE] = code_of(a->result),
		},
	    .time = a->time_ms,
	    .delay = a->delay_ms,
	    .id = number_of(a->event),
	};
	return c->n < LIMIT_STORE_PAGE;
}

static int fetch(struct cursor *c)
{
	struct table *table = (struct table *)c->base.pVtab;
	struct sql_run *run = table->run;

	clear_rows(c);
	while (c->n == 0 && !c->at.end) {
		int64_t left = run->until - clock_ms();

		run->late = left < SQL_LEAST_MS;
		run->unknown = !run->late && store_attempt_page(run->store, &c->window, &c->at,
						 keep, c, (int)left) == STORE_UNKNOWN;
		if (run->late || run->unknown)
			return SQLITE_ERROR;
	}
	return SQLITE_OK;
}

/* ---- the plan ---- */

/* A letter for what is taken of a condition, 0: nothing. */
static char taken(const struct sqlite3_index_constraint *c, bool keyed)
{
	static const char keys[] = "sadp";

	if (!c->usable)
		return 0;
	if (c->iColumn >= COLUMN_SERVER && c->iColumn <= COLUMN_PROVIDER)
		return c->op == SQLITE_INDEX_CONSTRAINT_EQ && !keyed ? keys[c->iColumn] : 0;
	if (c->iColumn == COLUMN_CODE)
		return c->op == SQLITE_INDEX_CONSTRAINT_GE ? 'c' : 0;
	if (c->iColumn != COLUMN_TIME)
		return 0;
	switch (c->op) {
	case SQLITE_INDEX_CONSTRAINT_EQ:
		return '=';
	case SQLITE_INDEX_CONSTRAINT_GT:
		return '>';
	case SQLITE_INDEX_CONSTRAINT_GE:
		return 'g';
	case SQLITE_INDEX_CONSTRAINT_LT:
		return '<';
	case SQLITE_INDEX_CONSTRAINT_LE:
		return 'l';
	default:
		return 0;
	}
}

#define MOST_TAKEN 16

static int best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
	char plan[MOST_TAKEN + 1] = "";
	double rows = 1000000;
	bool keyed = false;
	int n = 0;

	(void)base;
	for (int i = 0; i < info->nConstraint && n < MOST_TAKEN; i++) {
		char letter = taken(&info->aConstraint[i], keyed);

		if (letter == 0)
			continue;
		plan[n++] = letter;
		info->aConstraintUsage[i].argvIndex = n;
		if (strchr("sadp", letter) != NULL) {
			keyed = true;
			rows /= 100;
		} else {
			rows /= 3;
		}
	}
	info->estimatedRows = (sqlite3_int64)rows + 1;
	info->estimatedCost = rows * 10 + 1;
	info->orderByConsumed = info->nOrderBy == 1 && info->aOrderBy[0].iColumn == COLUMN_TIME &&
				info->aOrderBy[0].desc;
	info->idxStr = sqlite3_mprintf("%s", plan);
	info->needToFreeIdxStr = 1;
	return info->idxStr != NULL ? SQLITE_OK : SQLITE_NOMEM;
}

static void since(struct store_window *w, int64_t time)
{
	if (time > w->since_ms)
		w->since_ms = time;
}

static void before(struct store_window *w, int64_t time)
{
	if (time <= 0)
		time = 1;
	if (w->before_ms == 0 || time < w->before_ms)
		w->before_ms = time;
}

/* False: no attempt can be meant. */
static bool take_key(struct cursor *c, enum store_dimension d, sqlite3_value *v)
{
	const char *text = (const char *)sqlite3_value_text(v);

	if (text == NULL || text[0] == '\0' || strlen(text) > LIMIT_STORE_KEY_BYTES)
		return false;
	c->key = xstrdup(text);
	c->window.dimension = d;
	c->window.key = c->key;
	return true;
}

static bool take(struct cursor *c, char letter, sqlite3_value *v)
{
	int64_t time = sqlite3_value_int64(v);
	const char *text;

	if (sqlite3_value_type(v) == SQLITE_NULL)
		return false;
	switch (letter) {
	case 's':
		return take_key(c, STORE_SERVER, v);
	case 'a':
		return take_key(c, STORE_ADDRESS, v);
	case 'd':
		return take_key(c, STORE_DOMAIN, v);
	case 'p':
		return take_key(c, STORE_PROVIDER, v);
	case 'c':
		text = (const char *)sqlite3_value_text(v);
		if (text != NULL && strlen(text) < sizeof c->code)
			memcpy(c->code, text, strlen(text) + 1);
		c->window.result = c->code;
		break;
	case '=':
		since(&c->window, time);
		before(&c->window, time < INT64_MAX ? time + 1 : time);
		break;
	case '>':
		since(&c->window, time < INT64_MAX ? time + 1 : time);
		break;
	case 'g':
		since(&c->window, time);
		break;
	case '<':
		before(&c->window, time);
		break;
	default:
		before(&c->window, time < INT64_MAX ? time + 1 : time);
		break;
	}
	return true;
}

/* ---- the module ---- */

static int connect(
    sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **out, char **why)
{
	struct table *table;
	int rc = sqlite3_declare_vtab(db, declaration);

	(void)argc, (void)argv, (void)why;
	if (rc != SQLITE_OK)
		return rc;
	table = xcalloc(1, sizeof *table);
	table->run = arg;
	*out = &table->base;
	return SQLITE_OK;
}

static int disconnect(sqlite3_vtab *table)
{
	free(table);
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
	struct cursor *c = xcalloc(1, sizeof *c);

	(void)table;
	*out = &c->base;
	return SQLITE_OK;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;

	clear_rows(c);
	free(c->key);
	free(c);
	return SQLITE_OK;
}

static int filter(
    sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;

	(void)number;
	clear_rows(c);
	free(c->key);
	c->key = NULL;
	c->code[0] = '\0';
	c->at = (struct store_cursor){0};
	c->window = (struct store_window){.dimension = STORE_ALL, .key = "", .result = ""};
	for (int i = 0; i < argc && plan[i] != '\0'; i++)
		if (!take(c, plan[i], argv[i])) {
			c->at.end = true;
			return SQLITE_OK;
		}
	return fetch(c);
}

static int next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;

	return ++c->next < c->n ? SQLITE_OK : fetch(c);
}

static int eof(sqlite3_vtab_cursor *base)
{
	const struct cursor *c = (struct cursor *)base;

	return c->next >= c->n;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int n)
{
	const struct cursor *c = (struct cursor *)base;
	const struct row *r = &c->rows[c->next];

	if (n == COLUMN_TIME)
		sqlite3_result_int64(ctx, r->time);
	else if (n == COLUMN_DELAY)
		sqlite3_result_int64(ctx, r->delay);
	else if (n >= 0 && n < COLUMNS && r->texts[n] != NULL)
		sqlite3_result_text(ctx, r->texts[n], -1, SQLITE_TRANSIENT);
	return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
	const struct cursor *c = (struct cursor *)base;

	*id = c->rows[c->next].id;
	return SQLITE_OK;
}

const sqlite3_module sql_attempts_module = {
    .xConnect = connect,
    .xDisconnect = disconnect,
    .xBestIndex = best_index,
    .xOpen = open_cursor,
    .xClose = close_cursor,
    .xFilter = filter,
    .xNext = next,
    .xEof = eof,
    .xColumn = column,
    .xRowid = rowid,
};
