/* answers.c - see answers.h. */
#include "policy/answers.h"

#include "common/clock.h"
#include "common/list.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SLOTS 8192

static struct slot {
	char *key; /* NULL: empty */
	unsigned generation;
	int64_t until_ms; /* it may be used again */
	struct map_answer answer;
} slots[SLOTS];

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards the slots */

static char *key_of(const struct map_query *q, struct slot **slot)
{
	char *key = xasprintf("%s %.*s", q->name, (int)q->key_n, q->key);
	unsigned hash = 2166136261u; /* FNV-1a */

	for (const char *p = key; *p != '\0'; p++)
		hash = (hash ^ (unsigned char)*p) * 16777619u;
	*slot = &slots[hash % SLOTS];
	return key;
}

bool answers_recall(const struct map_query *q, bool any, struct map_answer *out)
{
	struct slot *s;
	char *key = key_of(q, &s);
	bool found;

	pthread_mutex_lock(&lock);
	found = s->key != NULL && strcmp(s->key, key) == 0 &&
		s->generation == script_set_generation(q->set) && (any || clock_ms() < s->until_ms);
	if (found)
		*out = (struct map_answer){
		    s->answer.status, s->answer.value != NULL ? xstrdup(s->answer.value) : NULL};
	pthread_mutex_unlock(&lock);
	free(key);
	return found;
}

void answers_note(const struct map_query *q, const struct map_answer *a, int reuse_ms)
{
	struct slot *s;
	char *key = key_of(q, &s);

	pthread_mutex_lock(&lock);
	free(s->key);
	s->key = key;
	s->generation = script_set_generation(q->set);
	s->until_ms = clock_ms() + reuse_ms;
	s->answer.status = a->status;
	xreplace(&s->answer.value, a->value);
	pthread_mutex_unlock(&lock);
}

void answers_forget_all(void)
{
	pthread_mutex_lock(&lock);
	for (size_t i = 0; i < SLOTS; i++) {
		free(slots[i].key);
		free(slots[i].answer.value);
		slots[i] = (struct slot){0};
	}
	pthread_mutex_unlock(&lock);
}
