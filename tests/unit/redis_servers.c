/* redis_servers.c - see redis_servers.h. */
#include "tests/unit/redis_servers.h"

#include "common/list.h"
#include "common/store/redis_slot.h"

#include <hiredis/hiredis.h>

#include <stdarg.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START_TRIES 500 /* of 20 ms each; a busy machine under sanitizers is slow */
#define MAX_ARGS 96

void redis_servers_sleep(int ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&t, &t) < 0 && errno == EINTR)
		;
}

bool redis_servers_installed(void)
{
	const char *path = getenv("PATH");
	char *copy = xstrdup(path != NULL ? path : ""), *save = NULL, *file;
	bool found = false;

	for (char *dir = strtok_r(copy, ":", &save); dir != NULL && !found;
	     dir = strtok_r(NULL, ":", &save)) {
		file = xasprintf("%s/redis-server", dir);
		found = access(file, X_OK) == 0;
		free(file);
	}
	free(copy);
	if (!found)
		printf("skipped: no redis-server in PATH\n");
	return found;
}

/* ---- processes ---- */

static pid_t spawn(const char *dir, const char *const argv[], const char *log)
{
	pid_t parent = getpid(), pid = fork();
	int fd;

	assert_true(pid >= 0);
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	fd = open("/dev/null", O_RDONLY);
	if (fd < 0 || dup2(fd, 0) < 0 || chdir(dir) < 0 || getppid() != parent)
		_exit(127);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	if (fd < 0 || dup2(fd, 1) < 0 || dup2(fd, 2) < 0)
		_exit(127);
	closefrom(3);
	execvp(argv[0], (char *const *)argv);
	_exit(127);
}

static void run(const char *dir, const char *const argv[])
{
	int status = -1;
	pid_t pid = spawn(dir, argv, "run.log");

	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (status != 0)
		fail_msg("%s %s: status %d, see %s/run.log", argv[0], argv[1], status, dir);
}

/* Below the range from which the kernel takes ports for clients: no connection of another test that
 * runs at the same time gets it between here and the start of the server. */
