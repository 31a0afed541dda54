/* message.c - see message.h. */
#include "common/message.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/log.h"
#include "common/spool.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* Longest line of a stream that comes in pieces. A line ends in CR LF; a bare LF ends one too, as
 * some MTAs pass it on, a bare CR is a byte of its line. */
struct line_meter {
	uint64_t longest;
	uint64_t current; /* of the unfinished line, its trailing CR included */
	bool after_cr;
};

struct message {
	struct message_options options;
	unsigned owners;		 /* besides the first one */
	struct envelope_address *sender; /* NULL before MAIL */
	struct envelope_address *recipients;
	size_t nrecipients;

	struct header_field *fields;
	size_t nfields;
	char *head; /* the fields as they stand in the stream */
	size_t head_size, head_cap;
	uint64_t head_seen; /* more than head_size once a field could not be kept */

	struct spool *body; /* NULL before the first byte is stored */
	uint64_t body_seen;
	struct line_meter lines;
	bool count_only;
	int error; /* errno of the store, once it has failed */
};

static const char empty_line[] = {'\r', '\n'};

struct message *message_new(const struct message_options *options)
{
	struct message *m = xcalloc(1, sizeof *m);

	m->options = *options;
	return m;
}

struct message *message_ref(const struct message *message)
{
	struct message *m = (struct message *)message; /* what is counted is not the message */

	m->owners++;
	return m;
}

static void free_sender(struct message *m)
{
	if (m->sender != NULL)
		envelope_address_free(m->sender);
	free(m->sender);
	m->sender = NULL;
}

void message_free(struct message *m)
{
	if (m == NULL || m->owners-- > 0)
		return;
	free_sender(m);
	for (size_t i = 0; i < m->nrecipients; i++)
		envelope_address_free(&m->recipients[i]);
	free(m->recipients);
	for (size_t i = 0; i < m->nfields; i++) {
		free(m->fields[i].name);
		free(m->fields[i].value);
	}
	free(m->fields);
	free(m->head);
	spool_free(m->body);
	free(m);
}

/* ---- envelope ---- */

void message_set_sender(struct message *m, char **argv)
{
	free_sender(m);
	m->sender = xmalloc(sizeof *m->sender);
	envelope_address_parse(m->sender, argv);
}

bool message_add_recipient(struct message *m, char **argv)
{
	if (m->nrecipients >= LIMIT_RECIPIENTS)
		return false;
	m->recipients = xgrow(m->recipients, m->nrecipients, sizeof *m->recipients);
	envelope_address_parse(&m->recipients[m->nrecipients++], argv);
	return true;
}

void message_drop_last_recipient(struct message *m)
{
	if (m->nrecipients == 0) {
		log_bug(NULL, "a recipient was dropped where there is none");
		return;
	}
	envelope_address_free(&m->recipients[--m->nrecipients]);
}

const struct envelope_address *message_sender(const struct message *m)
{
	return m->sender;
}

size_t message_recipient_count(const struct message *m)
{
	return m->nrecipients;
}

const struct envelope_address *message_recipient(const struct message *m, size_t i)
{
	return i < m->nrecipients ? &m->recipients[i] : NULL;
}

/* ---- header ---- */

/* The length of a field in the stream. A fold is "\n" or "\r\n" in value and CR LF there. */
static size_t length_in_stream(const char *name, const char *value)
{
	size_t n = strlen(name) + 1 + strlen(value) + 2;

	for (const char *lf = strchr(value, '\n'); lf != NULL; lf = strchr(lf + 1, '\n'))
		n += lf == value || lf[-1] != '\r';
	return n;
}

/* Copy value into out in which each line break becomes line_end; returns the end of the copy. */
static char *copy_with_line_ends(char *out, const char *value, const char *line_end)
{
	size_t n = strlen(line_end);

	for (const char *p = value; *p != '\0'; p++) {
		if (p[0] == '\r' && p[1] == '\n')
			p++;
		if (*p == '\n')
			out = mempcpy(out, line_end, n);
		else
			*out++ = *p;
	}
	return out;
}

static void add_to_head(struct message *m, const char *name, const char *value, size_t n)
{
	char *p;

	if (m->head_cap - m->head_size < n) {
		m->head_cap = 2 * (m->head_cap + n);
		m->head = xrealloc(m->head, m->head_cap);
	}
	p = mempcpy(m->head + m->head_size, name, strlen(name));
	*p++ = ':';
	p = copy_with_line_ends(p, value, "\r\n");
	memcpy(p, empty_line, sizeof empty_line);
	m->head_size += n;
}

static bool head_complete(const struct message *m)
{
	return m->head_size == m->head_seen;
}

bool message_header(struct message *m, const char *name, const char *value)
{
	size_t n = length_in_stream(name, value);
	bool fits = head_complete(m) && m->nfields < LIMIT_HEADERS &&
		    n <= LIMIT_HEADERS_BYTES - m->head_size;
	struct header_field field;

	if (m->body_seen > 0) {
		log_bug(NULL, "a header field came after the body and was ignored");
		return false;
	}
	m->head_seen += n;
	if (!fits)
		return false;
	add_to_head(m, name, value, n);
	field.name = xstrdup(name);
	field.value = xmalloc(strlen(value) + 1);
	*copy_with_line_ends(field.value, value, "\n") = '\0';
	m->fields = xgrow(m->fields, m->nfields, sizeof *m->fields);
	m->fields[m->nfields++] = field;
	return true;
}

