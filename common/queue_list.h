/* queue_list.h - reads what `postqueue -j` prints: one JSON object for each message.
 *
 * A reader belongs to one thread. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue_entry {		   /* zero it before use; owns its strings */
	char *queue, *id, *sender; /* "hold", "deferred", "active" ... */
	int64_t arrival_ms, size;
	struct strlist recipients; /* those that still wait */
	bool tried;		   /* and for one of them the queue has a reason why */
};

void queue_entry_clear(struct queue_entry *);

struct queue_reader;
struct queue_reader *queue_reader_new(void); /* NULL: out of memory */
void queue_reader_free(struct queue_reader *);
/* One line. False: it is not such an object, or its id is none. *out is cleared first. */
bool queue_reader_line(struct queue_reader *, const char *line, size_t n, struct queue_entry *out);
