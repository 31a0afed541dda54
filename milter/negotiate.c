/* negotiate.c - ask the MTA only for what the loaded scripts use.
 *
 * Steps nobody needs are switched off (SMFIP_NO*), steps that are never answered with anything but
 * "continue" ask for no reply (SMFIP_NR_*). Header fields and body chunks never get a reply of
 * their own: what is wrong with them is said at the end of the message. Macros are asked for by
 * name, fewer than Sendmail's limit of 50 in a stage (trap T9). */
#include "common/list.h"
#include "common/log.h"
#include "milter/session.h"

#include <stdatomic.h>
#include <stddef.h>

#define NEED(member) offsetof(struct smtpsvr_needs, member)
#define ALWAYS ((size_t)-1)
#define NEVER ((size_t)-2)

static const struct {
	unsigned long off, quiet; /* SMFIP_NO*, SMFIP_NR_* */
	size_t need, reply;	  /* which need keeps the step, which one its replies */
} steps[] = {
    [STAGE_CONNECT] = {SMFIP_NOCONNECT, SMFIP_NR_CONN, NEED(session), NEED(connect_reply)},
    [STAGE_HELO] = {SMFIP_NOHELO, SMFIP_NR_HELO, NEED(helo), NEED(helo_reply)},
    [STAGE_MAIL] = {SMFIP_NOMAIL, SMFIP_NR_MAIL, NEED(mail), NEED(mail_reply)},
    [STAGE_RCPT] = {SMFIP_NORCPT, SMFIP_NR_RCPT, NEED(rcpt), NEED(rcpt_reply)},
    [STAGE_DATA] = {SMFIP_NODATA, SMFIP_NR_DATA, NEED(data), NEED(data_reply)},
    [STAGE_UNKNOWN] = {SMFIP_NOUNKNOWN, SMFIP_NR_UNKN, NEED(unknown), NEED(unknown)},
    [STAGE_HEADER] = {SMFIP_NOHDRS, SMFIP_NR_HDR, NEED(headers), NEVER},
    /* Nobody looks at the end of the header, but without it libmilter takes a body that follows
     * DATA directly (a message without header) for a protocol error and never answers (observed).
     */
    [STAGE_END_OF_HEADER] = {SMFIP_NOEOH, SMFIP_NR_EOH, NEED(body), NEVER},
    [STAGE_BODY] = {SMFIP_NOBODY, SMFIP_NR_BODY, NEED(body), NEVER},
    [STAGE_END] = {0, 0, ALWAYS, ALWAYS}, /* the end of the message always gets an answer */
};

static const struct {
	unsigned long action;
	size_t need;
} actions[] = {
    {SMFIF_ADDHDRS, NEED(header_changes)},
    {SMFIF_CHGHDRS, NEED(header_changes)},
    {SMFIF_ADDRCPT, NEED(recipient_changes)},
    {SMFIF_ADDRCPT_PAR, NEED(recipient_changes)},
    {SMFIF_DELRCPT, NEED(recipient_changes)},
    {SMFIF_CHGFROM, NEED(sender_changes)},
    {SMFIF_CHGBODY, NEED(body_changes)},
    {SMFIF_QUARANTINE, NEED(quarantine)},
};

/* What the callbacks read. {daemon_name} finds the service, v tells the MTA. */
static char macros_connect[] = "v j {daemon_name}";
static char macros_helo[] = "{tls_version} {cipher}";
static char macros_mail[] = "i {auth_authen}";
static char macros_rcpt[] = "i {rcpt_mailer}";
static char macros_id[] = "i";

static const struct {
	int stage;
	char *names;
} macros[] = {
    {SMFIM_CONNECT, macros_connect},
    {SMFIM_HELO, macros_helo},
    {SMFIM_ENVFROM, macros_mail},
    {SMFIM_ENVRCPT, macros_rcpt},
    {SMFIM_DATA, macros_id},
    {SMFIM_EOH, macros_id},
    {SMFIM_EOM, macros_id},
};

static atomic_bool draining;

void negotiate_refuse_new(void)
{
	atomic_store(&draining, true);
}

static bool needed(const struct smtpsvr_needs *n, size_t need)
{
	if (need == ALWAYS || need == NEVER)
		return need == ALWAYS;
	return *(const bool *)((const char *)n + need);
}

unsigned long negotiate_steps(const struct smtpsvr_needs *n)
{
	unsigned long wanted = 0;

	for (size_t i = 0; i < STAGE_COUNT; i++) {
		if (!needed(n, steps[i].need))
			wanted |= steps[i].off;
		else if (!needed(n, steps[i].reply))
			wanted |= steps[i].quiet;
	}
	if (n->headers || n->header_changes)
		wanted |= SMFIP_HDR_LEADSPC;
	return wanted;
}

unsigned long negotiate_actions(const struct smtpsvr_needs *n)
{
	unsigned long wanted = 0;

	for (size_t i = 0; i < sizeof actions / sizeof *actions; i++)
		if (needed(n, actions[i].need))
			wanted |= actions[i].action;
	return wanted;
}

static void ask_for_macros(SMFICTX *ctx, const struct smtpsvr_needs *n)
{
	if (!n->session)
		return;
	for (size_t i = 0; i < sizeof macros / sizeof *macros; i++)
		if (smfi_setsymlist(ctx, macros[i].stage, macros[i].names) != MI_SUCCESS)
			log_debug(NULL, "smfi_setsymlist(%d) refused", macros[i].stage);
}

sfsistat negotiate(SMFICTX *ctx, unsigned long f0, unsigned long f1, unsigned long f2,
    unsigned long f3, unsigned long *pf0, unsigned long *pf1, unsigned long *pf2,
    unsigned long *pf3)
{
	struct script_set *set;
	const struct smtpsvr_needs *n;
	struct session *s;

	(void)f2, (void)f3;
	if (atomic_load(&draining))
		return SMFIS_REJECT; /* the MTA does what its default action says */
	set = script_set_current();
	s = session_new(ctx, set);
	n = smtpsvr_needs(set);
	*pf0 = f0 & (negotiate_actions(n) | SMFIF_SETSYMLIST);
	*pf1 = f1 & negotiate_steps(n);
	*pf2 = *pf3 = 0;
	if (f0 & SMFIF_SETSYMLIST)
		ask_for_macros(ctx, n);
	s->actions = *pf0;
	s->leading_space = (*pf1 & SMFIP_HDR_LEADSPC) != 0;
	for (size_t i = 0; i < STAGE_COUNT; i++)
		s->no_reply[i] = (*pf1 & steps[i].quiet) != 0;
	log_debug(&s->id, "negotiated: generation %u, steps 0x%lx, actions 0x%lx",
	    script_set_generation(set), *pf1, *pf0);
	return SMFIS_CONTINUE;
}
