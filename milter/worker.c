/* worker.c - see worker.h: start, reload, drain.
 *
 * Threads: main runs smfi_main(); one control thread takes the orders of the supervisor, one
 * watches over slow callbacks (wake.h); libmilter adds its own. Scripts run with the privileges of
 * the configured user only, never as root. */
#include "milter/worker.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/daemon/lock.h"
#include "common/log.h"
#include "common/daemon/privileges.h"
#include "common/store/store_shared.h"
#include "common/waiting.h"
#include "lua-bindings/luaout.h"
#include "lua-bindings/script_set.h"
#include "milter/session.h"
#include "milter/supervisor.h"
#include "milter/wake.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#define DRAIN_STEP_US 20000  /* how often draining looks whether it is done */
#define DRAIN_QUIET_STEPS 10 /* that many times in a row */

#define KEPT_NAME "milter"

static const struct worker_options *options;
static struct config
    *config; /* the supervisor's, or newer; the scripts may have a newer one still */
static const char *address;
static int control;
static bool listening; /* the socket at address is ours */

void worker_configure(const struct worker_options *o)
{
	options = o;
}

static void report(enum supervisor_report r)
{
	char byte = (char)r;

	if (send(control, &byte, 1, MSG_NOSIGNAL) != 1)
		log_debug(NULL, "supervisor does not listen: %s", strerror(errno));
}

/* ---- scripts ---- */

static void put_in_force(struct config *cfg, struct script_set *set, struct resolvers *resolvers)
{
	luaout_configure(cfg);
	waiting_limit(cfg->milter.waiting);
	resolvers_publish(resolvers);
	script_set_publish(set);
}

/* One worker for all keeps the set: they would write the same files. */
static bool keeps(void)
{
	return strcmp(address, options->config->milter.listen.v[0]) == 0;
}

static int load_first(struct config *cfg)
{
	char error[1024];
	struct resolvers *resolvers = resolvers_new(cfg, error, sizeof error);
	struct script_set *set;

	if (resolvers == NULL) {
		log_error(NULL, "%s", error);
		return EX_CONFIG;
	}
	luaout_configure(cfg);
	set = script_set_start(cfg, KEPT_NAME, keeps());
	if (set == NULL) {
		resolvers_unref(resolvers);
		return EX_CONFIG;
	}
	put_in_force(cfg, set, resolvers);
	return 0;
}

static bool same_dns(const struct config *a, const struct config *b)
{
	bool same = a->dns.servers.n == b->dns.servers.n &&
		    a->dns.breaker_failures == b->dns.breaker_failures &&
		    a->dns.breaker_ms == b->dns.breaker_ms;

	for (size_t i = 0; same && i < a->dns.servers.n; i++)
		same = strcmp(a->dns.servers.v[i], b->dns.servers.v[i]) == 0;
	return same;
}

/* The ones in use keep what they remember, unless the settings are others. */
static struct resolvers *resolvers_for(const struct config *cfg, char *error, size_t size)
{
	struct script_set *now = script_set_current();
	bool same = same_dns(script_set_config(now), cfg);

	script_set_unref(now);
	return same ? resolvers_current() : resolvers_new(cfg, error, size);
}

/* The state directory is locked; the queue agent finds the records of messages where it looked for
 * them when it started. */
static void keep_settings(struct config *next, const struct config *in_force)
{
	config_keep(&next->state_dir, in_force->state_dir, "state_dir");
	config_keep(&next->agent.directory, in_force->agent.directory, "agent.directory");
}

static bool reload(char *error, size_t size)
{
	struct config *cfg = config_load(
	    options->arguments->config_path, &options->arguments->overrides, error, size);
	struct resolvers *resolvers = NULL;
	struct script_set *set = NULL;

	if (cfg != NULL) {
		keep_settings(cfg, options->config);
		resolvers = resolvers_for(cfg, error, size);
	}
	if (resolvers != NULL)
		set = script_set_load(cfg, error, size);
	if (set == NULL) {
		resolvers_unref(resolvers);
		config_unref(cfg);
		return false;
	}
	if (keeps() && !script_set_keep(set, KEPT_NAME, error, size))
		log_warn(NULL, "%s", error);
	log_info(NULL,
	    "scripts and settings reloaded: generation %u; sessions in progress keep theirs",
	    script_set_generation(set));
	put_in_force(cfg, set, resolvers);
	config_unref(cfg);
	return true;
}

/* ---- orders ---- */

static void remove_socket(void)
{
	const char *path = lock_socket_path(address);

	if (listening && path != NULL)
		unlink(path);
}

/* libmilter cannot stop listening without dropping its sessions. So new sessions are refused at
 * negotiation, messages in progress get drain_seconds, and then the process ends. */
