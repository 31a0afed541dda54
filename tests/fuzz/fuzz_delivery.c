/* The delivery context: lines of input are questions of an SMTP client, as its socketmaps would ask
 * them in any order; what a script might answer for a reply is one line with a code (R10). */
#include "policy/delivery.h"
#include "policy/dns_key.h"
#include "policy/reply_line.h"
#include "tests/fuzz/must.h"

#include "common/limits.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

static void check_name(const char *name)
{
	MUST(*name != '\0' && strlen(name) <= LIMIT_DNS_NAME_BYTES);
	for (; *name != '\0'; name++)
		MUST(isalnum((unsigned char)*name) || strchr("-_.:", *name) != NULL);
}

static void dns(struct delivery *d, const char *line, size_t n)
{
	struct ip_address ip;
	struct dns_key k;

	if (!dns_key_parse(line, n, &k))
		return;
	check_name(k.owner);
	if (k.type == DNS_KEY_MX) {
		check_name(k.value);
		delivery_mx(d, k.owner, k.value, k.preference);
		if (k.preference % 2 == 1)
			delivery_drop(d, k.value);
	} else if (k.type == DNS_KEY_ADDRESS) {
		MUST(ip_address_parse(&ip, k.value));
		delivery_address(d, k.owner, &ip);
	}
	MUST(d->ndropped <= d->nhosts && d->nhosts <= LIMIT_MX_SERVERS);
	MUST(d->naddresses <= LIMIT_DELIVERY_ADDRESSES);
}

static void reply(struct delivery *d, const char *line, size_t n)
{
	enum command c;
	char *text;
	int code;

	if (!delivery_reply_line(d, line, n))
		return;
	MUST(d->reply != NULL && strlen(d->reply) < LIMIT_REPLY_BYTES);
	code = (line[0] - '0') * 100 + (line[1] - '0') * 10 + line[2] - '0';
	c = delivery_answered(d, code);
	text = delivery_command_text(d, c);
	MUST(text != NULL && *text != '\0');
	free(text);
	delivery_went_on(d, c, code);
	MUST(d->reply == NULL);
}

static void script(const char *line, size_t n)
{
	char *wanted = strndup(line, n), *out;
	const char *why;

	for (int any = 0; any < 2; any++) {
		out = reply_line_replace(450, "450 4.2.1 x", wanted, any != 0, &why);
		if (out != NULL) {
			MUST(strpbrk(out, "\r\n") == NULL && strlen(out) <= 510);
			MUST(isdigit((unsigned char)out[0]) && out[3] == ' ');
			MUST(any != 0 || out[0] == '4' || out[0] == '5');
		}
		free(out);
	}
	free(wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct peer peer = {1, 1};
	const char *p = (const char *)data, *end = p + size;
	struct delivery *d = delivery_enter(&peer);

	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t n = (size_t)((stop != NULL ? stop : end) - p);
		char *text = n > 0 ? strndup(p + 1, n - 1) : NULL;
		struct ip_address ip;

		switch (n > 0 ? *p : 0) {
		case 'd':
			dns(d, p + 1, n - 1);
			break;
		case 'r':
			reply(d, p + 1, n - 1);
			break;
		case 's':
			script(p + 1, n - 1);
			break;
		case 'g':
			delivery_envelope(d, text);
			break;
		case 'e':
			if (ip_address_parse(&ip, text))
				delivery_remote(d, &ip);
			break;
		case 't':
			delivery_connect(d);
			break;
		case 'o':
			delivery_reported(d, COMMAND_CONNECT);
			break;
		default:
			break;
		}
		free(text);
		p += n + 1;
	}
	delivery_leave(d);
	delivery_forget_all();
	return 0;
}
