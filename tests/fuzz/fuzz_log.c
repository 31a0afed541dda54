/* The log: whatever is logged, the line is printable UTF-8 on one line (R19), JSON where JSON is
 * wanted, and can be read back. */
#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "tests/fuzz/must.h"

#include <stdbool.h>
#include <string.h>
#include <syslog.h>

/* No C0, DEL or C1, and no byte that is not part of UTF-8: C1 is 0xc2 0x80-0x9f there. */
static void must_be_printable(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	int more = 0; /* continuation bytes that must follow */

	for (; *u != '\0'; u++) {
		MUST(*u >= ' ' && *u != 0x7f);
		if (more > 0) {
			MUST((*u & 0xc0) == 0x80);
			more--;
			continue;
		}
		MUST(*u < 0x80 || (*u >= 0xc2 && *u <= 0xf4));
		MUST(*u != 0xc2 || u[1] >= 0xa0);
		more = *u >= 0xf0 ? 3 : *u >= 0xe0 ? 2 : *u >= 0xc2 ? 1 : 0;
	}
	MUST(more == 0);
}

static int hex(char c)
{
	const char *digits = "0123456789abcdef", *p = c != '\0' ? strchr(digits, c) : NULL;

	MUST(p != NULL);
	return (int)(p - digits);
}

/* Undo log_escape(). */
static size_t read_back(char *out, const char *s)
{
	size_t n = 0;

	while (*s != '\0') {
		if (*s != '\\') {
			out[n++] = *s++;
			continue;
		}
		switch (s[1]) {
		case 'x':
			out[n++] = (char)(hex(s[2]) << 4 | hex(s[3]));
			s += 2;
			break;
		case 't':
			out[n++] = '\t';
			break;
		case 'n':
			out[n++] = '\n';
			break;
		case 'r':
			out[n++] = '\r';
			break;
		default:
			MUST(s[1] == '\\');
			out[n++] = '\\';
		}
		s += 2;
	}
	return n;
}

/* The body of a JSON string that uses no other escapes than \" and \\. */
static void read_json(char *out, const char *s)
{
	for (; *s != '\0'; s++) {
		MUST(*s != '"');
		if (*s == '\\') {
			s++;
			MUST(*s == '"' || *s == '\\');
		}
		*out++ = *s;
	}
	*out = '\0';
}

static void listen_once(enum log_level level, const char *line, void *arg)
{
	MUST(level == LOG_LVL_INFO);
	MUST(strlen(line) < LIMIT_LOG_LINE_BYTES);
	must_be_printable(line);
	++*(int *)arg;
}

static void must_be_one_line(const char *text, enum log_format format)
{
	struct log_id id = {"", ""};
	int heard = 0;

	log_open("fuzz", LOG_TO_STDERR, format, LOG_MAIL, LOG_LVL_INFO);
	log_capture(listen_once, &heard);
	memcpy(
	    id.queue, text, strnlen(text, sizeof id.queue)); /* with or without a NUL at the end */
	log_info(&id, "from=<%s>", text);
	log_capture(NULL, NULL);
	MUST(heard == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t room = 4 * size + 1; /* \xNN for each byte */
	char *escaped = xmalloc(room), *json = xmalloc(2 * room), *back = xmalloc(2 * room);
	char *cut, *text = xmalloc(size + 1);
	size_t n = log_escape(escaped, room, (const char *)data, size);

	memcpy(text, data, size);
	text[size] = '\0';
	MUST(n == strlen(escaped));
	must_be_printable(escaped);
	MUST(read_back(back, escaped) == size && memcmp(back, data, size) == 0);

	log_escape_json(json, 2 * room, (const char *)data, size);
	must_be_printable(json);
	read_json(back, json);
	MUST(strcmp(back, escaped) == 0);

	cut = xmalloc(size / 2 + 1); /* of exactly that size, for ASan */
	MUST(log_escape(cut, size / 2 + 1, (const char *)data, size) <= size / 2);
	MUST(strncmp(escaped, cut, strlen(cut)) == 0);
	must_be_printable(cut);

	must_be_one_line(text, LOG_AS_TEXT);
	must_be_one_line(text, LOG_AS_JSON);
	free(escaped);
	free(json);
	free(back);
	free(cut);
	free(text);
	return 0;
}
