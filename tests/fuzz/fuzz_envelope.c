/* MAIL and RCPT arguments, the words of which a line feed separates (R5, R16). */
#include "common/envelope.h"
#include "common/limits.h"
#include "common/list.h"
#include "common/outgoing.h"
#include "tests/fuzz/must.h"

#include <stdbool.h>
#include <string.h>

#define WORDS (LIMIT_PARAMETERS + 8)

/* Are the bytes of s bytes of text, in their order? */
static bool is_within(const char *s, const char *text)
{
	for (; *s != '\0'; s++, text++)
		if ((text = strchr(text, *s)) == NULL)
			return false;
	return true;
}

static void must_hold(const struct envelope_address *e, char **argv)
{
	const char *argument = argv[0] != NULL ? argv[0] : "";
	size_t given = 0;

	MUST(strlen(e->address) <= LIMIT_ADDRESS_BYTES);
	MUST(strlen(e->raw) <= LIMIT_COMMAND_BYTES);
	MUST(is_within(e->address, argument));
	MUST(!e->too_long || strlen(e->address) == LIMIT_ADDRESS_BYTES);
	MUST(!e->too_long || strlen(argument) > LIMIT_ADDRESS_BYTES);
	MUST(strncmp(e->raw, argument, strlen(e->raw)) == 0 || argv[1] != NULL);
	for (given = 0; argv[0] != NULL && argv[1 + given] != NULL;)
		given++;
	MUST(e->nparameters <= LIMIT_PARAMETERS && e->nparameters <= given);
	for (size_t i = 0; i < e->nparameters; i++) {
		const char *keyword = e->parameters[i].keyword;

		MUST(keyword[0] != '\0' && strchr(keyword, '=') == NULL);
		MUST(envelope_parameter(e, keyword) != NULL);
		outgoing_parameters(e->parameters[i].value);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = xmalloc(size + 1), *argv[WORDS + 1], *rest = text;
	struct envelope_address e;
	size_t n = 0;

	memcpy(text, data, size);
	text[size] = '\0';
	while (n < WORDS && rest != NULL)
		argv[n++] = strsep(&rest, "\n");
	argv[n] = NULL;
	envelope_address_parse(&e, argv);
	must_hold(&e, argv);
	/* what may be sent is also what may be removed again */
	MUST(outgoing_address(e.address) != NULL || outgoing_known_address(e.address) == NULL);
	envelope_address_free(&e);
	free(text);
	return 0;
}
