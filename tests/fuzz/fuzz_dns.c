/* Raw DNS answers: any bytes are one of three answers, complete and within the limits (R5, R6).
 * The first byte chooses the type that was asked for, the rest is the message. */
#include "common/dns/dns_message.h"
#include "common/limits.h"
#include "common/dns/rbl_query.h"
#include "tests/fuzz/must.h"

#include <ares.h>

#include <arpa/inet.h>
#include <string.h>

#define NAME "2.0.0.127.bl.test" /* what the seeds answer */

enum { A = 1, CNAME = 5, MX = 15, TXT = 16, AAAA = 28 };

static const int types[] = {A, AAAA, TXT, CNAME, MX};

static void must_be_values_of(const struct dns_answer *answer, int type)
{
	unsigned char bytes[16];

	for (size_t i = 0; i < answer->values.n; i++) {
		const char *value = answer->values.v[i];

		if (type == A)
			MUST(inet_pton(AF_INET, value, bytes) == 1);
		else if (type == AAAA)
			MUST(inet_pton(AF_INET6, value, bytes) == 1);
		else
			MUST(type == TXT && strlen(value) <= LIMIT_DNS_MESSAGE_BYTES);
		if (type == A && i == 0)
			MUST(memcmp(bytes, answer->first_a, 4) == 0);
	}
}

static void must_be_judged(const struct dns_answer *answer)
{
	unsigned char code[4] = {0};

	switch (rbl_query_judge(answer, code)) {
	case RBL_LISTED:
		MUST(answer->status == DNS_FOUND && code[0] == 127);
		MUST(code[1] != 255 || code[2] != 255);
		break;
	case RBL_FOREIGN:
	case RBL_REFUSING:
		MUST(answer->status == DNS_FOUND);
		break;
	case RBL_NOT_LISTED:
		MUST(answer->status == DNS_ABSENT);
		break;
	case RBL_UNKNOWN:
		MUST(answer->status == DNS_UNKNOWN);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dns_answer answer;
	int type;

	if (size == 0)
		return 0;
	type = types[data[0] % (sizeof types / sizeof *types)];
	dns_message_read(data + 1, size - 1, NAME, type, &answer);
	switch (answer.status) {
	case DNS_FOUND:
		MUST(answer.error == ARES_SUCCESS && answer.ttl <= INT32_MAX);
		MUST(answer.values.n <= LIMIT_DNS_RECORDS);
		MUST((answer.values.n > 0) == (type == A || type == AAAA || type == TXT));
		break;
	case DNS_ABSENT:
		MUST(answer.error == ARES_ENOTFOUND || answer.error == ARES_ENODATA);
		MUST(answer.values.n == 0 && answer.ttl <= INT32_MAX);
		break;
	case DNS_UNKNOWN:
		MUST(answer.error != ARES_SUCCESS && answer.ttl == 0 && answer.values.n == 0);
		break;
	}
	must_be_values_of(&answer, type);
	must_be_judged(&answer);
	dns_answer_clear(&answer);
	return 0;
}
