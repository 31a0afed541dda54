/* held_messages.c - messages that our scripts hold in the MTA's queue, for `mailhooks holds`: as
 * their records in agent.directory say it, which the queue agent keeps. A record outlives a
 * message that has just been sent by some passes of the agent. */
#include "cli/held_messages.h"

#include "common/list.h"
#include "common/local_time.h"
#include "common/log.h"
#include "common/queue_record.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print(const char *text)
{
	size_t n = text != NULL ? strlen(text) : 0, size = 4 * n + 1;
	char *out = xmalloc(size);

	log_escape(out, size, text != NULL ? text : "", n);
	fputs(out, stdout);
	free(out);
}

static void print_message(const struct config *cfg, const char *id, const struct queue_record *r)
{
	const char *by_hand =
	    cfg->agent.mta == AGENT_POSTFIX ? "postsuper -H " : "sendmail -qQ -Q -qI";
	int64_t longest = cfg->agent.most_hold_minutes * 60000LL - r->held_before_ms;
	char since[LOCAL_TIME_BYTES], until[LOCAL_TIME_BYTES];

	local_time_text(since, r->held_ms);
	local_time_text(until, r->held_ms + longest);
	printf("message %s from <", id);
	print(r->sender);
	printf("> held since %s by CheckFile of %s: ", since,
	    r->token != NULL && r->token[0] != '\0' ? "relayout.lua" : "mxout.lua");
	print(r->reason != NULL && r->reason[0] != '\0' ? r->reason : "no Reason given");
	printf("\n    asked again every %d s, %s at the latest it goes; at once: %s%s\n",
	    cfg->agent.interval_seconds, until, by_hand, id);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

bool held_messages_print(const struct config *cfg)
{
	struct strlist ids = STRLIST_INIT;
	struct queue_record r = {0};
	bool any = false;

	if (cfg->agent.mta != AGENT_NONE && !queue_record_list(cfg->agent.directory, &ids))
		fprintf(stderr, "mailhooks: agent.directory = \"%s\" cannot be read: %m\n",
		    cfg->agent.directory);
	if (ids.n > 0)
		qsort(ids.v, ids.n, sizeof *ids.v, by_name);
	for (size_t i = 0; i < ids.n; i++) {
		if (queue_record_load(cfg->agent.directory, ids.v[i], &r) && r.held_ms != 0 &&
		    r.released_ms == 0) {
			print_message(cfg, ids.v[i], &r);
			any = true;
		}
		queue_record_clear(&r);
	}
	strlist_clear(&ids);
	return any;
}
