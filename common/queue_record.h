/* queue_record.h - what is known of a message in the MTA's queue, for CheckFile() and the agent.
 *
 * One file for each message in agent.directory, named after the queue id: the milter writes it when
 * the message comes in, the queue agent changes and removes it. It is the only proof that a hold is
 * ours: a message without a whole record is never touched. Files are replaced in one step, so a
 * reader sees the old one or the new one; one that stands for a hold is on the disk before the
 * message is held. Any thread, any process; the agent is the only one that changes a file, but for
 * the map `requeue`, which uses the token of a message that is requeued. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define QUEUE_RECORD_TOKEN_BYTES 33 /* 32 hexadecimal digits and the end */

struct queue_record { /* zero it before use; owns its strings */
	char *sender, *reason;
	char *token;  /* relayout.lua holds it: what the message's field has behind the id; "" or
			 NULL: it is CheckFile() of mxout.lua that is asked */
	char *filter; /* "transport:next hop" as Postfix's queue file has it, of such a message */
	char *chosen; /* the same of the sender that it is requeued for; "" = none yet */
	int64_t size, noted_ms; /* noted: when the milter saw the end of the message */
	int64_t arrival_ms;	/* as the MTA's queue says it; 0 = not seen there yet */
	int64_t priority;
	int64_t held_ms;	      /* since when we hold it; 0 = we do not */
	int64_t released_ms;	      /* when we ended that hold; 0 = we have not */
	int64_t held_before_ms;	      /* how long earlier holds lasted, together */
	int64_t retries, last_try_ms; /* of the last try that CheckFile() was asked after */
	int64_t asked_ms;	      /* when the token was used (map_requeue.h); 0 = it is good */
	int64_t last_chance;	      /* 1: returned to its sender when the next try fails */
	struct strlist recipients, header_lines;
};

void queue_record_clear(struct queue_record *);

/* A token that nobody can guess. False: there is no randomness, and out is "". */
bool queue_record_token(char out[QUEUE_RECORD_TOKEN_BYTES]);
/* Letters and digits, 5 to 24 of them: what both MTAs name their queue files. */
bool queue_record_is_id(const char *id);
/* False with errno. The directory is made if it does not exist. */
bool queue_record_save(const char *directory, const char *id, const struct queue_record *);
/* False: there is none, or it is damaged (errno is EBADMSG). *r is cleared first. */
bool queue_record_load(const char *directory, const char *id, struct queue_record *r);
/* When the file was written, in milliseconds; 0: there is none. */
int64_t queue_record_written_ms(const char *directory, const char *id);
void queue_record_remove(const char *directory, const char *id);
/* The ids of all records, added to `ids`; none when there is no directory. False with errno. */
bool queue_record_list(const char *directory, struct strlist *ids);
