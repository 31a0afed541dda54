/* map_requeue.c - see map_requeue.h. */
#include "policy/map_requeue.h"

#include "common/list.h"
#include "common/queue_record.h"
#include "lua-bindings/relayout.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

static struct map_answer wait_for(const char *why)
{
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup(why)};
}

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

/* "ID-TOKEN", the value of our field; NULL: it is another field. */
static const char *value_of(const struct map_query *q)
{
	static const char name[] = RELAYOUT_HELD_FIELD ":";
	const char *value = q->key + sizeof name - 1;

	if (strlen(q->key) != q->key_n || strncasecmp(q->key, name, sizeof name - 1) != 0)
		return NULL;
	return value + strspn(value, " ");
}

/* It is the field of the message of this record, and nobody else can have seen it. */
static bool is_genuine(const struct queue_record *r, const char *token)
{
	return r->held_ms != 0 && r->released_ms == 0 && r->token != NULL &&
	       strlen(r->token) == QUEUE_RECORD_TOKEN_BYTES - 1 && strcmp(token, r->token) == 0;
}

/* The sender that was chosen; of a message that is requeued by hand before, the one it was held
 * for. */
static struct map_answer use(
    const char *directory, const char *id, struct queue_record *r, bool chosen_only)
{
	bool chosen = r->chosen != NULL && *r->chosen != '\0';
	const char *to = chosen || chosen_only ? r->chosen : r->filter;

	if (to == NULL || *to == '\0')
		return not_found();
	if (r->asked_ms != 0)
		return wait_for("this was asked before");
	r->asked_ms = (int64_t)time(NULL) * 1000;
	if (!queue_record_save(directory, id, r))
		return wait_for("the record of this message cannot be written");
	return (struct map_answer){SOCKETMAP_OK, xasprintf("FILTER %s", to)};
}

static struct map_answer answer(const struct map_query *q, bool chosen_only)
{
	const char *directory = script_set_config(q->set)->agent.directory, *value = value_of(q);
	size_t n = value != NULL ? strcspn(value, "-") : 0;
	struct map_answer a = not_found();
	struct queue_record r = {0};
	char *id;

	if (value == NULL || value[n] == '\0')
		return a;
	id = xstrndup(value, n);
	if (queue_record_load(directory, id, &r)) {
		if (is_genuine(&r, value + n + 1))
			a = use(directory, id, &r, chosen_only);
	} else if (queue_record_is_id(id) && errno != ENOENT) {
		a = wait_for("the record of this message cannot be read");
	}
	queue_record_clear(&r);
	free(id);
	return a;
}

struct map_answer map_requeue_answer(const struct map_query *q, int number)
{
	(void)number;
	return answer(q, false);
}

struct map_answer map_requeue_chosen(const struct map_query *q)
{
	return answer(q, true);
}

struct map_answer map_requeue_late(const struct map_query *q, int number)
{
	(void)number;
	return value_of(q) != NULL ? wait_for("no answer in time") : not_found();
}
