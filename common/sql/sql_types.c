/* sql_types.c - see sql_tree.h: names of types, tables, functions and operators. */
#include "common/sql/sql_tree.h"

#include <string.h>

const char *sql_type_text(enum sql_type type)
{
	static const char *const texts[SQL_TYPES] = {"unknown", "boolean", "integer", "numeric",
	    "text", "timestamp with time zone", "timestamp", "date", "interval"};

	return texts[type];
}

enum sql_type sql_letter_type(char letter)
{
	static const char letters[] = "?bintsldv"; /* in the order of enum sql_type */
	const char *at = strchr(letters + 1, letter);

	return letter != '\0' && at != NULL ? (enum sql_type)(at - letters) : SQL_UNKNOWN;
}

const struct sql_type_name sql_type_names[] = {
    {"timestamp with time zone", "timestamptz", SQL_STAMP},
    {"timestamp without time zone", "timestamp", SQL_LOCAL},
    {"double precision", "float8", SQL_NUM},
    {"character varying", "varchar", SQL_TEXT},
    {"bigint", "int8", SQL_INT},
    {"bool", "bool", SQL_BOOL},
    {"boolean", "bool", SQL_BOOL},
    {"date", "date", SQL_DATE},
    {"decimal", "numeric", SQL_NUM},
    {"float", "float8", SQL_NUM},
    {"float4", "float4", SQL_NUM},
    {"float8", "float8", SQL_NUM},
    {"int", "int4", SQL_INT},
    {"int2", "int2", SQL_INT},
    {"int4", "int4", SQL_INT},
    {"int8", "int8", SQL_INT},
    {"integer", "int4", SQL_INT},
    {"interval", "interval", SQL_SPAN},
    {"numeric", "numeric", SQL_NUM},
    {"real", "float4", SQL_NUM},
    {"smallint", "int2", SQL_INT},
    {"text", "text", SQL_TEXT},
    {"timestamp", "timestamp", SQL_LOCAL},
    {"timestamptz", "timestamptz", SQL_STAMP},
    {"varchar", "varchar", SQL_TEXT},
    {NULL, NULL, SQL_UNKNOWN},
};

/* ---- conversions ---- */

const char *sql_conversion(enum sql_type from, enum sql_type to)
{
	static const char *const to_text[SQL_TYPES] = {
	    [SQL_BOOL] = "CASE $1 WHEN 1 THEN 'true' WHEN 0 THEN 'false' END",
	    [SQL_INT] = "CAST($1 AS TEXT)",
	    [SQL_NUM] = "pg_number_text($1)",
	    [SQL_STAMP] = "pg_stamp_text($1,5)",
	    [SQL_LOCAL] = "pg_stamp_text($1,6)",
	    [SQL_DATE] = "pg_stamp_text($1,7)",
	    [SQL_SPAN] = "pg_span_text($1)",
	};
	static const char *const from_text[SQL_TYPES] = {
	    [SQL_BOOL] = "pg_read($1,1)",
	    [SQL_INT] = "pg_read($1,2)",
	    [SQL_NUM] = "pg_read($1,3)",
	    [SQL_STAMP] = "pg_read($1,5)",
	    [SQL_LOCAL] = "pg_read($1,6)",
	    [SQL_DATE] = "pg_read($1,7)",
	    [SQL_SPAN] = "pg_read($1,8)",
	};

	if (to == SQL_TEXT)
		return to_text[from];
	if (from == SQL_TEXT)
		return from_text[to];
	if (from == SQL_INT && to == SQL_NUM)
		return "CAST($1 AS REAL)";
	if (from == SQL_NUM && to == SQL_INT)
		return "pg_number_int($1)";
	if (from == SQL_INT && to == SQL_BOOL)
		return "($1<>0)";
	if (to == SQL_DATE)
		return "pg_truncate('day',$1)";
	return NULL;
}

/* ---- tables ---- */

static const struct sql_column attempt_columns[] = {
    {"server", SQL_TEXT, false, true},
    {"address", SQL_TEXT, false, true},
    {"domain", SQL_TEXT, false, true},
    {"provider", SQL_TEXT, false, true},
    {"starttime", SQL_STAMP, true, false},
    {"result", SQL_TEXT, true, false},
    {"queueid", SQL_TEXT, true, false},
    {"sender", SQL_TEXT, true, false},
    {"recipients", SQL_TEXT, true, false},
    {"stage", SQL_TEXT, true, false},
    {"tls", SQL_TEXT, true, false},
    {"connection", SQL_TEXT, true, false},
    {"delay", SQL_INT, true, false},
};

static const struct sql_column hold_columns[] = {
    {"kind", SQL_TEXT, true, false},
    {"name", SQL_TEXT, true, true},
    {"until", SQL_STAMP, true, false},
    {"since", SQL_STAMP, true, false},
    {"who", SQL_TEXT, true, false},
    {"reason", SQL_TEXT, true, false},
};

