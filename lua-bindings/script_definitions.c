/* script_definitions.c - the scripts whose instances need nothing special.
 *
 * Names as in VPOP3's manual and wiki. The bindings that call the hooks are in files of the
 * scripts' own names. */
#include "lua-bindings/runtime.h"
#include "lua-bindings/script_set_private.h"

#include <string.h>

#define DEFINE(script, sample)                                 \
	const struct script_definition script##_definition = { \
	    .file = #script ".lua", .hooks = script##_script_hooks, .globals = (sample)}

DEFINE(mxserverrules, "ConnectionId = 1 ConnectionName = 'sample'");
DEFINE(mxout, "ConnectionId = 1 ConnectionName = 'sample'");
DEFINE(relayout, "senderid = 0 sendername = 'sample' UseBATV = false MaxMessagesPerConnection = 0 "
		 "MaxRecipientsPerConnection = 0 MaxRecipientsPerMessage = 0 ConnectedServer = '' "
		 "VerifyCertificate = false");
DEFINE(user_redirect,
    "ShouldForward = true Assistants = '' RedirectToAssistant = false SendToNormalRecipient = true "
    "Forwards = '' UseForwards = false "
    "BigRedirect = {Target = '', Threshold = 0, Copy = false, Bigger = true} "
    "SmallRedirect = {Target = '', Threshold = 0, Copy = false, Bigger = false} "
    "MessageSize = 1000 SpamScore = 0 SpamScoreValid = false Sender = 'sender@example.com' "
    "User = 'ann' Subject = 'sample' UserSettings = {} Headers1 = {Subject = 'sample'} "
    "Headers2 = {'Subject: sample'}");
DEFINE(delivery,
    "User = 'ann' Subject = 'sample' Originator = 'sender@example.com' Filename = 'sample' "
    "MessageSize = 1000 SpamScore = 0 Held = false Seen = false Flagged = false Keywords = {} "
    "Folders = {'INBOX'} Headers = {{'Subject', 'sample'}} Forwards = {} HeaderMods = {} "
    "ForwardingSenderAddress = '' ForwardingSenderText = '' Quarantine = false");
DEFINE(signature, NULL);
DEFINE(errors, NULL);
DEFINE(passwordcheck, NULL);

void l_script_sample(lua_State *L, const struct script_definition *d, struct config *config)
{
	if (d->l_sample != NULL)
		d->l_sample(L, config);
	if (d->globals == NULL)
		return;
	if (luaL_loadbufferx(L, d->globals, strlen(d->globals), "=sample", "t") != LUA_OK)
		lua_error(L);
	lua_call(L, 0, 0);
}
