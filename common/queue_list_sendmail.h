/* queue_list_sendmail.h - the list of Sendmail's queue, as `sendmail -bp` prints it. Pure. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define QUEUE_LIST_ID_BYTES 25

/* False: the line does not begin a message. The list cuts addresses short and has no year, so the
 * id is all that is taken from it; Sendmail uses none twice within 60 years. */
bool queue_list_sendmail_line(const char *line, size_t n, char id[QUEUE_LIST_ID_BYTES]);