bool message_header_whole(const struct message *m)
{
	return head_complete(m);
}

size_t message_header_count(const struct message *m)
{
	return m->nfields;
}

const struct header_field *message_header_field(const struct message *m, size_t i)
{
	return i < m->nfields ? &m->fields[i] : NULL;
}

size_t message_header_instances(const struct message *m, const char *name)
{
	size_t n = 0;

	for (size_t i = 0; i < m->nfields; i++)
		n += strcasecmp(m->fields[i].name, name) == 0;
	return n;
}

static char *unfolded(const char *value)
{
	size_t n = 0;
	char *out;

	value += strspn(value, " \t\n");
	out = xmalloc(strlen(value) + 1);
	for (const char *p = value; *p != '\0'; p++)
		if (*p != '\n')
			out[n++] = *p;
	while (n > 0 && (out[n - 1] == ' ' || out[n - 1] == '\t'))
		n--;
	out[n] = '\0';
	return out;
}

char *message_header_unfolded(const struct message *m, const char *name)
{
	for (size_t i = m->nfields; i-- > 0;)
		if (strcasecmp(m->fields[i].name, name) == 0)
			return unfolded(m->fields[i].value);
	return NULL;
}

/* ---- body ---- */

static void line_ended(struct line_meter *l)
{
	if (l->current > l->longest)
		l->longest = l->current;
	l->current = 0;
}

static void measure(struct line_meter *l, const char *bytes, size_t n)
{
	const char *p = bytes, *end = bytes + n, *lf;

	while (p < end && (lf = memchr(p, '\n', (size_t)(end - p))) != NULL) {
		bool cr = lf > bytes ? lf[-1] == '\r' : l->after_cr;

		l->current += (uint64_t)(lf - p);
		if (cr)
			l->current--; /* it was counted with its line */
		line_ended(l);
		p = lf + 1;
	}
	l->current += (uint64_t)(end - p);
	l->after_cr = end[-1] == '\r';
}

static uint64_t body_stored(const struct message *m)
{
	return m->body != NULL ? spool_size(m->body) : 0;
}

/* How many of the next n body bytes are to be stored. Once it is less than n it stays 0: what can
 * be read has no gaps. */
static size_t storable(const struct message *m, size_t n)
{
	uint64_t before = message_body_offset(m) + m->body_seen, room;

	if (m->count_only || m->error != 0 || !head_complete(m) || before >= m->options.most)
		return 0;
	room = m->options.most - before;
	return n < room ? n : (size_t)room;
}

int message_body(struct message *m, const void *bytes, size_t n)
{
	size_t keep = storable(m, n);

	if (n == 0)
		return 0;
	measure(&m->lines, bytes, n);
	if (m->body == NULL && keep > 0)
		m->body = spool_new(m->options.directory,
		    m->options.memory > m->head_size ? m->options.memory - m->head_size : 0);
	if (keep > 0 && spool_append(m->body, bytes, keep) < 0)
		m->error = errno;
	m->body_seen += n;
	if (m->error == 0)
		return 0;
	errno = m->error;
	return -1;
}

void message_count_only(struct message *m)
{
	m->count_only = true;
}

/* ---- the stream ---- */

uint64_t message_body_offset(const struct message *m)
{
	return m->head_seen + sizeof empty_line;
}

uint64_t message_size(const struct message *m)
{
	return message_body_offset(m) + m->body_seen;
}

uint64_t message_longest_line(const struct message *m)
{
	return m->lines.current > m->lines.longest ? m->lines.current : m->lines.longest;
}

bool message_truncated(const struct message *m)
{
	return !head_complete(m) || body_stored(m) != m->body_seen;
}

/* Copy what [offset, offset + n) and the size bytes at part have in common. */
static size_t read_part(const char *part, uint64_t size, uint64_t offset, char *out, size_t n)
{
	if (offset >= size)
		return 0;
	if (n > size - offset)
		n = (size_t)(size - offset);
	memcpy(out, part + offset, n);
	return n;
}

ssize_t message_read(const struct message *m, uint64_t offset, void *out, size_t n)
{
	char *to = out;
	uint64_t start = m->head_size; /* of the part that is read next */
	size_t done;
	ssize_t got;

	if (n > SSIZE_MAX)
		n = SSIZE_MAX;
	done = read_part(m->head, m->head_size, offset, to, n);
	if (!head_complete(m))
		return (ssize_t)done;
	if (done < n && offset + done >= start)
		done += read_part(
		    empty_line, sizeof empty_line, offset + done - start, to + done, n - done);
	start += sizeof empty_line;
	while (done < n && m->body != NULL && offset + done >= start) {
		got = spool_read(m->body, offset + done - start, to + done, n - done);
		if (got < 0 && done == 0)
			return -1;
		if (got <= 0)
			break;
		done += (size_t)got;
	}
	return (ssize_t)done;
}
