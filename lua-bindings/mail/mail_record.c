/* mail_record.c - see mail_record.h. */
#include "lua-bindings/mail/mail_record.h"

#include <stdlib.h>
#include <time.h>

void mail_record_describe(const struct mail *m, struct queue_record *r)
{
	struct strlist all = STRLIST_INIT;

	xreplace(&r->sender, mail_sender(m));
	r->size = (int64_t)message_size(m->message);
	r->noted_ms = (int64_t)time(NULL) * 1000;
	mail_recipients(m, &all);
	for (size_t i = 0; i < all.n; i++)
		if (mail_goes_out(m, all.v[i]))
			strlist_add(&r->recipients, all.v[i]);
	strlist_clear(&all);
	for (size_t i = 0; i < message_header_count(m->message); i++) {
		const struct header_field *f = message_header_field(m->message, i);
		char *line = xasprintf("%s:%s", f->name, f->value);

		strlist_add(&r->header_lines, line);
		free(line);
	}
}
