/* noop_milter.c - the yardstick for milters: a libmilter filter that looks at nothing.
 *
 *   noop_milter -s SOCKET -n none     every event is sent and answered with "continue"
 *   noop_milter -s SOCKET -n STEPS    asks for exactly these SMFIP_* bits (hexadecimal)
 *
 * With "none" it is what a filter costs that lets the MTA send everything; with the steps that
 * another milter negotiates it is the most that this other milter could reach with libmilter. A
 * callback whose SMFIP_NR_* bit was asked for returns SMFIS_NOREPLY. The steps are written once,
 * before smfi_main(), and only read by its threads. */
#include <libmilter/mfapi.h>

#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

static unsigned long steps;

/* All that a callback has to decide. */
static sfsistat answer(unsigned long no_reply_bit)
{
	return (steps & no_reply_bit) != 0 ? SMFIS_NOREPLY : SMFIS_CONTINUE;
}

/* A milter that got less than it asked for would be another yardstick: refuse instead. */
static sfsistat on_negotiate(SMFICTX *ctx, unsigned long offered_actions,
    unsigned long offered_steps, unsigned long offered2, unsigned long offered3,
    unsigned long *actions, unsigned long *wanted, unsigned long *wanted2, unsigned long *wanted3)
{
	(void)ctx, (void)offered_actions, (void)offered2, (void)offered3;
	if ((offered_steps & steps) != steps) {
		fprintf(stderr, "noop_milter: the MTA offers steps 0x%lx, 0x%lx are needed\n",
		    offered_steps, steps);
		return SMFIS_REJECT;
	}
	*actions = *wanted2 = *wanted3 = 0;
	*wanted = steps;
	return SMFIS_CONTINUE;
}

static sfsistat on_connect(SMFICTX *ctx, char *host, _SOCK_ADDR *address)
{
	(void)ctx, (void)host, (void)address;
	return answer(SMFIP_NR_CONN);
}

static sfsistat on_helo(SMFICTX *ctx, char *name)
{
	(void)ctx, (void)name;
	return answer(SMFIP_NR_HELO);
}

static sfsistat on_mail(SMFICTX *ctx, char **argv)
{
	(void)ctx, (void)argv;
	return answer(SMFIP_NR_MAIL);
}

static sfsistat on_rcpt(SMFICTX *ctx, char **argv)
{
	(void)ctx, (void)argv;
	return answer(SMFIP_NR_RCPT);
}

static sfsistat on_data(SMFICTX *ctx)
{
	(void)ctx;
	return answer(SMFIP_NR_DATA);
}

static sfsistat on_unknown(SMFICTX *ctx, const char *command)
{
	(void)ctx, (void)command;
	return answer(SMFIP_NR_UNKN);
}

static sfsistat on_header(SMFICTX *ctx, char *name, char *value)
{
	(void)ctx, (void)name, (void)value;
	return answer(SMFIP_NR_HDR);
}

static sfsistat on_end_of_header(SMFICTX *ctx)
{
	(void)ctx;
	return answer(SMFIP_NR_EOH);
}

static sfsistat on_body(SMFICTX *ctx, unsigned char *chunk, size_t size)
{
	(void)ctx, (void)chunk, (void)size;
	return answer(SMFIP_NR_BODY);
}

static sfsistat on_event(SMFICTX *ctx) /* end of message, abort, close: always answered */
{
	(void)ctx;
	return SMFIS_CONTINUE;
}

static struct smfiDesc filter = {
    .xxfi_name = (char *)"noop",
    .xxfi_version = SMFI_VERSION,
    .xxfi_connect = on_connect,
    .xxfi_helo = on_helo,
    .xxfi_envfrom = on_mail,
    .xxfi_envrcpt = on_rcpt,
    .xxfi_header = on_header,
    .xxfi_eoh = on_end_of_header,
    .xxfi_body = on_body,
    .xxfi_eom = on_event,
    .xxfi_abort = on_event,
    .xxfi_close = on_event,
    .xxfi_unknown = on_unknown,
    .xxfi_data = on_data,
    .xxfi_negotiate = on_negotiate,
};

static bool parse_steps(const char *text)
{
	char *end;

	if (strcmp(text, "none") == 0) {
		steps = 0;
		return true;
	}
	errno = 0;
	steps = strtoul(text, &end, 16);
	return errno == 0 && end != text && *end == '\0' && (steps & ~0x1ffffful) == 0;
}

static int usage(void)
{
	fprintf(stderr, "usage: noop_milter -s SOCKET -n none|STEPS\n"
			"  -s SOCKET  unix:PATH or inet:PORT@HOST\n"
			"  -n STEPS   SMFIP_* bits to ask for, hexadecimal; none: no bit\n");
	return EX_USAGE;
}

int main(int argc, char **argv)
{
	char *listen_address = NULL;
	const char *wanted = NULL;
	int option;

	while ((option = getopt(argc, argv, "s:n:")) != -1) {
		if (option == 's')
			listen_address = optarg;
		else if (option == 'n')
			wanted = optarg;
		else
			return usage();
	}
	if (optind != argc || listen_address == NULL || wanted == NULL || !parse_steps(wanted))
		return usage();

	if (smfi_register(filter) != MI_SUCCESS || smfi_setconn(listen_address) != MI_SUCCESS ||
	    smfi_opensocket(true) != MI_SUCCESS) {
		fprintf(stderr, "noop_milter: cannot listen on %s\n", listen_address);
		return EX_UNAVAILABLE;
	}
	return smfi_main() == MI_SUCCESS ? EX_OK : EX_SOFTWARE;
}
