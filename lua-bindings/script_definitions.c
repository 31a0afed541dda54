/* script_definitions.c - the scripts whose instances need nothing special: file names and hooks.
 *
 * Names as in VPOP3's manual and wiki. The bindings that call the hooks are in files of the
 * scripts' own names. */
#include "lua-bindings/script_set_private.h"

#include <stddef.h>

#define DEFINE(script, ...)                                              \
	static const char *const script##_hooks[] = {__VA_ARGS__, NULL}; \
	const struct script_definition script##_definition = {           \
	    .file = #script ".lua", .hooks = script##_hooks}

DEFINE(mxserverrules, "GetCheckCache", "GetOverrides", "CheckServer", "FinalOverrides");
DEFINE(mxout, "CheckFile", "ServerDetails", "ModifyReturnPath", "ReturnCodeHandler");
DEFINE(relayout, "Start", "ServerConnected", "CheckFile", "ReturnCodeHandler");
DEFINE(user_redirect, "MainDoRouting", "DoRouting", "MainGetSettings", "MailGetSettings");
DEFINE(delivery, "PreDeliver", "DeliverMessage");
DEFINE(signature, "GetSignature", "GetInternalSignature");
DEFINE(errors, "ProcessMessage3", "ProcessError");
DEFINE(passwordcheck, "Check");
