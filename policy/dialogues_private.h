/* dialogues_private.h - what the files dialogues*.c share. */
#pragma once

#include "policy/dialogues.h"

#include <sys/queue.h>
#include <uthash.h>

struct message { /* that is in the queue */
	char *queue_id, *sender;
	int64_t total, done; /* recipients of this run of the queue, and those with an outcome */
	int64_t run_ms;	     /* when this run began; 0 = not known */
	bool deferred;	     /* told so in this run */
	UT_hash_handle hh;
};

struct process { /* that talks to hosts: one message at a time */
	unsigned long pid;
	char *queue_id; /* the message; NULL: none yet */
	struct dialogue **v;
	size_t n;
	struct dialogue **lost; /* connections that failed before the log named the message */
	size_t nlost;
	char *tls_server, *tls_address, *tls; /* of its newest connection */
	char *recipient;		      /* one of the message, for the domain */
	struct strlist put_off;		      /* recipients whose last outcome is a deferral */
	int64_t put_off_ms;		      /* when the first was */
	int64_t log_ms;			      /* time of its last line */
	int64_t touched_ms;		      /* monotonic: when that was read */
	bool loud;			      /* has dialogues that nobody was told of */
	bool busy;			      /* in the list of those */
	UT_hash_handle hh;
	TAILQ_ENTRY(process) entry;
};

TAILQ_HEAD(process_list, process);

struct dialogues {
	struct dialogues_listener listener;
	struct message *messages;
	struct process *processes;
	struct process_list busy; /* have a message, or something to tell */
	int64_t lines, newest_ms; /* read; time of the newest dialogue */
};

/* dialogues_parts.c */

/* The one that is known, or a new one. */
struct message *dialogues_message(struct dialogues *, const char *queue_id);
struct process *dialogues_process(struct dialogues *, unsigned long pid);
void dialogues_forget_message(struct dialogues *, struct message *);
void dialogues_forget_tls(struct process *);
/* Into the list of busy ones or out of it, as it is; `last`: it goes. */
void dialogues_sort(struct dialogues *, struct process *, bool last);
/* A new one at the end of the array. */
struct dialogue *dialogues_add(struct dialogue ***v, size_t *n);
void dialogues_drop(struct dialogue *);
