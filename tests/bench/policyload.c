/* policyload.c - load for a policy service or a socketmap, in a closed loop.
 *
 *   policyload SOCKET CONNECTIONS SECONDS REQUEST ANSWER
 *
 * Each connection sends REQUEST, waits for ANSWER, and begins again; %u in REQUEST stands for a
 * number below 1000 that changes, so that nothing is answered from a memory of the last question.
 * One thread, one epoll. Prints "rate", "p50_us" and "p99_us". Any other answer than ANSWER ends it
 * with status 1, so that a fast wrong answer is not taken for a fast server. */
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MAX_CONNECTIONS 256
#define BYTES 4096
#define WARMUP_NS 300000000LL

struct connection {
	int fd;
	int64_t sent_ns;
	size_t got;
	char answer[BYTES];
};

static struct connection connections[MAX_CONNECTIONS];
static int64_t *samples;
static size_t nsamples, room;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void add_sample(int64_t ns)
{
	if (nsamples == room) {
		room = room == 0 ? 65536 : 2 * room;
		samples = realloc(samples, room * sizeof *samples);
		if (samples == NULL)
			err(1, "samples");
	}
	samples[nsamples++] = ns;
}

static int by_size(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

/* The number has three digits: the length of a netstring stays right. */
static void ask(struct connection *c, const char *request)
{
	static unsigned number;
	const char *mark = strstr(request, "%u");
	char text[BYTES];
	int n = mark == NULL ? snprintf(text, sizeof text, "%s", request)
			     : snprintf(text, sizeof text, "%.*s%03u%s", (int)(mark - request),
				   request, number++ % 1000, mark + 2);

	c->got = 0;
	c->sent_ns = now_ns();
	if (n < 0 || (size_t)n >= sizeof text || write(c->fd, text, (size_t)n) != n)
		err(1, "write");
}

static void open_all(int poll, const char *path, int count)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	if (strlen(path) >= sizeof a.sun_path)
		errx(1, "%s: too long", path);
	memcpy(a.sun_path, path, strlen(path));
	for (int i = 0; i < count; i++) {
		struct connection *c = &connections[i];
		struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};

		c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&a, sizeof a) != 0 ||
		    epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &e) != 0)
			err(1, "%s", path);
	}
}

/* True: the answer is complete. */
static int take(struct connection *c, const char *wanted, size_t n)
{
	ssize_t got = read(c->fd, c->answer + c->got, sizeof c->answer - c->got);

	if (got <= 0)
		err(1, "the server closed a connection");
	c->got += (size_t)got;
	if (c->got > n || memcmp(c->answer, wanted, c->got) != 0)
		errx(1, "another answer: %.*s", (int)c->got, c->answer);
	return c->got == n;
}

static void print(double seconds)
{
	if (nsamples == 0)
		errx(1, "no answer");
	qsort(samples, nsamples, sizeof *samples, by_size);
	printf("rate %.0f\np50_us %.1f\np99_us %.1f\n", (double)nsamples / seconds,
	    (double)samples[nsamples / 2] / 1000, (double)samples[nsamples * 99 / 100] / 1000);
}

int main(int argc, char **argv)
{
	struct epoll_event events[MAX_CONNECTIONS];
	int poll = epoll_create1(EPOLL_CLOEXEC), count = argc == 6 ? atoi(argv[2]) : 0;
	double seconds = argc == 6 ? atof(argv[3]) : 0;
	int64_t begin, end, now;
	size_t n;

	if (count < 1 || count > MAX_CONNECTIONS || seconds <= 0)
		errx(2, "usage: policyload SOCKET CONNECTIONS SECONDS REQUEST ANSWER");
	n = strlen(argv[5]);
	open_all(poll, argv[1], count);
	begin = now_ns() + WARMUP_NS;
	end = begin + (int64_t)(seconds * 1e9);
	for (int i = 0; i < count; i++)
		ask(&connections[i], argv[4]);
	while ((now = now_ns()) < end) {
		int ready = epoll_wait(poll, events, MAX_CONNECTIONS, 5000);

		if (ready <= 0)
			errx(1, "no answer for five seconds");
		for (int i = 0; i < ready; i++) {
			struct connection *c = events[i].data.ptr;

			if (!take(c, argv[5], n))
				continue;
			if (c->sent_ns >= begin)
				add_sample(now_ns() - c->sent_ns);
			ask(c, argv[4]);
		}
	}
	print(seconds);
	free(samples);
	return 0;
}
