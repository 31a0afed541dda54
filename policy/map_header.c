/* map_header.c - see map_header.h. */
#include "policy/map_header.h"

#include "common/list.h"
#include "common/queue_record.h"
#include "lua-bindings/relayout.h"

#include <errno.h>
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

/* ---- messages that are requeued ---- */

/* Behind the name of the field; NULL: it is another field. */
static const char *held_value(const struct map_query *q)
{
	static const char name[] = RELAYOUT_HELD_FIELD ":";
	const char *value = q->key + sizeof name - 1;

	if (strlen(q->key) != q->key_n || strncasecmp(q->key, name, sizeof name - 1) != 0)
		return NULL;
	return value + strspn(value, " ");
}

static struct map_answer wait_for(const char *why)
{
	return (struct map_answer){SOCKETMAP_TEMP, xstrdup(why)};
}

static struct map_answer not_found(void)
{
	return (struct map_answer){SOCKETMAP_NOTFOUND, NULL};
}

/* The value is "ID-TOKEN". Whoever sends mail can write such a field, so the record's token must
 * match. */
static struct map_answer requeued(const struct map_query *q, const char *value)
{
	const char *directory = script_set_config(q->set)->agent.directory;
	size_t n = strcspn(value, "-");
	char *id = xstrndup(value, n);
	struct map_answer a = not_found();
	struct queue_record r = {0};
	const char *to;

	if (value[n] == '\0' || !queue_record_is_id(id)) {
		free(id);
		return a;
	}
	if (!queue_record_load(directory, id, &r)) {
		if (errno != ENOENT)
			a = wait_for("the record of this message cannot be read");
	} else if (r.token != NULL && strlen(r.token) == QUEUE_RECORD_TOKEN_BYTES - 1 &&
		   strcmp(value + n + 1, r.token) == 0) {
		/* requeued by hand before a sender was chosen: the one it was held for */
		to = r.chosen != NULL && *r.chosen != '\0' ? r.chosen : r.filter;
		if (to != NULL && *to != '\0')
			a = (struct map_answer){SOCKETMAP_OK, xasprintf("FILTER %s", to)};
	}
	queue_record_clear(&r);
	free(id);
	return a;
}

/* ---- the map ---- */

static struct map_answer sender(const struct map_query *q)
{
	int id = sender_of(q->key, q->key_n);
	const struct sender_config *s;
	struct map_answer a;
	char *filter;

	if (id < 0)
		return not_found();
	s = relayout_sender_by_id(script_set_config(q->set), id);
	if (s == NULL || s->relay[0] == '\0') {
		maps_notice(
		    q, "no sender of the configuration has the number that the milter says");
		return wait_for("no sender has this number");
	}
	filter = relayout_filter(s);
	a = (struct map_answer){SOCKETMAP_OK, xasprintf("FILTER %s", filter)};
	free(filter);
	return a;
}

struct map_answer map_header_answer(const struct map_query *q, int number)
{
	const char *held = held_value(q);

	(void)number;
	return held != NULL ? requeued(q, held) : sender(q);
}

struct map_answer map_header_late(const struct map_query *q, int number)
{
	(void)number;
	return held_value(q) != NULL ? wait_for("no answer in time") : sender(q);
}
