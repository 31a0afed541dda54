/* A TNEF stream: every file and every name lies inside it (R15). */
#include "common/limits.h"
#include "common/mime/tnef.h"
#include "tests/fuzz/must.h"

static void must_be_inside(const struct tnef_text *t, const uint8_t *data, size_t size)
{
	if (t->s == NULL) {
		MUST(t->n == 0);
		return;
	}
	MUST(t->s >= data && t->s <= data + size);
	MUST(t->n <= (size_t)(data + size - t->s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct tnef t;

	tnef_read(&t, data, size);
	MUST(t.nfiles <= LIMIT_TNEF_FILES);
	MUST(t.is_tnef || (t.nfiles == 0 && !t.damaged));
	MUST(!t.too_many || t.nfiles == LIMIT_TNEF_FILES);
	for (size_t i = 0; i < t.nfiles; i++) {
		MUST(t.files[i].offset <= size && t.files[i].size <= size - t.files[i].offset);
		must_be_inside(&t.files[i].name, data, size);
		must_be_inside(&t.files[i].type, data, size);
	}
	tnef_clear(&t);
	return 0;
}
