/* Requests of the policy protocol: the same messages however the bytes are split (R3); and the
 * input as an action of a script: what is sent is one attribute, legal at its stage (R10). */
#include "common/list.h"
#include "policy/action.h"
#include "policy/policy_codec.h"
#include "tests/fuzz/must.h"

#include <stdbool.h>
#include <string.h>

struct messages {
	size_t n, attributes;
	unsigned hash; /* of all names and values */
	bool broken;
};

static void note(struct messages *m, const struct policy_reader *r)
{
	MUST(r->nattributes > 0 && r->nattributes <= LIMIT_POLICY_ATTRIBUTES);
	m->n++;
	m->attributes += r->nattributes;
	for (size_t i = 0; i < r->nattributes; i++) {
		const char *name = r->attributes[i].name, *value = r->attributes[i].value;

		MUST(*name != '\0' && strchr(name, '=') == NULL && strchr(value, '\n') == NULL);
		MUST(policy_attribute(r->attributes, r->nattributes, name) == value);
		for (; *name != '\0'; name++)
			m->hash = m->hash * 31 + (unsigned char)*name;
		for (; *value != '\0'; value++)
			m->hash = m->hash * 31 + (unsigned char)*value;
	}
}

static struct messages read_all(const char *p, size_t n, size_t step)
{
	struct policy_reader r = {0};
	struct messages m = {0};

	while (n > 0 && !m.broken) {
		size_t part = n < step ? n : step, rest = part;
		const char *at = p;

		switch (policy_feed(&r, &at, &rest)) {
		case CODEC_MORE:
			MUST(rest == 0);
			break;
		case CODEC_MESSAGE:
			MUST(policy_reader_idle(&r));
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
	policy_reader_clear(&r);
	return m;
}

static void must_be_one_attribute(const char *action, size_t n)
{
	size_t size;
	char *reply = policy_reply(action, n, &size);

	if (reply == NULL)
		return;
	MUST(size == n + strlen("action=\n\n"));
	MUST((size_t)((char *)memchr(reply, '\n', size) - reply) == size - 2);
	MUST(memchr(reply, '\0', size) == NULL && memchr(reply, '\r', size) == NULL);
	free(reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	struct messages whole = read_all(text, size, size), bytes = read_all(text, size, 1);
	const char *why = NULL;
	char *action;

	MUST(whole.n == bytes.n && whole.attributes == bytes.attributes);
	MUST(whole.hash == bytes.hash && whole.broken == bytes.broken);
	must_be_one_attribute(text, size);
	for (unsigned stage = STAGE_CONNECT; stage <= STAGE_OTHER; stage <<= 1) {
		action = action_check(text, size, (enum stage)stage, &why);
		if (action == NULL) {
			MUST(why != NULL);
			continue;
		}
		MUST(action[0] != '2' && action[0] != '3');
		must_be_one_attribute(action, strlen(action));
		free(action);
	}
	return 0;
}
