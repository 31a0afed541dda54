/* A whole message gets a signature: whatever it is, all but one stretch of text in each signed part
 * is as it was, and the structure is the same (R6, R8, R9). */
#include "tests/fuzz/must.h"
#include "tests/unit/signing_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct rig_bytes bytes = {(const char *)data, size, 0, 0};
	bool is_signed;
	const char *wrong = check_signing(&bytes, &is_signed);

	if (wrong != NULL)
		fprintf(stderr, "%s\n", wrong);
	MUST(wrong == NULL);
	return 0;
}
