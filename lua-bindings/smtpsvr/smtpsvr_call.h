/* smtpsvr_call.h - private to lua-bindings/: one call of a hook, for the smtpsvr_hooks*.c files. */
#pragma once

#include "lua-bindings/runtime.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

/* One call on its way through the gate; each kind of hook uses what it needs. */
struct call {
	struct smtpsvr *s;
	int (*l_args)(lua_State *L, struct call *);
	void (*l_results)(lua_State *L, int first, int n, struct call *);
	bool lists; /* read RBLServers and RBLWhitelist back */

	const char *text;
	size_t text_n;
	bool refuse, esmtp;
	const struct envelope_address *address;
	struct actions *actions;
	struct strlist parameters; /* result: ESMTP parameters as the script left them */
	bool parameters_given;
	struct hook_reply *reply;
	int64_t number;
	const char *offered;
	char *capabilities; /* result */
	const char *wanted; /* what a result should have been and was not; NULL: all was well */
};

/* Call the hook through the gate; false when it is absent or failed, with the failure in *v. A
 * result of a wrong type is a failure. */
bool call_run(struct call *, const char *hook, struct verdict *v);
/* The result at index as an SMTP result string, into c->reply. */
void l_take_reply(lua_State *L, int index, struct call *c);
/* l_results of hooks whose first result is a result string. */
void l_reply_result(lua_State *L, int first, int n, struct call *);
