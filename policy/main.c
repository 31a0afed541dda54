/* main.c - mailhooks-policy: command line, start, signals, end.
 *
 * One process: the main thread runs libevent's loop and never waits for anything else; scripts run
 * in worker threads (dispatch.h), reloads in one of their own (scripts.h). */
#include "common/daemon/arguments.h"
#include "common/daemon/background.h"
#include "common/daemon/lock.h"
#include "common/config.h"
#include "common/list.h"
#include "common/log.h"
#include "common/daemon/notify.h"
#include "common/daemon/privileges.h"
#include "lua-bindings/luaout.h"
#include "common/store/holds.h"
#include "lua-bindings/script_set.h"
#include "policy/agent.h"
#include "policy/answers.h"
#include "policy/delivery.h"
#include "policy/dispatch.h"
#include "policy/listen.h"
#include "policy/maillog_follow.h"
#include "policy/routed.h"
#include "policy/scripts.h"
#include "policy/server.h"

#include <event2/event.h>

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>

#define PROGRAM "mailhooks-policy"

static const char signals_text[] =
    "SIGHUP reloads scripts and settings, SIGTERM answers what is in progress and stops,\n"
    "SIGUSR1 reopens the logs. Exit status 78: configuration or script unusable.";

static struct daemon_arguments arguments;

static struct listening_sockets sockets;
static int state_lock = -1;
static struct event_base *base;
static struct dispatch *workers;
static struct scripts *scripts;
static struct server *server;
static struct follower *follower;
static struct agent *agent;

/* ---- signals ---- */

static void on_reloaded(void)
{
	notify("READY=1");
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	(void)what, (void)arg;
	switch (number) {
	case SIGHUP:
		log_info(NULL, "SIGHUP: reloading");
		notify("RELOADING=1");
		scripts_reload(scripts);
		break;
	case SIGUSR1:
		log_reopen();
		luaout_reopen();
		break;
	default:
		log_info(NULL, "%s: answering what is in progress", strsignal(number));
		notify("STOPPING=1");
		listen_stopping(&sockets);
		lock_stopping(state_lock);
		server_drain(server);
	}
}

/* The loop turns, so we are alive. */
static void on_watchdog(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what, (void)arg;
	notify("WATCHDOG=1");
}

static const int signals[] = {SIGHUP, SIGTERM, SIGINT, SIGUSR1};
static struct event *signal_events[sizeof signals / sizeof *signals], *watchdog;

static bool watch_signals(void)
{
	int64_t ms = notify_watchdog_ms() / 2;
	struct timeval tv = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		signal_events[i] = evsignal_new(base, signals[i], on_signal, NULL);
		if (signal_events[i] == NULL || event_add(signal_events[i], NULL) != 0)
			return false;
	}
	if (ms == 0)
		return true;
	watchdog = event_new(base, -1, EV_PERSIST, on_watchdog, NULL);
	return watchdog != NULL && event_add(watchdog, &tv) == 0;
}

static void forget_signals(void)
{
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		if (signal_events[i] != NULL)
			event_free(signal_events[i]);
	if (watchdog != NULL)
		event_free(watchdog);
}

/* ---- start ---- */

/* policy.connections may be more than what a process gets by default. */
static void raise_descriptors(const struct config *cfg)
{
	const rlim_t wanted = (rlim_t)cfg->policy.connections + 256; /* scripts open files too */
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted)
		return;
	limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
	if (setrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur < wanted)
		log_warn(NULL,
		    "%lu descriptors at most: fewer than policy.connections (%d) may need",
		    (unsigned long)limit.rlim_cur, cfg->policy.connections);
}

/* As root, if we are. */
static int open_sockets(struct config *cfg)
{
	struct identity id;
	char error[512];
	bool busy = false;

	if (privileges_identity(cfg, &id, error, sizeof error) &&
	    privileges_directories(cfg, &id, error, sizeof error) &&
	    listen_open(&sockets, cfg, &id, &busy, error, sizeof error) &&
	    privileges_drop(cfg, &id, error, sizeof error)) {
		if (lock_state(cfg->state_dir, PROGRAM, &state_lock, error, sizeof error))
			return 0;
		busy = true;
	}
	log_error(NULL, "%s", error);
	return busy ? EX_TEMPFAIL : EX_CONFIG;
}

static int start(struct config *cfg)
{
	char error[512];
	int status = open_sockets(cfg);

	if (status == 0)
		status = scripts_load_first(cfg);
	if (status != 0)
		return status;
	routed_open(cfg->state_dir);
	base = event_base_new();
	if (base == NULL)
		return EX_OSERR;
	delivery_start();
	workers = dispatch_new(base, cfg->policy.workers, cfg->policy.queue, error, sizeof error);
	if (workers != NULL)
		server = server_new(base, workers, &sockets, cfg, error, sizeof error);
	if (server == NULL) {
		log_error(NULL, "%s", error);
		return EX_OSERR;
	}
	agent = agent_start(cfg); /* it listens to the follower */
	follower = follower_start(cfg);
	scripts = scripts_new(base, arguments.config_path, &arguments.overrides, on_reloaded);
	return scripts != NULL && watch_signals() ? 0 : EX_OSERR;
}

static void end(void)
{
	follower_stop(follower);
	agent_stop(agent);
	scripts_free(scripts);
	server_free(server);
	dispatch_free(workers);
	forget_signals();
	if (base != NULL)
		event_base_free(base);
	listen_close(&sockets);
	script_set_publish(NULL);
	delivery_forget_all();
	answers_forget_all();
	routed_close();
	unlock(state_lock); /* nothing in state_dir is open any more */
	holds_forget();
}

static int run(struct config *cfg)
{
	int status;

	signal(SIGPIPE, SIG_IGN);
	raise_descriptors(cfg);
	status = start(cfg);
	if (status == 0) {
		log_info(NULL, "ready, scripts from %s", cfg->scripts);
		notify("READY=1");
		background_ready();
		if (event_base_dispatch(base) < 0)
			status = EX_OSERR;
		log_info(NULL, "stopped");
	}
	end();
	return status;
}

static int serve(void)
{
	struct config *cfg;
	char error[1024];
	int status;

	cfg = config_load(arguments.config_path, &arguments.overrides, error, sizeof error);
	if (cfg == NULL) {
		fprintf(stderr, PROGRAM ": %s\n", error);
		return EX_CONFIG;
	}
	log_open(PROGRAM, arguments.foreground ? LOG_TO_STDERR : cfg->log.target, cfg->log.format,
	    cfg->log.facility, cfg->log.level);
	if (!arguments.foreground)
		background_enter();
	status = run(cfg);
	background_failed(status);
	config_unref(cfg);
	return status;
}

int main(int argc, char **argv)
{
	int status = arguments_parse(&arguments, argc, argv, PROGRAM,
	    "Answers the policy and socketmap requests of Postfix with Lua scripts.", signals_text);

	if (status < 0)
		status = serve();
	arguments_clear(&arguments);
	return status;
}
