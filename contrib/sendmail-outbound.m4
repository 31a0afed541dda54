dnl For sendmail.mc, before the MAILER lines: mxserverrules.lua decides where mail goes;
dnl doc/hooks-outbound.md says what works. mailhooks-policy is asked for each recipient on another
dnl host, when the mail comes in and in every queue run. While it is not running, mail waits in the
dnl queue. Rules of your own that must win go in front of this file.
LOCAL_CONFIG
Klocal_rule socket -f local:/run/mailhooks/socketmap.sock
LOCAL_RULE_0
R$* < @ $+ > $*		$: $>MailhooksRoute $1 < @ $2 > $3
R< $+ > $* < @ $+ > $*	$#esmtp $@ $1 $: $2 < @ $3 > $4
LOCAL_RULESETS
SMailhooksRoute
R$* < @ $=w > $*	$@ $1 < @ $2 > $3
R$* < @ $=w . > $*	$@ $1 < @ $2 . > $3
R$*			$: < ? $&{addr_type} > $1
R< ? e r > $* < @ $+ > $*	$: < $( local_rule $&i | $&{ntries} | $&f | $1@$2 $: ! $) > $1 < @ $2 > $3
R< ? $* > $*		$@ $2
R< ! > $*		$@ $1
divert(0)dnl
