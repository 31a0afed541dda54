/* mail_return_path.c - the return path of what goes to other hosts: BATV, SRS, ModifyReturnPath().
 *
 * Computed first: a sender of ours is signed (batv.*), or one of somebody else is rewritten
 * (srs.*); mxout.lua's ServerDetails() may say otherwise with useBATV and returnAddressModifier.
 * ModifyReturnPath() has the last word. A message that a relay takes is not mxout.lua's: UseBATV of
 * relayout.lua counts, and no hook of mxout.lua. The null sender of bounces is never touched, nor
 * is that of mail that stays here, except for srs.rewrite = always. Sources: VPOP3's wiki, direct
 * MX sending; readings of its gaps are marked [R] in doc/return-path.md. */
#include "common/list.h"
#include "common/return_path.h"
#include "lua-bindings/mail/mail.h"
#include "lua-bindings/mail/mxout_sender.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

static bool signs(const struct config *c)
{
	return c->batv.key_file[0] != '\0' && c->batv.domains.n > 0;
}

static bool rewrites(const struct config *c)
{
	return c->srs.secret_file[0] != '\0' && c->srs.domain[0] != '\0' &&
	       c->srs.rewrite != SRS_REWRITE_NEVER;
}

static bool needs(const struct script_set *set, struct smtpsvr_needs *n)
{
	const struct config *c = script_set_config(set);
	bool hooks = mxout_sender_wanted(set), wanted = hooks || signs(c) || rewrites(c);

	if (wanted)
		n->sender_changes = true;
	if (hooks) /* they are counted, not kept */
		n->headers = n->body = true;
	return wanted;
}

/* ---- what is computed ---- */

/* Whoever may send in our name: strangers must not get our signature for what they forge. */
static bool is_trusted(const struct mail *m)
{
	return m->local_client || m->local_submission || m->auth_user[0] != '\0';
}

static void replace(char **address, char *by)
{
	free(*address);
	*address = by;
}

/* One of the two schemes, or none. */
static void put_tag(struct mail *m, bool remote, bool use_batv, char **address)
{
	const struct config *c = m->config;
	const char *why = NULL;
	char *made = NULL;

	if (remote && use_batv && is_trusted(m) && signs(c) && return_path_is_ours(c, *address))
		return_path_do(c, RETURN_PATH_BATV_SIGN, *address, &made, &why);
	else if (rewrites(c) && (remote || c->srs.rewrite == SRS_REWRITE_ALWAYS) &&
		 !return_path_is_kept(c, *address))
		return_path_do(c, RETURN_PATH_SRS_FORWARD, *address, &made, &why);
	if (made != NULL)
		replace(address, made);
	else if (why != NULL)
		log_info(m->id, "return path <%.200s> stays: %s", *address, why);
}

/* False: a script failed and lua.on_error wants the message refused. */
static bool compute(struct mail *m, struct mxout_sender *mxout, char **address)
{
	struct mxout_details d = {
	    .use_batv = m->relay != NULL ? m->relay_batv : m->config->batv.sign};
	bool remote = mxout->remote.n > 0;
	bool fine = !remote || m->relay != NULL || mxout_sender_details(mxout, &d);

	if (fine && d.modify && d.default_address != NULL && d.default_address[0] != '\0')
		replace(address, xstrdup(d.default_address));
	if (fine)
		put_tag(m, remote, d.use_batv, address);
	free(d.default_address);
	return fine;
}

/* ---- the stage ---- */

static void change(struct mail *m, const char *address)
{
	const char *why;
	char *parameters =
	    m->verdict->sender_parameters != NULL ? xstrdup(m->verdict->sender_parameters) : NULL;

	if (strcmp(address, mail_sender(m)) == 0)
		;
	else if (!verdict_sender(m->verdict, address, parameters, &why))
		log_warn(m->id, "return path <%.200s> not used: %s", address, why);
	else
		log_info(m->id, "return path <%.200s> for <%.200s>", address,
		    message_sender(m->message)->address);
	free(parameters);
}

static void decide(struct mail *m, struct mxout_sender *mxout)
{
	char *address = xstrdup(mail_sender(m));
	bool fine = compute(m, mxout, &address);

	if (fine && mxout->remote.n > 0 && m->relay == NULL)
		fine = mxout_sender_modify(mxout, &address);
	if (fine)
		change(m, address);
	else
		mail_script_failed(m);
	free(address);
}

static void apply(struct mail *m)
{
	struct mxout_sender mxout = {.mail = m};

	if (mail_sender(m)[0] == '\0')
		return;
	mail_recipients(m, &mxout.all);
	for (size_t i = 0; i < mxout.all.n; i++)
		if (mail_goes_out(m, mxout.all.v[i]))
			strlist_add(&mxout.remote, mxout.all.v[i]);
	if (mxout.remote.n > 0 || m->config->srs.rewrite == SRS_REWRITE_ALWAYS)
		decide(m, &mxout);
	strlist_clear(&mxout.all);
	strlist_clear(&mxout.remote);
}

const struct mail_stage mail_return_path = {"return path", needs, apply};
