/* delivery.h - what one smtp(8) process of Postfix is doing: the delivery context.
 *
 * Such a process makes one delivery at a time and asks all its maps, so the process is the context
 * of a question: which next hop, which mail servers, which of them is being tried, how far the
 * dialogue has come. Where a delivery begins and ends follows from the questions themselves: the
 * functions below are the only ones that move it on. What a question says is noted when it comes in
 * (maps_heard()), whether or not it is answered in time: a question that is late or refused must
 * not make a mail server invisible.
 *
 * The table is bounded (LIMIT_DELIVERIES): who was not heard of for the longest time goes, and
 * LIMIT_DELIVERY_SECONDS without a question end a context. What is lost costs a script some
 * knowledge, never mail. Between delivery_enter() and delivery_leave() the caller holds the lock
 * of the whole table and must not wait. Thread-safe otherwise. */
#pragma once

#include "common/limits.h"
#include "common/list.h"
#include "common/network.h"
#include "policy/peer.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The command that the next reply of the server answers. */
enum command {
	COMMAND_CONNECT, /* the banner */
	COMMAND_EHLO,
	COMMAND_HELO,
	COMMAND_STARTTLS,
	COMMAND_AUTH,
	COMMAND_MAIL,
	COMMAND_RCPT,
	COMMAND_RCPT_OR_DATA, /* a refusal that may be of either */
	COMMAND_DATA,
	COMMAND_DOT,
	COMMAND_RSET,
	COMMAND_QUIT,
};

struct delivery_host {
	char *host;
	unsigned preference;
	bool dropped;
};

struct delivery_address {
	char *owner;
	struct ip_address address;
};

/* What a question has said: a whole reply, or of which command one was. */
struct delivery_said {
	char *reply; /* NULL: nothing */
	char *command, *server, *domain;
	char address[INET6_ADDRSTRLEN];
	enum command answers;
	int code, sender;
	bool again; /* asked about before, when the command was not known */
};

enum delivery_stage {
	DELIVERY_NONE,	    /* nothing is known */
	DELIVERY_SERVERS,   /* its MX records come in */
	DELIVERY_ADDRESSES, /* ... then their addresses */
	DELIVERY_DIALOGUE,
	DELIVERY_OVER,
};

enum delivery_self { SELF_UNKNOWN, SELF_NOT, SELF_BEST };

struct delivery {
	enum delivery_stage stage;
	char *domain; /* whose MX records were seen; NULL: none */
	struct delivery_host *hosts;
	size_t nhosts, ndropped;
	bool whole; /* no MX record of the domain is missing among the hosts */
	struct delivery_address *addresses;
	size_t naddresses;
	bool facts_known, stop; /* stop: GetOverrides() said so */
	int64_t retries, size;
	enum delivery_self self; /* is this host the best one that is left? */
	struct strlist asked;	 /* records, since it is */

	/* the dialogue */
	struct ip_address remote; /* AF_UNSPEC until EHLO was answered */
	enum command command;
	bool offers_tls, offers_auth, secure;
	char *sender;		   /* NULL: not known */
	struct strlist recipients; /* in the order of their RCPT commands */
	size_t answered;	   /* RCPT commands */
	bool accepted;		   /* one of them */
	char *reply;		   /* lines of a reply that is not complete, CR LF between them */
	struct delivery_refusal {
		char *reply; /* NULL: none */
		int code, sender;
	} refusal; /* passed on as it came, until the next reply; of RCPT or of DATA */

	uint64_t question;	   /* of the peer, the latest; those before have been answered */
	struct delivery_said said; /* by it; whoever answers takes it out */

	/* It is older than our knowledge: it may be anywhere in a dialogue, until a delivery
	 * begins. */
	bool missed;

	/* delivery.c only */
	bool reported; /* what became of its first recipient: it may be over */
	bool unsure;   /* it may have had an earlier life, which is forgotten */
	struct peer peer;
	int64_t touched_ms;
	struct delivery *next, *newer, *older;
};

/* At the start of the process: deliveries that the one before it knew may be half way through their
 * questions. */
void delivery_start(void);
/* NULL: the peer is not known. */
struct delivery *delivery_enter(const struct peer *);
/* To note what an answer says: NULL also when the question is over. */
struct delivery *delivery_enter_for(const struct peer *, uint64_t question);
void delivery_leave(struct delivery *); /* NULL is fine */
void delivery_forget_all(void);		/* at the end of the process */

/* Postfix asks about each record once in a delivery. To be called first: while nothing of one is to
 * be used (SELF_BEST), so that no connection ends it, a record that comes again belongs to another
 * one, and this one is forgotten. */
void delivery_asks(struct delivery *, const char *owner, const char *value);
/* An MX record. True: a new delivery begins with it. The host is added unless it is known. */
bool delivery_mx(struct delivery *, const char *domain, const char *host, unsigned preference);
void delivery_drop(struct delivery *, const char *host);
void delivery_keep(struct delivery *, const char *host); /* after all */
/* An address record. The host it belongs to; NULL: none of the MX records' (a relay in brackets, a
 * domain without MX, an alias); its owner is noted all the same. Postfix never asks about a host
 * that was dropped: then it is another delivery. */
const struct delivery_host *delivery_address(
    struct delivery *, const char *owner, const struct ip_address *);
/* The next hop is an address, about which no record was asked. */
void delivery_literal(struct delivery *);
/* The next hop, when it is not an address; host: it has no MX records, so any that are known belong
 * to another delivery. The addresses of one without are its own, whatever it is an alias of. */
void delivery_next_hop(struct delivery *, const char *name, bool host);
/* Postfix has asked about its addresses, and for certain not about MX records: there are none. */
bool delivery_is_plain(const struct delivery *);
/* A connection is going to be made. */
void delivery_connect(struct delivery *);
/* The remote address, as Postfix says it after the reply to EHLO. */
void delivery_remote(struct delivery *, const struct ip_address *);
/* The host that is talked to: the owner of its address; NULL: not known. */
const char *delivery_host(const struct delivery *);

/* ---- replies (delivery_dialogue.c) ---- */

/* One line of a reply. True: it was the last one; d->reply has all of them. */
bool delivery_reply_line(struct delivery *, const char *line, size_t n);
/* Which command does a complete reply with this code answer? Inferred: Postfix tells replies only.
 * After a recipient that was accepted, and without the map generic, a refusal is of the next
 * recipient or of DATA. */
enum command delivery_answered(const struct delivery *, int code);
/* The command as a client writes it, as far as it is known: "RCPT TO:<a@b>", malloc'ed. */
char *delivery_command_text(const struct delivery *, enum command);
/* The reply to this command was passed on with this code. d->reply is empty then. */
void delivery_went_on(struct delivery *, enum command, int code);
void delivery_said_clear(struct delivery_said *);
/* d->refusal is no longer of interest. */
void delivery_forget_refusal(struct delivery *);
/* An address on its way into a MAIL or RCPT command (smtp_generic_maps). */
void delivery_envelope(struct delivery *, const char *address);

/* What becomes of a recipient was reported, because of the reply to this command (RCPT or DATA; it
 * says which a refusal was of), or (CONNECT) for another reason, which ends the delivery. */
void delivery_reported(struct delivery *, enum command);
