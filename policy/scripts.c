/* scripts.c - see scripts.h. */
#include "policy/scripts.h"

#include "common/list.h"
#include "common/log.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"

#include <event2/event.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sysexits.h>
#include <unistd.h>

#define KEPT_NAME "policy"

struct scripts {
	const char *path;
	const struct config_overrides *overrides;
	void (*reloaded)(void);
	struct event *done;
	int done_fd;
	bool running, again;
	pthread_t thread;

	/* of the thread until it has written to done_fd */
	struct config *config;
	struct script_set *set; /* NULL: failed */
	char error[1024];
};

static void keep(const struct script_set *set)
{
	char why[512];

	if (!script_set_keep(set, KEPT_NAME, why, sizeof why))
		log_warn(NULL, "%s", why);
}

int scripts_load_first(struct config *cfg)
{
	struct script_set *set;

	luaout_configure(cfg);
	set = script_set_start(cfg, KEPT_NAME, true);
	if (set == NULL)
		return EX_CONFIG;
	script_set_publish(set);
	return 0;
}

/* ---- reloading ---- */

/* Of settings that only a start takes. */
static void tell_kept_list(
    const struct strlist *next, const struct strlist *in_force, const char *name)
{
	bool same = next->n == in_force->n;

	for (size_t i = 0; same && i < next->n; i++)
		same = strcmp(next->v[i], in_force->v[i]) == 0;
	if (!same)
		log_warn(NULL, "%s: another value takes effect with a restart only", name);
}

/* Of the queue agent, which keeps the settings of its start, as mailhooks-queue does. The map
 * `requeue` must look for records where the agent writes them. */
static void keep_agent(struct config *next, const struct config *in_force)
{
	const struct {
		const char *name;
		bool same;
	} settings[] = {
	    {"agent.mta", next->agent.mta == in_force->agent.mta},
	    {"agent.interval_seconds",
		next->agent.interval_seconds == in_force->agent.interval_seconds},
	    {"agent.most_hold_minutes",
		next->agent.most_hold_minutes == in_force->agent.most_hold_minutes},
	    {"agent.smallest_first", next->agent.smallest_first == in_force->agent.smallest_first},
	    {"agent.commands_per_second",
		next->agent.commands_per_second == in_force->agent.commands_per_second},
	};

	for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
		if (!settings[i].same)
			log_warn(NULL, "%s: another value takes effect with a restart only",
			    settings[i].name);
	next->agent.mta = in_force->agent.mta;
	next->agent.interval_seconds = in_force->agent.interval_seconds;
	next->agent.most_hold_minutes = in_force->agent.most_hold_minutes;
	next->agent.smallest_first = in_force->agent.smallest_first;
	next->agent.commands_per_second = in_force->agent.commands_per_second;
	config_keep(&next->agent.directory, in_force->agent.directory, "agent.directory");
	config_keep(&next->agent.socket, in_force->agent.socket, "agent.socket");
	config_keep(&next->agent.commands, in_force->agent.commands, "agent.commands");
	config_keep(&next->agent.config_directory, in_force->agent.config_directory,
	    "agent.config_directory");
}

/* The follower of the log and the queue agent keep the store of the start: scripts that asked
 * another one would find nothing in it. The directory is the one that is locked. */
static void keep_settings(struct config *next)
{
	struct script_set *now = script_set_current();
	const struct config *in_force = script_set_config(now);

	config_keep(&next->store, in_force->store, "store");
	config_keep(&next->state_dir, in_force->state_dir, "state_dir");
	config_keep(&next->maillog.source, in_force->maillog.source, "maillog.source");
	tell_kept_list(&next->policy.listen, &in_force->policy.listen, "policy.listen");
	tell_kept_list(&next->socketmap.listen, &in_force->socketmap.listen, "socketmap.listen");
	keep_agent(next, in_force);
	script_set_unref(now);
}

static void *load(void *arg)
{
	struct scripts *s = arg;
	uint64_t one = 1;

	s->config = config_load(s->path, s->overrides, s->error, sizeof s->error);
	if (s->config != NULL) {
		keep_settings(s->config);
		s->set = script_set_load(s->config, s->error, sizeof s->error);
	}
	if (s->set != NULL)
		keep(s->set);
	if (write(s->done_fd, &one, sizeof one) != sizeof one)
		log_bug(NULL, "the loop cannot be woken: %s", strerror(errno));
	return NULL;
}

static void put_in_force(struct scripts *s)
{
	if (s->set == NULL) {
		log_error(
		    NULL, "reload failed, the scripts and settings in force stay: %s", s->error);
	} else {
		luaout_configure(s->config);
		log_info(NULL,
		    "scripts and settings reloaded: generation %u; requests in progress keep "
		    "theirs",
		    script_set_generation(s->set));
		script_set_publish(s->set);
	}
	s->set = NULL;
	config_unref(s->config);
	s->config = NULL;
}

static void on_done(evutil_socket_t fd, short what, void *arg)
{
	struct scripts *s = arg;
	uint64_t count;

	(void)what;
	if (read(fd, &count, sizeof count) != sizeof count)
		return;
	pthread_join(s->thread, NULL);
	s->running = false;
	put_in_force(s);
	if (s->again) {
		s->again = false;
		scripts_reload(s);
	} else {
		s->reloaded();
	}
}

void scripts_reload(struct scripts *s)
{
	sigset_t all, before;
	int rc;

	if (s->running) {
		s->again = true;
		return;
	}
	sigfillset(&all); /* signals are the loop's */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(&s->thread, NULL, load, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	s->running = rc == 0;
	if (rc != 0) {
		log_error(NULL, "reload failed, no thread for it: %s", strerror(rc));
		s->reloaded();
	}
}

struct scripts *scripts_new(struct event_base *base, const char *path,
    const struct config_overrides *overrides, void (*reloaded)(void))
{
	struct scripts *s = xcalloc(1, sizeof *s);

	s->path = path;
	s->overrides = overrides;
	s->reloaded = reloaded;
	s->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->done_fd >= 0)
		s->done = event_new(base, s->done_fd, EV_READ | EV_PERSIST, on_done, s);
	if (s->done == NULL || event_add(s->done, NULL) != 0) {
		scripts_free(s);
		return NULL;
	}
	return s;
}

void scripts_free(struct scripts *s)
{
	if (s == NULL)
		return;
	if (s->running)
		pthread_join(s->thread, NULL);
	script_set_unref(s->set);
	config_unref(s->config);
	if (s->done != NULL)
		event_free(s->done);
	if (s->done_fd >= 0)
		close(s->done_fd);
	free(s);
}
