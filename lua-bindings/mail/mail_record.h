/* mail_record.h - private to lua-bindings/: the record that the queue agent needs to ask again. */
#pragma once

#include "common/queue_record.h"
#include "lua-bindings/mail/mail.h"

/* Fills a zeroed record with what scripts are told of a message: envelope, size, header, and of the
 * recipients those on other hosts. Clear it afterwards. */
void mail_record_describe(const struct mail *, struct queue_record *);
