/* routed.c - see routed.h. */
#include "policy/routed.h"

#include "common/clock.h"
#include "common/limits.h"
#include "common/log.h"
#include "policy/routed_file.h"

#include <errno.h>
#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sysexits.h>

#define FRESH_MS 1000	 /* as other answers of the map tls are used again */
#define WAITS_MS 3600000 /* mail waits for the opinion of a domain that was routed so lately */
#define SEARCHED 1000	 /* domains of all servers, for one that wants nothing */
#define SAVED_AGAIN 4	 /* a line is written so many times in LIMIT_ROUTED_SECONDS */
#define LINES_MORE 2000	 /* lines without use in the file, before it is written anew */
#define AGAIN_MS 60000	 /* a file that could not be written is tried again */

struct routed {
	char *domain; /* first: what compare() looks at */
	struct server *server;
	int64_t asked_ms, saved_ms;  /* by the map transport; in the file */
	bool nothing, saved_nothing; /* wanted, by the last opinion there was; in the file */
	bool told;		     /* there is a wish: */
	struct routed_scripts scripts;
	int64_t told_ms;
	struct routed_wish wish;
	TAILQ_ENTRY(routed) of_server, of_all;
};

TAILQ_HEAD(routed_list, routed); /* the one that was not asked about for the longest time first */

struct server {
	char *name;    /* first */
	void *domains; /* of tsearch() */
	size_t n;
	struct routed_list list;
	struct routed_scripts rest_scripts;
	struct routed_wish rest; /* of those that had to go */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static void *servers;
static struct routed_list all = TAILQ_HEAD_INITIALIZER(all);
static size_t nall;
static bool overflow_told;
static char *path; /* NULL: not kept */
static FILE *file; /* NULL: it cannot be written before again_ms */
static int64_t again_ms;
static size_t nlines;

/* ---- wishes ---- */

bool routed_wish_add(struct routed_wish *sum, const struct routed_wish *w, const char **why)
{
	sum->hide_dsn |= w->hide_dsn;
	return tls_demand_both(&sum->tls, &w->tls, why);
}

void routed_wish_clear(struct routed_wish *w)
{
	tls_demand_clear(&w->tls);
	w->hide_dsn = false;
}

bool routed_wish_none(const struct routed_wish *w)
{
	return w->tls.level == TLS_DEFAULT && w->tls.without == 0 && !w->hide_dsn;
}

/* ---- the table ---- */

/* Both begin with their name. */
static int compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static void *find(void **tree, const char *name)
{
	void *node = tfind(&name, tree, compare);

	return node != NULL ? *(void **)node : NULL;
}

static void insert(void **tree, void *item)
{
	if (tsearch(item, tree, compare) == NULL)
		log_fatal(EX_OSERR, "out of memory");
}

static void remove_one(struct routed *r)
{
	struct server *s = r->server;

	TAILQ_REMOVE(&all, r, of_all);
	TAILQ_REMOVE(&s->list, r, of_server);
	tdelete(r, &s->domains, compare);
	nall--;
	if (--s->n == 0) {
		tdelete(s, &servers, compare);
		routed_wish_clear(&s->rest);
		free(s->name);
		free(s);
	}
	routed_wish_clear(&r->wish);
	free(r->domain);
	free(r);
}

static void remove_old(int64_t now)
{
	struct routed *r;

	while ((r = TAILQ_FIRST(&all)) != NULL && now - r->asked_ms > LIMIT_ROUTED_SECONDS * 1000LL)
		remove_one(r);
}

static bool same(const struct routed_scripts *a, const struct routed_scripts *b)
{
	return a->generation == b->generation && a->connection == b->connection;
}

/* Its wish stays with its server. One that contradicts what is there cannot: mail by the server has
 * waited for that already. */
static void add_to_rest(const struct routed *r)
{
	struct server *s = r->server;
	const char *why;

	if (!r->told)
		return;
	if (!same(&s->rest_scripts, &r->scripts))
		routed_wish_clear(&s->rest);
	s->rest_scripts = r->scripts;
	routed_wish_add(&s->rest, &r->wish, &why);
}

/* Takes one, of this server or of all (NULL), that wants nothing, else the oldest. */
static void make_room(struct server *s)
{
	struct routed *r = s != NULL ? TAILQ_FIRST(&s->list) : TAILQ_FIRST(&all), *oldest = r;

	for (int i = 0; r != NULL && !r->nothing && (s != NULL || i < SEARCHED); i++)
		r = s != NULL ? TAILQ_NEXT(r, of_server) : TAILQ_NEXT(r, of_all);
	if (r == NULL || !r->nothing)
		add_to_rest(r = oldest);
	remove_one(r);
	if (!overflow_told)
		log_warn(NULL,
		    "scripts send mail for more domains by servers that they name than are "
		    "remembered (%d, of one server %d)",
		    LIMIT_ROUTED, LIMIT_ROUTED_OF_SERVER);
	overflow_told = true;
}

static struct server *server_of(const char *name)
{
	struct server *s = find(&servers, name);

