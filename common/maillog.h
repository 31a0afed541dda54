/* maillog.h - reads lines of a mail log: what Postfix and Sendmail say about sending.
 *
 * Pure: bytes in, a struct of slices of these bytes out. No clock, no memory, no state, so any
 * bytes are safe and a line means the same wherever it is read. A line is read from its beginning
 * with a fixed grammar, and the fields before the first remote text decide: what a host replied, or
 * an address looks like, can change its own text only (doc/attempts.md says what that leaves).
 * Host names that are not letters, digits, hyphens, underscores and dots are not taken (R17). */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct strlist;

struct maillog_text { /* a part of the line; not terminated */
	const char *s;
	size_t n;
};

enum maillog_mta { MAILLOG_POSTFIX, MAILLOG_SENDMAIL };

enum maillog_kind {
	MAILLOG_OTHER,	   /* says nothing about sending */
	MAILLOG_ARRIVED,   /* Sendmail has taken a message: sender, size, recipients_total */
	MAILLOG_ACTIVE,	   /* Postfix begins to try a message: the same */
	MAILLOG_HOST,	   /* a host refused or was lost; the next host may follow */
	MAILLOG_CONNECT,   /* no connection to a host; Postfix does not say for which message */
	MAILLOG_TLS,	   /* the process talks TLS with a host, or failed to */
	MAILLOG_RECIPIENT, /* what became of recipients; server and address only if one was asked */
	MAILLOG_REMOVED	   /* the message has left the queue */
};

enum maillog_status { MAILLOG_SENT, MAILLOG_DEFERRED, MAILLOG_BOUNCED };

struct maillog_line {
	enum maillog_mta mta;
	enum maillog_kind kind;
	enum maillog_status status;	/* RECIPIENT */
	int64_t time_ms;		/* since 1970 */
	unsigned long pid;		/* of the process that wrote it */
	struct maillog_text connection; /* of syslog_name = postfix/relay: "relay" */
	struct maillog_text queue_id;
	struct maillog_text server, address; /* "" = not said */
	struct maillog_text recipients;	     /* for maillog_next_recipient() */
	struct maillog_text sender;
	int64_t size, recipients_total;		/* -1 = not said */
	int64_t delay_ms;			/* since the message arrived; -1 = not said */
	char code[24];				/* put before the reply when it has no code */
	struct maillog_text reply;		/* what the host, or the MTA, said */
	const char *stage;			/* "RCPT TO", "greeting", ...; "" = not said */
	struct maillog_text tls, cipher, trust; /* "TLSv1.3", ..., "Untrusted"; TLS */
};

struct maillog_names {
	const struct strlist *postfix;	/* values of syslog_name, before "/smtp" */
	const struct strlist *sendmail; /* what Sendmail calls itself */
};

/* One line of a log file, without its line end: "Nov 21 08:44:11 host postfix/smtp[6063]: ..." or
 * the same with an RFC 3339 time, with or without a host and a syslog priority. now_ms gives the
 * year that the first form lacks. False: OTHER. */
bool maillog_read_line(struct maillog_line *, const char *line, size_t n,
    const struct maillog_names *, int64_t now_ms);

/* The same for what a journal gives in fields of its own. */
bool maillog_read_message(struct maillog_line *, struct maillog_text program, unsigned long pid,
    int64_t time_ms, struct maillog_text message, const struct maillog_names *);

/* Take the next address off a list of recipients; false: none is left. */
bool maillog_next_recipient(struct maillog_text *list, struct maillog_text *address);

/* "451 4.7.1 try later": code and reply, terminated, cut at size. */
void maillog_result(const struct maillog_line *, char *out, size_t size);
