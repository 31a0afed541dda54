/* map_header.c - see map_header.h. */
#include "policy/map_header.h"

#include "common/list.h"
#include "lua-bindings/relayout.h"
#include "policy/map_requeue.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* The number behind the name of our field; -1: another field, or no number. */
static int sender_of(const char *key, size_t n)
{
	static const char name[] = RELAYOUT_FIELD ":";
	const char *value = key + sizeof name - 1;
	size_t digits;

	if (strlen(key) != n || strncasecmp(key, name, sizeof name - 1) != 0)
		return -1;
	value += strspn(value, " ");
	digits = strspn(value, "0123456789");
	return digits > 0 && digits <= 5 && value[digits] == '\0' ? (int)strtol(value, NULL, 10)
								  : -1;
}

static struct map_answer answer(const struct map_query *q, int id)
{
	const struct sender_config *s = relayout_sender_by_id(script_set_config(q->set), id);
	struct map_answer a;
	char *filter;

	if (s == NULL || s->relay[0] == '\0') {
		maps_notice(
		    q, "no sender of the configuration has the number that the milter says");
		return (struct map_answer){SOCKETMAP_TEMP, xstrdup("no sender has this number")};
	}
	filter = relayout_filter(s);
	a = (struct map_answer){SOCKETMAP_OK, xasprintf("FILTER %s", filter)};
	free(filter);
	return a;
}

static struct map_answer requeued(const struct map_query *q)
{
	struct map_answer a = map_requeue_chosen(q);

	if (a.status == SOCKETMAP_OK)
		maps_notice(q, "main.cf asks it about a requeued message instead of the map "
			       "\"requeue\": run mailhooks setup again");
	return a;
}

struct map_answer map_header_answer(const struct map_query *q, int number)
{
	int id = sender_of(q->key, q->key_n);

	(void)number;
	return id >= 0 ? answer(q, id) : requeued(q);
}

struct map_answer map_header_late(const struct map_query *q, int number)
{
	int id = sender_of(q->key, q->key_n);

	return id >= 0 ? answer(q, id) : map_requeue_late(q, number);
}
