/* dns_servers.c - see dns_servers.h. */
#include "tests/unit/dns_servers.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_ARGS 48
#define START_TRIES 200 /* of 20 ms each */

static void sleep_ms(long ms)
{
	struct timespec t = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&t, NULL);
}

static int bound_socket(const char *host, unsigned *port)
{
	struct sockaddr_in sin = {.sin_family = AF_INET, .sin_port = htons((in_port_t)*port)};
	socklen_t len = sizeof sin;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, host, &sin.sin_addr);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&sin, len) != 0 ||
			   getsockname(fd, (struct sockaddr *)&sin, &len) != 0)) {
		close(fd);
		return -1;
	}
	*port = ntohs(sin.sin_port);
	return fd;
}

/* --- dnsmasq --- */

static bool installed(void)
{
	static const char *const places[] = {"/usr/sbin/dnsmasq", "/usr/local/sbin/dnsmasq"};

	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (access(places[i], X_OK) == 0)
			return true;
	return false;
}

static unsigned count_lines(const char *path, const char *kind, const char *text)
{
	FILE *file = fopen(path, "re");
	char line[512];
	unsigned n = 0;

	while (file != NULL && fgets(line, sizeof line, file) != NULL)
		if (strstr(line, kind) != NULL && strstr(line, text) != NULL)
			n++;
	if (file != NULL)
		fclose(file);
	return n;
}

static bool have_ipv6_loopback(void)
{
	return count_lines("/proc/net/if_inet6", "00000000000000000000000000000001", "lo") > 0;
}

static _Noreturn void run(const struct dnsmasq *d, const char *const args[])
{
	char port[32], pid_file[80];
	const char *argv[MAX_ARGS] = {"dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null",
	    "--no-resolv", "--no-hosts", "--user=", "--group=", "--bind-interfaces",
	    "--listen-address=127.0.0.1", "--cache-size=0", "--log-queries", "--log-facility=-",
	    port, pid_file};
	size_t n = 14;
	int fd = open(d->log, O_WRONLY | O_APPEND | O_CLOEXEC);

	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a test that crashes leaves nothing behind */
	snprintf(port, sizeof port, "--port=%u", d->port);
	snprintf(pid_file, sizeof pid_file, "--pid-file=%s.pid", d->log);
	if (geteuid() == 0) { /* else it would change both, and lose the death signal by it */
		argv[5] = "--user=root";
		argv[6] = "--group=root";
	}
	if (have_ipv6_loopback())
		argv[n++] = "--listen-address=::1";
	while (*args != NULL && n < MAX_ARGS - 1)
		argv[n++] = *args++;
	dup2(fd, STDERR_FILENO);
	setenv("PATH", "/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin", 1);
	execvp("dnsmasq", (char *const *)argv);
	_exit(127);
}

static bool running(const struct dnsmasq *d)
{
	for (int i = 0; i < START_TRIES; i++) {
		if (count_lines(d->log, "started", "version") > 0)
			return true;
		if (waitpid(d->pid, NULL, WNOHANG) != 0)
			return false; /* the port was taken in between */
		sleep_ms(20);
	}
	dnsmasq_stop((struct dnsmasq *)d);
	return false;
}

static bool start_once(struct dnsmasq *d, const char *const args[])
{
	int fd;

	memset(d, 0, sizeof *d);
	snprintf(d->log, sizeof d->log, "/tmp/mailhooks-dnsmasq-XXXXXX");
	fd = mkostemp(d->log, O_CLOEXEC);
	if (fd < 0)
		return false;
	close(fd);
	fd = bound_socket("127.0.0.1", &d->port);
	close(fd); /* now a port that was free a moment ago */
	d->pid = fork();
	if (d->pid == 0)
		run(d, args);
	snprintf(d->address, sizeof d->address, "127.0.0.1:%u", d->port);
	if (have_ipv6_loopback())
		snprintf(d->address_v6, sizeof d->address_v6, "[::1]:%u", d->port);
	if (d->pid > 0 && running(d))
		return true;
	unlink(d->log);
	return false;
}

bool dnsmasq_start(struct dnsmasq *d, const char *const args[])
{
	if (!installed()) {
		fprintf(stderr, "dnsmasq is not installed: apt-get install dnsmasq-base\n");
		return false;
	}
	for (int i = 0; i < 5; i++)
		if (start_once(d, args))
			return true;
	fprintf(stderr, "dnsmasq does not start\n");
	abort(); /* installed but broken is a failure, not a reason to skip */
}

unsigned dnsmasq_asked(const struct dnsmasq *d, const char *name)
{
	return count_lines(d->log, "query[", name) + count_lines(d->log, "auth[", name);
}

