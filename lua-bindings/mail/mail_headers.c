/* mail_headers.c - see mail_headers.h. */
#include "lua-bindings/mail/mail_headers.h"

#include "common/limits.h"
#include "common/outgoing.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool same_name(const char *field, const char *name)
{
	size_t n = strlen(name);

	return strncasecmp(field, name, n) == 0 && field[n + strspn(field + n, " \t")] == '\0';
}

int mail_count_headers(const struct mail *m, const char *name)
{
	int n = 0;

	for (size_t i = 0; i < message_header_count(m->message); i++)
		n += same_name(message_header_field(m->message, i)->name, name);
	return n;
}

static void forget_changes(struct verdict *v, const char *name)
{
	size_t kept = 0;

	for (size_t i = 0; i < v->nheaders; i++) {
		if (same_name(v->headers[i].name, name)) {
			free(v->headers[i].name);
			free(v->headers[i].value);
		} else {
			v->headers[kept++] = v->headers[i];
		}
	}
	v->nheaders = kept;
}

/* From the last one down to `first`: the numbers of those before stay right (R7). */
static void remove_from(struct mail *m, const char *name, int first)
{
	const char *why = "the message has more header fields than are kept";
	bool fine = message_header_whole(m->message);

	for (int i = mail_count_headers(m, name); fine && i >= first; i--)
		fine = verdict_header(m->verdict, HEADER_DELETE, name, i, NULL, &why);
	if (!fine) {
		log_warn(
		    m->id, "message refused: a field \"%.100s\" cannot be removed: %s", name, why);
		verdict_refuse_text(m->verdict, 554, "5.6.0", "Too many header fields");
	}
}

void mail_remove_headers(struct mail *m, const char *name)
{
	forget_changes(m->verdict, name);
	remove_from(m, name, 1);
}

static bool is_empty(const char *value)
{
	return value[strspn(value, " \t\r\n")] == '\0';
}

/* name is sound, value is not empty. */
static const char *replace(struct mail *m, const char *name, const char *value)
{
	bool present = mail_count_headers(m, name) > 0;
	const char *why = NULL;
	char *checked = outgoing_header_value(value, &why);

	if (checked == NULL)
		return why;
	forget_changes(m->verdict, name);
	if (present)
		remove_from(m, name, 2);
	verdict_header(m->verdict, present ? HEADER_CHANGE : HEADER_APPEND, name, 1, checked, &why);
	free(checked);
	return NULL;
}

void mail_modify_header(struct mail *m, const char *line)
{
	size_t n = strcspn(line, ":");
	const char *why = "not \"Name: value\"";
	char *name = NULL;

	if (line[n] == ':' && n > 0 && n <= LIMIT_HEADER_NAME_BYTES) {
		size_t end = n;

		while (end > 0 && (line[end - 1] == ' ' || line[end - 1] == '\t'))
			end--; /* "Name : value", as old scripts write it */
		name = xstrndup(line, end);
		why = outgoing_header_name(name);
	}
	if (why == NULL && is_empty(line + n + 1))
		mail_remove_headers(m, name);
	else if (why == NULL)
		why = replace(m, name, line + n + 1);
	if (why != NULL)
		log_warn(m->id, "header line \"%.100s\" of the script left out: %s", line, why);
	free(name);
}
