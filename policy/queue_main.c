/* queue_main.c - mailhooks-queue: the part of the queue agent that needs root.
 *
 * postsuper(1) and sendmail(8) let only the superuser change the queue, and mailhooks-policy, which
 * runs scripts, never is. So this small program does a few things for it (queue_command.h) and no
 * more: it knows no script, no store and no network. Connections come from the configured user
 * only, over a unix socket; each carries one request. One thread, one request at a time, so many in
 * a second at most. Being a program of its own, it has a unit of its own, and that of
 * mailhooks-policy stays without privileges. */
#include "common/clock.h"
#include "common/config.h"
#include "common/daemon/arguments.h"
#include "common/daemon/background.h"
#include "common/daemon/notify.h"
#include "common/daemon/privileges.h"
#include "common/list.h"
#include "common/log.h"
#include "policy/queue_command.h"
#include "policy/queue_paths.h"
#include "policy/queue_settings.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#define CLIENT_SECONDS 2 /* a client that neither asks nor reads is sent away */
#define BACKLOG 16

static struct daemon_arguments arguments;

/* ---- the socket ---- */

static bool in_use(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	bool used = fd >= 0 && connect(fd, (const struct sockaddr *)a, sizeof *a) == 0;

	if (fd >= 0)
		close(fd);
	return used;
}

static void remove_stale(const char *path)
{
	struct stat st;

	if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode))
		unlink(path);
}

static int open_socket(const struct config *c, const struct identity *id)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t before;
	int fd, rc;

	strncpy(a.sun_path, c->agent.socket, sizeof a.sun_path - 1);
	if (strlen(c->agent.socket) >= sizeof a.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	if (in_use(&a)) {
		errno = EADDRINUSE;
		return -1;
	}
	remove_stale(a.sun_path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	before = umask(0177);
	rc = bind(fd, (const struct sockaddr *)&a, sizeof a);
	umask(before);
	if (rc == 0 && lchown(a.sun_path, id->uid, id->gid) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	close(fd);
	return -1;
}

/* ---- requests ---- */

static bool is_welcome(int fd, const struct identity *id)
{
	struct ucred peer;
	socklen_t n = sizeof peer;

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) == 0 &&
	       (peer.uid == 0 || peer.uid == id->uid);
}

/* A packet that begins with "d" is a piece of output. */
static bool send_output(const char *bytes, size_t n, void *arg)
{
	char packet[QUEUE_PACKET_BYTES] = "d";

	memcpy(packet + 1, bytes, n);
	return send(*(int *)arg, packet, n + 1, MSG_NOSIGNAL) == (ssize_t)(n + 1);
}

/* The last packet: "0", or "1" and why. */
static void send_end(int fd, bool fine, const char *why)
{
	char packet[512];
	int n = snprintf(packet, sizeof packet, "%s%.400s", fine ? "0" : "1", fine ? "" : why);

	if (send(fd, packet, (size_t)n, MSG_NOSIGNAL) < 0)
		log_debug(NULL, "client does not listen: %s", strerror(errno));
}

/* At most so many commands in a second: each is a process that looks through the queue. */
static void keep_pace(const struct config *c)
{
	static int64_t next_ms;
	int64_t now = clock_ms(), step = 1000 / c->agent.commands_per_second;

	if (now < next_ms)
		usleep((useconds_t)(next_ms - now) * 1000);
	next_ms = (now > next_ms ? now : next_ms) + step;
}

/* A list ends when its reader has gone, or we are to stop. */
static void serve_request(const struct config *c, int fd, int stop)
{
	const struct queue_output output = {send_output, &fd, {fd, stop}};
	char request[64], why[400] = "";
	ssize_t n = recv(fd, request, sizeof request, 0);
	bool fine;

	if (n <= 0)
		return;
	keep_pace(c);
	fine = queue_command_run(c, request, (size_t)n, &output, why, sizeof why);
	if (!fine)
		log_warn(NULL, "request '%.*s' not done: %s", (int)n, request, why);
	else if (request[0] != QUEUE_LIST && request[0] != QUEUE_LIST_HELD)
		log_info(NULL, "done: '%.*s'", (int)n, request);
	send_end(fd, fine, why);
}

static void serve_client(const struct config *c, const struct identity *id, int listener, int stop)
{
	const struct timeval patience = {.tv_sec = CLIENT_SECONDS};
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (is_welcome(fd, id))
		serve_request(c, fd, stop);
	else
		log_warn(NULL, "a client of another user was sent away");
	close(fd);
}

/* ---- life ---- */

static int block_signals(void)
{
	sigset_t ends;

	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN); /* the next start takes new settings */
	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	return signalfd(-1, &ends, SFD_CLOEXEC);
}

