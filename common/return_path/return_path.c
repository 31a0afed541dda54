/* return_path.c - see return_path.h. */
#include "common/return_path.h"

#include "common/batv.h"
#include "common/return_path/keys.h"
#include "common/srs.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* ---- one scheme ---- */

static const char off_batv[] = "batv.key_file is not set";
static const char off_srs[] = "srs.secret_file or srs.domain is not set";

/* What the scheme says about a tag, in the same words for both. */
static const struct {
	enum return_path answer;
	const char *why;
} of_batv[] =
    {
	[BATV_UNTAGGED] = {RETURN_PATH_NOT, "the address has no tag"},
	[BATV_VALID] = {RETURN_PATH_DONE, NULL},
	[BATV_EXPIRED] = {RETURN_PATH_EXPIRED, "the tag has expired"},
	[BATV_FORGED] = {RETURN_PATH_FORGED, "the tag is not ours"},
},
  of_srs[] = {
      [SRS_UNTAGGED] = {RETURN_PATH_NOT, "it is no SRS address of srs.domain"},
      [SRS_VALID] = {RETURN_PATH_DONE, NULL},
      [SRS_EXPIRED] = {RETURN_PATH_EXPIRED, "the address has expired"},
      [SRS_FORGED] = {RETURN_PATH_FORGED, "the hash is not ours"},
};

static enum return_path do_batv(const struct config *c, const struct keys *keys,
    enum return_path_op op, const char *address, char **out, const char **why)
{
	enum batv_tag tag;

	if (op == RETURN_PATH_BATV_SIGN) {
		*out = batv_sign(keys, address, time(NULL), c->batv.days, why);
		return *out != NULL ? RETURN_PATH_DONE : RETURN_PATH_NOT;
	}
	tag = batv_check(keys, address, time(NULL), out);
	*why = of_batv[tag].why;
	return of_batv[tag].answer;
}

static enum return_path do_srs(const struct config *c, const struct keys *keys,
    enum return_path_op op, const char *address, char **out, const char **why)
{
	struct srs srs = {keys, c->srs.domain, (char)c->srs.separator, c->srs.hash_chars,
	    c->srs.least_hash_chars, c->srs.days};
	enum srs_tag tag;

	if (op == RETURN_PATH_SRS_FORWARD) {
		*out = srs_forward(&srs, address, time(NULL), why);
		return *out != NULL ? RETURN_PATH_DONE : RETURN_PATH_NOT;
	}
	tag = srs_reverse(&srs, address, time(NULL), out);
	*why = of_srs[tag].why;
	return of_srs[tag].answer;
}

static bool is_batv(enum return_path_op op)
{
	return op == RETURN_PATH_BATV_SIGN || op == RETURN_PATH_BATV_CHECK;
}

static bool is_off(const struct config *c, bool batv)
{
	return batv ? c->batv.key_file[0] == '\0'
		    : c->srs.secret_file[0] == '\0' || c->srs.domain[0] == '\0';
}

enum return_path return_path_do(const struct config *c, enum return_path_op op, const char *address,
    char **out, const char **why)
{
	enum return_path answer;
	const char *ignored;
	struct keys *keys;
	bool batv = is_batv(op);

	why = why != NULL ? why : &ignored;
	*out = NULL;
	*why = batv ? off_batv : off_srs;
	if (is_off(c, batv))
		return RETURN_PATH_OFF;
	keys = batv ? keys_current(KEYS_NUMBERED, c->batv.key_file)
		    : keys_current(KEYS_LINES, c->srs.secret_file);
	*why = "the keys cannot be read";
	if (keys == NULL)
		return RETURN_PATH_UNKNOWN;
	answer =
	    batv ? do_batv(c, keys, op, address, out, why) : do_srs(c, keys, op, address, out, why);
	keys_unref(keys);
	return answer;
}

/* ---- whose addresses ---- */

static bool domain_listed(const struct strlist *domains, const char *domain)
{
	size_t n = strlen(domain);

	for (size_t i = 0; i < domains->n; i++) {
		const char *known = domains->v[i];
		size_t m = strlen(known);

		/* ".example.com": what is below it */
		if (known[0] == '.' ? n > m && strcasecmp(domain + n - m, known) == 0
				    : strcasecmp(domain, known) == 0)
			return true;
	}
	return false;
}

bool return_path_is_ours(const struct config *c, const char *address)
{
	const char *at = strrchr(address, '@');

	return at != NULL && domain_listed(&c->batv.domains, at + 1);
}

bool return_path_is_kept(const struct config *c, const char *address)
{
	const char *at = strrchr(address, '@');

	return at == NULL || strcasecmp(at + 1, c->srs.domain) == 0 ||
	       domain_listed(&c->srs.exclude, at + 1) || domain_listed(&c->batv.domains, at + 1);
}

/* ---- the way back ---- */

/* Without keys we do not know; then an address that cannot have a tag of ours shall not wait for
 * them. Others sign with BATV, too. */
static bool looks_tagged(const struct config *c, const char *address)
{
	const char *at = strrchr(address, '@');

	if (strncasecmp(address, "prvs=", 5) == 0)
		return c->batv.domains.n == 0 || return_path_is_ours(c, address);
	return at != NULL && strcasecmp(at + 1, c->srs.domain) == 0 &&
	       (strncasecmp(address, "SRS0", 4) == 0 || strncasecmp(address, "SRS1", 4) == 0);
}

enum return_path return_path_reverse(const struct config *c, const char *address, char **out)
{
	enum return_path answer;

	*out = NULL;
	if (!looks_tagged(c, address))
		return RETURN_PATH_NOT;
	answer = return_path_do(c, RETURN_PATH_BATV_CHECK, address, out, NULL);
	if (answer == RETURN_PATH_NOT || answer == RETURN_PATH_OFF)
		answer = return_path_do(c, RETURN_PATH_SRS_REVERSE, address, out, NULL);
	return answer;
}

/* ---- bounces ---- */

const char *return_path_refuses(const struct config *c, const char *recipient)
{
	char *original;
	enum return_path answer;

	if (c->batv.bounces == BATV_BOUNCES_ACCEPT || !return_path_is_ours(c, recipient))
		return NULL;
	answer = return_path_do(c, RETURN_PATH_BATV_CHECK, recipient, &original, NULL);
	free(original);
	if (answer == RETURN_PATH_FORGED || answer == RETURN_PATH_EXPIRED)
		return "This is no answer to mail of ours: the tag of the address is not valid";
	if (answer == RETURN_PATH_NOT && c->batv.bounces == BATV_BOUNCES_UNTAGGED &&
	    strncasecmp(recipient, "postmaster@", 11) != 0) /* RFC 5321 4.5.1 */
		return "This is no answer to mail of ours: the address has no tag";
	return NULL;
}

/* ---- checks ---- */

void return_path_check(
    const struct config *c, void (*found)(void *arg, const char *path, const char *why), void *arg)
{
	for (int batv = 0; batv <= 1; batv++) {
		const char *path = batv ? c->batv.key_file : c->srs.secret_file;
		char why[256];
		struct keys *keys;

		if (is_off(c, batv))
			continue;
		keys = keys_read(batv ? KEYS_NUMBERED : KEYS_LINES, path, why, sizeof why);
		if (keys == NULL)
			found(arg, path, why);
		keys_unref(keys);
	}
}
