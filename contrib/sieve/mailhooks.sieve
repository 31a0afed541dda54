# mailhooks.sieve - file mail as delivery.lua said (doc/hooks-routing.md).
#
# The fields are from mailhooks: it removes those that come with mail. Make this script run for every
# user, with Dovecot:
#
#     plugin { sieve_before = /etc/dovecot/sieve/mailhooks.sieve }

require ["fileinto", "imap4flags", "variables", "mailbox", "copy"];

if header :matches "X-Mailhooks-Flags" "*" {
    addflag "${1}";
}

# Held: kept apart until the user has looked at it.
if header :is "X-Mailhooks-Held" "yes" {
    fileinto :create "Held";
    stop;
}

# One copy in each folder; with none of these fields the message goes to the inbox.
if header :matches "X-Mailhooks-Folder-2" "*" {
    fileinto :copy :create "${1}";
}
if header :matches "X-Mailhooks-Folder-3" "*" {
    fileinto :copy :create "${1}";
}
if header :matches "X-Mailhooks-Folder" "*" {
    fileinto :create "${1}";
}
