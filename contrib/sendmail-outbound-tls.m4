dnl For sendmail.mc, AFTER the MAILER lines: ServerDetails() of mxout.lua decides about TLS with each
dnl mail server; doc/hooks-outbound.md says what works. What FEATURE(access_db) says about TLS counts
dnl besides. sha1 is what VPOP3's thumbprints are; see outbound.fingerprint_digest.
dnl A server that does not satisfy is left for the next one; with none left the mail waits.
LOCAL_CONFIG
Kserver_tls socket -f -T<TMPF> local:/run/mailhooks/socketmap.sock
C{MailhooksTls}OK TRUSTED NO NOT FAIL
C{MailhooksVerified}OK TRUSTED
O SetCertAltnames=true
O CertFingerprintAlgorithm=sha1
LOCAL_TRY_TLS
R$*			$: < $( server_tls try_tls:$&{server_name} | $&u $: OK $) >
R< NO >			$#error $@ 5.7.1 $: "550 no TLS with this server"
LOCAL_TLS_SERVER
R$*			$: $>MailhooksDemand $&u
LOCAL_TLS_RCPT
R$*			$: $>MailhooksDemand $1
LOCAL_RULESETS
SMailhooksDemand
R$*			$: $&{verify} $| < $( server_tls tls_srv:$&{server_name} | $1 $: OK $) >
R$* $| < OK >		$@ OK
R$={MailhooksTls} $| < ENCR >	$@ OK
R$={MailhooksTls} $| < FP:$&{cert_fp} >	$@ OK
R$={MailhooksVerified} $| < VERIFY:$={cert_altnames} >	$@ OK
R$={MailhooksVerified} $| < VERIFY:$-.$+ >	$: $1 $| < VERIFY:*.$3 >
R$={MailhooksVerified} $| < VERIFY:$={cert_altnames} >	$@ OK
R$* $| < $* <TMPF> >	$#error $@ 4.7.0 $: "451 no answer about TLS with this server"
R$* $| $*		$#error $@ 4.7.5 $: "451 TLS with this server is not what is demanded: " $1 " " $2
divert(0)dnl
