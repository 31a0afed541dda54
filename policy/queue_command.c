/* queue_command.c - see queue_command.h. */
#include "policy/queue_command.h"

#include "common/list.h"
#include "common/queue_record.h"
#include "policy/queue_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_BYTES 32
#define SENDMAIL_ID 14 /* letters and digits of a whole id: Sendmail looks for parts of ids */
#define WORDS 4

/* The id is the last word, or the end of it. quiet_ms: how long a list may print nothing; Sendmail
 * reads and sorts its whole queue before it prints. queue: the only queue of Postfix in which the
 * message is looked for: since it was listed it may have been released, and be on its way. */
static const struct command {
	bool sendmail;
	char letter;
	bool id;
	int quiet_ms; /* 0: no list */
	const char *queue, *program, *words[WORDS];
} commands[] = {
    {false, QUEUE_LIST, false, QUEUE_COMMAND_MS, NULL, "postqueue", {"-j"}},
    {false, QUEUE_HOLD, true, 0, "deferred", "postsuper", {"-h", ""}},
    {false, QUEUE_RELEASE, true, 0, NULL, "postsuper", {"-H", ""}},
    {false, QUEUE_EXPIRE, true, 0, NULL, "postsuper", {"-e", ""}},
    {false, QUEUE_REQUEUE, true, 0, "hold", "postsuper", {"-r", ""}},
    {false, QUEUE_PICKUP, false, 0, NULL, "postkick", {"public", "pickup", "W"}},
    {false, QUEUE_TRY, true, 0, NULL, "postqueue", {"-i", ""}},
    {true, QUEUE_LIST, false, QUEUE_LIST_MS, NULL, "sendmail", {"-bp"}},
    {true, QUEUE_LIST_HELD, false, QUEUE_LIST_MS, NULL, "sendmail", {"-bp", "-qQ"}},
    {true, QUEUE_HOLD, true, 0, NULL, "sendmail", {"-QCheckFile", "-qI"}},
    {true, QUEUE_RELEASE, true, 0, NULL, "sendmail", {"-Q", "-qQ", "-qI"}},
};

#define NCOMMANDS (sizeof commands / sizeof *commands)

/* The id behind the letter, "" = none. False: it does not fit or has a zero byte. */
static bool take_id(const char *request, size_t n, char id[ID_BYTES])
{
	if (n > ID_BYTES)
		return false;
	memcpy(id, request + 1, n - 1);
	id[n - 1] = '\0';
	return strlen(id) == n - 1;
}

static bool is_sendmail(const struct config *c)
{
	return c->agent.mta == AGENT_SENDMAIL;
}

static const struct command *find(const struct config *c, const char *request, size_t n)
{
	for (size_t i = 0; n > 0 && i < NCOMMANDS; i++)
		if (commands[i].letter == request[0] && commands[i].sendmail == is_sendmail(c))
			return &commands[i];
	return NULL;
}

static bool is_id(const struct command *command, const char *id)
{
	if (!command->id)
		return id[0] == '\0';
	return queue_record_is_id(id) && (!command->sendmail || strlen(id) >= SENDMAIL_ID);
}

const char *queue_command_refused(const struct config *c, const char *request, size_t n)
{
	const struct command *command = find(c, request, n);
	char id[ID_BYTES];

	if (command == NULL)
		return "unknown command";
	if (!take_id(request, n, id) || !is_id(command, id))
		return "not a queue id";
	return NULL;
}

/* The words of a command. */
static void prepare(
    const struct config *c, const struct command *command, const char *id, struct strlist *argv)
{
	size_t last = 0;
	char *text = xasprintf("%s/%s", c->agent.commands, command->program);

	strlist_add(argv, text);
	free(text);
	if (c->agent.config_directory[0] != '\0') {
		strlist_add(argv, command->sendmail ? "-C" : "-c");
		text = xasprintf(
		    "%s%s", c->agent.config_directory, command->sendmail ? "/sendmail.cf" : "");
		strlist_add(argv, text);
		free(text);
	}
	while (last + 1 < WORDS && command->words[last + 1] != NULL)
		last++;
	for (size_t i = 0; i <= last; i++) {
		text = xasprintf("%s%s", command->words[i], i == last ? id : "");
		strlist_add(argv, text);
		free(text);
	}
	if (command->queue != NULL)
		strlist_add(argv, command->queue);
}

bool queue_command_run(const struct config *c, const char *request, size_t n,
    const struct queue_output *output, char *why, size_t size)
{
	const char *refused = queue_command_refused(c, request, n);
	const struct command *command = find(c, request, n);
	struct strlist argv = STRLIST_INIT;
	char id[ID_BYTES];
	bool fine;

	if (refused == NULL && command->letter == QUEUE_REQUEUE)
		refused = queue_settings_no_requeue(c);
	if (refused != NULL || !take_id(request, n, id)) {
		snprintf(why, size, "%s", refused);
		return false;
	}
	prepare(c, command, id, &argv);
	fine = command->quiet_ms > 0
		   ? queue_process_run(&argv, command->quiet_ms, output, why, size)
		   : queue_process_run(&argv, QUEUE_COMMAND_MS, NULL, why, size);
	strlist_clear(&argv);
	return fine;
}
