/* maillog_text.c - see maillog_text.h. */
#include "common/maillog/maillog_text.h"

#include "common/limits.h"
#include "common/network.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void skip(struct maillog_text *t, size_t n)
{
	t->s += n;
	t->n -= n;
}

bool text_word(struct maillog_text *t, const char *word)
{
	size_t n = strlen(word);

	if (t->n < n || memcmp(t->s, word, n) != 0)
		return false;
	skip(t, n);
	return true;
}

bool text_is(struct maillog_text t, const char *word)
{
	return t.n == strlen(word) && memcmp(t.s, word, t.n) == 0;
}

bool text_ends(struct maillog_text t, const char *word)
{
	size_t n = strlen(word);

	return t.n >= n && memcmp(t.s + t.n - n, word, n) == 0;
}

bool text_until(struct maillog_text *t, const char *end, struct maillog_text *part)
{
	const char *found = t->n > 0 ? memmem(t->s, t->n, end, strlen(end)) : NULL;

	if (found == NULL)
		return false;
	*part = (struct maillog_text){t->s, (size_t)(found - t->s)};
	skip(t, part->n + strlen(end));
	return true;
}

bool text_number(struct maillog_text *t, int64_t *value)
{
	int64_t v = 0;
	size_t n = 0;

	for (; n < t->n && is_digit(t->s[n]) && n < 18; n++)
		v = v * 10 + (t->s[n] - '0');
	if (n == 0)
		return false;
	skip(t, n);
	*value = v;
	return true;
}

bool text_seconds(struct maillog_text *t, int64_t *ms)
{
	int64_t seconds, scale = 100, fraction = 0;

	if (!text_number(t, &seconds) || seconds > INT64_MAX / 2000)
		return false;
	if (text_word(t, "."))
		for (; t->n > 0 && is_digit(*t->s); skip(t, 1), scale /= 10)
			fraction += (*t->s - '0') * scale;
	*ms = seconds * 1000 + fraction;
	return true;
}

size_t text_name_bytes(struct maillog_text t)
{
	size_t n = 0;

	while (n < t.n &&
	       (is_digit(t.s[n]) || is_letter(t.s[n]) || strchr("-_.", t.s[n]) != NULL) &&
	       t.s[n] != '\0')
		n++;
	return n <= LIMIT_DNS_NAME_BYTES + 1 ? n : 0; /* with a dot at its end */
}

bool text_is_address(struct maillog_text t)
{
	char copy[64];
	struct ip_address ip;

	if (t.n == 0 || t.n >= sizeof copy || memchr(t.s, '\0', t.n) != NULL)
		return false;
	memcpy(copy, t.s, t.n);
	copy[t.n] = '\0';
	return ip_address_parse(&ip, copy);
}

/* A next hop that is an IPv6 address stands in the place of the name. */
static size_t host_bytes(struct maillog_text t)
{
	size_t n = text_name_bytes(t), end = n;

	if (n == t.n || t.s[n] != ':')
		return n;
	while (end < t.n && end < INET6_ADDRSTRLEN && t.s[end] != '[')
		end++;
	return text_is_address((struct maillog_text){t.s, end}) ? end : 0;
}

bool text_host(struct maillog_text *t, struct maillog_text *server, struct maillog_text *address)
{
	struct maillog_text rest = *t, inside, name;

	name = (struct maillog_text){rest.s, host_bytes(rest)};
	skip(&rest, name.n);
	if (name.n == 0 || !text_word(&rest, "[") || !text_until(&rest, "]", &inside) ||
	    !text_is_address(inside))
		return false;
	*server = name;
	*address = inside;
	*t = rest;
	return true;
}

bool text_angle(struct maillog_text *t, struct maillog_text *address)
{
	bool quoted = false;

	if (t->n == 0 || *t->s != '<')
		return false;
	for (size_t i = 1; i < t->n; i++) {
		if (quoted && t->s[i] == '\\') {
			i++;
		} else if (t->s[i] == '"') {
			quoted = !quoted;
		} else if (t->s[i] == '>' && !quoted) {
			*address = (struct maillog_text){t->s + 1, i - 1};
			skip(t, i + 1);
			return true;
		}
	}
	return false;
}

bool text_queue_id(struct maillog_text *t, struct maillog_text *id)
{
	size_t n = 0, digits = 0;

	for (; n < t->n && n < 64 && (is_digit(t->s[n]) || is_letter(t->s[n])); n++)
		digits += is_digit(t->s[n]);
	/* "warning: " looks the same but for the digits. */
	if (digits == 0 || n < 5 || t->n < n + 2 || memcmp(t->s + n, ": ", 2) != 0)
		return false;
	*id = (struct maillog_text){t->s, n};
	skip(t, n + 2);
	return true;
}

bool text_has_code(struct maillog_text t)
{
	return t.n >= 3 && t.s[0] >= '2' && t.s[0] <= '5' && is_digit(t.s[1]) && is_digit(t.s[2]) &&
	       (t.n == 3 || t.s[3] == ' ' || t.s[3] == '-');
}
