"""The test rig: a mail network on one machine, made of real programs.

machine   where things live, waiting, processes, running things in parallel
smtp      an SMTP client that shows every byte of the dialogue
sink      the receiving mail servers of the world; stores what arrives, byte by byte
dns       a real name server whose zones a test can change
syslog    the receiver behind /dev/log
mta       what Postfix and Sendmail have in common for a test
postfix   a private Postfix
sendmail  a private Sendmail
milter    mailhooks-milter under test
policy    mailhooks-policy under test, and clients of its protocols

Everything runs inside tests/integration/enter, which takes it all down at the end.
"""
