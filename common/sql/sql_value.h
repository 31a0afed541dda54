/* sql_value.h - texts as values of our types, while a query is read and while it runs. Pure;
 * private to common/sql/. */
#pragma once

#include "common/sql/sql_time.h"

struct sql_value {
	int64_t integer; /* boolean, integer, points in time */
	double real;
	struct sql_span span;
};

/* False: it is none of the type. */
bool sql_value_read(const char *text, enum sql_type, int64_t now_ms, struct sql_value *);

#define SQL_NUMBER_TEXT 40
/* The shortest text that is this number. */
void sql_number_text(double, char out[static SQL_NUMBER_TEXT]);
