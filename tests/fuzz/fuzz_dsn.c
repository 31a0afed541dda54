/* A delivery status report from anywhere: fields within their bounds; and any text becomes a part
 * that is ASCII, has short lines and cannot be taken for a delimiter. */
#include "common/dsn.h"
#include "common/limits.h"
#include "tests/fuzz/must.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static void check_part(const char *text)
{
	size_t n, column = 0;
	char *part = dsn_text_part(text, &n);

	MUST(strlen(part) == n && strstr(part, "\r\n\r\n") != NULL);
	for (size_t i = 0; i < n; i++) {
		MUST((part[i] & 0x80) == 0);
		MUST(part[i] != '\n' || (i > 0 && part[i - 1] == '\r'));
		column = part[i] == '\n' ? 0 : column + 1;
		MUST(column <= 999);
		MUST(column != 2 || part[i] != '-' || part[i - 1] != '-');
	}
	free(part);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dsn d;
	char *value, *text;

	dsn_parse(&d, (const char *)data, size);
	MUST(d.n <= LIMIT_DSN_RECIPIENTS && strlen(d.reporting_mta) <= LIMIT_DSN_TEXT_BYTES);
	for (size_t i = 0; i < d.n; i++)
		MUST(strlen(d.recipients[i].diagnostic) <= LIMIT_DSN_TEXT_BYTES &&
		     strchr(d.recipients[i].diagnostic, '\n') == NULL);
	dsn_clear(&d);
	value = dsn_header_field((const char *)data, size, "Subject");
	MUST(strlen(value) <= LIMIT_DSN_TEXT_BYTES);
	free(value);
	text = malloc(size + 1);
	memcpy(text, data, size);
	text[size] = '\0';
	check_part(text);
	free(text);
	return 0;
}
