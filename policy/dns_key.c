/* dns_key.c - see dns_key.h. */
#include "policy/dns_key.h"

#include "common/dns/dns_name.h"
#include "common/network.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FIELDS 6

/* Fields with single blanks between them. More than `most`: the rest is part of the last one. */
static int split(char *text, char **field, int most)
{
	int n = 0;

	for (char *p = text; p != NULL && n < most; n++) {
		field[n] = p;
		p = n + 1 < most ? strchr(p, ' ') : NULL;
		if (p != NULL)
			*p++ = '\0';
	}
	return n;
}

static bool take_name(const char *text, char *out)
{
	size_t n = strlen(text);

	if (n == 0 || !dns_name_valid(text))
		return false;
	n -= text[n - 1] == '.';
	for (size_t i = 0; i < n; i++)
		out[i] = (char)tolower((unsigned char)text[i]);
	out[n] = '\0';
	return true;
}

static bool take_number(const char *text, unsigned *out)
{
	size_t n = strlen(text);

	if (n == 0 || n > 5 || strspn(text, "0123456789") != n)
		return false;
	*out = (unsigned)strtoul(text, NULL, 10);
	return *out <= UINT16_MAX;
}

static bool take_mx(char *const *field, int n, struct dns_key *k)
{
	k->type = DNS_KEY_MX;
	if (n == 6 && strcmp(field[5], ".") == 0) {
		k->type = DNS_KEY_OTHER;
		return true;
	}
	return n == 6 && take_number(field[4], &k->preference) && take_name(field[5], k->value);
}

static bool take_address(char *const *field, int n, struct dns_key *k)
{
	struct ip_address ip;

	k->type = DNS_KEY_ADDRESS;
	if (n != 5 || !ip_address_parse(&ip, field[4]))
		return false;
	ip_address_text(&ip, k->value, sizeof k->value);
	return true;
}

bool dns_key_parse(const char *key, size_t n, struct dns_key *k)
{
	char text[2 * LIMIT_DNS_NAME_BYTES + 64], *field[FIELDS];
	int fields;

	*k = (struct dns_key){.type = DNS_KEY_OTHER};
	if (n >= sizeof text || memchr(key, '\0', n) != NULL)
		return false;
	memcpy(text, key, n);
	text[n] = '\0';
	fields = split(text, field, FIELDS);
	if (fields < 5 || !take_name(field[0], k->owner) || strcmp(field[2], "IN") != 0)
		return false;
	if (strcmp(field[3], "MX") == 0)
		return take_mx(field, fields, k);
	if (strcmp(field[3], "A") == 0 || strcmp(field[3], "AAAA") == 0)
		return take_address(field, fields, k);
	return true;
}
