/* maillog_mta.h - the grammars of the two MTAs, for maillog.c. Pure. */
#pragma once

#include "common/maillog.h"

/* Read what follows "program[pid]: ". service is the last part of Postfix's program name. False:
 * the line says nothing about sending. */
bool maillog_postfix(
    struct maillog_line *, struct maillog_text service, struct maillog_text message);
bool maillog_sendmail(struct maillog_line *, struct maillog_text message);