	if (s == NULL) {
		s = xcalloc(1, sizeof *s);
		s->name = xstrdup(name);
		TAILQ_INIT(&s->list);
		insert(&servers, s);
	}
	return s;
}

static struct routed *add(const char *name, const char *domain)
{
	struct server *s = find(&servers, name);
	struct routed *r;

	if (s != NULL && s->n >= LIMIT_ROUTED_OF_SERVER)
		make_room(s);
	else if (nall >= LIMIT_ROUTED)
		make_room(NULL);
	s = server_of(name); /* it may have lost its last one */
	r = xcalloc(1, sizeof *r);
	r->domain = xstrdup(domain);
	r->server = s;
	r->saved_ms = INT64_MIN;
	insert(&s->domains, r);
	s->n++;
	nall++;
	TAILQ_INSERT_TAIL(&s->list, r, of_server);
	TAILQ_INSERT_TAIL(&all, r, of_all);
	return r;
}

/* The server as its own domain: mail of an administrator's relay, or of any domain by DNS. */
static bool is_own(const struct routed *r)
{
	return strcmp(r->domain, r->server->name) == 0;
}

static struct routed *find_routed(const char *name, const char *domain)
{
	struct server *s = find(&servers, name);

	return s != NULL ? find(&s->domains, domain) : NULL;
}

/* The domain was routed to the server then. */
static struct routed *touch(const char *name, const char *domain, int64_t when_ms)
{
	struct routed *r = find_routed(name, domain);

	if (r != NULL) {
		TAILQ_REMOVE(&all, r, of_all);
		TAILQ_INSERT_TAIL(&all, r, of_all);
		TAILQ_REMOVE(&r->server->list, r, of_server);
		TAILQ_INSERT_TAIL(&r->server->list, r, of_server);
	} else {
		r = add(name, domain);
	}
	r->asked_ms = when_ms;
	return r;
}

/* ---- the file ---- */

static void file_failed(void)
{
	log_error(NULL,
	    "%s: %s: after a restart ServerDetails() will not know the domains of mail that scripts "
	    "have sent to other servers",
	    path, strerror(errno));
	if (file != NULL)
		fclose(file);
	file = NULL;
	again_ms = clock_ms() + AGAIN_MS;
}

static void on_line(const char *server, const char *domain, int64_t age_seconds, bool nothing)
{
	struct routed *r;
	int64_t now = clock_ms();

	if (age_seconds >= LIMIT_ROUTED_SECONDS)
		return;
	r = touch(server, domain, now - age_seconds * 1000);
	r->saved_ms = r->asked_ms;
	r->nothing = r->saved_nothing = nothing;
}

static bool write_line(struct routed *r, int64_t now)
{
	r->saved_ms = r->asked_ms;
	r->saved_nothing = r->nothing;
	nlines++;
	return routed_file_add(
	    file, r->server->name, r->domain, (now - r->asked_ms) / 1000, r->nothing);
}

/* All of it, without the lines of before. */
static void write_anew(void)
{
	FILE *before = file;
	int64_t now = clock_ms();
	struct routed *r;
	bool fine = true;

	if (before != NULL)
		fclose(before);
	nlines = 0;
	file = routed_file_new(path);
	if (file == NULL) {
		file_failed();
		return;
	}
	TAILQ_FOREACH (r, &all, of_all)
		fine = fine && (is_own(r) || write_line(r, now));
	if (!fine || !routed_file_replace(file, path))
		file_failed();
}

static void save(struct routed *r)
{
	int64_t now = clock_ms();

	if (path == NULL || is_own(r) || (file == NULL && now < again_ms) ||
	    (file != NULL && r->saved_ms != INT64_MIN && r->saved_nothing == r->nothing &&
		r->asked_ms - r->saved_ms < LIMIT_ROUTED_SECONDS * 1000LL / SAVED_AGAIN))
		return;
	if (file == NULL || nlines >= 2 * nall + LINES_MORE)
		write_anew();
	else if (!write_line(r, now) || fflush(file) != 0)
		file_failed();
}

void routed_open(const char *state_dir)
{
	pthread_mutex_lock(&lock);
	path = xasprintf("%s/routed", state_dir);
	if (!routed_file_read(path, on_line))
		file_failed();
	remove_old(clock_ms());
	write_anew();
	pthread_mutex_unlock(&lock);
}

void routed_close(void)
{
	pthread_mutex_lock(&lock);
	while (!TAILQ_EMPTY(&all))
		remove_one(TAILQ_FIRST(&all));
	if (file != NULL)
		fclose(file);
	file = NULL;
	xreplace(&path, NULL);
	overflow_told = false;
	pthread_mutex_unlock(&lock);
}

/* ---- for the maps ---- */

static void tell(
    struct routed *r, const struct routed_scripts *scripts, const struct routed_wish *w)
{
	const char *why;

