/* redis_script.c - see redis_script.h. The texts are in redis_script_text.c. */
#include "common/store/redis_script.h"

#include "common/log.h"
#include "common/store/redis_script_text.h"

#include <openssl/evp.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

static struct redis_script scripts[REDIS_SCRIPTS] = {
    [REDIS_SCRIPT_ATTEMPT_ADD] = {"attempt_add", redis_script_attempt_add, ""},
    [REDIS_SCRIPT_ATTEMPT_COUNT] = {"attempt_count", redis_script_attempt_count, ""},
    [REDIS_SCRIPT_ATTEMPT_PAGE] = {"attempt_page", redis_script_attempt_page, ""},
    [REDIS_SCRIPT_ATTEMPT_TRIM] = {"attempt_trim", redis_script_attempt_trim, ""},
    [REDIS_SCRIPT_RATE] = {"rate", redis_script_rate, ""},
    [REDIS_SCRIPT_RATE_MERGE] = {"rate_merge", redis_script_rate_merge, ""},
    [REDIS_SCRIPT_HOLD_SET] = {"hold_set", redis_script_hold_set, ""},
    [REDIS_SCRIPT_HOLD_GET] = {"hold_get", redis_script_hold_get, ""},
    [REDIS_SCRIPT_HOLD_LIST] = {"hold_list", redis_script_hold_list, ""},
    [REDIS_SCRIPT_HOLD_RELEASE] = {"hold_release", redis_script_hold_release, ""},
    [REDIS_SCRIPT_SETTING_SET] = {"setting_set", redis_script_setting_set, ""},
    [REDIS_SCRIPT_FACTS_PUT] = {"facts_put", redis_script_facts_put, ""},
    [REDIS_SCRIPT_FACTS_GET] = {"facts_get", redis_script_facts_get, ""},
    [REDIS_SCRIPT_FACTS_TRIED] = {"facts_tried", redis_script_facts_tried, ""},
    [REDIS_SCRIPT_FACTS_DELETE] = {"facts_delete", redis_script_facts_delete, ""},
    [REDIS_SCRIPT_FACTS_HOP] = {"facts_hop", redis_script_facts_hop, ""},
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void digest_all(void)
{
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		unsigned char md[EVP_MAX_MD_SIZE] = {0};
		struct redis_script *s = &scripts[i];

		if (EVP_Digest(s->text, strlen(s->text), md, NULL, EVP_sha1(), NULL) != 1)
			log_bug(
			    NULL, "store: SHA-1 failed; Redis will not know script %s", s->name);
		for (int k = 0; k < 20; k++)
			snprintf(s->digest + (size_t)2 * (size_t)k, 3, "%02x", md[k]);
	}
}

const struct redis_script *redis_script(enum redis_script_id id)
{
	pthread_once(&once, digest_all);
	return &scripts[id];
}
