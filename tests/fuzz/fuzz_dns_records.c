/* Raw DNS answers: whatever the bytes, the records are complete, and no name in them is one that a
 * host cannot have (R5, R6, R17). The first byte chooses the type that was asked for. */
#include "common/dns_records.h"
#include "common/limits.h"
#include "tests/fuzz/must.h"

#include <string.h>

#define NAME "2.0.0.127.bl.test" /* what the seeds answer */

static const int types[] = {1, 28, 16, 5, 15, 255, 6, 33, 11, 12};

/* What no name may contain. */
static void must_be_name(const char *name)
{
	MUST(name[0] != '\0');
	for (; *name != '\0'; name++)
		MUST((*name >= 'a' && *name <= 'z') || (*name >= 'A' && *name <= 'Z') ||
		     (*name >= '0' && *name <= '9') || strchr("-_./", *name) != NULL);
}

static void must_be_record(const struct dns_record *r)
{
	MUST(r->domain != NULL && r->value != NULL && r->value[r->n] == '\0');
	MUST(r->ttl <= INT32_MAX && r->section <= DNS_SECTION_ADDITIONAL);
	must_be_name(r->domain);
	MUST((r->soa != NULL) == (r->type == 6));
	if (r->type == 2 || r->type == 5 || r->type == 12 || r->type == 15)
		must_be_name(r->value);
	if (r->soa != NULL) {
		must_be_name(r->soa->primary);
		MUST(r->soa->mailbox[0] == '\0' || strchr(r->soa->mailbox, '@') != NULL);
	}
	if (r->type != 16)
		MUST(strlen(r->value) == r->n);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_records records;

	if (size == 0)
		return 0;
	dns_records_read(
	    data + 1, size - 1, NAME, types[data[0] % (sizeof types / sizeof *types)], &records);
	MUST(records.code == 0 || records.n == 0);
	MUST(records.code >= DNS_CODE_NONSENSE && records.n <= 3 * LIMIT_DNS_RECORDS);
	for (size_t i = 0; i < records.n; i++)
		must_be_record(&records.v[i]);
	dns_records_clear(&records);
	return 0;
}
