/* supervisor.c - see supervisor.h. Single-threaded: one poll() loop over signals and workers. */
#include "milter/supervisor.h"

#include "common/clock.h"
#include "common/list.h"
#include "common/daemon/lock.h"
#include "common/log.h"
#include "common/daemon/notify.h"
#include "common/daemon/privileges.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#define RESTART_MS 1000	      /* first pause before a dead worker is started again */
#define RESTART_MOST_MS 30000 /* it doubles up to this */
#define STEADY_MS 60000	      /* a worker that lived this long starts again at RESTART_MS */
#define STOP_SLACK_SECONDS 10 /* after drain_seconds: libmilter needs up to 5 to stop */

struct worker {
	const char *address;
	pid_t pid; /* 0: not running */
	int control, lock;
	bool ready, reloading;
	int64_t started_ms, restart_ms; /* restart_ms: when to start again, 0 = not due */
	int pause_ms;
	int64_t asked_ms, heard_ms; /* last ping and last sign of life */
};

#define PROGRAM "mailhooks-milter"

static int state_lock = -1;
static struct worker *workers;
static size_t nworkers;
static bool stopping, told_ready;
static int64_t kill_ms; /* when stopping: the moment patience ends */
static int (*worker_main)(const char *, int, bool);

/* ---- starting and stopping workers ---- */

static _Noreturn void become_worker(const struct worker *w, int control, const sigset_t *signals)
{
	for (size_t i = 0; i < nworkers; i++)
		if (workers[i].pid != 0)
			close(workers[i].control);
	setpgid(0, 0); /* a Ctrl-C is for the supervisor: libmilter would cut its sessions */
	sigprocmask(SIG_UNBLOCK, signals, NULL);
	exit(worker_main(w->address, control, told_ready));
}

static bool start(struct worker *w, const sigset_t *signals)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
		return false;
	w->pid = fork();
	if (w->pid == 0) {
		close(pair[0]);
		become_worker(w, pair[1], signals);
	}
	close(pair[1]);
	if (w->pid < 0) {
		w->pid = 0;
		close(pair[0]);
		return false;
	}
	w->control = pair[0];
	w->ready = w->reloading = false;
	w->started_ms = w->heard_ms = clock_ms();
	w->restart_ms = 0;
	return true;
}

static void order(struct worker *w, enum supervisor_order o)
{
	char byte = (char)o;

	if (w->pid != 0 && send(w->control, &byte, 1, MSG_NOSIGNAL | MSG_DONTWAIT) != 1)
		log_warn(
		    NULL, "worker for %s does not take orders: %s", w->address, strerror(errno));
}

static void order_all(enum supervisor_order o)
{
	for (size_t i = 0; i < nworkers; i++)
		order(&workers[i], o);
}

static void reload(void)
{
	notify("RELOADING=1");
	for (size_t i = 0; i < nworkers; i++)
		workers[i].reloading = workers[i].pid != 0;
	order_all(ORDER_RELOAD);
}

static void stop(const struct config *cfg)
{
	if (!stopping)
		notify("STOPPING=1");
	stopping = true;
	kill_ms = clock_ms() + (cfg->milter.drain_seconds + STOP_SLACK_SECONDS) * 1000LL;
	lock_stopping(state_lock);
	for (size_t i = 0; i < nworkers; i++)
		lock_stopping(workers[i].lock);
	order_all(ORDER_STOP);
}

/* ---- what happened ---- */

static bool all_ready(void)
{
	for (size_t i = 0; i < nworkers; i++)
		if (!workers[i].ready)
			return false;
	return true;
}

static bool any_reloading(void)
{
	for (size_t i = 0; i < nworkers; i++)
		if (workers[i].reloading)
			return true;
	return false;
}

static void hear(struct worker *w, char report, void (*ready)(void))
{
	w->heard_ms = clock_ms();
	if (report == REPORT_READY) {
		w->ready = true;
		if (all_ready()) {
			if (!told_ready)
				ready();
			told_ready = true;
			notify("READY=1");
		}
	} else if (report == REPORT_RELOADED || report == REPORT_RELOAD_FAILED) {
		w->reloading = false;
		if (!any_reloading())
			notify("READY=1");
	}
}

static void read_reports(struct worker *w, void (*ready)(void))
{
	char bytes[64];
	ssize_t n = recv(w->control, bytes, sizeof bytes, MSG_DONTWAIT);

	for (ssize_t i = 0; i < n; i++)
		hear(w, bytes[i], ready);
}

static void describe_end(const struct worker *w, int status)
{
	if (WIFSIGNALED(status))
		log_error(NULL, "worker %d for %s was killed by signal %d (%s)", (int)w->pid,
		    w->address, WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		log_error(NULL, "worker %d for %s ended with status %d", (int)w->pid, w->address,
		    WEXITSTATUS(status));
}

/* -1: go on; otherwise the exit status of the daemon. */
static int bury(struct worker *w, int status, void (*ready)(void))
{
	bool first_start = !w->ready && !told_ready;

	read_reports(w, ready);
	close(w->control);
	if (stopping) {
		w->pid = 0;
		return -1;
	}
	describe_end(w, status);
	w->pid = 0;
	if (first_start && !w->ready)
		return WIFEXITED(status) && WEXITSTATUS(status) != 0 ? WEXITSTATUS(status)
								     : EXIT_FAILURE;
	w->pause_ms = clock_ms() - w->started_ms > STEADY_MS || w->pause_ms == 0 ? RESTART_MS
										 : 2 * w->pause_ms;
	if (w->pause_ms > RESTART_MOST_MS)
		w->pause_ms = RESTART_MOST_MS;
	w->restart_ms = clock_ms() + w->pause_ms;
	return -1;
}

static int reap(void (*ready)(void))
{
	int status, exit_status = -1;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < nworkers; i++)
			if (workers[i].pid == pid && exit_status < 0)
				exit_status = bury(&workers[i], status, ready);
	return exit_status;
}