void dnsmasq_stop(struct dnsmasq *d)
{
	char pid_file[80];

	if (d->pid <= 0)
		return;
	kill(d->pid, SIGTERM);
	while (waitpid(d->pid, NULL, 0) < 0 && errno == EINTR)
		;
	d->pid = 0;
	snprintf(pid_file, sizeof pid_file, "%s.pid", d->log);
	unlink(pid_file);
	unlink(d->log);
}

/* --- the responder --- */

struct packet {
	unsigned char bytes[1024];
	size_t n;	 /* in all */
	size_t question; /* where the question ends */
};

static void set_header(struct packet *p, unsigned flags, unsigned answers)
{
	p->bytes[2] = (unsigned char)(0x81 | (flags >> 8)); /* an answer, recursion desired */
	p->bytes[3] = (unsigned char)(0x80 | (flags & 0xff));
	p->bytes[6] = 0;
	p->bytes[7] = (unsigned char)answers;
	memset(p->bytes + 8, 0, 4);
	p->n = p->question;
}

static void add_record(struct packet *p, unsigned type, const void *data, size_t n)
{
	const unsigned char head[] = {
	    0xc0, 12, 0, (unsigned char)type, 0, 1, 0, 0, 0, 60, 0, (unsigned char)n};

	memcpy(p->bytes + p->n, head, sizeof head);
	memcpy(p->bytes + p->n + sizeof head, data, n);
	p->n += sizeof head + n;
}

static void say_listed(struct packet *p)
{
	set_header(p, 0, 1);
	add_record(p, 1, "\x7f\x00\x00\x02", 4);
}

static void say_servfail(struct packet *p)
{
	set_header(p, 2, 0);
}

static void say_refused(struct packet *p)
{
	set_header(p, 5, 0);
}

static void say_formerr(struct packet *p)
{
	set_header(p, 1, 0);
}

static void say_loop(struct packet *p)
{
	set_header(p, 0, 1);
	add_record(p, 5, "\xc0\x0c", 2);
}

static void say_lie(struct packet *p)
{
	set_header(p, 0, 200);
	add_record(p, 1, "\x7f\x00\x00\x02", 4);
	p->n -= 2;
}

static void say_nonsense(struct packet *p)
{
	for (size_t i = 2; i < 300; i++)
		p->bytes[i] = (unsigned char)random();
	p->n = 300;
}

static void say_other_name(struct packet *p)
{
	say_listed(p);
	p->bytes[13] ^= 1; /* the first letter */
}

static void say_truncated(struct packet *p)
{
	set_header(p, 0x200, 0);
}

static void (*const sayings[])(struct packet *) = {
    [SAYS_LISTED] = say_listed,
    [SAYS_SERVFAIL] = say_servfail,
    [SAYS_REFUSED] = say_refused,
    [SAYS_FORMERR] = say_formerr,
    [SAYS_LOOP] = say_loop,
    [SAYS_LIE] = say_lie,
    [SAYS_NONSENSE] = say_nonsense,
    [SAYS_OTHER_NAME] = say_other_name,
    [SAYS_TRUNCATED] = say_truncated,
};

static void *respond(void *arg)
{
	struct responder *r = arg;
	struct sockaddr_in from;
	struct packet p;

	for (;;) {
		socklen_t len = sizeof from;
		ssize_t n = recvfrom(r->fd, p.bytes, 512, 0, (struct sockaddr *)&from, &len);
		enum manners manners = r->manners;

		if (n <= 0)
			return NULL; /* shut down */
		if (n < 17)
			continue;
		p.bytes[n] = 0;
		p.question = 12;
		while (p.bytes[p.question] != 0 && p.question < 512)
			p.question += p.bytes[p.question] + 1u;
		p.question += 5;
		atomic_fetch_add(&r->questions, 1);
		if (manners == SAYS_NOTHING || memcmp(p.bytes + 13, "dead", 4) == 0)
			continue;
		sayings[manners](&p);
		sendto(r->fd, p.bytes, p.n, 0, (struct sockaddr *)&from, len);
	}
}

bool responder_start(struct responder *r, const char *host, unsigned port, enum manners manners)
{
	memset(r, 0, sizeof *r);
	r->fd = bound_socket(host, &port);
	if (r->fd < 0)
		return false;
	r->manners = manners;
	snprintf(r->address, sizeof r->address, "%s:%u", host, port);
	if (pthread_create(&r->thread, NULL, respond, r) != 0)
		abort();
	return true;
}

void responder_stop(struct responder *r)
{
	shutdown(r->fd, SHUT_RDWR); /* wakes recvfrom(2) */
	pthread_join(r->thread, NULL);
	close(r->fd);
}
