dnl For sendmail.mc, before the MAILER lines: attaches mailhooks-milter. Then build sendmail.cf
dnl (on Debian: sendmailconfig) and restart Sendmail.
dnl
dnl F=T: while mailhooks is not running clients are told to try again; F=R refuses, without F= mail
dnl passes unchecked. T=: C to connect, S and R to send and receive, E for the end of a message; R and
dnl E must be longer than lua.command_ms.
INPUT_MAIL_FILTER(`mailhooks', `S=unix:/run/mailhooks/milter.sock, F=T, T=C:10s;S:30s;R:30s;E:5m')dnl
