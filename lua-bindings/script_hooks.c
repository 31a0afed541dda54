/* script_hooks.c - the hooks of every script: how mailhooks calls them and what it understands.
 *
 * Names and order of arguments are VPOP3's; where its documents are silent they are our reading,
 * which the hook references mark. `mailhooks check` compares scripts with this table and calls each
 * hook with the sample arguments, tests/check-hooks compares the references with it. */
#include "lua-bindings/script_set_private.h"

#define NO_MORE   \
	{         \
		0 \
	}

const struct script_hook smtpsvr_script_hooks[] = {
    {"LoadLimits", "", "", ""},
    {"Start", "", "greeting: reply", ""},
    {"RBLResults", "", "greeting: reply", ""},
    {"GetMaxMessageSize", "hostname: string, current: number", "bytes: number",
	"'mail.example.com', 0"},
    {"GetEHLOCapabilities", "hostname: string, capabilities: string", "capabilities: string",
	"'mail.example.com', 'PIPELINING\\r\\n8BITMIME'"},
    {"DoHELO", "hostname: string, bRefuse: boolean, bEHLO: boolean",
	"bRefuse: boolean, response: reply", "'mail.example.com', false, true"},
    {"DoHELP", "text: string", "text: string", "''"},
    {"DoQUIT", "", "response: reply", ""},
    {"DoNOOP", "", "response: reply", ""},
    {"DoRSET", "", "response: reply", ""},
    {"DoVRFY", "line: string", "response: reply", "'ann'"},
    {"DoEXPN", "line: string", "response: reply", "'staff'"},
    {"DoMAILFROM", "data: string, mailfrom: string, parameters: table",
	"response: reply, parameters: table",
	"'<sender@example.com> SIZE=1000', 'sender@example.com', {SIZE = '1000'}"},
    {"DoRCPTTO", "data: string, recipient: string, parameters: table, recipients: list",
	"response: reply, parameters: table",
	"'<ann@example.net>', 'ann@example.net', {}, {'joe@example.net'}"},
    {"DoDATAStart", "recipients: list", "response: reply, lines: list", "{'ann@example.net'}"},
    {"DoUnrecognised", "line: string", "response: reply", "'XYZZY'"},
    {"StartMessage", "", "", ""},
    {"MessageLineRaw", "line: string", "", "'Subject: sample'"},
    {"MessageLine", "line: string", "", "'Subject: sample'"},
    {"EndMessage", "", "", ""},
    {"CheckRecipients", "", "response: reply", ""},
    {"ProcessMessage",
	"mailfrom: string, subject: string, recipients: list, actions: table, mime: table, "
	"size: number, attachments: list",
	"actions: table, result: string",
	"'sender@example.com', 'sample', {'ann@example.net'}, {SendToOriginalRecipients = true, "
	"Delete = false, Ignore = false, Reason = '', Recipients = {}, HeaderModifiers = {}}, "
	"{{Path = '1', ContentType = 'text', ContentSubtype = 'plain', ContentTypeFilename = '', "
	"ContentDisposition = '', ContentDispositionFilename = '', Start = 40, End = 1000, "
	"BodyStart = 80, Charset = 'utf-8', ContentTransferEncoding = '7bit', Flags = {}}}, 1000, "
	"{}"},
    {"MonitorBcc", "", "", ""},
    {"LogRecipients", "", "", ""},
    {"LogRecipientsBlocked", "", "", ""},
    {"End", "", "", ""},
    NO_MORE,
};

#define RULE_ARGUMENTS                                                              \
	"checkdata: table, size: number, position: number, headermodifiers: list, " \
	"rulename: string"
#define RULE_RESULTS                                                                         \
	"action: string, rule: number, name: string, extra: string, headermodifiers: list, " \
	"block: boolean, disconnect: boolean, hold: boolean, temporary: boolean, keywords: any"
