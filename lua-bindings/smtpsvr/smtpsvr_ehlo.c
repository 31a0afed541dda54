/* smtpsvr_ehlo.c - GetEHLOCapabilities() asked before the EHLO, for the map ehlo_in. */
#include "common/clock.h"
#include "common/list.h"
#include "lua-bindings/runtime.h"
#include "lua-bindings/smtpsvr/smtpsvr_private.h"

#include <stdlib.h>

char *smtpsvr_capabilities(struct script_set *set, const struct service_config *service,
    const struct ip_address *client, const char *offered, int64_t deadline_ms,
    const struct log_id *id)
{
	struct smtpsvr_client c = {.address = *client};
	char ip[INET6_ADDRSTRLEN], *capabilities = NULL;
	struct smtpsvr *s;
	struct verdict ignored;

	if (!script_set_has_hook(set, SCRIPT_SMTPSVR, "GetEHLOCapabilities"))
		return NULL;
	verdict_init(&ignored);
	s = smtpsvr_open(set, NULL, id);
	hooks_command(s);
	if (deadline_ms < s->deadline_ms)
		s->deadline_ms = deadline_ms;
	s->service = service;
	globals_init(s, &c);
	s->rt = runtime_acquire(set, id);
	if (s->rt != NULL)
		hooks_script(s, &ignored);
	hook_capabilities(
	    s, ip_address_text(client, ip, sizeof ip), offered, &capabilities, &ignored);
	if (s->rt != NULL) { /* End() is for sessions */
		runtime_release(s->rt);
		s->rt = NULL;
	}
	smtpsvr_close(s);
	verdict_reset(&ignored);
	return capabilities;
}
