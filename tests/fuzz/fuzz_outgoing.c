/* What scripts put into messages, through the verdict that keeps it (R9, R10). The first byte of
 * the input chooses the field. */
#include "common/list.h"
#include "common/verdict.h"
#include "tests/fuzz/must.h"

#include <stdbool.h>
#include <string.h>

static void header(struct verdict *v, const char *name, const char *value)
{
	const char *why, *kept;

	if (!verdict_header(v, HEADER_INSERT, name, 0, value, &why)) {
		MUST(why != NULL && v->nheaders == 0);
		return;
	}
	kept = v->headers[0].value;
	MUST(strpbrk(v->headers[0].name, ": \r\n\t") == NULL);
	MUST(kept[0] == ' ' || kept[0] == '\t');
	MUST(strchr(kept, '\r') == NULL);
	for (const char *p = kept; (p = strchr(p, '\n')) != NULL;) {
		MUST(*++p == ' ' || *p == '\t');
		p += strspn(p, " \t");
		MUST(*p != '\0' && *p != '\n');
	}
}

static void address(struct verdict *v, const char *address, const char *parameters)
{
	const char *why;
	size_t n = strlen(address);
	bool add = verdict_recipient(v, true, address, NULL, &why);

	MUST(add == (n > 0 && verdict_sender(v, address, NULL, &why)));
	if (add) {
		MUST(verdict_recipient(v, false, address, NULL, &why));
		MUST(strpbrk(address, "\r\n\t") == NULL);
		MUST(address[0] == '"' || strpbrk(address, " <>,;:()\"\\") == NULL ||
		     address[n - 1] == ']');
	}
	if (parameters[0] != '\0' && verdict_recipient(v, true, "a@b", parameters, &why))
		MUST(strpbrk(parameters, "\r\n\t") == NULL && strstr(parameters, "  ") == NULL &&
		     parameters[0] != ' ' && parameters[strlen(parameters) - 1] != ' ');
}

static void body(struct verdict *v, const char *bytes, size_t n)
{
	const char *why;

	MUST(verdict_body(v, bytes, n, &why));
	for (size_t i = 0; i < v->body_size; i++) {
		MUST(v->body[i] != '\r' || v->body[i + 1] == '\n');
		MUST(v->body[i] != '\n' || (i > 0 && v->body[i - 1] == '\r'));
	}
	MUST(v->body_size == 0 || v->body[v->body_size - 1] == '\n');
}

/* One change, one line, printable. */
static void description(const struct verdict *v)
{
	char *text = verdict_describe(v);
	size_t lines = 0, expected = 1 + v->nheaders + v->nrecipients + (v->sender != NULL) +
				     (v->quarantine != NULL) + (v->body != NULL);

	for (const char *p = text; *p != '\0'; p++) {
		lines += *p == '\n';
		MUST(*p == '\n' || ((unsigned char)*p >= ' ' && *p != 0x7f));
	}
	MUST(lines == expected);
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct verdict v;
	char *text, *second;

	if (size == 0)
		return 0;
	text = xmalloc(size);
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	second =
	    text + strcspn(text, "\x01"); /* separates name and value, address and parameters */
	if (*second != '\0')
		*second++ = '\0';
	verdict_init(&v);
	switch (data[0] % 4) {
	case 0:
		header(&v, text, second);
		break;
	case 1:
		address(&v, text, second);
		break;
	case 2:
		body(&v, text, size - 1);
		break;
	default:
		verdict_refuse_text(&v, 550, second, text);
		verdict_quarantine(&v, text);
		break;
	}
	description(&v);
	verdict_reset(&v);
	free(text);
	return 0;
}
