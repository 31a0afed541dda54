/* socketmap_codec.c - see socketmap_codec.h. */
#include "policy/socketmap_codec.h"

#include "common/limits.h"
#include "common/list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_DIGITS 6 /* of LIMIT_SOCKETMAP_REPLY_BYTES */

void socketmap_reader_clear(struct socketmap_reader *r)
{
	free(r->text);
	*r = (struct socketmap_reader){0};
}

bool socketmap_reader_idle(const struct socketmap_reader *r)
{
	return r->complete || (r->digits == 0 && !r->in_text);
}

static enum codec broken(struct socketmap_reader *r, const char *why)
{
	r->why = why;
	return CODEC_BROKEN;
}

/* "NAME KEY" */
static enum codec split(struct socketmap_reader *r)
{
	char *blank = memchr(r->text, ' ', r->length);

	if (memchr(r->text, '\0', r->length) != NULL)
		return broken(r, "a zero byte in the request");
	if (blank == NULL || blank == r->text)
		return broken(r, "not the name of a map, a blank and a key");
	r->text[r->length] = '\0';
	*blank = '\0';
	r->name = r->text;
	r->key = blank + 1;
	r->key_n = r->length - (size_t)(r->key - r->text);
	r->complete = true;
	return CODEC_MESSAGE;
}

static enum codec feed_length(struct socketmap_reader *r, char c)
{
	if (c == ':' && r->digits > 0) {
		r->text = xmalloc(r->length + 1);
		r->in_text = true;
		return CODEC_MORE;
	}
	if (c < '0' || c > '9')
		return broken(r, "not a netstring");
	if (r->digits > 0 && r->length == 0)
		return broken(r, "a length with a leading zero");
	r->length = 10 * r->length + (size_t)(c - '0');
	r->digits++;
	return r->length <= LIMIT_SOCKETMAP_QUERY_BYTES ? CODEC_MORE
							: broken(r, "the request is too long");
}

static void take_text(struct socketmap_reader *r, const char **p, size_t *n)
{
	size_t wanted = r->length - r->n, part = *n < wanted ? *n : wanted;

	memcpy(r->text + r->n, *p, part);
	r->n += part;
	*p += part;
	*n -= part;
}

enum codec socketmap_feed(struct socketmap_reader *r, const char **p, size_t *n)
{
	enum codec c;

	if (r->complete)
		socketmap_reader_clear(r);
	while (*n > 0) {
		if (r->in_text && r->n < r->length) {
			take_text(r, p, n);
			continue;
		}
		c = CODEC_MORE;
		if (r->in_text)
			c = **p == ',' ? split(r) : broken(r, "no comma behind a netstring");
		else
			c = feed_length(r, **p);
		if (c == CODEC_BROKEN)
			return c;
		++*p;
		--*n;
		if (c == CODEC_MESSAGE)
			return c;
	}
	return CODEC_MORE;
}

static bool can_be_sent(const char *value, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (value[i] == '\r' || value[i] == '\n' || value[i] == '\0')
			return false;
	return true;
}

char *socketmap_reply(enum socketmap_status status, const char *value, size_t n, size_t *size)
{
	static const char *const words[] = {
	    [SOCKETMAP_OK] = "OK ",
	    [SOCKETMAP_NOTFOUND] = "NOTFOUND ",
	    [SOCKETMAP_TEMP] = "TEMP ",
	    [SOCKETMAP_PERM] = "PERM ",
	};
	const char *word = words[status];
	size_t word_n = strlen(word), head;
	char *out;

	if (status == SOCKETMAP_NOTFOUND)
		n = 0;
	if (n > LIMIT_SOCKETMAP_REPLY_BYTES - word_n || (status == SOCKETMAP_OK && n == 0) ||
	    !can_be_sent(value, n))
		return NULL;
	out = xmalloc(LENGTH_DIGITS + 2 + word_n + n + 1);
	head = (size_t)snprintf(out, LENGTH_DIGITS + 2, "%zu:", word_n + n);
	memcpy(out + head, word, word_n);
	if (n > 0)
		memcpy(out + head + word_n, value, n);
	*size = head + word_n + n + 1;
	out[*size - 1] = ',';
	return out;
}
