/* policy_rules.c - see policy_rules.h. What the ten results of First() and Last() mean for Postfix
 * is our reading: doc/policy.md. */
#include "policy/policy_rules.h"

#include "common/list.h"
#include "lua-bindings/smtprules.h"
#include "policy/action.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static const char *attribute(const struct policy_query *q, const char *name)
{
	return policy_attribute(q->attributes, q->nattributes, name);
}

/* what is a constant: the keys of these notices must not depend on what a client sends. */
static void notice(
    const struct policy_query *q, const char *hook, const char *what, const char *detail)
{
	const char *state = attribute(q, "protocol_state");
	char *key = xasprintf("policy: %s: %d: %s", hook, (int)stage_of(state), what);

	if (script_set_first(q->set, key))
		log_warn(q->id,
		    "smtprules, %s, %.20s: %s%s (logged once for each loading of the scripts)",
		    hook, state, what, detail);
	free(key);
}

/* ---- the results of the rules as one action ---- */

/* "REDIRECT" with "ann@example.com", "550" with "5.7.1 No": the extra data is the action's text. */
static char *with_extra(const struct smtprules_result *r)
{
	const char *action = r->action;

	if (r->extra != NULL && action[strcspn(action, " \t")] == '\0')
		return xasprintf("%s %s", action, r->extra);
	return xstrdup(action);
}

/* A checked refusal, "550 5.7.1 text" or "REJECT text", with another code. */
static char *recode(const char *action, const char *code, const char *xcode)
{
	size_t words = isdigit((unsigned char)*action) ? 2 : 1;
	const char *text = action;

	for (size_t i = 0; i < words; i++) {
		text += strcspn(text, " ");
		text += strspn(text, " ");
	}
	return xasprintf("%s %s %s", code, xcode, *text != '\0' ? text : "Access denied");
}

static char *made_temporary(const char *action)
{
	char *out;

	if (!isdigit((unsigned char)*action))
		return strncmp(action, "REJECT", 6) == 0 ? xasprintf("DEFER%s", action + 6)
							 : xstrdup(action);
	out = xstrdup(action);
	out[0] = '4';
	out[4] = '4'; /* of the enhanced code: action_check() wrote "CODE X.Y.Z text" */
	return out;
}

/* The flags beside an action that was found legal; takes it over. */
static char *apply_flags(char *action, const struct smtprules_result *r)
{
	char *changed = NULL;

	if (!action_refuses(action))
		return action;
	if (r->disconnect)
		changed =
		    r->temporary ? recode(action, "421", "4.7.0") : recode(action, "521", "5.7.1");
	else if (r->temporary)
		changed = made_temporary(action);
	if (changed == NULL)
		return action;
	free(action);
	return changed;
}

/* What the script wants, not checked yet; malloc'ed. */
static char *wanted_action(const struct smtprules_result *r)
{
	if (r->hold && (r->action == NULL || strcasecmp(r->action, "OK") == 0 ||
			   strcasecmp(r->action, "DUNNO") == 0))
		return r->extra != NULL ? xasprintf("HOLD %s", r->extra) : xstrdup("HOLD");
	if (r->action != NULL)
		return with_extra(r);
	return xasprintf("PREPEND %s", r->header_modifiers.v[0]);
}

static void notice_lost(const struct policy_query *q, const struct smtprules_result *r)
{
	size_t used = r->action == NULL && !r->hold ? 1 : 0;

	if (r->header_modifiers.n > used)
		notice(q, r->hook,
		    "Postfix takes one action for a request: header modifiers left out", "");
	if (r->block)
		notice(q, r->hook, "blocking of the address is not possible; ignored", "");
}

static char *action_of(
    const struct policy_query *q, const char *state, const struct smtprules_result *r)
{
	char *wanted = wanted_action(r), *action;
	const char *why;

	notice_lost(q, r);
	action = action_check(wanted, strlen(wanted), stage_of(state), &why);
	if (action == NULL) {
		char *detail = xasprintf("; the action \"%.60s\" is not sent", wanted);

		notice(q, r->hook, why, detail);
		free(detail);
	}
	free(wanted);
	return action != NULL ? apply_flags(action, r) : NULL;
}

/* ---- the request ---- */

static const char *failure_action(const struct script_set *set)
{
	return script_set_config(set)->lua.on_error == ON_ERROR_REJECT
		   ? "554 5.3.0 Local policy failed"
		   : "451 4.3.0 Local policy failed, try again later";
}

static enum smtprules_position position_of(const char *state)
{
	switch (stage_of(state)) {
	case STAGE_MAIL:
		return SMTPRULES_MAIL;
	case STAGE_RCPT:
		return SMTPRULES_RCPT;
	default:
		return 0;
	}
}

static void log_decision(const struct policy_query *q, const char *state, const char *action,
    const struct smtprules_result *r)
{
	log_info(q->id, "%s of %s, sender <%.200s>, recipient <%.200s>: %s by %s%s%s", state,
	    attribute(q, "client_address"), attribute(q, "sender"), attribute(q, "recipient"),
	    action, r->hook, r->rule_name != NULL ? ", rule " : "",
	    r->rule_name != NULL ? r->rule_name : "");
}

static char *decide(const struct policy_query *q, enum script_id script)
{
	struct smtprules_attribute a[LIMIT_POLICY_ATTRIBUTES + 1];
	const char *state = attribute(q, "protocol_state");
	struct smtprules_request request = {.attributes = a,
	    .position = position_of(state),
	    .sender = attribute(q, "sender"),
	    .client = attribute(q, "client_address"),
	    .user = attribute(q, "sasl_username"),
	    .size = strtoll(attribute(q, "size"), NULL, 10),
	    .deadline_ms = q->deadline_ms};
	struct strlist recipient = STRLIST_INIT;
	struct smtprules_result r;
	char *action = NULL;

	for (size_t i = 0; i < q->nattributes; i++)
		a[i] = (struct smtprules_attribute){q->attributes[i].name, q->attributes[i].value};
	a[q->nattributes] = (struct smtprules_attribute){"state", state};
	request.nattributes = q->nattributes + 1;
	if (request.position == SMTPRULES_RCPT) {
		strlist_add(&recipient, attribute(q, "recipient"));
		request.recipients = &recipient;
	}
	switch (smtprules_run(q->set, script, &request, q->id, &r)) {
	case SMTPRULES_NONE:
		break;
	case SMTPRULES_DECIDED:
		action = action_of(q, state, &r);
		break;
	case SMTPRULES_FAILED:
		action = xstrdup(failure_action(q->set));
		break;
	}
	if (action != NULL)
		log_decision(q, state, action, &r);
	strlist_clear(&recipient);
	smtprules_clear(&r);
	return action;
}

char *policy_rules_answer(const struct policy_query *q, size_t *size)
{
	const struct service_config *service =
	    config_service(script_set_config(q->set), q->listen, attribute(q, "policy_context"));
	char *action = NULL, *reply = NULL;
	enum script_id script;

	if (strcmp(attribute(q, "request"), "smtpd_access_policy") != 0)
		notice(q, "request", "not a request of smtpd; answered DUNNO", "");
	else if (script_set_smtprules(q->set, service->id, &script))
		action = decide(q, script);
	if (action != NULL) {
		reply = policy_reply(action, strlen(action), size);
		if (reply == NULL)
			notice(q, "reply",
			    "the action is too long or has a control character; answered DUNNO",
			    "");
	}
	if (reply == NULL)
		reply = policy_reply(POLICY_DEFAULT_ACTION, strlen(POLICY_DEFAULT_ACTION), size);
	free(action);
	return reply;
}
