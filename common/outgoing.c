/* outgoing.c - see outgoing.h.
 *
 * By hand: MIME libraries repair and re-encode what they are given, here it must be refused or stay
 * as it is. Every check reads its argument once, after its length was bounded (R5). */
#include "common/outgoing.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static bool is_control(char c)
{
	return (unsigned char)c < ' ' || c == 0x7F;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_alnum(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_8bit(char c)
{
	return (unsigned char)c >= 0x80;
}

const char *outgoing_header_name(const char *name)
{
	size_t n = strnlen(name, LIMIT_HEADER_NAME_BYTES + 1);

	if (n == 0)
		return "a header name is empty";
	if (n > LIMIT_HEADER_NAME_BYTES)
		return "a header name is too long";
	for (size_t i = 0; i < n; i++)
		if (name[i] <= ' ' || name[i] > '~' || name[i] == ':') /* char may be signed */
			return "a header name has a character that is not allowed there";
	return NULL;
}

static bool blank_only(const char *s, size_t n)
{
	while (n > 0 && is_blank(s[n - 1]))
		n--;
	return n == 0;
}

/* Copy the n bytes of value line by line into out. NULL: done and terminated. */
static const char *fold(const char *value, size_t n, char *out)
{
	const char *p = value, *end = value + n;

	if (n == 0 || !is_blank(*p))
		*out++ = ' ';
	for (;;) {
		size_t len = 0;

		while (p + len < end && p[len] != '\r' && p[len] != '\n')
			len++;
		/* The first line follows name and colon, so it never is white space only. */
		if (p == value || !blank_only(p, len)) {
			if (p != value)
				*out++ = '\n';
			memcpy(out, p, len);
			out += len;
		}
		p += len;
		if (p == end)
			break;
		if (*p == '\r' && p[1] != '\n') /* trailing line ends are gone: p[1] is ours */
			return "a header value has a bare carriage return";
		p += *p == '\r' ? 2 : 1;
		if (!is_blank(*p))
			return "a header value has a line break without white space after it";
	}
	*out = '\0';
	return NULL;
}

char *outgoing_header_value(const char *value, const char **why)
{
	size_t n = strnlen(value, LIMIT_HEADER_VALUE_BYTES + 1);
	char *out;

	while (n > 0 && n <= LIMIT_HEADER_VALUE_BYTES &&
	       (value[n - 1] == '\r' || value[n - 1] == '\n'))
		n--;
	if (n > LIMIT_HEADER_VALUE_BYTES - 1) { /* the leading blank counts */
		*why = "a header value is too long";
		return NULL;
	}
	out = xmalloc(n + 2);
	*why = fold(value, n, out);
	if (*why == NULL)
		return out;
	free(out);
	return NULL;
}

/* The length of the quoted string at s, quotes included; 0 if it is none. */
static size_t quoted_string(const char *s)
{
	size_t i = 1;

	if (s[0] != '"')
		return 0;
	for (; s[i] != '"'; i++) {
		if (s[i] == '\\')
			i++;
		if (is_control(s[i])) /* also the end of the string */
			return 0;
	}
	return i + 1;
}

/* Letters, digits, what MTAs let through in host names, and 8-bit for UTF-8; or a literal. */
static bool domain_ok(const char *s)
{
	size_t n = strlen(s);
	bool literal = s[0] == '[';

	if (literal) {
		if (n < 3 || s[n - 1] != ']')
			return false;
		s++;
		n -= 2;
	}
	for (size_t i = 0; i < n; i++)
		if (!is_alnum(s[i]) && strchr(literal ? ".:-" : ".-_", s[i]) == NULL &&
		    (literal || !is_8bit(s[i])))
			return false;
	return n > 0;
}

static const char *address_length(const char *address)
{
	size_t n = strnlen(address, LIMIT_ADDRESS_BYTES + 1);

	if (n == 0)
		return "an address is empty";
	return n > LIMIT_ADDRESS_BYTES ? "an address is too long" : NULL;
}

const char *outgoing_address(const char *address)
{
	const char *why = address_length(address);
	size_t n = 0;

	if (why != NULL)
		return why;
	if (address[0] == '"') {
		n = quoted_string(address);
		if (n == 0 || address[n] != '@') /* Sendmail reads "|command" as a program */
			return "an address has a quoted local part that is not sound";
	} else {
		/* RFC 5322's specials; the dot may stand anywhere, as MTAs accept it. */
		while (!is_control(address[n]) && strchr(" ()<>[]:;,\\\"@", address[n]) == NULL)
			n++;
	}
	if (n == 0)
		return "an address has no local part";
	if (address[n] == '@')
		return domain_ok(address + n + 1) ? NULL : "an address has no sound domain";
	if (address[n] != '\0')
		return "an address has a character that is not allowed there";
	if (address[0] == '|' || address[0] == '/')
		return "an address names a program or a file";
	return NULL;
}

const char *outgoing_known_address(const char *address)
{
	const char *why = address_length(address);
	bool quoted = false;

	for (const char *p = address; why == NULL && *p != '\0'; p++) {
		if (*p == '\\') {
			if (*++p == '\0')
				return "an address ends in a backslash";
		} else if (*p == '"') {
			quoted = !quoted;
		} else if (!quoted && strchr(" <>;", *p) != NULL) { /* ";": MTAs differ */
			why = "an address has a character that is not allowed there";
		}
		if (is_control(*p))
			why = "an address has a control character";
	}
	if (why == NULL && quoted)
		why = "an address has a quote that does not end";
	if (why == NULL && address[0] == '@' && strchr(address, ':') != NULL)
		why = "an address has a route";
	return why;
}

const char *outgoing_parameters(const char *s)
{
	static const char bad[] = "parameters are not of the form KEYWORD=value";

	if (strnlen(s, LIMIT_ADDRESS_BYTES + 1) > LIMIT_ADDRESS_BYTES)
		return "parameters are too long";
	for (int count = 0; count < LIMIT_PARAMETERS; count++) {
		size_t n = 0;

		if (!is_alnum(*s))
			return bad;
		while (is_alnum(*s) || *s == '-')
			s++;
		if (*s == '=') {
			s++;
			while (s[n] > ' ' && s[n] <= '~' && s[n] != '=')
				n++;
			if (n == 0)
				return bad;
			s += n;
		}
		if (*s == '\0')
			return NULL;
		if (*s++ != ' ')
			return bad;
	}
	return "there are too many parameters";
}

char *outgoing_body(const void *bytes, size_t n, size_t *size, const char **why)
{
	const char *p = n > 0 ? bytes : "", *end = p + n;
	size_t breaks = 1; /* the one that may be missing at the end */
	char *body, *out;

	for (size_t i = 0; i < n; i++)
		breaks += p[i] == '\r' || p[i] == '\n';
	/* A script chose the size: no memory for it is an answer, not the end of the process. */
	body = out = malloc(n + breaks + 2);
	if (body == NULL) {
		*why = "there is no memory for the new body";
		return NULL;
	}
	while (p < end) {
		char c = *p++;

		if (c != '\r' && c != '\n') {
			*out++ = c;
			continue;
		}
		if (c == '\r' && p < end && *p == '\n')
			p++;
		*out++ = '\r';
		*out++ = '\n';
	}
	if (out > body && out[-1] != '\n') {
		*out++ = '\r';
		*out++ = '\n';
	}
	*out = '\0';
	*size = (size_t)(out - body);
	*why = NULL;
	return body;
}
