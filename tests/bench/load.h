/* load.h - SMTP sessions in a closed loop against a milter.
 *
 * One thread, one epoll. Each session does what Postfix does with one SMTP client: connect,
 * negotiate, send the events of its messages, wait for every reply that was not waived, act on
 * the verdict, QUIT; then the next session takes its place. Nothing is sent ahead of a reply. */
#pragma once

#include "report.h"
#include "server_address.h"
#include "traffic.h"

#include <sys/types.h>

struct load_options {
	struct server_address server;
	struct traffic_shape shape;
	unsigned concurrency, idle; /* busy sessions, silent ones beside them */
	unsigned messages;	    /* per session */
	double seconds, warmup_seconds;
	double pause_ms; /* the SMTP client's, before each command after the greeting */
	char expected;	 /* SMFIR_* that every message shall meet */
	pid_t pid;	 /* server process for CPU times, 0: none */
};

/* Opens one session up to its negotiation. Returns 0, or -1 after a message. The strings in
 * answer stay valid until packet is freed. */
int load_negotiate(
    const struct server_address *, struct wire_buffer *packet, struct wire_negotiation *answer);

/* Runs the load; the figures are in *report, which the caller has zeroed. Returns 0, or -1 when
 * it could not be run to its end. */
int load_run(const struct load_options *, struct report *);