static unsigned free_port(void)
{
	static unsigned last;
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unsigned port;

	assert_true(fd >= 0);
	if (last == 0)
		last = (unsigned)getpid() * 61 % 17000;
	do {
		last = (last + 1) % 17000;
		port = 15000 + last;
		sin.sin_port = htons((unsigned short)port);
	} while (bind(fd, (struct sockaddr *)&sin, sizeof sin) != 0);
	close(fd);
	return port;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* ---- one server ---- */

static redisContext *administrator(struct redis_server *s, int ms)
{
	struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
	redisContext *c = redisConnectUnixWithTimeout(s->socket, timeout);

	if (c != NULL && c->err == 0 && redisSetTimeout(c, timeout) == REDIS_OK)
		return c;
	redisFree(c);
	return NULL;
}

static bool answers(struct redis_server *s)
{
	redisContext *c = administrator(s, 1000);
	redisReply *reply = c != NULL ? redisCommand(c, "PING") : NULL;
	bool ok = reply != NULL &&
		  (reply->type == REDIS_REPLY_STATUS || strncmp(reply->str, "NOAUTH", 6) == 0);

	freeReplyObject(reply);
	redisFree(c);
	return ok;
}

static void launch(struct redis_server *s)
{
	char port[12], tls_port[12], bus_port[12], conf[96];
	const char *argv[MAX_ARGS] = {"redis-server", conf, "--port", port, "--bind", "127.0.0.1",
	    "--unixsocket", s->socket, "--tls-port", tls_port, "--cluster-port", bus_port, "--dir",
	    s->dir, "--save", "", "--enable-debug-command", "local"};
	size_t n = 18;
	int fd;

	/* A Sentinel writes its state into the file it was started with. */
	snprintf(conf, sizeof conf, "%s/redis.conf", s->dir);
	fd = open(conf, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	close(fd);
	snprintf(port, sizeof port, "%u", s->port);
	snprintf(tls_port, sizeof tls_port, "%u", s->tls_port);
	snprintf(bus_port, sizeof bus_port, "%u", s->bus_port);
	for (size_t i = 0; s->options[i] != NULL && n + 3 < MAX_ARGS; i += 2) {
		argv[n++] = s->options[i];
		argv[n++] = s->options[i + 1]; /* NULL: the last one, without a value */
	}
	s->pid = spawn(s->dir, argv, "redis.log");
	for (int i = 0; i < START_TRIES; i++) {
		if (answers(s))
			return;
		if (waitpid(s->pid, NULL, WNOHANG) == s->pid) {
			s->pid = 0;
			break;
		}
		redis_servers_sleep(20);
	}
	fail_msg("redis-server does not start, see %s/redis.log", s->dir);
}

void redis_server_start(struct redis_server *s, const char *const options[])
{
	bool tls = false;

	*s = (struct redis_server){.options = options};
	snprintf(s->dir, sizeof s->dir, "/tmp/mailhooks-redis-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->socket, sizeof s->socket, "%s/redis.sock", s->dir);
	for (size_t i = 0; options[i] != NULL && options[i + 1] != NULL; i += 2)
		tls = tls || strncmp(options[i], "--tls-cert", 10) == 0;
	s->port = free_port();
	s->bus_port = free_port();
	s->tls_port = tls ? free_port() : 0;
	launch(s);
}

void redis_server_again(struct redis_server *s)
{
	assert_int_equal(s->pid, 0);
	launch(s);
}

void redis_server_kill(struct redis_server *s)
{
	if (s->pid == 0)
		return;
	kill(s->pid, SIGKILL);
	waitpid(s->pid, NULL, 0);
	s->pid = 0;
}

void redis_server_pause(struct redis_server *s)
{
	int status;

	assert_int_equal(kill(s->pid, SIGSTOP), 0);
	assert_int_equal(waitpid(s->pid, &status, WUNTRACED), s->pid);
}

void redis_server_resume(struct redis_server *s)
{
	assert_int_equal(kill(s->pid, SIGCONT), 0);
}

void redis_server_stop(struct redis_server *s)
{
	redis_server_kill(s);
	if (s->dir[0] != '\0')
		nftw(s->dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *text_of(const redisReply *reply, char *text, size_t size)
{
	if (reply->type == REDIS_REPLY_INTEGER)
		snprintf(text, size, "%lld", reply->integer);
	else if (reply->type == REDIS_REPLY_ARRAY && reply->elements > 0)
		return text_of(reply->element[0], text, size);
	else
		snprintf(text, size, "%s", reply->str != NULL ? reply->str : "");
	return text;
}

const char *redis_server_do(struct redis_server *s, const char *format, ...)
{
	static char text[8192];
	redisContext *c = administrator(s, 10000);
	redisReply *reply;
	va_list ap;

	assert_non_null(c);
	va_start(ap, format);
	reply = redisvCommand(c, format, ap);
	va_end(ap);
	if (reply == NULL)
		fail_msg("redis: %s: %s", format, c->errstr);
	text_of(reply, text, sizeof text);
	freeReplyObject(reply);
	redisFree(c);
	return text;
}

void redis_server_await(struct redis_server *s, const char *text, const char *command)
{
	for (int i = 0; i < 400; i++) {
		if (strstr(redis_server_do(s, command), text) != NULL)
			return;
		redis_servers_sleep(50);
	}
	fail_msg("redis: %s never says %s", command, text);
}

/* ---- certificates ---- */

static void make_certificate(const char *dir, const char *name, const char *names, const char *days)
{
	char key[40], request[40], pem[40], subject[64], extension[200];
	const char *const ask[] = {"openssl", "req", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", request, "-subj", subject,
	    "-addext", extension, NULL};
	const char *const sign[] = {"openssl", "x509", "-req", "-in", request, "-CA", "ca.pem",
	    "-CAkey", "ca.key", "-days", days, "-copy_extensions", "copy", "-out", pem, NULL};

	snprintf(key, sizeof key, "%s.key", name);
	snprintf(request, sizeof request, "%s.csr", name);
	snprintf(pem, sizeof pem, "%s.pem", name);
	snprintf(subject, sizeof subject, "/CN=%s", name);
	snprintf(extension, sizeof extension, "subjectAltName=%s", names);
	run(dir, ask);
	run(dir, sign);
}

void redis_certificates_make(char dir[static 64])
{
	static const char *const ca[] = {"openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
	    "ec_paramgen_curve:P-256", "-nodes", "-keyout", "ca.key", "-out", "ca.pem", "-subj",
	    "/CN=test authority", "-days", "2", NULL};

	snprintf(dir, 64, "/tmp/mailhooks-tls-XXXXXX");
	assert_non_null(mkdtemp(dir));
	run(dir, ca);
	make_certificate(dir, "good", "DNS:localhost,IP:127.0.0.1", "2");
	make_certificate(dir, "other", "DNS:other.example", "2");
	make_certificate(dir, "expired", "DNS:localhost,IP:127.0.0.1", "-1");
}

void redis_certificates_remove(const char *dir)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- cluster ---- */

#define MASTERS 3

static void assign_slots(struct redis_cluster_servers *c, size_t master)
{
	unsigned first = (unsigned)(REDIS_SLOTS * master / MASTERS);
	unsigned last = (unsigned)(REDIS_SLOTS * (master + 1) / MASTERS) - 1;

	assert_string_equal(
	    redis_server_do(&c->nodes[master], "CLUSTER ADDSLOTSRANGE %u %u", first, last), "OK");
}

size_t redis_cluster_owner(const struct redis_cluster_servers *c, const char *key)
{
	unsigned slot = redis_slot(key);

	(void)c;
	for (size_t i = 0; i < MASTERS; i++)
		if (slot < (unsigned)(REDIS_SLOTS * (i + 1) / MASTERS))
			return i;
	return 0;
}

void redis_cluster_start(struct redis_cluster_servers *c, size_t replicas)
{
	static const char *const options[] = {"--cluster-enabled", "yes", "--cluster-node-timeout",
	    "1500", "--appendonly", "no", NULL};
	char id[64];

	c->n = MASTERS * (1 + replicas);
	for (size_t i = 0; i < c->n; i++)
		redis_server_start(&c->nodes[i], options);
	for (size_t i = 1; i < c->n; i++)
		redis_server_do(&c->nodes[0], "CLUSTER MEET 127.0.0.1 %u %u", c->nodes[i].port,
		    c->nodes[i].bus_port);
	for (size_t i = 0; i < MASTERS; i++)
		assign_slots(c, i);
	for (size_t i = 0; i < c->n; i++) {
		char known[48];

		snprintf(known, sizeof known, "cluster_known_nodes:%zu", c->n);
		redis_server_await(&c->nodes[i], known, "CLUSTER INFO");
	}
	for (size_t i = MASTERS; i < c->n; i++) {
		snprintf(
		    id, sizeof id, "%s", redis_server_do(&c->nodes[i - MASTERS], "CLUSTER MYID"));
		assert_string_equal(
		    redis_server_do(&c->nodes[i], "CLUSTER REPLICATE %s", id), "OK");
		redis_server_await(&c->nodes[i], "master_link_status:up", "INFO replication");
	}
	for (size_t i = 0; i < c->n; i++)
		redis_server_await(&c->nodes[i], "cluster_state:ok", "CLUSTER INFO");
}

void redis_cluster_stop(struct redis_cluster_servers *c)
{
	for (size_t i = 0; i < c->n; i++)
		redis_server_stop(&c->nodes[i]);
}

/* ---- Sentinel ---- */

void redis_sentinel_start(struct redis_sentinel_servers *s)
{
	static const char *const plain[] = {NULL};
	static const char *const sentinel[] = {"--sentinel", NULL, NULL};

	for (size_t i = 0; i < 2; i++)
		redis_server_start(&s->data[i], plain);
	redis_server_do(&s->data[1], "REPLICAOF 127.0.0.1 %u", s->data[0].port);
	redis_server_await(&s->data[1], "master_link_status:up", "INFO replication");
	for (size_t i = 0; i < 3; i++) {
		struct redis_server *at = &s->sentinels[i];

		redis_server_start(at, sentinel);
		assert_string_equal(redis_server_do(at, "SENTINEL MONITOR mymaster 127.0.0.1 %u 2",
					s->data[0].port),
		    "OK");
		redis_server_do(at, "SENTINEL SET mymaster down-after-milliseconds 500");
		redis_server_do(at, "SENTINEL SET mymaster failover-timeout 3000");
	}
	for (size_t i = 0; i < 3; i++)
		redis_server_await(&s->sentinels[i], "slaves=1,sentinels=3", "INFO sentinel");
}

void redis_sentinel_stop(struct redis_sentinel_servers *s)
{
	for (size_t i = 0; i < 3; i++)
		redis_server_stop(&s->sentinels[i]);
	for (size_t i = 0; i < 2; i++)
		redis_server_stop(&s->data[i]);
}
