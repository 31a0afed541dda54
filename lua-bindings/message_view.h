/* message_view.h - private to lua-bindings/: the whole message as ProcessMessage() may look at it.
 *
 * The host makes a view before the call and ends it afterwards; in between the VPOP3.GetMessage*
 * functions work, outside of it they find nothing. A view borrows the message. */
#pragma once

#include "common/message.h"
#include "common/mime.h"

#include <lua.h>

#include <stdbool.h>
#include <stdint.h>

struct message_view {
	const struct message *message;
	struct mime *mime; /* NULL: not parsed, nobody can see it */
	uint64_t position; /* of GetMessageLine() */
	bool *removed;	   /* for each header field: mailhooks.remove_header() was called */
};

/* The structure and the attachments as the tables that ProcessMessage() gets. mime may be NULL. */
void l_push_mime(lua_State *L, const struct mime *mime);
void l_push_attachments(lua_State *L, const struct mime *mime);