static _Noreturn void drain(void)
{
	int64_t end = clock_ms() + options->config->milter.drain_seconds * 1000LL;

	negotiate_refuse_new();
	remove_socket();
	/* quiet for a while: libmilter sends the last reply after our callback has returned */
	for (int quiet = 0; quiet < DRAIN_QUIET_STEPS && clock_ms() < end; usleep(DRAIN_STEP_US))
		quiet = session_messages_in_progress() > 0 ? 0 : quiet + 1;
	if (session_messages_in_progress() > 0)
		log_warn(NULL,
		    "%d messages still in progress after milter.drain_seconds; the MTA will "
		    "answer them with its milter default action",
		    session_messages_in_progress());
	store_shared_close();
	log_info(NULL, "stopped; %d idle sessions closed", session_count());
	exit(EXIT_SUCCESS);
}

static void obey(enum supervisor_order o)
{
	char error[1024];

	switch (o) {
	case ORDER_RELOAD:
		if (reload(error, sizeof error)) {
			report(REPORT_RELOADED);
		} else {
			log_error(NULL, "reload failed, the scripts and settings in force stay: %s",
			    error);
			report(REPORT_RELOAD_FAILED);
		}
		break;
	case ORDER_STOP:
		drain();
	case ORDER_REOPEN:
		log_reopen();
		luaout_reopen();
		break;
	case ORDER_PING:
		report(REPORT_ALIVE);
		break;
	}
}

static void *control_thread(void *arg)
{
	char byte;

	(void)arg;
	while (recv(control, &byte, 1, 0) == 1)
		obey((enum supervisor_order)byte);
	drain(); /* the supervisor is gone: nobody would restart or stop us */
}

static bool start_thread(void *(*run)(void *))
{
	sigset_t all, before;
	pthread_attr_t attr;
	pthread_t thread;
	int rc;

	sigfillset(&all); /* libmilter's own thread waits for signals */
	pthread_sigmask(SIG_SETMASK, &all, &before);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	rc = pthread_create(&thread, &attr, run, NULL);
	pthread_attr_destroy(&attr);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return rc == 0;
}

/* ---- start ---- */

/* *busy: somebody has the address, who may go. */
static bool open_socket(const struct identity *id, bool *busy, char *error, size_t size)
{
	const struct config *cfg = config;
	const char *path = lock_socket_path(address);
	mode_t before = umask(0177); /* nobody connects before owner and mode are right */
	bool fine = callbacks_register(address) && smfi_setconn((char *)address) == MI_SUCCESS &&
		    smfi_opensocket(true) == MI_SUCCESS;

	umask(before);
	if (!fine) {
		*busy = errno == EADDRINUSE;
		snprintf(error, size, "cannot listen on \"%s\": %s; see milter.listen", address,
		    errno != 0 ? strerror(errno) : "not an address libmilter understands");
		return false;
	}
	listening = true;
	return path == NULL || privileges_own(path, id, cfg->milter.socket_owner,
				   cfg->milter.socket_group, cfg->milter.socket_mode, error, size);
}

/* A reload since the start of the daemon is not known to the supervisor, whose copy this process
 * has. */
static void refresh_config(void)
{
	char error[1024];
	struct config *now = config_load(
	    options->arguments->config_path, &options->arguments->overrides, error, sizeof error);

	if (now == NULL) {
		log_error(NULL, "settings of the last start used again: %s", error);
		return;
	}
	keep_settings(now, config);
	config = now;
}

static int start(void)
{
	struct identity id;
	bool busy = false;
	char error[512];
	int status;

	errno = 0;
	if (!privileges_identity(config, &id, error, sizeof error) ||
	    !privileges_directories(config, &id, error, sizeof error) ||
	    !open_socket(&id, &busy, error, sizeof error) ||
	    !privileges_drop(config, &id, error, sizeof error)) {
		log_error(NULL, "%s", error);
		return busy ? EX_TEMPFAIL : EX_CONFIG;
	}
	status = load_first(config);
	if (status == 0 && !start_thread(control_thread))
		status = EX_OSERR;
	if (status == 0 && wake_prepare(address) && !start_thread(wake_watch))
		status = EX_OSERR;
	return status;
}

int worker_run(const char *listen_address, int control_fd, bool again)
{
	int status;

	address = listen_address;
	control = control_fd;
	config = options->config;
	if (again)
		refresh_config();
	signal(SIGPIPE, SIG_IGN);
	status = start();
	if (status != 0) {
		remove_socket();
		return status;
	}
	log_info(NULL, "ready on %s, scripts from %s", address, config->scripts);
	report(REPORT_READY);
	if (smfi_main() != MI_SUCCESS) {
		log_error(NULL, "libmilter ended with an error on %s", address);
		return EX_SOFTWARE;
	}
	return EXIT_SUCCESS;
}
