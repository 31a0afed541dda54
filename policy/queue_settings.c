/* queue_settings.c - see queue_settings.h. */
#include "policy/queue_settings.h"

#include "common/list.h"
#include "policy/queue_command.h"
#include "policy/queue_process.h"

#include <stdlib.h>
#include <string.h>

struct said {
	char text[8192];
	size_t n;
};

static bool take_text(const char *bytes, size_t n, void *arg)
{
	struct said *s = arg;

	if (s->n + n >= sizeof s->text)
		return false;
	memcpy(s->text + s->n, bytes, n);
	s->n += n;
	return true;
}

/* *said gets what postconf -x -h prints for a parameter, or with -P for that of a service. */
static bool ask(const struct config *c, bool of_service, const char *name, struct said *said)
{
	const struct queue_output output = {take_text, said, {-1, -1}};
	struct strlist argv = STRLIST_INIT;
	char *program = xasprintf("%s/postconf", c->agent.commands), why[200];
	bool fine;

	strlist_add(&argv, program);
	if (c->agent.config_directory[0] != '\0') {
		strlist_add(&argv, "-c");
		strlist_add(&argv, c->agent.config_directory);
	}
	strlist_add(&argv, "-x");
	strlist_add(&argv, "-h");
	if (of_service)
		strlist_add(&argv, "-P");
	strlist_add(&argv, name);
	*said = (struct said){.n = 0};
	fine = queue_process_run(&argv, QUEUE_COMMAND_MS, &output, why, sizeof why);
	strlist_clear(&argv);
	free(program);
	return fine;
}

/* Of a service of master.cf, whose own options go before main.cf. What does not follow from them
 * is not there at all, not even a line end. */
static bool ask_for_service(
    const struct config *c, const char *service, const char *name, struct said *said)
{
	char *option = xasprintf("%s/*/%s", service, name);
	bool fine = ask(c, true, option, said);

	free(option);
	return fine && (said->n > 0 || ask(c, false, name, said));
}

/* "5d", "36h"; without a unit it is days, as postconf(5) has it for this one. */
static int64_t seconds_of(const char *text)
{
	static const struct {
		char unit;
		int64_t seconds;
	} units[] = {{'s', 1}, {'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}, {'\n', 86400}};
	char *end;
	int64_t n = strtoll(text, &end, 10);

	for (size_t i = 0; end != text && n >= 0 && i < sizeof units / sizeof *units; i++)
		if (*end == units[i].unit)
			return n < INT32_MAX ? n * units[i].seconds : -1;
	return -1;
}

int64_t queue_settings_lifetime_s(const struct config *c)
{
	struct said said;

	if (c->agent.mta == AGENT_SENDMAIL || !ask(c, false, "maximal_queue_lifetime", &said))
		return -1;
	return seconds_of(said.text);
}

/* ---- requeue ---- */

#define BETWEEN " \t\r\n,{}" /* what stands between the tables of a list, and inside pipemap */

/* One of the tables is socketmap:ADDRESS:requeue, alone or within others. */
static bool has_our_map(char *tables)
{
	static const char *const types[] = {"socketmap:", "proxy:socketmap:"};
	static const char map[] = ":requeue";
	char *rest;

	for (char *t = strtok_r(tables, BETWEEN, &rest); t != NULL;
	     t = strtok_r(NULL, BETWEEN, &rest)) {
		size_t n = strlen(t);

		for (size_t i = 0; i < sizeof types / sizeof *types; i++)
			if (strncmp(t, types[i], strlen(types[i])) == 0 && n >= sizeof map &&
			    strcmp(t + n - (sizeof map - 1), map) == 0)
				return true;
	}
	return false;
}

const char *queue_settings_no_requeue(const struct config *c)
{
	struct said said;
	char *cleanup;
	bool fine;

	if (!ask_for_service(c, "pickup", "receive_override_options", &said))
		return "postconf(1) does not say what pickup(8) does";
	if (strstr(said.text, "no_header_body_checks") != NULL)
		return "receive_override_options of pickup(8) has no_header_body_checks: the "
		       "message would go without its sender";
	if (!ask_for_service(c, "pickup", "cleanup_service_name", &said))
		return "postconf(1) does not say what cleanup(8) does";
	cleanup = xstrndup(said.text, strcspn(said.text, "\n"));
	fine = ask_for_service(c, cleanup, "header_checks", &said);
	free(cleanup);
	if (!fine || !has_our_map(said.text))
		return "header_checks of Postfix does not ask the map \"requeue\": the message "
		       "would go without its sender; `mailhooks setup` has the line";
	return NULL;
}
