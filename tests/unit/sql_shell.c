/* sql_shell - queries of standard input, one on each line, answered from a store of its own; for
 * the comparison with PostgreSQL (test_sql_postgres.py).
 *
 *   sql_shell URL ATTEMPTS
 *
 * ATTEMPTS is a file of lines with 13 fields and tabs between them: the columns of
 * outqueue.sendattempts in their order, starttime in milliseconds since 1970. Of each answer the
 * first line are the names, then the rows, fields separated by 0x1f, NULL as 0x05; or "!" and what
 * is wrong; then a line with 0x1e. */
#include "common/list.h"
#include "common/sql.h"
#include "common/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS 30000
#define FIELDS 13

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "sql_shell: %s\n", what);
	exit(1);
}

static void add(struct store *store, char *line, unsigned n)
{
	struct store_recipient recipients[8];
	struct store_attempt a = {.recipients = recipients};
	char *fields[FIELDS], event[24], *save = NULL;

	for (size_t i = 0; i < FIELDS; i++) {
		fields[i] = strsep(&line, "\t");
		if (fields[i] == NULL)
			die("a line of the attempts has too few fields");
	}
	snprintf(event, sizeof event, "shell:%08u", n);
	a.event = event;
	a.server = fields[0];
	a.address = fields[1];
	a.domain = fields[2];
	a.provider = fields[3];
	a.time_ms = strtoll(fields[4], NULL, 10);
	a.result = fields[5];
	a.queue_id = fields[6];
	a.sender = fields[7];
	for (char *r = strtok_r(fields[8], " ", &save); r != NULL && a.nrecipients < 8;
	     r = strtok_r(NULL, " ", &save))
		recipients[a.nrecipients++] = (struct store_recipient){r, ""};
	a.stage = fields[9];
	a.tls = fields[10];
	a.connection = fields[11];
	a.delay_ms = strtoll(fields[12], NULL, 10);
	if (store_attempt_add(store, &a, NULL, WAIT_MS) != STORE_FOUND)
		die("an attempt was not recorded");
}

static void fill(struct store *store, const char *path)
{
	FILE *f = fopen(path, "r");
	char *line = NULL;
	size_t size = 0;
	ssize_t length;
	unsigned n = 0;

	if (f == NULL)
		die(path);
	while ((length = getline(&line, &size, f)) > 0) {
		line[length - 1] = '\0';
		add(store, line, n++);
	}
	free(line);
	fclose(f);
}

static void show(struct store *store, const char *query)
{
	struct sql_rows rows = {0};
	char why[400];

	if (sql_query(store, query, strlen(query), &rows, why, sizeof why, WAIT_MS) != SQL_ROWS) {
		printf("!%s\n\x1e\n", why);
		return;
	}
	for (size_t i = 0; i < rows.names.n; i++)
		printf("%s%s", i > 0 ? "\x1f" : "", rows.names.v[i]);
	for (size_t i = 0; i < rows.n * rows.names.n; i++)
		printf("%s%s", i % rows.names.n == 0 ? "\n" : "\x1f",
		    rows.cells[i] != NULL ? rows.cells[i] : "\x05");
	printf("\n\x1e\n");
	sql_rows_clear(&rows);
}

int main(int argc, char **argv)
{
	char why[300], *line = NULL;
	struct store *store;
	size_t size = 0;
	ssize_t length;

	if (argc != 3)
		die("usage: sql_shell URL ATTEMPTS");
	store = store_open(argv[1], NULL, why, sizeof why);
	if (store == NULL)
		die(why);
	fill(store, argv[2]);
	while ((length = getline(&line, &size, stdin)) > 0) {
		if (line[length - 1] == '\n')
			line[length - 1] = '\0';
		show(store, line);
		fflush(stdout);
	}
	free(line);
	store_close(store);
	return 0;
}
