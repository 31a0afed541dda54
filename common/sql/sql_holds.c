/* sql_holds.c - see sql_tables.h: the holds that have not ended, as a virtual table. They are at
 * most LIMIT_STORE_HOLDS, so all of them are fetched. */
#include "common/sql/sql_tables.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/store.h"
#include "common/store/holds.h"

#include <stdlib.h>
#include <string.h>

#define FOR_EVER_MS ((int64_t)253370764800000) /* the year 9999, as far as can be written */

enum column { COLUMN_KIND, COLUMN_NAME, COLUMN_UNTIL, COLUMN_SINCE, COLUMN_WHO, COLUMN_REASON };

struct table {
	sqlite3_vtab base;
	struct sql_run *run;
};

struct hold {
	enum store_dimension dimension;
	char *name, *who, *reason;
	int64_t until, since;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct hold *holds;
	size_t n, next;
};

static int connect(
    sqlite3 *db, void *arg, int argc, const char *const *argv, sqlite3_vtab **out, char **why)
{
	struct table *table;
	int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(kind TEXT, name TEXT, until INTEGER,"
					  " since INTEGER, who TEXT, reason TEXT)");

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

static int best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
	(void)table;
	info->estimatedCost = 10000;
	info->estimatedRows = 100;
	return SQLITE_OK;
}

static int open_cursor(sqlite3_vtab *table, sqlite3_vtab_cursor **out)
{
	struct cursor *c = xcalloc(1, sizeof *c);

	(void)table;
	*out = &c->base;
	return SQLITE_OK;
}

static void clear(struct cursor *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->holds[i].name);
		free(c->holds[i].who);
		free(c->holds[i].reason);
	}
	free(c->holds);
	c->holds = NULL;
	c->n = c->next = 0;
}

static int close_cursor(sqlite3_vtab_cursor *base)
{
	clear((struct cursor *)base);
	free(base);
	return SQLITE_OK;
}

static bool keep(const struct store_hold *h, void *arg)
{
	struct cursor *c = arg;

	if (h->key[0] == HOLDS_EXEMPT)
		return true; /* the contrary of a hold */
	c->holds = xgrow(c->holds, c->n, sizeof *c->holds);
	c->holds[c->n++] = (struct hold){
	    .dimension = h->dimension,
	    .name = xstrdup(h->key),
	    .who = xstrdup(h->who),
	    .reason = xstrdup(h->reason),
	    .until = h->until_ms < FOR_EVER_MS ? h->until_ms : FOR_EVER_MS,
	    .since = h->set_ms,
	};
	return true;
}

static int filter(
    sqlite3_vtab_cursor *base, int number, const char *plan, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;
	struct sql_run *run = ((struct table *)base->pVtab)->run;
	int64_t left = run->until - clock_ms();

	(void)number, (void)plan, (void)argc, (void)argv;
	clear(c);
	run->late = left < SQL_LEAST_MS;
	run->unknown =
	    !run->late && store_hold_list(run->store, keep, c, (int)left) == STORE_UNKNOWN;
	return run->late || run->unknown ? SQLITE_ERROR : SQLITE_OK;
}

static int next(sqlite3_vtab_cursor *base)
{
	((struct cursor *)base)->next++;
	return SQLITE_OK;
}

static int eof(sqlite3_vtab_cursor *base)
{
	const struct cursor *c = (struct cursor *)base;

	return c->next >= c->n;
}

static int column(sqlite3_vtab_cursor *base, sqlite3_context *ctx, int n)
{
	const struct cursor *c = (struct cursor *)base;
	const struct hold *h = &c->holds[c->next];

	switch ((enum column)n) {
	case COLUMN_KIND:
		sqlite3_result_text(ctx, store_dimension_name(h->dimension), -1, SQLITE_STATIC);
		break;
	case COLUMN_NAME:
		sqlite3_result_text(ctx, h->name, -1, SQLITE_TRANSIENT);
		break;
	case COLUMN_UNTIL:
		sqlite3_result_int64(ctx, h->until);
		break;
	case COLUMN_SINCE:
		sqlite3_result_int64(ctx, h->since);
		break;
	case COLUMN_WHO:
		sqlite3_result_text(ctx, h->who, -1, SQLITE_TRANSIENT);
		break;
	case COLUMN_REASON:
		sqlite3_result_text(ctx, h->reason, -1, SQLITE_TRANSIENT);
		break;
	}
	return SQLITE_OK;
}

static int rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *id)
{
	*id = (sqlite3_int64)((struct cursor *)base)->next;
	return SQLITE_OK;
}

const sqlite3_module sql_holds_module = {
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
