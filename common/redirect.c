/* redirect.c - see redirect.h. */
#include "common/redirect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define KIB 1024

/* ---- settings ---- */

enum type { TEXT, BOOLEAN, NUMBER, TENTHS };

#define AT(member) offsetof(struct redirect, member)

static const struct {
	const char *name;
	enum type type;
	size_t offset;
	const char *preset, *help;
} settings[] = {
    {"SendToNormalRecipient", BOOLEAN, AT(send_to_normal), "yes",
	"the mailbox gets the mail, whoever else does"},
    {"Assistants", TEXT, AT(assistants), "", "users or addresses that get a copy, separated by ;"},
    {"RedirectToAssistant", BOOLEAN, AT(redirect_to_assistant), "no",
	"assistants get the mail instead of the mailbox"},
    {"Forwards", TEXT, AT(forwards), "", "addresses to forward to, separated by ;"},
    {"UseForwards", BOOLEAN, AT(use_forwards), "no", "forward to them"},
    {"ForwardSpam", BOOLEAN, AT(forward_spam), "yes", "assistants and forwards get spam, too"},
    {"SpamThreshold", TENTHS, AT(spam_threshold), "5.0", "the spam score from which on it is spam"},
    {"BigRedirectTarget", TEXT, AT(big.target), "", "addresses for big mail"},
    {"BigRedirectThreshold", NUMBER, AT(big.threshold), "0", "mail is big above this many KiB"},
    {"BigRedirectCopy", BOOLEAN, AT(big.copy), "no", "the mailbox gets big mail, too"},
    {"SmallRedirectTarget", TEXT, AT(small.target), "", "addresses for small mail"},
    {"SmallRedirectThreshold", NUMBER, AT(small.threshold), "0",
	"mail is small below this many KiB"},
    {"SmallRedirectCopy", BOOLEAN, AT(small.copy), "no", "the mailbox gets small mail, too"},
};

#define NSETTINGS (sizeof settings / sizeof *settings)

const char *redirect_setting(size_t i, const char **preset, const char **help)
{
	if (i >= NSETTINGS)
		return NULL;
	*preset = settings[i].preset;
	*help = settings[i].help;
	return settings[i].name;
}

/* As scripts' booleans: "", 0, false, no and off are false. */
static bool is_true(const char *text)
{
	static const char *const no[] = {"", "0", "false", "no", "off"};

	for (size_t i = 0; i < sizeof no / sizeof *no; i++)
		if (strcasecmp(text, no[i]) == 0)
			return false;
	return true;
}

/* False: no number, or out of bounds; *out stays. */
static bool read_number(const char *text, int64_t scale, int64_t *out)
{
	double number;
	char *end;

	errno = 0;
	number = strtod(text, &end);
	end += strspn(end, " \t");
	if (end == text || *end != '\0' || errno != 0 || !(number > -1e12 && number < 1e12))
		return false;
	*out = (int64_t)(number * (double)scale);
	return true;
}

static void set(struct redirect *r, size_t i, const char *text)
{
	void *p = (char *)r + settings[i].offset;

	switch (settings[i].type) {
	case TEXT:
		xreplace(p, text);
		break;
	case BOOLEAN:
		*(bool *)p = is_true(text);
		break;
	case NUMBER:
		read_number(text, 1, p);
		break;
	case TENTHS:
		read_number(text, 10, p);
		break;
	}
}

void redirect_from_settings(struct redirect *r, const struct strlist *pairs)
{
	*r = (struct redirect){.should_forward = true, .big.bigger = true};
	for (size_t i = 0; i < NSETTINGS; i++) {
		set(r, i, settings[i].preset);
		for (size_t k = 0; k + 1 < pairs->n; k += 2)
			if (strcmp(pairs->v[k], settings[i].name) == 0)
				set(r, i, pairs->v[k + 1]);
	}
}

void redirect_clear(struct redirect *r)
{
	free(r->assistants);
	free(r->forwards);
	free(r->big.target);
	free(r->small.target);
	*r = (struct redirect){0};
}

/* ---- decision ---- */

void redirect_split(const char *text, struct strlist *addresses)
{
	while (text != NULL && *text != '\0') {
		size_t n;
		char *address;

		text += strspn(text, ";, \t\r\n<>");
		n = strcspn(text, ";, \t\r\n<>");
		if (n == 0)
			break;
		address = xstrndup(text, n);
		if (!strlist_has_nocase(addresses, address))
			strlist_add(addresses, address);
		free(address);
		text += n;
	}
}

/* Copies to all of them but the sender. True: somebody is left. */
static bool add(const char *text, bool (*is_sender)(const char *, void *), void *arg,
    struct redirect_result *out)
{
	struct strlist list = STRLIST_INIT;
	size_t added = 0;

	redirect_split(text, &list);
	for (size_t i = 0; i < list.n; i++) {
		if (is_sender != NULL && is_sender(list.v[i], arg))
			continue;
		if (!strlist_has_nocase(&out->targets, list.v[i]))
			strlist_add(&out->targets, list.v[i]);
		added++;
	}
	strlist_clear(&list);
	return added > 0;
}

static bool applies(const struct redirect_by_size *s, uint64_t bytes)
{
	uint64_t threshold = s->threshold > 0 ? (uint64_t)s->threshold * KIB : 0;

	return s->bigger ? bytes > threshold : bytes < threshold;
}

void redirect_decide(const struct redirect *r, uint64_t bytes,
    bool (*is_sender)(const char *address, void *arg), void *arg, struct redirect_result *out)
{
	const struct redirect_by_size *by_size[] = {&r->big, &r->small};

	*out = (struct redirect_result){.mailbox = r->send_to_normal};
	if (r->should_forward) {
		if (add(r->assistants, is_sender, arg, out) && r->redirect_to_assistant)
			out->mailbox = false;
		if (r->use_forwards)
			add(r->forwards, NULL, NULL, out);
		for (size_t i = 0; i < sizeof by_size / sizeof *by_size; i++)
			if (applies(by_size[i], bytes) &&
			    add(by_size[i]->target, NULL, NULL, out) && !by_size[i]->copy)
				out->mailbox = false;
	}
	out->nobody = !out->mailbox && out->targets.n == 0;
	out->mailbox |= out->nobody;
}
