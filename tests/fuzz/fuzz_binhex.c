/* A BinHex 4.0 text: the same answer however it is cut, and no more than was stated (R15). */
#include "common/mime/binhex.h"
#include "common/limits.h"
#include "tests/fuzz/must.h"

#include <string.h>

struct seen {
	uint64_t n, hash;
};

static bool take(void *arg, const void *bytes, size_t n)
{
	struct seen *s = arg;

	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3;
	s->n += n;
	return true;
}

static enum binhex_state decode(
    const uint8_t *data, size_t size, size_t piece, struct seen *s, struct binhex_info *info)
{
	struct binhex *b = binhex_new(take, s);
	enum binhex_state state = BINHEX_MORE;

	for (size_t at = 0; at < size; at += piece)
		state = binhex_feed(b, data + at, piece < size - at ? piece : size - at);
	*info = *binhex_info(b);
	binhex_free(b);
	return state;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct seen whole = {0, 0}, pieces = {0, 0};
	struct binhex_info info, again;
	enum binhex_state state = decode(data, size, size + 1, &whole, &info);

	MUST(decode(data, size, 1 + size % 7, &pieces, &again) == state);
	MUST(whole.n == pieces.n && whole.hash == pieces.hash);
	MUST(memcmp(&info, &again, sizeof info) == 0);
	MUST(info.header || whole.n == 0);
	MUST(whole.n == info.data_got && whole.n <= LIMIT_BINHEX_FILE_BYTES);
	MUST(info.data_got <= info.data_size);
	MUST(!info.complete || info.data_got == info.data_size);
	MUST(state != BINHEX_DONE || info.header);
	MUST(info.name_size < sizeof info.name);
	return 0;
}