	routed_wish_clear(&r->wish);
	routed_wish_add(&r->wish, w, &why);
	r->told = true;
	r->nothing = routed_wish_none(w);
	r->told_ms = clock_ms();
	r->scripts = *scripts;
}

static bool is_told(const struct routed *r, const struct routed_scripts *scripts)
{
	return r->told && same(&r->scripts, scripts);
}

bool routed_again(const char *server, const char *domain, const struct routed_scripts *scripts)
{
	int64_t now = clock_ms();
	struct routed *r;
	bool fresh;

	pthread_mutex_lock(&lock);
	r = find_routed(server, domain);
	fresh = r != NULL && is_told(r, scripts) && now - r->told_ms <= FRESH_MS;
	if (fresh)
		save(touch(server, domain, now));
	pthread_mutex_unlock(&lock);
	return fresh;
}

void routed_add(const char *server, const char *domain, const struct routed_scripts *scripts,
    const struct routed_wish *w)
{
	struct routed *r;

	pthread_mutex_lock(&lock);
	remove_old(clock_ms());
	r = touch(server, domain, clock_ms());
	tell(r, scripts, w);
	save(r);
	pthread_mutex_unlock(&lock);
}

bool routed_knows(const char *server, const char *domain)
{
	bool known;

	pthread_mutex_lock(&lock);
	known = find_routed(server, domain) != NULL;
	pthread_mutex_unlock(&lock);
	return known;
}

static void collect(struct server *s, const struct routed_scripts *scripts, bool late,
    struct routed_wish *sum, struct strlist *ask, const char **why)
{
	struct routed *r, *own = find(&s->domains, s->name);
	int64_t now = clock_ms();

	if (own == NULL || !is_told(own, scripts) || (!late && now - own->told_ms > FRESH_MS))
		strlist_add(ask, s->name);
	else if (!own->nothing) /* else a domain may do without TLS */
		routed_wish_add(sum, &own->wish, why);
	TAILQ_FOREACH (r, &s->list, of_server) {
		if (is_told(r, scripts)) {
			if (r != own && *why == NULL)
				routed_wish_add(sum, &r->wish, why);
		} else if (r != own) {
			strlist_add(ask, r->domain);
		}
	}
	if (*why == NULL && same(&s->rest_scripts, scripts))
		routed_wish_add(sum, &s->rest, why);
}

bool routed_wishes(const char *server, const struct routed_scripts *scripts, bool late,
    struct routed_wish *sum, struct strlist *ask, const char **why)
{
	struct server *s;

	*sum = (struct routed_wish){0};
	*why = NULL;
	pthread_mutex_lock(&lock);
	remove_old(clock_ms());
	s = find(&servers, server);
	if (s != NULL)
		collect(s, scripts, late, sum, ask, why);
	pthread_mutex_unlock(&lock);
	return s != NULL;
}

/* True: it is kept. */
static bool keep_without(struct routed *r)
{
	if (clock_ms() - r->asked_ms > WAITS_MS) {
		remove_one(r);
		return false;
	}
	TAILQ_REMOVE(&r->server->list, r, of_server);
	TAILQ_INSERT_TAIL(&r->server->list, r, of_server);
	return true;
}

bool routed_told(const char *server, const char *domain, const struct routed_scripts *scripts,
    const struct routed_wish *w)
{
	bool own = strcmp(domain, server) == 0, wait = w == NULL && own;
	struct routed *r;

	pthread_mutex_lock(&lock);
	r = find_routed(server, domain);
	if (r == NULL && w != NULL && own && find(&servers, server) != NULL)
		r = touch(server, domain, clock_ms());
	if (r != NULL && w != NULL)
		tell(r, scripts, w);
	else if (r != NULL)
		wait = keep_without(r) || own;
	pthread_mutex_unlock(&lock);
	return wait;
}
