/* Replies of scripts: what comes out can be sent, and reading it again changes nothing (R10). */
#include "common/list.h"
#include "common/reply.h"
#include "tests/fuzz/must.h"

#include <string.h>

static void must_be_safe(const struct reply *r)
{
	MUST(r->code >= 200 && r->code <= 599);
	MUST(r->nlines >= 1 && r->nlines <= LIMIT_REPLY_LINES);
	MUST(r->code < 400 || r->xcode[0] - '0' == r->code / 100);
	for (int i = 0; i < r->nlines; i++) {
		size_t n = 0;

		for (const char *p = r->lines[i]; *p != '\0'; p++) {
			MUST((unsigned char)*p >= ' ' && *p != 0x7f);
			n += *p == '%' ? 2 : 1;
		}
		MUST(n <= LIMIT_REPLY_LINE_BYTES);
	}
}

/* As an MTA writes it. */
static char *wire_form(const struct reply *r)
{
	char *wire = xstrdup("");

	for (int i = 0; i < r->nlines; i++) {
		char *longer = xasprintf("%s%d%s%s %s\r\n", wire, r->code,
		    i + 1 < r->nlines ? "-" : " ", r->xcode, r->lines[i]);

		free(wire);
		wire = longer;
	}
	return wire;
}

static void must_be_stable(const struct reply *r)
{
	char *wire = wire_form(r), *text = reply_text(r), *again_text;
	unsigned problems;
	struct reply again;

	MUST(reply_parse(&again, wire, strlen(wire), &problems) == REPLY_OK);
	MUST(problems == 0);
	again_text = reply_text(&again);
	MUST(strcmp(text, again_text) == 0);
	reply_free(&again);
	free(wire);
	free(text);
	free(again_text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reply r, copy = {0};
	unsigned problems;
	char words[300];
	char *text;

	if (reply_parse(&r, (const char *)data, size, &problems) != REPLY_OK) {
		MUST(r.code == 0 && r.nlines == 0);
		return 0;
	}
	must_be_safe(&r);
	MUST((reply_problem_text(problems, words, sizeof words)[0] != '\0') == (problems != 0));
	/* a cut may leave a blank at the end; codes below 400 need no enhanced one */
	if (r.code >= 400 && !(problems & REPLY_LONG))
		must_be_stable(&r);
	reply_copy(&copy, &r);
	reply_free(&r);
	text = reply_text(&copy);
	reply_set(&r, copy.code, copy.xcode, text);
	must_be_safe(&r);
	reply_free(&r);
	reply_free(&copy);
	free(text);
	return 0;
}
