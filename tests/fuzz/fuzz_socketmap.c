/* Socketmap requests: the same messages however the bytes are split (R3); and the input as a value:
 * the reply is one netstring (R10). */
#include "common/limits.h"
#include "policy/socketmap_codec.h"
#include "tests/fuzz/must.h"

#include <stdbool.h>
#include <string.h>

struct messages {
	size_t n, bytes;
	unsigned hash;
	bool broken;
};

static void note(struct messages *m, const struct socketmap_reader *r)
{
	MUST(*r->name != '\0' && strchr(r->name, ' ') == NULL);
	MUST(strlen(r->key) == r->key_n);
	MUST(strlen(r->name) + 1 + r->key_n <= LIMIT_SOCKETMAP_QUERY_BYTES);
	m->n++;
	m->bytes += r->key_n;
	for (size_t i = 0; i < r->key_n; i++)
		m->hash = m->hash * 31 + (unsigned char)r->key[i];
}

static struct messages read_all(const char *p, size_t n, size_t step)
{
	struct socketmap_reader r = {0};
	struct messages m = {0};

	while (n > 0 && !m.broken) {
		size_t part = n < step ? n : step, rest = part;
		const char *at = p;

		switch (socketmap_feed(&r, &at, &rest)) {
		case CODEC_MORE:
			MUST(rest == 0);
			break;
		case CODEC_MESSAGE:
			MUST(socketmap_reader_idle(&r));
			note(&m, &r);
			break;
		case CODEC_BROKEN:
			MUST(r.why != NULL);
			m.broken = true;
			break;
		}
		p += part - rest;
		n -= part - rest;
	}
	socketmap_reader_clear(&r);
	return m;
}

static void must_be_one_netstring(enum socketmap_status status, const char *value, size_t n)
{
	size_t size;
	char *reply = socketmap_reply(status, value, n, &size), *end;

	if (reply == NULL)
		return;
	MUST(strtoul(reply, &end, 10) <= LIMIT_SOCKETMAP_REPLY_BYTES && *end == ':');
	MUST((size_t)(end - reply) + 1 + strtoul(reply, NULL, 10) + 1 == size);
	MUST(reply[size - 1] == ',');
	MUST(memchr(reply, '\n', size) == NULL && memchr(reply, '\0', size) == NULL);
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct messages whole = read_all(text, size, size), bytes = read_all(text, size, 1);

	MUST(whole.n == bytes.n && whole.bytes == bytes.bytes);
	MUST(whole.hash == bytes.hash && whole.broken == bytes.broken);
	must_be_one_netstring(SOCKETMAP_OK, text, size);
	must_be_one_netstring(SOCKETMAP_TEMP, text, size);
	return 0;
}
