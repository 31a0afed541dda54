/* maillog_follow.c - see maillog_follow.h. */
#include "policy/maillog_follow.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/log.h"
#include "policy/dialogues.h"
#include "policy/maillog_record.h"
#include "policy/maillog_source.h"
#include "policy/maillog_state.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define POLL_MS 100	   /* between two looks for new lines */
#define CHECKPOINT_MS 1000 /* between two of them; each is a write and an fsync(2) */

struct follower {
	struct config *cfg;
	const struct maillog_source_kind *kind;
	const char *place; /* behind the colon of maillog.source */
	char *state;	   /* file */
	int stop;	   /* eventfd */
	pthread_t thread;

	/* of the thread */
	struct recorder *recorder;
	struct dialogues *dialogues;
	struct maillog_source *source;
	bool dirty; /* something has been read since the last checkpoint */
	bool complained;
	int64_t checkpoint_ms;
};

static const struct maillog_source_kind *const kinds[] = {
    &maillog_source_file, &maillog_source_journal};

static void close_all(struct follower *f)
{
	if (f->source != NULL)
		f->kind->close(f->source);
	f->source = NULL;
	dialogues_free(f->dialogues);
	f->dialogues = NULL;
}

/* Go on from the last checkpoint. False: the source cannot be opened, which it has logged. */
static bool open_all(struct follower *f)
{
	struct dialogues_listener listener = recorder_listener(f->recorder);
	char position[MAILLOG_POSITION_BYTES];
	const char *why;
	bool known;

	close_all(f);
	f->dialogues = dialogues_new(&listener);
	known = maillog_state_load(f->state, f->cfg->maillog.source, position, sizeof position,
	    f->dialogues, clock_ms(), &why);
	if (!known) {
		if (*why != '\0')
			log_warn(NULL,
			    "%s: %s: the log is read from its beginning; attempts that are "
			    "recorded already stay as they are",
			    f->state, why);
		dialogues_free(f->dialogues);
		f->dialogues = dialogues_new(&listener);
	}
	f->source = f->kind->open(f->cfg, f->place, known ? position : NULL);
	f->dirty = false;
	f->checkpoint_ms = clock_ms();
	return f->source != NULL;
}

static void save(struct follower *f)
{
	char position[MAILLOG_POSITION_BYTES];

	f->kind->position(f->source, position, sizeof position);
	if (maillog_state_save(f->state, f->cfg->maillog.source, position, f->dialogues)) {
		f->complained = false;
		f->dirty = false;
		return;
	}
	if (!f->complained)
		log_error(NULL,
		    "%s: %s: after a restart the mail log is read again from an earlier place",
		    f->state, strerror(errno));
	f->complained = true;
}

static void checkpoint(struct follower *f)
{
	if (!f->dirty)
		return;
	f->checkpoint_ms = clock_ms();
	switch (recorder_state(f->recorder)) {
	case RECORDER_SAFE:
		save(f);
		break;
	case RECORDER_BEHIND:
		log_info(NULL, "store: answers again; the mail log is read again from where it "
			       "was left");
		open_all(f);
		break;
	case RECORDER_WAIT:
	case RECORDER_STOPPED:
		break;
	}
}

/* True: we are to stop. */
static bool pause_for(struct follower *f, int64_t ms)
{
	struct pollfd p = {.fd = f->stop, .events = POLLIN};

	return poll(&p, 1, (int)ms) > 0;
}

/* Read what there is; returns how long to wait. */
static int64_t read_on(struct follower *f)
{
	char key[MAILLOG_KEY_BYTES];
	struct maillog_line line;
	bool more = false;
	int64_t quiet;

	if (f->source == NULL && !open_all(f))
		return CHECKPOINT_MS;
	while (clock_ms() - f->checkpoint_ms < CHECKPOINT_MS) {
		if (f->kind->next(f->source, &line, key, &more)) {
			dialogues_line(f->dialogues, &line, key, clock_ms());
			f->dirty = true;
		} else if (more) {
			f->dirty = true; /* the place is another one */
			return 0;
		} else {
			quiet = dialogues_quiet(f->dialogues, clock_ms());
			return quiet >= 0 && quiet < POLL_MS ? quiet + 1 : POLL_MS;
		}
	}
	return 0;
}

static void *follow(void *arg)
{
	struct follower *f = arg;

	f->recorder = recorder_new(f->cfg->store, f->stop);
	while (!pause_for(f, read_on(f)))
		if (clock_ms() - f->checkpoint_ms >= CHECKPOINT_MS) {
			checkpoint(f);
			f->checkpoint_ms = clock_ms();
		}
	if (f->source != NULL)
		checkpoint(f);
	close_all(f);
	recorder_free(f->recorder);
	return NULL;
}

/* "file:/var/log/mail.log" */
static bool choose_source(struct follower *f)
{
	const char *said = f->cfg->maillog.source, *colon = strchrnul(said, ':');

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (strlen(kinds[i]->name) != (size_t)(colon - said) ||
		    strncmp(kinds[i]->name, said, (size_t)(colon - said)) != 0)
			continue;
		f->kind = kinds[i];
		f->place = *colon != '\0' ? colon + 1 : NULL;
		return true;
	}
	return false;
}

static bool start_thread(struct follower *f)
{
	sigset_t all, before;
	int rc;

	f->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (f->stop < 0)
		return false;
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&f->thread, NULL, follow, f);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = rc;
	return rc == 0;
}

static void free_follower(struct follower *f)
{
	if (f->stop >= 0)
		close(f->stop);
	free(f->state);
	config_unref(f->cfg);
	free(f);
}

struct follower *follower_start(struct config *cfg)
{
	struct follower *f;

	if (*cfg->maillog.source == '\0')
		return NULL;
	f = xcalloc(1, sizeof *f);
	f->cfg = config_ref(cfg);
	f->stop = -1;
	f->state = xasprintf("%s/maillog.state", cfg->state_dir);
	if (!choose_source(f)) {
		log_bug(NULL, "maillog.source: unknown kind");
	} else if (start_thread(f)) {
		log_info(NULL, "send attempts from %s", cfg->maillog.source);
		return f;
	} else {
		log_error(
		    NULL, "send attempts are not recorded, no thread for it: %s", strerror(errno));
	}
	free_follower(f);
	return NULL;
}

void follower_stop(struct follower *f)
{
	uint64_t one = 1;

	if (f == NULL)
		return;
	if (write(f->stop, &one, sizeof one) != sizeof one)
		log_bug(NULL, "the follower cannot be woken: %s", strerror(errno));
	pthread_join(f->thread, NULL);
	free_follower(f);
}