#define RULE_SAMPLE                                                                          \
	"{MailFrom = 'sender@example.com', ClientIPAddress = '192.0.2.1', AuthUser = '', "   \
	"HeaderFrom = '', HeaderFromTextName = '', Subject = '', Header = '', Recipients = " \
	"{'ann@example.net'}, BccRecipients = {}}, 1000, 2, {}, ''"

const struct script_hook smtprules_script_hooks[] = {
    {"First", RULE_ARGUMENTS, RULE_RESULTS, RULE_SAMPLE},
    {"Start", RULE_ARGUMENTS, RULE_RESULTS, RULE_SAMPLE},
    {"Policy", "request: table", "action: string",
	"{request = 'smtpd_access_policy', state = 'RCPT', protocol_state = 'RCPT', "
	"protocol_name = 'ESMTP', client_address = '192.0.2.1', client_name = 'mail.example.com', "
	"helo_name = 'mail.example.com', sender = 'sender@example.com', recipient = "
	"'ann@example.net', size = '1000', queue_id = '', sasl_username = '', sasl_method = '', "
	"encryption_protocol = '', policy_context = '', instance = '1.2'}"},
    {"Last", RULE_ARGUMENTS, RULE_RESULTS, RULE_SAMPLE},
    NO_MORE,
};

#define DOMAIN_ARGUMENTS "domain: string, numRetries: number, messageSize: number"
#define DOMAIN_SAMPLE "'example.com', 0, 1000"

const struct script_hook mxserverrules_script_hooks[] = {
    {"GetCheckCache", DOMAIN_ARGUMENTS, "cache: boolean", DOMAIN_SAMPLE},
    {"GetOverrides", DOMAIN_ARGUMENTS, "servers: table, continue: boolean", DOMAIN_SAMPLE},
    {"CheckServer",
	"domain: string, mxserver: string, numRetries: number, messageSize: number, "
	"defaultResult: boolean",
	"usable: boolean, minutes: number", "'example.com', 'mx1.example.com', 0, 1000, true"},
    {"FinalOverrides", "domain: string, servers: list, numRetries: number, messageSize: number",
	"servers: table", "'example.com', {{server = 'mx1.example.com', priority = 10}}, 0, 1000"},
    NO_MORE,
};

#define QUEUED_HEADER                                                                      \
	"{From = 'sender@example.net', Subject = 'sample'}, {'From: sender@example.net', " \
	"'Subject: sample'}"
#define REPLY_ARGUMENTS "LastCommand: string, FullResponse: string, LastLine: string"
#define REPLY_SAMPLE \
	"'RCPT TO:<ann@example.com>', '450 4.2.0 try again later', '450 4.2.0 try again later'"

const struct script_hook mxout_script_hooks[] = {
    {"CheckFile",
	"Filename: string, Actions: table, Size: number, CreationTime: string, Retries: number, "
	"LastTryTime: string, ReturnPath: string, Recipients: list, HeaderData: table, "
	"HeaderLines: list",
	"Actions: table",
	"'4B1C2D3E4F', {SkipSend = false, ForceLastTry = false, ForceRetry = false, Priority = "
	"50, Reason = ''}, 1000, '20240101120000', 0, '', 'sender@example.net', "
	"{'ann@example.com'}, " QUEUED_HEADER},
    {"ServerDetails", "Parameters: table, HeaderLines: list, Actions: table", "Actions: table",
	"{authsender = '', originator = 'sender@example.net', server = 'mx1.example.com', domain "
	"= 'example.com', length = 1000, connnid = 1, connid = 1, connectionid = 1, connection = "
	"''}, {'From: sender@example.net', 'Subject: sample'}, {tryESMTP = true, tryTLS = true, "
	"HELOname = 'mail.example.net', useBATV = false, timeouts = {}, returnAddressModifier = "
	"false, defaultReturnAddress = '', nullReturnAddress = '', allowDSN = true, forceTLS = 0, "
	"verifyCert = 0, checkCertName = '', checkCertThumbprint = ''}"},
    {"ModifyReturnPath",
	"ComputedMailFrom: string, MailFrom: string, OriginalMailFrom: string, AuthSender: "
	"string, Recipients: list, CreationTime: string, Headers: list, Size: number, "
	"SenderIPAddress: string, Subject: string, AllRecipients: list",
	"address: string",
	"'sender@example.net', 'sender@example.net', 'sender@example.net', '', "
	"{'ann@example.com'}, '20240101120000', {'From: sender@example.net', 'Subject: sample'}, "
	"1000, '192.0.2.1', 'sample', {'ann@example.com'}"},
    {"ReturnCodeHandler", REPLY_ARGUMENTS, "response: reply", REPLY_SAMPLE},
    NO_MORE,
};

