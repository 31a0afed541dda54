/* report.h - what a run of milterload counted and measured, and its printed form. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum report_error {
	REPORT_CONNECT,	   /* no connection to the server */
	REPORT_CLOSED,	   /* the server closed a connection in use */
	REPORT_MALFORMED,  /* bytes that are no packet, or a negotiation that asks too much */
	REPORT_UNEXPECTED, /* a reply that the event does not allow, or that nobody waits for */
	REPORT_VERDICT,	   /* a message met another fate than the expected one */
	REPORT_TIMEOUT,	   /* no reply in time */
	REPORT_ERRORS
};

struct samples { /* nanoseconds */
	int64_t *v;
	size_t n, room;
};

struct report {
	uint64_t messages, sessions, changes;
	uint64_t replies[256], verdicts[256]; /* by SMFIR_* */
	uint64_t errors[REPORT_ERRORS];
	struct samples reply, message, setup;
	double seconds, server_cpu, own_cpu, other_cpu;

	int64_t started_ns; /* of what is being measured */
	double server_base, own_base, machine_base;
	pid_t server;
	bool server_gone;
};

/* Starts measuring: forgets all but the errors. server 0: its CPU time is not measured. */
void report_start(struct report *, int64_t now_ns, pid_t server);
/* Ends it: nothing is counted any more but errors. */
void report_stop(struct report *, int64_t now_ns);
void report_free(struct report *);

void samples_add(struct samples *, int64_t ns);

/* Counts an error and writes the first few to standard error. */
void report_error(struct report *, enum report_error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
uint64_t report_error_sum(const struct report *);

/* "continue", "reject" ...; NULL for a code that is no verdict on a message. */
const char *report_verdict_name(char code);
/* The code of a name, or 0. */
char report_verdict_code(const char *name);

/* One "name value" line for each figure; names are stable, run-milter reads them. */
void report_print(struct report *);
