/* envelope.h - the argument of one MAIL or RCPT command, taken apart.
 *
 * Pure. Works in linear time and bounded memory whatever the client sends (R5). */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct esmtp_parameter {
	char *keyword; /* upper case */
	char *value;   /* "" without "=" */
};

struct envelope_address {
	char *address; /* without angle brackets, source route, comments; "" is the null sender */
	bool too_long; /* over LIMIT_ADDRESS_BYTES: refuse it; address is only its beginning */
	bool doubtful; /* a group, or a route behind a comment: MTAs read them in their ways */
	char *raw;     /* as received, parameters included; cut at LIMIT_COMMAND_BYTES */
	struct esmtp_parameter *parameters; /* the first LIMIT_PARAMETERS, in order */
	size_t nparameters;
};

/* argv is libmilter's: address first ("<a@b>", and "a@b" or "" for what was not received by SMTP),
 * then ESMTP parameters, NULL at the end. What the struct held before is not looked at. */
void envelope_address_parse(struct envelope_address *, char **argv);
void envelope_address_free(struct envelope_address *); /* leaves it zeroed */
/* Value of the first parameter of that name, ASCII case ignored; NULL when it was not given. */
const char *envelope_parameter(const struct envelope_address *, const char *keyword);
