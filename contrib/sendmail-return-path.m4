dnl For sendmail.mc, before the MAILER lines: bounces to signed (BATV) and rewritten (SRS) return paths
dnl find their way back. doc/return-path.md says what else they need. mailhooks-policy answers the map
dnl srs for recipients of this host (class w); while it is not running, their mail waits. A recipient
dnl whose tag is not valid stays as it is.
LOCAL_CONFIG
Ksrs socket -f local:/run/mailhooks/socketmap.sock
LOCAL_RULE_0
R$+ < @ $=w . >		$: $>MailhooksReturn $1 < @ $2 . >
LOCAL_RULESETS
SMailhooksReturn
R$+ < @ $+ . >		$: < $( srs $1@$2 $: ! $) > $1 < @ $2 . >
R< ! > $*		$@ $1
R< $+ > $*		$@ $>canonify $1
divert(0)dnl
