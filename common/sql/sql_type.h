/* sql_type.h - the types of PostgreSQL that queries know; private to common/sql/. */
#pragma once

enum sql_type {
	SQL_UNKNOWN, /* a literal or NULL that takes the type of what stands beside it */
	SQL_BOOL,    /* in SQLite 0 or 1 */
	SQL_INT,     /* smallint, integer and bigint: 64 bits */
	SQL_NUM,     /* numeric, real and double precision: a double */
	SQL_TEXT,
	SQL_STAMP, /* timestamp with time zone: milliseconds since 1970 */
	SQL_LOCAL, /* timestamp without time zone: the same, shown without a zone */
	SQL_DATE,  /* the same at its midnight */
	SQL_SPAN,  /* interval: text, see sql_span_pack() */
	SQL_TYPES
};

/* For messages: "integer". */
const char *sql_type_text(enum sql_type);
