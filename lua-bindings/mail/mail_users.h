/* mail_users.h - private to lua-bindings/: what the stages for users share (user_redirect.lua and
 * delivery.lua). */
#pragma once

#include "common/users.h"
#include "lua-bindings/mail/mail.h"

#include <lua.h>

#include <stdbool.h>

/* users_settings() while the sender waits: bounded by LIMIT_USERS_STORE_MS and by how many may wait
 * at once. */
enum users_answer mail_user_settings(const struct mail *, const char *user, struct strlist *pairs);

/* An address as it can stand in the envelope: a bare name of a user, or of an alias, gets a domain,
 * his own or that of the recipient. malloc'ed. */
char *mail_qualified(struct mail *, const char *target, const char *recipient);
/* The same, checked: false when it cannot be a recipient, which is logged; else *address is
 * malloc'ed. */
bool mail_target(
    struct mail *, const char *target, const char *recipient, const char *user, char **address);

/* Is the address the user's own? */
bool mail_is_own(const struct mail *, const char *address, const char *user);

/* Has this message been forwarded for the user before? */
bool mail_was_forwarded(struct mail *, const char *user);
/* It is forwarded for him now: mark it. */
void mail_mark_forwarded(struct mail *, const char *user);

/* The score that a filter left in users.spam_field; false: none. */
bool mail_spam_score(const struct mail *, double *score);

/* Push header fields: name -> value, the last one wins; lines as they stand in the message; list of
 * {name, value}. */
void l_push_header_table(lua_State *L, const struct message *);
void l_push_header_lines(lua_State *L, const struct message *);
void l_push_header_pairs(lua_State *L, const struct message *);
