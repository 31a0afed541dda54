/* relayout.h - relayout.lua: which relay ("sender") of the configuration takes a message.
 *
 * Each question is one instance of the script, which lives for one sender and one message: the
 * global variables are set, the top level runs, then Start() and CheckFile(). No Lua type appears
 * here. Any thread. What an answer means for the MTA is decided elsewhere; ReturnCodeHandler() and
 * ServerConnected() are in mxout.h. */
#pragma once

#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/script_set.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

/* The field that carries the name of the sender from the milter to the map `header`, and that no
 * message keeps. */
#define RELAYOUT_FIELD "X-Mailhooks-Sender"
/* "ID-TOKEN" of a message that every sender skips: it stays while Postfix holds the message, and no
 * sender's transport sends it. */
#define RELAYOUT_HELD_FIELD "X-Mailhooks-Requeue"

struct relayout_message {     /* borrowed */
	const char *filename; /* the queue id */
	int64_t size;
	time_t created;		 /* when it came into the queue */
	const char *return_path; /* "" = null sender */
	const struct strlist *recipients;
	const struct strlist *header_lines; /* "Name: value", folds as they are in the message */
};

struct relayout_properties { /* VPOP3's global variables; 0: no limit of ours */
	bool UseBATV, VerifyCertificate;
	int64_t MaxMessagesPerConnection, MaxRecipientsPerConnection, MaxRecipientsPerMessage;
};

enum relayout_answer {
	RELAYOUT_TAKES, /* also when there is no script, or it has no opinion */
	RELAYOUT_SKIPS,
	RELAYOUT_FAILED, /* logged, and lua.on_error forbids to take the script for an absent one */
};

struct relayout_decision {
	struct relayout_properties properties;
	int64_t Priority;
	char *Reason; /* malloc'ed, or NULL */
	bool SkipSend;
};

void relayout_decision_clear(struct relayout_decision *);

/* Has the sender a relay, and is it for all of these recipients? */
bool relayout_is_for(const struct sender_config *, const struct strlist *recipients);
/* NULL: there is none. */
const struct sender_config *relayout_sender_by_id(const struct config *, int id);

/* What FILTER of Postfix takes: "transport:next hop"; malloc'ed. */
char *relayout_filter(const struct sender_config *);
/* The host of its relay, without brackets and port; malloc'ed. */
char *relayout_host(const struct sender_config *);

/* CheckFile() for one sender. Clear the decision afterwards. */
enum relayout_answer relayout_check_file(struct script_set *, const struct sender_config *,
    const struct relayout_message *, const struct log_id *, int64_t deadline_ms,
    struct relayout_decision *);
/* Asks the senders in the order of the configuration until one takes the message. */
struct relayout_choice {
	const struct sender_config *first; /* that was asked; NULL: none is for these recipients */
	const struct sender_config
	    *taker; /* NULL: all that were asked skip, or the script failed */
	struct relayout_properties properties; /* of the taker, else of the first */
	int64_t Priority;		       /* as the taker's script wants it */
	char *reason; /* the first one given for a skip, malloc'ed; NULL: none */
	bool failed;  /* see RELAYOUT_FAILED */
};
void relayout_choose(struct script_set *, const struct relayout_message *, const struct log_id *,
    int64_t deadline_ms, struct relayout_choice *);
void relayout_choice_clear(struct relayout_choice *);
/* What the sender's connections are to be like: as configured, and as the script changes it at its
 * top level and in Start(). False: it failed, and *out is as configured. */
bool relayout_start(struct script_set *, const struct sender_config *, const struct log_id *,
    int64_t deadline_ms, struct relayout_properties *out);