const struct script_hook relayout_script_hooks[] = {
    {"Start", "", "", ""},
    {"ServerConnected", "", "", ""},
    {"CheckFile",
	"Filename: string, Actions: table, Size: number, CreationTime: string, ReturnPath: "
	"string, Recipients: list, HeaderData: table, HeaderLines: list",
	"Actions: table",
	"'4B1C2D3E4F', {SkipSend = false, ForceLastTry = false, ForceRetry = false, Priority = "
	"50, Reason = ''}, 1000, '20240101120000', 'sender@example.net', "
	"{'ann@example.com'}, " QUEUED_HEADER},
    {"ReturnCodeHandler", REPLY_ARGUMENTS, "response: reply", REPLY_SAMPLE},
    NO_MORE,
};

const struct script_hook user_redirect_script_hooks[] = {
    {"MainDoRouting", "user: string", "", "'ann'"},
    {"DoRouting", "user: string", "", "'ann'"},
    {"MainGetSettings", "", "settings: any", ""},
    {"MailGetSettings", "", "settings: any", ""},
    NO_MORE,
};

const struct script_hook delivery_script_hooks[] = {
    {"PreDeliver", "", "", ""},
    {"DeliverMessage", "", "", ""},
    NO_MORE,
};

#define SIGNATURE_ARGUMENTS                                                                   \
	"Format: string, AuthenticatedSender: string, SenderEmail: string, Subject: string, " \
	"LDAPAttributes: table"
#define SIGNATURE_SAMPLE "'PLAIN', 'ann', 'ann@example.net', 'sample', {}"

const struct script_hook signature_script_hooks[] = {
    {"GetSignature", SIGNATURE_ARGUMENTS, "signature: string", SIGNATURE_SAMPLE},
    {"GetInternalSignature", SIGNATURE_ARGUMENTS, "signature: string", SIGNATURE_SAMPLE},
    NO_MORE,
};

const struct script_hook errors_script_hooks[] = {
    {"ProcessMessage3",
	"component: number, id: number, type: number, severity: number, error: string, "
	"connect_error: boolean, title_id: number, title: string, template_id: number, message: "
	"string, target: string, sender: string",
	"title: string, message: string, target: string, sender: string, force: boolean",
	"1, 1, 1, 1, '550 5.1.1 no such user', false, 1, 'Mail could not be sent', 1, 'sample', "
	"'postmaster@example.net', 'Mailer_Daemon@example.net'"},
    {"ProcessError",
	"itemid: number, errortext: string, connectionerror: boolean, subjectid: number, subject: "
	"string, formatid: number, format: string, parameters: list, target: string, sender: "
	"string",
	"subject: string, format: string, target: string, sender: string, force: boolean",
	"1, '550 5.1.1 no such user', false, 1, 'Mail could not be sent', 1, 'Mail to %1: %2', "
	"{'ann@example.com', 'no such user'}, 'postmaster@example.net', "
	"'Mailer_Daemon@example.net'"},
    NO_MORE,
};

const struct script_hook passwordcheck_script_hooks[] = {
    {"Check", "username: string, password: string, minlength: number",
	"allowed: boolean, message: string", "'ann', 'correct horse battery staple', 8"},
    NO_MORE,
};