static int take_signal(int fd, const struct config *cfg, void (*ready)(void))
{
	struct signalfd_siginfo si;

	if (read(fd, &si, sizeof si) != sizeof si)
		return -1;
	switch (si.ssi_signo) {
	case SIGHUP:
		log_info(NULL, "SIGHUP: reloading");
		reload();
		break;
	case SIGUSR1:
		log_reopen();
		order_all(ORDER_REOPEN);
		break;
	case SIGTERM:
	case SIGINT:
		log_info(NULL, "%s: finishing what is in progress", strsignal((int)si.ssi_signo));
		stop(cfg);
		break;
	case SIGCHLD:
		return reap(ready);
	}
	return -1;
}

/* ---- time ---- */

static void watchdog(int64_t now)
{
	static int64_t told_ms;
	int64_t interval = notify_watchdog_ms();
	bool all_alive = true;

	if (interval == 0)
		return;
	for (size_t i = 0; i < nworkers; i++) {
		struct worker *w = &workers[i];

		if (now - w->asked_ms >= interval / 4) {
			order(w, ORDER_PING);
			w->asked_ms = now;
		}
		all_alive &= now - w->heard_ms < interval;
	}
	if (all_alive && now - told_ms >= interval / 4) {
		notify("WATCHDOG=1");
		told_ms = now;
	}
}

static void tick(const sigset_t *signals)
{
	int64_t now = clock_ms();

	for (size_t i = 0; i < nworkers; i++) {
		struct worker *w = &workers[i];

		if (stopping && w->pid != 0 && now >= kill_ms)
			kill(w->pid, SIGKILL);
		if (!stopping && w->pid == 0 && w->restart_ms != 0 && now >= w->restart_ms &&
		    !start(w, signals))
			w->restart_ms = now + RESTART_MOST_MS;
	}
	watchdog(now);
}

static bool any_running(void)
{
	for (size_t i = 0; i < nworkers; i++)
		if (workers[i].pid != 0)
			return true;
	return false;
}

static int loop(
    int signals_fd, const sigset_t *signals, const struct config *cfg, void (*ready)(void))
{
	struct pollfd *p = xcalloc(nworkers + 1, sizeof *p);
	int status = -1;

	while (status < 0 && (any_running() || !stopping)) {
		p[0] = (struct pollfd){.fd = signals_fd, .events = POLLIN};
		for (size_t i = 0; i < nworkers; i++)
			p[i + 1] = (struct pollfd){
			    .fd = workers[i].pid != 0 ? workers[i].control : -1, .events = POLLIN};
		poll(p, nworkers + 1, 250);
		for (size_t i = 0; i < nworkers; i++)
			if (p[i + 1].revents & POLLIN)
				read_reports(&workers[i], ready);
		if (p[0].revents & POLLIN)
			status = take_signal(signals_fd, cfg, ready);
		tick(signals);
	}
	free(p);
	return status;
}

/* A worker that failed ends the daemon: the others are told and waited for. */
static void end_workers(void)
{
	stopping = true;
	for (size_t i = 0; i < nworkers; i++) {
		if (workers[i].pid == 0)
			continue;
		kill(workers[i].pid, SIGKILL);
		waitpid(workers[i].pid, NULL, 0);
	}
}

/* The lock files lie beside the sockets, so their directories must be there first. */
static int prepare(const struct config *cfg)
{
	static const struct lock_owner owner = {PROGRAM, "milter.listen"};
	struct identity id;
	char error[512];

	if (!privileges_identity(cfg, &id, error, sizeof error) ||
	    !privileges_directories(cfg, &id, error, sizeof error)) {
		log_error(NULL, "%s", error);
		return EX_CONFIG;
	}
	nworkers = cfg->milter.listen.n;
	workers = xcalloc(nworkers, sizeof *workers);
	for (size_t i = 0; i < nworkers; i++) {
		workers[i].address = cfg->milter.listen.v[i];
		workers[i].lock = -1;
	}
	for (size_t i = 0; i < nworkers; i++)
		if (!lock_address(
			workers[i].address, &owner, &workers[i].lock, error, sizeof error)) {
			log_error(NULL, "%s", error);
			return EX_TEMPFAIL;
		}
	if (!lock_state(cfg->state_dir, PROGRAM, &state_lock, error, sizeof error)) {
		log_error(NULL, "%s", error);
		return EX_TEMPFAIL;
	}
	return 0;
}

int supervise(const struct config *cfg,
    int (*run_worker)(const char *address, int control, bool again), void (*ready)(void))
{
	sigset_t signals;
	int fd, status = prepare(cfg);

	worker_main = run_worker;
	sigemptyset(&signals);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGUSR1);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	fd = signalfd(-1, &signals, SFD_CLOEXEC);
	for (size_t i = 0; status == 0 && i < nworkers; i++)
		if (!start(&workers[i], &signals))
			status = EX_OSERR;
	if (status == 0) {
		status = loop(fd, &signals, cfg, ready);
		end_workers();
	}
	for (size_t i = 0; i < nworkers; i++)
		unlock(workers[i].lock);
	unlock(state_lock);
	free(workers);
	close(fd);
	return status > 0 ? status : EXIT_SUCCESS;
}
