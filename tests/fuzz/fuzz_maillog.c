/* Lines of a mail log, and the dialogues they are put together to (R17, R19). */
#include "common/list.h"
#include "common/maillog.h"
#include "policy/dialogues.h"
#include "tests/fuzz/must.h"

#include <stdlib.h>
#include <string.h>

#define NOW_MS 1795267200000

static struct maillog_text whole; /* the line in question */

static void must_be_inside(struct maillog_text t)
{
	MUST(t.n == 0 || (t.s >= whole.s && t.s + t.n <= whole.s + whole.n));
}

static void must_be_a_name(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++)
		MUST(s[i] != '\0' &&
		     strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:",
			 s[i]) != NULL);
}

static void must_hold(const struct maillog_line *l)
{
	const struct maillog_text parts[] = {l->connection, l->queue_id, l->server, l->address,
	    l->recipients, l->sender, l->reply, l->tls, l->cipher, l->trust};
	struct maillog_text list = l->recipients, one;
	char result[500];

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		must_be_inside(parts[i]);
	must_be_a_name(l->server.s, l->server.n);
	must_be_a_name(l->address.s, l->address.n);
	MUST(l->stage != NULL && l->kind != MAILLOG_OTHER);
	MUST(l->queue_id.n > 0 || l->kind == MAILLOG_TLS || l->kind == MAILLOG_CONNECT);
	for (size_t n = 0; maillog_next_recipient(&list, &one); n++) {
		must_be_inside(one);
		MUST(n < whole.n);
	}
	maillog_result(l, result, sizeof result);
	MUST(strlen(result) < sizeof result);
}

static void on_tried(const char *queue_id, const struct dialogue *d, const char *sender, void *arg)
{
	(void)sender, (void)arg;
	MUST(queue_id != NULL && d->recipients.n == d->results.n && *d->key != '\0');
	must_be_a_name(d->server, strlen(d->server));
}

static void on_known(const char *id, const char *sender, int64_t size, int64_t ms, void *arg)
{
	(void)size, (void)ms, (void)arg;
	MUST(*id != '\0' && sender != NULL);
}

static void on_time(const char *id, int64_t ms, void *arg)
{
	(void)ms, (void)arg;
	MUST(*id != '\0');
}

static const struct dialogues_listener listener = {on_tried, on_known, on_time, on_time, NULL};

/* What is saved can be loaded, and says the same again. */
static struct dialogues *reload(struct dialogues *g)
{
	char *saved = NULL, *again = NULL;
	size_t size, size_again;
	struct dialogues *next = dialogues_new(&listener);
	FILE *out = open_memstream(&saved, &size);

	dialogues_save(g, out);
	fclose(out);
	MUST(dialogues_load(next, saved, size, 0));
	out = open_memstream(&again, &size_again);
	dialogues_save(next, out);
	fclose(out);
	MUST(size == size_again && memcmp(saved, again, size) == 0);
	free(saved);
	free(again);
	dialogues_free(g);
	return next;
}

static void read_lines(struct dialogues **g, const char *s, size_t n)
{
	static struct strlist postfix, sendmail;
	const struct maillog_names names = {&postfix, &sendmail};
	int number = 0;

	if (postfix.n == 0) {
		strlist_add(&postfix, "postfix");
		strlist_add(&sendmail, "sendmail");
	}
	while (n > 0) {
		const char *end = memchr(s, '\n', n);
		size_t length = end != NULL ? (size_t)(end - s) : n;
		struct maillog_line line;
		char key[16];

		whole = (struct maillog_text){s, length};
		if (maillog_read_line(&line, s, length, &names, NOW_MS)) {
			must_hold(&line);
			snprintf(key, sizeof key, "#%d", number++);
			dialogues_line(*g, &line, key, number);
			if (number % 4 == 0)
				*g = reload(*g);
		}
		s += length + (end != NULL);
		n -= length + (end != NULL);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct dialogues *g = dialogues_new(&listener);

	read_lines(&g, (const char *)data, size);
	g = reload(g);
	dialogues_quiet(g, INT64_MAX / 2);
	dialogues_free(g);
	return 0;
}