#define COLUMNS(a) a, sizeof a / sizeof *(a)

#define KEY(alias, column, dimension)                                                 \
	" LEFT JOIN main.keys AS " alias " ON " alias ".id = a." column " AND " alias \
	".dimension = " dimension

/* The numbers are enum store_dimension. "+" keeps SQLite from using its index for the retention
 * where the query has a narrower bound. ?1 is where the retention begins. */
static const char attempts_direct[] =
    "(SELECT ks.value AS server, ki.value AS address, kd.value AS domain, kp.value AS provider,"
    " a.time AS starttime, a.result AS result, a.queue_id AS queueid, a.sender AS sender,"
    " coalesce((SELECT group_concat(r.address, ' ') FROM main.attempt_recipients AS r"
    " WHERE r.attempt = a.id), '') AS recipients, a.stage AS stage, a.tls AS tls,"
    " a.connection AS connection, a.delay AS delay, a.code AS code FROM main.attempts AS a" KEY(
	"ks", "server", "1") KEY("ki", "address", "2") KEY("kd", "domain", "3")
	KEY("kp", "provider", "4") " WHERE +a.time >= ?1)";

static const struct sql_table tables[] = {
    {"sendattempts", attempts_direct, "mailhooks_attempts", COLUMNS(attempt_columns), true},
    {"holds", "mailhooks_holds", "mailhooks_holds", COLUMNS(hold_columns), false},
};

const struct sql_table *sql_table_find(const char *schema, const char *name)
{
	if (schema != NULL && strcmp(schema, "outqueue") != 0)
		return NULL;
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (strcmp(name, tables[i].name) == 0)
			return &tables[i];
	return NULL;
}

/* ---- functions and operators ---- */

