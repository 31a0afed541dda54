/* patch.c - see patch.h. */
#include "common/patch.h"

#include "common/list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CHUNK_BYTES 65536 /* copied at once; a packet of the milter protocol holds as many */

struct change {
	uint64_t at, drop;
	char *bytes;
	size_t n;
};

struct patch {
	struct change *v;
	size_t n;
};

struct patch *patch_new(void)
{
	return xcalloc(1, sizeof(struct patch));
}

void patch_free(struct patch *p)
{
	if (p == NULL)
		return;
	for (size_t i = 0; i < p->n; i++)
		free(p->v[i].bytes);
	free(p->v);
	free(p);
}

bool patch_replace(struct patch *p, uint64_t at, uint64_t drop, const void *bytes, size_t n)
{
	struct change *last = p->n > 0 ? &p->v[p->n - 1] : NULL;

	if (last != NULL && at < last->at + last->drop)
		return false;
	p->v = xgrow(p->v, p->n, sizeof *p->v);
	last = &p->v[p->n++];
	*last = (struct change){.at = at, .drop = drop, .bytes = xmalloc(n + 1), .n = n};
	if (n > 0)
		memcpy(last->bytes, bytes, n);
	return true;
}

size_t patch_count(const struct patch *p)
{
	return p->n;
}

const char *patch_bytes(const struct patch *p, size_t i, size_t *n, uint64_t *at)
{
	*n = p->v[i].n;
	*at = p->v[i].at;
	return p->v[i].bytes;
}

uint64_t patch_size(const struct patch *p, uint64_t size)
{
	for (size_t i = 0; i < p->n; i++)
		size = size - p->v[i].drop + p->v[i].n;
	return size;
}

/* [from, to) as it stands; to UINT64_MAX: until the source ends. */
static enum mime_result copy(const struct mime_source *source, uint64_t from, uint64_t to,
    char *buffer, const struct mime_sink *sink)
{
	while (from < to) {
		uint64_t left = to - from;
		ssize_t got = source->read(
		    source->arg, from, buffer, left < CHUNK_BYTES ? (size_t)left : CHUNK_BYTES);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return MIME_UNREAD;
		if (got == 0) {
			errno = EIO;
			return to == UINT64_MAX ? MIME_OK : MIME_UNREAD;
		}
		if (!sink->write(sink->arg, buffer, (size_t)got))
			return MIME_STOPPED;
		from += (uint64_t)got;
	}
	return MIME_OK;
}

enum mime_result patch_write(const struct patch *p, const struct mime_source *source, uint64_t from,
    const struct mime_sink *sink)
{
	char *buffer = xmalloc(CHUNK_BYTES);
	enum mime_result result = MIME_OK;

	for (size_t i = 0; result == MIME_OK && i < p->n; i++) {
		const struct change *c = &p->v[i];

		result = copy(source, from, c->at, buffer, sink);
		if (result == MIME_OK && c->n > 0 && !sink->write(sink->arg, c->bytes, c->n))
			result = MIME_STOPPED;
		from = c->at + c->drop;
	}
	if (result == MIME_OK)
		result = copy(source, from, UINT64_MAX, buffer, sink);
	free(buffer);
	return result;
}
