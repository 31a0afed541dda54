/* queue_list_sendmail.c - see queue_list_sendmail.h.
 *
 * Lines that belong to a message begin with white space, whatever remote servers and senders have
 * put into them; so does all of the head but "-----Q-ID-----" and the name of the directory. */
#include "common/queue_list_sendmail.h"

#include "common/queue_record.h"

#include <ctype.h>
#include <string.h>

#define WHOLE_ID 14

bool queue_list_sendmail_line(const char *line, size_t n, char id[QUEUE_LIST_ID_BYTES])
{
	size_t length = 0;

	while (length < n && isalnum((unsigned char)line[length]))
		length++;
	if (length < WHOLE_ID || length >= QUEUE_LIST_ID_BYTES || length == n)
		return false;
	memcpy(id, line, length);
	id[length] = '\0';
	/* behind the id: being sent, too young, or kept by the load of the host */
	return line[length] != '\0' && strchr(" *-X?", line[length]) != NULL &&
	       queue_record_is_id(id);
}
