/* mime_address.c - see mime_address.h. GMime's parser. */
#include "common/mime_address.h"

#include "common/limits.h"
#include "common/list.h"
#include "common/mime/mime_internal.h"

#include <gmime/gmime.h>

#include <stdlib.h>
#include <string.h>

/* The members of a group are a list of their own; deeper ones are no mail address. */
static InternetAddressMailbox *first_mailbox(InternetAddressList *list, bool groups)
{
	for (int i = 0; i < internet_address_list_length(list); i++) {
		InternetAddress *a = internet_address_list_get_address(list, i);
		InternetAddressMailbox *in_group;

		if (INTERNET_ADDRESS_IS_MAILBOX(a))
			return INTERNET_ADDRESS_MAILBOX(a);
		if (!groups || !INTERNET_ADDRESS_IS_GROUP(a))
			continue;
		in_group = first_mailbox(
		    internet_address_group_get_members(INTERNET_ADDRESS_GROUP(a)), false);
		if (in_group != NULL)
			return in_group;
	}
	return NULL;
}

static char *cleaned(const char *text)
{
	char *out = xstrdup(text != NULL ? text : "");

	for (char *p = out; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return out;
}

bool mime_first_address(const char *value, char **address, char **name)
{
	InternetAddressList *list;
	InternetAddressMailbox *mailbox = NULL;
	char *part = xstrndup(value, strnlen(value, LIMIT_MIME_FIELD_BYTES));

	mime_prepare();
	*address = *name = NULL;
	list = internet_address_list_parse(NULL, part);
	free(part);
	if (list != NULL)
		mailbox = first_mailbox(list, true);
	if (mailbox != NULL) {
		*address = cleaned(internet_address_mailbox_get_addr(mailbox));
		*name = cleaned(internet_address_get_name(INTERNET_ADDRESS(mailbox)));
	}
	if (list != NULL)
		g_object_unref(list);
	return mailbox != NULL;
}