/* Functions named pg_* are in sql_functions.c, the others are SQLite's own. */
const struct sql_signature sql_signatures[] = {
    {"+", "ii", SQL_INT, "pg_add($1,$2)", false},
    {"+", "nn", SQL_NUM, "($1+$2)", false},
    {"+", "sv", SQL_STAMP, "pg_stamp_add($1,$2,1)", false},
    {"+", "vs", SQL_STAMP, "pg_stamp_add($2,$1,1)", false},
    {"+", "lv", SQL_LOCAL, "pg_stamp_add($1,$2,1)", false},
    {"+", "vl", SQL_LOCAL, "pg_stamp_add($2,$1,1)", false},
    {"+", "dv", SQL_LOCAL, "pg_stamp_add($1,$2,1)", false},
    {"+", "di", SQL_DATE, "pg_date_add($1,$2)", false},
    {"+", "id", SQL_DATE, "pg_date_add($2,$1)", false},
    {"+", "vv", SQL_SPAN, "pg_span_add($1,$2,1)", false},
    {"-", "ii", SQL_INT, "pg_subtract($1,$2)", false},
    {"-", "nn", SQL_NUM, "($1-$2)", false},
    {"-", "ss", SQL_SPAN, "pg_stamp_difference($1,$2)", false},
    {"-", "ll", SQL_SPAN, "pg_stamp_difference($1,$2)", false},
    {"-", "dd", SQL_INT, "pg_date_difference($1,$2)", false},
    {"-", "sv", SQL_STAMP, "pg_stamp_add($1,$2,-1)", false},
    {"-", "lv", SQL_LOCAL, "pg_stamp_add($1,$2,-1)", false},
    {"-", "dv", SQL_LOCAL, "pg_stamp_add($1,$2,-1)", false},
    {"-", "di", SQL_DATE, "pg_date_add($1,-($2))", false},
    {"-", "vv", SQL_SPAN, "pg_span_add($1,$2,-1)", false},
    {"*", "ii", SQL_INT, "pg_multiply($1,$2)", false},
    {"*", "nn", SQL_NUM, "($1*$2)", false},
    {"*", "vi", SQL_SPAN, "pg_span_add('0 0 0',$1,$2)", false},
    {"*", "iv", SQL_SPAN, "pg_span_add('0 0 0',$2,$1)", false},
    {"/", "ii", SQL_INT, "pg_divide($1,$2)", false},
    {"/", "nn", SQL_NUM, "pg_divide($1,$2)", false},
    {"%", "ii", SQL_INT, "pg_modulo($1,$2)", false},
    {"||", "tt", SQL_TEXT, "($1||$2)", false},
    {"negative", "i", SQL_INT, "pg_subtract(0,$1)", false},
    {"negative", "n", SQL_NUM, "(-$1)", false},
    {"negative", "v", SQL_SPAN, "pg_span_add('0 0 0',$1,-1)", false},
    {"positive", "i", SQL_INT, "$1", false},
    {"positive", "n", SQL_NUM, "$1", false},
    {"like", "tt", SQL_BOOL, "pg_like", false},
    {"like", "ttt", SQL_BOOL, "pg_like", false},
    {"ilike", "tt", SQL_BOOL, "pg_ilike", false},
    {"ilike", "ttt", SQL_BOOL, "pg_ilike", false},

    {"left", "ti", SQL_TEXT, "pg_left", false},
    {"right", "ti", SQL_TEXT, "pg_right", false},
    {"substring", "ti", SQL_TEXT, "pg_substring", false},
    {"substring", "tii", SQL_TEXT, "pg_substring", false},
    {"substr", "ti", SQL_TEXT, "pg_substring", false},
    {"substr", "tii", SQL_TEXT, "pg_substring", false},
    {"length", "t", SQL_INT, "length", false},
    {"char_length", "t", SQL_INT, "length", false},
    {"character_length", "t", SQL_INT, "length", false},
    {"octet_length", "t", SQL_INT, "pg_octet_length", false},
    {"lower", "t", SQL_TEXT, "lower", false},
    {"upper", "t", SQL_TEXT, "upper", false},
    {"strpos", "tt", SQL_INT, "pg_strpos", false},
    {"starts_with", "tt", SQL_BOOL, "pg_starts_with", false},
    {"split_part", "tti", SQL_TEXT, "pg_split_part", false},
    {"replace", "ttt", SQL_TEXT, "pg_replace", false},
    {"btrim", "t", SQL_TEXT, "trim", false},
    {"btrim", "tt", SQL_TEXT, "pg_btrim", false},
    {"ltrim", "t", SQL_TEXT, "ltrim", false},
    {"ltrim", "tt", SQL_TEXT, "pg_ltrim", false},
    {"rtrim", "t", SQL_TEXT, "rtrim", false},
    {"rtrim", "tt", SQL_TEXT, "pg_rtrim", false},
    {"concat", "t*", SQL_TEXT, "pg_concat", false},

    {"abs", "i", SQL_INT, "abs", false},
    {"abs", "n", SQL_NUM, "abs", false},
    {"round", "n", SQL_NUM, "pg_round", false},
    {"round", "ni", SQL_NUM, "pg_round", false},
    {"floor", "n", SQL_NUM, "pg_floor", false},
    {"ceil", "n", SQL_NUM, "pg_ceil", false},
    {"ceiling", "n", SQL_NUM, "pg_ceil", false},
    {"mod", "ii", SQL_INT, "pg_modulo", false},

    {"coalesce", "a*", SQL_UNKNOWN, "coalesce", false},
    {"nullif", "aa", SQL_UNKNOWN, "nullif", false},
    {"greatest", "a*", SQL_UNKNOWN, "pg_greatest", false},
    {"least", "a*", SQL_UNKNOWN, "pg_least", false},

    {"now", "", SQL_STAMP, "", false},
    {"current_timestamp", "", SQL_STAMP, "", false},
    {"localtimestamp", "", SQL_LOCAL, "", false},
    {"current_date", "", SQL_DATE, "", false},
    {"transaction_timestamp", "", SQL_STAMP, "", false},
    {"date_trunc", "ts", SQL_STAMP, "pg_truncate", false},
    {"date_trunc", "tl", SQL_LOCAL, "pg_truncate", false},
    {"extract", "ts", SQL_NUM, "pg_field", false},
    {"extract", "tl", SQL_NUM, "pg_field", false},
    {"extract", "td", SQL_NUM, "pg_field", false},
    {"extract", "tv", SQL_NUM, "pg_span_field", false},
    {"date_part", "ts", SQL_NUM, "pg_field", false},
    {"date_part", "tl", SQL_NUM, "pg_field", false},
    {"date_part", "td", SQL_NUM, "pg_field", false},
    {"date_part", "tv", SQL_NUM, "pg_span_field", false},
    {"to_timestamp", "n", SQL_STAMP, "pg_from_epoch", false},

    {"count", "*", SQL_INT, "count", true},
    {"count", "a", SQL_INT, "count", true},
    {"sum", "i", SQL_INT, "sum", true},
    {"sum", "n", SQL_NUM, "sum", true},
    {"avg", "n", SQL_NUM, "avg", true},
    {"min", "a", SQL_UNKNOWN, "min", true},
    {"max", "a", SQL_UNKNOWN, "max", true},
    {"bool_and", "b", SQL_BOOL, "min", true},
    {"every", "b", SQL_BOOL, "min", true},
    {"bool_or", "b", SQL_BOOL, "max", true},
    {"string_agg", "tt", SQL_TEXT, "group_concat", true},
    {NULL, NULL, SQL_UNKNOWN, NULL, false},
};
