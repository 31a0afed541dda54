/* milterload.c - load for a milter: the MTA's side of the protocol, as Postfix 3.7 speaks it.
 *
 * Prints what the milter managed, one "name value" line for each figure. Ends with status 1 when
 * the server did anything but what was expected, so that a fast wrong answer is not mistaken for
 * a fast server. See README.md. */
#include "load.h"
#include "report.h"
#include "server_address.h"
#include "traffic.h"

#include <libmilter/mfapi.h>

#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#define MAX_SESSIONS 20000
#define MAX_SENDER_BYTES 256
#define OPTION_STEPS 256

static const char usage_text[] =
    "usage: milterload -s SOCKET [options]\n"
    "  -s SOCKET   unix:PATH, inet:PORT@HOST or inet6:PORT@HOST\n"
    "  -c N        concurrent SMTP sessions (1)\n"
    "  -t SECONDS  time measured (2)\n"
    "  -w SECONDS  warm-up before it (0.3)\n"
    "  -m N        messages per session (1)\n"
    "  -r N        recipients per message (1)\n"
    "  -H N        header fields (10)\n"
    "  -b BYTES    body (2048)\n"
    "  -p MS       pause of the SMTP client before each command (0)\n"
    "  -i N        silent sessions held open beside the load (0)\n"
    "  -f ADDRESS  sender (sender@bench.test)\n"
    "  -e VERDICT  what every message shall meet: continue (default), accept, reject,\n"
    "              tempfail, replycode, discard, shutdown, connfail\n"
    "  -P PID      server process: its CPU time is measured, that of its children too\n"
    "  --steps     print what the server negotiates and end\n";

struct arguments {
	struct load_options load;
	bool have_server, steps_only;
};

static int usage(void)
{
	fputs(usage_text, stderr);
	return -1;
}

static int parse_number(const char *text, double min, double max, double *value)
{
	char *end;

	errno = 0;
	*value = strtod(text, &end);
	if (errno == 0 && end != text && *end == '\0' && *value >= min && *value <= max)
		return 0;
	warnx("\"%s\": a number from %g to %g is needed", text, min, max);
	return -1;
}

static int parse_count(const char *text, double min, double max, unsigned *value)
{
	double number;

	if (parse_number(text, min, max, &number) != 0)
		return -1;
	*value = (unsigned)number;
	return 0;
}

static int parse_server(const char *text, struct arguments *arguments)
{
	char error[256];

	arguments->have_server = true;
	if (server_address_parse(&arguments->load.server, text, error, sizeof(error)) == 0)
		return 0;
	warnx("%s", error);
	return -1;
}

static int parse_sender(const char *text, struct load_options *load)
{
	load->shape.sender = text;
	if (strlen(text) < MAX_SENDER_BYTES)
		return 0;
	warnx("the sender is longer than %d bytes", MAX_SENDER_BYTES - 1);
	return -1;
}

static int parse_verdict(const char *text, struct load_options *load)
{
	load->expected = report_verdict_code(text);
	return load->expected != 0 ? 0 : usage();
}

static int parse_option(int option, struct arguments *arguments)
{
	struct load_options *load = &arguments->load;
	unsigned number;

	switch (option) {
	case 's':
		return parse_server(optarg, arguments);
	case 'c':
		return parse_count(optarg, 1, MAX_SESSIONS, &load->concurrency);
	case 't':
		return parse_number(optarg, 0.01, 3600, &load->seconds);
	case 'w':
		return parse_number(optarg, 0, 3600, &load->warmup_seconds);
	case 'm':
		return parse_count(optarg, 1, 1e6, &load->messages);
	case 'r':
		return parse_count(optarg, 1, 50000, &load->shape.recipients);
	case 'H':
		return parse_count(optarg, 0, 10000, &load->shape.headers);
	case 'b':
		if (parse_count(optarg, 0, 1e9, &number) != 0)
			return -1;
		load->shape.body_bytes = number;
		return 0;
	case 'p':
		return parse_number(optarg, 0, 60000, &load->pause_ms);
	case 'i':
		return parse_count(optarg, 0, MAX_SESSIONS, &load->idle);
	case 'f':
		return parse_sender(optarg, load);
	case 'e':
		return parse_verdict(optarg, load);
	case 'P':
		if (parse_count(optarg, 1, 4194304, &number) != 0)
			return -1;
		load->pid = (pid_t)number;
		return 0;
	case OPTION_STEPS:
		arguments->steps_only = true;
		return 0;
	default:
		return usage();
	}
}

static int parse_arguments(int argc, char **argv, struct arguments *arguments)
{
	static const struct option long_options[] = {
	    {"steps", no_argument, NULL, OPTION_STEPS},
	    {0},
	};
	int option;

	while ((option = getopt_long(
		    argc, argv, "s:c:t:w:m:r:H:b:p:i:f:e:P:", long_options, NULL)) != -1)
		if (parse_option(option, arguments) != 0)
			return -1;
	return optind == argc && arguments->have_server ? 0 : usage();
}

static int print_negotiation(const struct server_address *server)
{
	static const char *const stages[WIRE_STAGES] = {[SMFIM_CONNECT] = "connect",
	    [SMFIM_HELO] = "helo",
	    [SMFIM_ENVFROM] = "mail",
	    [SMFIM_ENVRCPT] = "rcpt",
	    [SMFIM_DATA] = "data",
	    [SMFIM_EOM] = "eom",
	    [SMFIM_EOH] = "eoh"};
	struct wire_negotiation answer;
	struct wire_buffer packet = {0};

	if (load_negotiate(server, &packet, &answer) != 0) {
		wire_free(&packet);
		return EXIT_FAILURE;
	}
	printf("version %" PRIu32 "\n", answer.version);
	printf("actions 0x%" PRIx32 "\n", answer.actions);
	printf("steps 0x%" PRIx32 "\n", answer.steps);
	for (int i = 0; i < WIRE_STAGES; i++)
		if (answer.macros[i] != NULL)
			printf("macros_%s %s\n", stages[i], answer.macros[i]);
	wire_free(&packet);
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	struct arguments arguments = {.load = {.shape = {.sender = "sender@bench.test",
						   .recipients = 1,
						   .headers = 10,
						   .body_bytes = 2048},
					  .concurrency = 1,
					  .messages = 1,
					  .seconds = 2,
					  .warmup_seconds = 0.3,
					  .expected = SMFIR_CONTINUE}};
	struct report report = {0};
	int status = EXIT_FAILURE;

	if (parse_arguments(argc, argv, &arguments) != 0)
		return EX_USAGE;
	if (arguments.steps_only)
		return print_negotiation(&arguments.load.server);
	if (load_run(&arguments.load, &report) == 0) {
		report_print(&report);
		if (report.messages == 0)
			warnx("no message got to its end");
		else if (!report.server_gone && report_error_sum(&report) == 0)
			status = EXIT_SUCCESS;
	}
	report_free(&report);
	return status;
}