/* The age of a message counts from its arrival: after a hold there must be time for tries. */
static void check_lifetime(const struct config *c)
{
	int64_t lifetime_s = queue_settings_lifetime_s(c),
		hold_s = c->agent.most_hold_minutes * 60LL;

	if (lifetime_s >= 0 && hold_s > lifetime_s / 4 * 3)
		log_warn(NULL,
		    "agent.most_hold_minutes = %d, and Postfix returns mail after %lld minutes "
		    "(maximal_queue_lifetime), holds included: a message that was held for long "
		    "may have one try only; lower the first, or raise the other",
		    c->agent.most_hold_minutes, (long long)(lifetime_s / 60));
}

/* What others can change they could use to be root, or to speak in our place. */
static bool are_ours(const struct config *c)
{
	char *directory =
	    xstrndup(c->agent.socket, (size_t)(strrchr(c->agent.socket, '/') - c->agent.socket));
	const struct {
		const char *setting, *value, *directory, *what;
	} places[] = {{"socket", c->agent.socket, directory, "socket"},
	    {"commands", c->agent.commands, c->agent.commands, "command"}};
	bool fine = true;

	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		char *unsafe = queue_paths_unsafe(places[i].directory);

		if (unsafe != NULL)
			log_error(NULL,
			    "agent.%s = \"%s\": others than root can change %s, and so put a %s "
			    "of their own in place: use a directory that only root can write, as "
			    "all above it",
			    places[i].setting, places[i].value, unsafe, places[i].what);
		fine &= unsafe == NULL;
		free(unsafe);
	}
	free(directory);
	return fine;
}

static int serve(const struct config *c)
{
	struct pollfd p[] = {{.fd = block_signals(), .events = POLLIN}, {.events = POLLIN}};
	struct identity id;
	char error[512];

	if (geteuid() != 0) {
		log_error(NULL, "must be started by root: postsuper(1) is for the superuser only");
		return EX_CONFIG;
	}
	if (!privileges_identity(c, &id, error, sizeof error)) {
		log_error(NULL, "%s", error);
		return EX_CONFIG;
	}
	if (!are_ours(c))
		return EX_CONFIG;
	p[1].fd = open_socket(c, &id);
	if (p[1].fd < 0) {
		bool busy = errno == EADDRINUSE; /* by somebody who may go */

		log_error(NULL, "agent.socket = \"%s\": %s%s", c->agent.socket, strerror(errno),
		    errno == ENOENT ? "; make its directory, as mailhooks-queue.service does" : "");
		return busy ? EX_TEMPFAIL : EX_CONFIG;
	}
	check_lifetime(c);
	log_info(NULL, "ready on %s", c->agent.socket);
	notify("READY=1");
	background_ready();
	while (poll(p, 2, -1) >= 0 || errno == EINTR) {
		if (p[0].revents != 0)
			break;
		if (p[1].revents != 0)
			serve_client(c, &id, p[1].fd, p[0].fd);
	}
	notify("STOPPING=1");
	unlink(c->agent.socket);
	close(p[0].fd);
	close(p[1].fd);
	return 0;
}

static int start(void)
{
	char error[1024];
	struct config *c =
	    config_load(arguments.config_path, &arguments.overrides, error, sizeof error);
	int status;

	if (c == NULL) {
		fprintf(stderr, "mailhooks-queue: %s\n", error);
		return EX_CONFIG;
	}
	log_open("mailhooks-queue", arguments.foreground ? LOG_TO_STDERR : c->log.target,
	    c->log.format, c->log.facility, c->log.level);
	if (!arguments.foreground)
		background_enter();
	status = serve(c);
	background_failed(status);
	config_unref(c);
	return status;
}

int main(int argc, char **argv)
{
	int status = arguments_parse(&arguments, argc, argv, "mailhooks-queue",
	    "Holds, releases and retries messages of Postfix or Sendmail for mailhooks-policy.",
	    "SIGTERM stops. Exit status 75: agent.socket is in use; 78: configuration unusable, or not "
	    "started by root.");

	if (status < 0)
		status = start();
	arguments_clear(&arguments);
	return status;
}
