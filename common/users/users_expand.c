/* users_expand.c - see users.h: whom an address stands for.
 *
 * As local(8) does it: an alias of a local part stands for its targets, which may be aliases again;
 * an alias that comes back to itself means the mailbox of that name. Depth and number are bounded,
 * and each target stands there once, so no file can make it long. */
#include "common/clock.h"
#include "common/limits.h"
#include "common/outgoing.h"
#include "common/redirect.h"
#include "common/users/users_parts.h"
#include "common/users/users_private.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

struct walk {
	struct users *users;
	struct users_expansion *out;
	struct strlist path; /* aliases that are being followed */
	struct strlist seen; /* aliases that have been */
	bool forwards;
	int64_t until;
	enum users_answer answer; /* UNKNOWN: something was not answered */
};

static void expand(struct walk *w, const char *address, const char *domain);

/* ---- results ---- */

static bool is_there(const struct users_expansion *e, const struct users_target *t)
{
	for (size_t i = 0; i < e->n; i++)
		if (e->v[i].kind == t->kind &&
		    ((t->user != NULL && e->v[i].user != NULL && t->kind == USERS_USER)
			    ? strcmp(e->v[i].user, t->user) == 0
			    : strcasecmp(e->v[i].address, t->address) == 0))
			return true;
	return false;
}

/* Takes over the texts. Gives the number of the new one, or SIZE_MAX. */
static size_t add(struct walk *w, struct users_target t)
{
	struct users_expansion *e = w->out;
	bool room = e->n < LIMIT_EXPANSION;

	if (!room)
		e->whole = false;
	if (!room || is_there(e, &t)) {
		free(t.address);
		free(t.user);
		return SIZE_MAX;
	}
	e->v = xgrow(e->v, e->n, sizeof *e->v);
	e->v[e->n] = t;
	return e->n++;
}

/* ---- forwards ---- */

static void add_forwards(struct walk *w, const char *user)
{
	struct strlist pairs = STRLIST_INIT, targets = STRLIST_INIT;
	int64_t left = w->until - clock_ms();
	struct redirect r;

	if (users_settings(w->users, user, &pairs, left > 0 ? (int)left : 0) == USERS_UNKNOWN)
		w->answer = USERS_UNKNOWN;
	redirect_from_settings(&r, &pairs);
	if (r.use_forwards)
		redirect_split(r.forwards, &targets);
	for (size_t i = 0; i < targets.n; i++)
		if (outgoing_address(targets.v[i]) == NULL)
			add(w, (struct users_target){.kind = USERS_FORWARD,
				   .address = xstrdup(targets.v[i]),
				   .user = xstrdup(user)});
	redirect_clear(&r);
	strlist_clear(&targets);
	strlist_clear(&pairs);
}

/* ---- one address ---- */

/* A bare name gets the domain of the address that stands for it. */
static char *qualified(const char *address, const char *domain)
{
	return xasprintf("%s%s", address, strchr(address, '@') == NULL ? domain : "");
}

static void expand_mailbox(struct walk *w, const char *address, const char *domain)
{
	struct users_target t = {.kind = USERS_NOBODY, .address = qualified(address, domain)};
	enum users_answer answer = users_find(w->users, address, &t.user);
	char *user;

	if (answer == USERS_UNKNOWN)
		w->answer = USERS_UNKNOWN;
	if (answer == USERS_YES)
		t.kind = USERS_USER;
	else if (!users_in_local_domain(w->users, address))
		t.kind = USERS_REMOTE;
	user = t.user != NULL ? xstrdup(t.user) : NULL;
	if (add(w, t) != SIZE_MAX && user != NULL && w->forwards)
		add_forwards(w, user);
	free(user);
}

/* The alias of a local part, with or without its extension; NULL: none, or it is being followed. */
static const struct alias *alias_of(struct walk *w, const char *local)
{
	const struct alias *a = aliases_find(w->users->aliases, local);
	char *shorter = a == NULL ? users_without_extension(w->users, local) : NULL;

	if (shorter != NULL)
		a = aliases_find(w->users->aliases, shorter);
	free(shorter);
	return a != NULL && !strlist_has(&w->path, a->name) ? a : NULL;
}

static void expand_alias(
    struct walk *w, const struct alias *a, const char *address, const char *domain)
{
	if (w->path.n >= LIMIT_EXPANSION_DEPTH) {
		w->out->whole = false;
		return;
	}
	add(w, (struct users_target){
		   .kind = USERS_ALIAS, .address = qualified(address, domain), .whole = a->whole});
	w->out->whole &= a->whole;
	if (strlist_has(&w->seen, a->name))
		return; /* by another way: its targets stand there */
	strlist_add(&w->seen, a->name);
	strlist_add(&w->path, a->name);
	for (size_t i = 0; i < a->targets.n; i++) {
		const char *target = a->targets.v[i];

		if (w->out->n >= LIMIT_EXPANSION) { /* the name service need not be asked */
			w->out->whole = false;
			break;
		}
		if (target[0] == '\\')
			expand_mailbox(w, target + 1, domain);
		else
			expand(w, target, domain);
	}
	strlist_remove(&w->path, w->path.n - 1);
}

/* domain: "" or "@" and the domain of the address where all began. */
static void expand(struct walk *w, const char *address, const char *domain)
{
	const struct alias *a = NULL;
	char *owner = NULL, *local;
	const char *at = strrchr(address, '@');

	if (w->users->aliases != NULL && users_in_local_domain(w->users, address)) {
		local = users_lower(
		    xstrndup(address, at != NULL ? (size_t)(at - address) : strlen(address)));
		a = alias_of(w, local);
		/* what the file gives to a user by its whole address is his */
		if (a != NULL && at != NULL && users_find(w->users, address, &owner) == USERS_YES &&
		    strcmp(owner, local) != 0 && strcmp(owner, a->name) != 0)
			a = NULL;
		free(owner);
		free(local);
	}
	if (a != NULL)
		expand_alias(w, a, address, at != NULL ? at : domain);
	else
		expand_mailbox(w, address, domain);
}

enum users_answer users_expand(
    struct users *u, const char *address, bool forwards, int ms, struct users_expansion *out)
{
	struct walk w = {.users = u,
	    .out = out,
	    .forwards = forwards,
	    .until = clock_ms() + ms,
	    .answer = USERS_YES};
	const char *at = strrchr(address, '@');

	*out = (struct users_expansion){.whole = true};
	expand(&w, address, at != NULL && users_in_local_domain(u, address) ? at : "");
	strlist_clear(&w.path);
	strlist_clear(&w.seen);
	return w.answer;
}

void users_expansion_clear(struct users_expansion *e)
{
	for (size_t i = 0; i < e->n; i++) {
		free(e->v[i].address);
		free(e->v[i].user);
	}
	free(e->v);
	*e = (struct users_expansion){0};
}
