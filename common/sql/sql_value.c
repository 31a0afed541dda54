/* sql_value.c - see sql_value.h. */
#include "common/sql/sql_value.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* As PostgreSQL reads a boolean: any beginning of these words. */
static bool boolean(const char *text, size_t n, int64_t *value)
{
	static const struct {
		const char *word;
		size_t least;
		bool value;
	} words[] = {{"true", 1, true}, {"false", 1, false}, {"yes", 1, true}, {"no", 1, false},
	    {"on", 2, true}, {"off", 2, false}, {"1", 1, true}, {"0", 1, false}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (n >= words[i].least && n <= strlen(words[i].word) &&
		    strncasecmp(text, words[i].word, n) == 0) {
			*value = words[i].value;
			return true;
		}
	return false;
}

/* Digits with a sign, nothing else. */
static bool whole(const char *text, size_t n, int64_t *value)
{
	size_t sign = n > 0 && (text[0] == '-' || text[0] == '+');
	char *end;

	errno = 0;
	*value = strtoll(text, &end, 10);
	return errno == 0 && n > sign && end == text + n &&
	       strspn(text + sign, "0123456789") >= n - sign;
}

/* strtod() takes more than PostgreSQL does. */
static bool decimal(const char *text, size_t n, double *value)
{
	char *end;

	*value = strtod(text, &end);
	return n > 0 && strspn(text, "0123456789+-.eE") >= n && end == text + n;
}

bool sql_value_read(const char *text, enum sql_type type, int64_t now, struct sql_value *v)
{
	size_t n;

	*v = (struct sql_value){0};
	text += strspn(text, " \t\n\r");
	for (n = strlen(text); n > 0 && strchr(" \t\n\r", text[n - 1]) != NULL;)
		n--;
	switch (type) {
	case SQL_BOOL:
		return boolean(text, n, &v->integer);
	case SQL_INT:
		return whole(text, n, &v->integer);
	case SQL_NUM:
		return decimal(text, n, &v->real);
	case SQL_STAMP:
	case SQL_LOCAL:
	case SQL_DATE:
		return sql_stamp_parse(text, type, now, &v->integer);
	case SQL_SPAN:
		return sql_span_parse(text, &v->span);
	case SQL_UNKNOWN:
	case SQL_TEXT:
	case SQL_TYPES:
		break;
	}
	return true;
}

void sql_number_text(double value, char out[static SQL_NUMBER_TEXT])
{
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(out, SQL_NUMBER_TEXT, "%.*g", digits, value);
		if (strtod(out, NULL) == value)
			return;
	}
}
