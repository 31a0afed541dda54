/* report.c - see report.h. */
#include "report.h"

#include "cpu_time.h"

#include <libmilter/mfapi.h>

#include <err.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define ERRORS_SHOWN 5

static const struct {
	char code;
	const char *name;
} verdicts[] = {
    {SMFIR_CONTINUE, "continue"},
    {SMFIR_ACCEPT, "accept"},
    {SMFIR_REJECT, "reject"},
    {SMFIR_TEMPFAIL, "tempfail"},
    {SMFIR_REPLYCODE, "replycode"},
    {SMFIR_DISCARD, "discard"},
    {SMFIR_SHUTDOWN, "shutdown"},
    {SMFIR_CONN_FAIL, "connfail"},
};

static const char *const error_names[REPORT_ERRORS] = {
    [REPORT_CONNECT] = "connect",
    [REPORT_CLOSED] = "closed",
    [REPORT_MALFORMED] = "malformed",
    [REPORT_UNEXPECTED] = "unexpected",
    [REPORT_VERDICT] = "verdict",
    [REPORT_TIMEOUT] = "timeout",
};

const char *report_verdict_name(char code)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (verdicts[i].code == code)
			return verdicts[i].name;
	return NULL;
}

char report_verdict_code(const char *name)
{
	for (size_t i = 0; i < sizeof(verdicts) / sizeof(verdicts[0]); i++)
		if (strcmp(verdicts[i].name, name) == 0)
			return verdicts[i].code;
	return 0;
}

void samples_add(struct samples *samples, int64_t ns)
{
	if (samples->n == samples->room) {
		samples->room = samples->room == 0 ? 4096 : 2 * samples->room;
		samples->v = realloc(samples->v, samples->room * sizeof(*samples->v));
		if (samples->v == NULL)
			err(EX_OSERR, "%zu samples", samples->room);
	}
	samples->v[samples->n++] = ns;
}

void report_free(struct report *report)
{
	free(report->reply.v);
	free(report->message.v);
	free(report->setup.v);
	*report = (struct report){0};
}

void report_start(struct report *report, int64_t now_ns, pid_t server)
{
	uint64_t errors[REPORT_ERRORS];

	memcpy(errors, report->errors, sizeof(errors));
	report_free(report);
	memcpy(report->errors, errors, sizeof(errors));
	report->server = server;
	report->server_gone = server != 0 && !cpu_time_tree(server, &report->server_base);
	report->own_base = cpu_time_self();
	if (!cpu_time_machine(&report->machine_base))
		errx(EX_OSERR, "/proc/stat cannot be read");
	report->started_ns = now_ns;
}

void report_stop(struct report *report, int64_t now_ns)
{
	double server = 0, machine = 0;

	report->seconds = (double)(now_ns - report->started_ns) / 1e9;
	report->own_cpu = cpu_time_self() - report->own_base;
	if (report->server != 0) {
		report->server_gone |= !cpu_time_tree(report->server, &server);
		report->server_cpu = server - report->server_base;
	}
	if (cpu_time_machine(&machine))
		report->other_cpu =
		    machine - report->machine_base - report->own_cpu - report->server_cpu;
	if (report->other_cpu < 0) /* the clocks tick in hundredths */
		report->other_cpu = 0;
}

void report_error(struct report *report, enum report_error kind, const char *format, ...)
{
	va_list arguments;

	report->errors[kind]++;
	if (report_error_sum(report) > ERRORS_SHOWN)
		return;
	va_start(arguments, format);
	vwarnx(format, arguments);
	va_end(arguments);
}

uint64_t report_error_sum(const struct report *report)
{
	uint64_t sum = 0;

	for (int i = 0; i < REPORT_ERRORS; i++)
		sum += report->errors[i];
	return sum;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_samples(const char *name, struct samples *samples)
{
	static const int percentiles[] = {50, 99};

	if (samples->n > 0)
		qsort(samples->v, samples->n, sizeof(*samples->v), compare);
	for (size_t i = 0; i < sizeof(percentiles) / sizeof(percentiles[0]); i++) {
		printf("%s_p%d_ms ", name, percentiles[i]);
		if (samples->n == 0)
			puts("-");
		else
			printf("%.3f\n",
			    (double)samples->v[(samples->n - 1) * (size_t)percentiles[i] / 100] /
				1e6);
	}
}

static void print_counts(const char *name, const uint64_t *counts)
{
	bool any = false;

	printf("%s", name);
	for (int code = 0; code < 256; code++) {
		const char *verdict = report_verdict_name((char)code);

		if (counts[code] == 0)
			continue;
		any = true;
		if (verdict != NULL)
			printf(" %s=%" PRIu64, verdict, counts[code]);
		else
			printf(" %s=%" PRIu64, code == SMFIR_SKIP ? "skip" : "other", counts[code]);
	}
	puts(any ? "" : " -");
}

static void print_errors(const struct report *report)
{
	printf("errors %" PRIu64, report_error_sum(report));
	for (int i = 0; i < REPORT_ERRORS; i++)
		if (report->errors[i] > 0)
			printf(" %s=%" PRIu64, error_names[i], report->errors[i]);
	puts("");
}

void report_print(struct report *report)
{
	printf("seconds %.3f\n", report->seconds);
	printf("messages %" PRIu64 "\n", report->messages);
	printf("messages_per_s %.1f\n", (double)report->messages / report->seconds);
	printf("sessions %" PRIu64 "\n", report->sessions);
	printf("sessions_per_s %.1f\n", (double)report->sessions / report->seconds);
	print_samples("reply", &report->reply);
	print_samples("message", &report->message);
	print_samples("setup", &report->setup);
	if (report->server == 0 || report->server_gone || report->messages == 0)
		printf("server_cpu_us_per_message -\n");
	else
		printf("server_cpu_us_per_message %.1f\n",
		    report->server_cpu * 1e6 / (double)report->messages);
	if (report->server != 0)
		printf("server_cpu_percent %.1f\n", report->server_cpu * 100 / report->seconds);
	printf("own_cpu_percent %.1f\n", report->own_cpu * 100 / report->seconds);
	printf("other_cpu_percent %.1f\n", report->other_cpu * 100 / report->seconds);
	print_counts("replies", report->replies);
	print_counts("verdicts", report->verdicts);
	printf("changes %" PRIu64 "\n", report->changes);
	print_errors(report);
}
