/* mail_mxout.h - private to lua-bindings/: the instance of mxout.lua that a message has when it
 * comes in. All hooks that are called about it then share it, and with it the script's global
 * variables.
 */
#pragma once

#include "lua-bindings/instance.h"
#include "lua-bindings/mail/mail.h"

/* Opened by the first call; a top level that fails does so for each. *out belongs to the message
 * and is usable when the answer is DONE. */
enum instance_end mail_mxout(struct mail *, struct instance **out);
/* At the end of the message. */
void mail_mxout_close(struct mail *);
