/* redirect.h - VPOP3's rules for the mail of one user: mailbox, assistants, forwards, by size.
 *
 * Pure: no users, no store, no log. A struct redirect begins as the user's settings say, a script
 * may change it, and redirect_decide() says where the mail goes. Readings of what VPOP3's documents
 * leave open are in doc/hooks-routing.md. */
#pragma once

#include "common/list.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redirect_by_size {
	char *target;	   /* addresses, "" = none */
	int64_t threshold; /* KiB */
	bool copy;	   /* the mailbox gets the mail, too */
	bool bigger;	   /* for mail that is bigger than the threshold, else for smaller mail */
};

struct redirect {	     /* owns its texts; zero or redirect_from_settings() before use */
	bool should_forward; /* false: nothing but the mailbox */
	char *assistants;    /* user names or addresses */
	bool redirect_to_assistant, send_to_normal;
	char *forwards;
	bool use_forwards;
	struct redirect_by_size big, small;
	bool forward_spam;	/* settings only */
	int64_t spam_threshold; /* tenths */
};

void redirect_clear(struct redirect *);
/* pairs: name, value ...; the later ones count. What is not there or makes no sense has VPOP3's
 * default. Replaces what *r held without freeing it. */
void redirect_from_settings(struct redirect *r, const struct strlist *pairs);

/* A name in the settings of a user, for lists and help; NULL after the last. */
const char *redirect_setting(size_t i, const char **preset, const char **help);

/* Add the addresses of a text: separated by ; , or blanks, angle brackets taken away. */
void redirect_split(const char *text, struct strlist *addresses);

struct redirect_result {
	bool mailbox;		/* the normal recipient gets it */
	struct strlist targets; /* and these do, each once; may be user names */
	bool nobody;		/* nobody would have got it; mailbox has been set */
};

/* is_sender(address, arg): is this the sender of the message, whose own mail is not sent back to
 * him? Free result->targets. */
void redirect_decide(const struct redirect *, uint64_t message_bytes,
    bool (*is_sender)(const char *address, void *arg), void *arg, struct redirect_result *);
