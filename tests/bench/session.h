/* session.h - one SMTP session as the milter's peer.
 *
 * A state machine without waiting inside: the loop in load.c tells it that its socket is ready or
 * that its pause is over, and looks at .state afterwards. It owns its socket and its buffers. */
#pragma once

#include "load.h"

#include <sys/queue.h>

enum session_state {
	SESSION_CLOSED,
	SESSION_NEGOTIATING, /* the answer to the offer is awaited */
	SESSION_SENDING,     /* bytes of the current step are going out */
	SESSION_WAITING,     /* for the reply to the current step */
	SESSION_PAUSING,     /* the SMTP client takes its time */
	SESSION_HELD	     /* silent after HELO until the run ends */
};

struct session {
	int fd;
	enum session_state state;
	bool idle;	     /* to be held after HELO */
	bool output_blocked; /* the loop has to wait until the socket takes more */

	const struct traffic *traffic;
	size_t step, copied; /* current step, and how much of it is in out */
	unsigned messages_left, recipients_refused;

	int64_t opened_ns, message_ns, asked_ns; /* start of session, message, wait */
	int64_t pause_start_ns, paused_ns;	 /* paused_ns: since session or message start */
	TAILQ_ENTRY(session) pausing;

	struct wire_buffer in;
	unsigned char out[TRAFFIC_MTA_BUFFER_BYTES];
	size_t out_size, out_sent;
};

TAILQ_HEAD(session_queue, session);

struct load { /* shared by all sessions of a run */
	const struct load_options *options;
	struct report *report;
	int epoll;
	bool measuring;		       /* samples and counts are taken */
	bool stopping;		       /* no new message, no new session */
	struct session_queue pausing;  /* in the order in which the pauses end */
	struct wire_buffer negotiated; /* the answer that traffic was built for */
	struct traffic **traffics;     /* all that were built: sessions may use an older one */
	size_t ntraffics;
};

int64_t session_clock_ns(void);

/* Connects and sends the offer. Returns 0, or -1 when the server cannot be reached. */
int session_open(struct load *, struct session *);
void session_close(struct load *, struct session *);
void session_readable(struct load *, struct session *);
void session_writable(struct load *, struct session *);
void session_pause_over(struct load *, struct session *);
/* Says good-bye for a held session. */
void session_release(struct load *, struct session *);
