/* config_schema.c - the table of all settings, and what their texts must look like.
 *
 * A setting is one line here, one field in config.h, one line in contrib/mailhooks.conf and one
 * paragraph in man/mailhooks.conf.5; tests/unit/test_config.c compares them. Longer than other
 * files, because one table in one place is the point. */
#include "common/batv.h"
#include "common/config/config_private.h"
#include "common/limits.h"
#include "common/srs.h"
#include "common/store/redis_url.h"

#include <ctype.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <syslog.h>

/* ---- words ---- */

static const struct setting_word target_words[] = {
    {"syslog", LOG_TO_SYSLOG}, {"stderr", LOG_TO_STDERR}, {NULL, 0}};

static const struct setting_word format_words[] = {
    {"text", LOG_AS_TEXT}, {"json", LOG_AS_JSON}, {NULL, 0}};

static const struct setting_word level_words[] = {{"bug", LOG_LVL_BUG}, {"error", LOG_LVL_ERROR},
    {"warn", LOG_LVL_WARN}, {"info", LOG_LVL_INFO}, {"debug", LOG_LVL_DEBUG}, {NULL, 0}};

static const struct setting_word facility_words[] = {{"mail", LOG_MAIL}, {"daemon", LOG_DAEMON},
    {"user", LOG_USER}, {"auth", LOG_AUTH}, {"authpriv", LOG_AUTHPRIV}, {"local0", LOG_LOCAL0},
    {"local1", LOG_LOCAL1}, {"local2", LOG_LOCAL2}, {"local3", LOG_LOCAL3}, {"local4", LOG_LOCAL4},
    {"local5", LOG_LOCAL5}, {"local6", LOG_LOCAL6}, {"local7", LOG_LOCAL7}, {NULL, 0}};

static const struct setting_word on_error_words[] = {{"accept", ON_ERROR_ACCEPT},
    {"tempfail", ON_ERROR_TEMPFAIL}, {"reject", ON_ERROR_REJECT}, {NULL, 0}};

static const struct setting_word compat_words[] = {
    {"auto", COMPAT_AUTO}, {"5.0", COMPAT_50}, {"5.2", COMPAT_52}, {"5.4", COMPAT_54}, {NULL, 0}};

static const struct setting_word digest_words[] = {{"sha1", 20}, {"sha256", 32}, {NULL, 0}};

static const struct setting_word tls_words[] = {{"none", SENDER_TLS_NONE}, {"may", SENDER_TLS_MAY},
    {"encrypt", SENDER_TLS_ENCRYPT}, {"wrapped", SENDER_TLS_WRAPPED}, {NULL, 0}};

static const struct setting_word action_words[] = {{"header", RBL_ACTION_HEADER},
    {"reject", RBL_ACTION_REJECT}, {"discard", RBL_ACTION_DISCARD},
    {"redirect", RBL_ACTION_REDIRECT}, {NULL, 0}};

static const struct setting_word bounces_words[] = {{"accept", BATV_BOUNCES_ACCEPT},
    {"forged", BATV_BOUNCES_FORGED}, {"untagged", BATV_BOUNCES_UNTAGGED}, {NULL, 0}};

static const struct setting_word rewrite_words[] = {{"never", SRS_REWRITE_NEVER},
    {"forwarded", SRS_REWRITE_FORWARDED}, {"always", SRS_REWRITE_ALWAYS}, {NULL, 0}};

static const struct setting_word agent_words[] = {
    {"none", AGENT_NONE}, {"postfix", AGENT_POSTFIX}, {"sendmail", AGENT_SENDMAIL}, {NULL, 0}};

static const struct setting_word separator_words[] = {
    {"=", '='}, {"+", '+'}, {"-", '-'}, {NULL, 0}};

/* ---- checks of texts: NULL when fine, else what is wanted ---- */

static const char *check_store(const char *s)
{
	static _Thread_local char why[200];
	struct redis_url url;
	bool fine;

	if (strncmp(s, "sqlite:", 7) == 0)
		return s[7] == '/' ? NULL : "sqlite:/absolute/path is wanted";
	fine = redis_url_parse(&url, s, why, sizeof why) == 0;
	redis_url_clear(&url);
	return fine ? NULL : why;
}

static const char *check_account(const char *s)
{
	if (s[strcspn(s, " :/")] != '\0')
		return "the name of a user or group is wanted, or \"\" to change nothing";
	return NULL;
}

static bool is_port(const char *s, size_t n)
{
	long port = 0;

	if (n == 0 || n > 5 || strspn(s, "0123456789") < n)
		return false;
	port = strtol(s, NULL, 10);
	return port >= 1 && port <= 65535;
}

static bool is_host(const char *s)
{
	size_t n = strlen(s);

	return n > 0 && n <= LIMIT_DNS_NAME_BYTES && s[0] != '.' && s[0] != '-' &&
	       strstr(s, "..") == NULL &&
	       strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") == n;
}

/* What libmilter's smfi_setconn() takes, spelt in one way. */
static const char *check_listen(const char *s)
{
	static const char unix_prefix[] = "unix:/";
	struct sockaddr_un address;
	struct ip_address ip;
	const char *port, *host;

	if (strncmp(s, unix_prefix, sizeof unix_prefix - 1) == 0) {
		if (strlen(s) - strlen("unix:") >= sizeof address.sun_path)
			return "a shorter path is wanted: the system takes 107 bytes for a socket";
		return s[sizeof unix_prefix - 1] != '\0' ? NULL
							 : "unix:/path/of/the/socket is wanted";
	}
	if (strncmp(s, "inet:", 5) == 0 || strncmp(s, "inet6:", 6) == 0) {
		port = strchr(s, ':') + 1;
		host = strchrnul(port, '@');
		if (is_port(port, (size_t)(host - port)) && *host == '@' &&
		    (is_host(host + 1) || ip_address_parse(&ip, host + 1)))
			return NULL;
	}
	return "unix:/path, inet:port@host or inet6:port@host is wanted";
}

static const char *check_reply(const char *s)
{
	if ((s[0] == '4' || s[0] == '5') && isdigit((unsigned char)s[1]) &&
	    isdigit((unsigned char)s[2]) && (s[3] == ' ' || s[3] == '\0'))
		return NULL;
	return "a reply that begins with a code from 400 to 599 is wanted, such as "
	       "\"550 5.7.1 Refused\"";
}

static const char *check_header(const char *s)
{
	size_t n = strcspn(s, ":");

	for (size_t i = 0; i < n; i++)
		if (!isgraph((unsigned char)s[i]))
			n = 0;
	if (s[0] == '\0' || (n > 0 && s[n] == ':' && s[n + 1] == ' '))
		return NULL;
	return "a header line such as \"X-RBL-Warning: text\" is wanted, or \"\" for none";
}

static const char *check_redirect(const char *s)
{
	const char *at = strrchr(s, '@');

	if (s[0] == '\0' ||
	    (at != NULL && at != s && is_host(at + 1) && s[strcspn(s, " <>,")] == '\0'))
		return NULL;
	return "an address such as user@example.com is wanted, or \"\"";
}

static const char *check_zone(const char *s)
{
	/* In front of the zone comes an address; an IPv6 one takes 64 characters. */
	return is_host(s) && strlen(s) <= LIMIT_DNS_NAME_BYTES - 64
		   ? NULL
		   : "the domain of a DNS block list is wanted";
}

static const char *check_domain(const char *s)
{
	return s[0] == '\0' || is_host(s) ? NULL : "a domain is wanted, or \"\" for none";
}

static const char *check_domains(const char *s)
{
	return is_host(s + (s[0] == '.')) ? NULL
					  : "a domain is wanted: \"example.com\", or "
					    "\".example.com\" for what is below it";
}

static const char *check_source(const char *s)
{
	if (*s == '\0' || strcmp(s, "journal") == 0 || strncmp(s, "journal:/", 9) == 0 ||
	    (strncmp(s, "file:/", 6) == 0 && s[6] != '\0'))
		return NULL;
	return "file:/absolute/path, journal, journal:/directory, or \"\" for none is wanted";
}

static const char *check_directory(const char *s)
{
	return *s == '/' ? NULL : "must be the absolute path of a directory";
}

static const char *check_keyword(const char *s)
{
	size_t n = strlen(s);

	if (n > 0 && n <= 64 &&
	    strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-") == n)
		return NULL;
	return "a keyword of the EHLO reply such as STARTTLS is wanted";
}

static const char *check_local_domain(const char *s)
{
	return is_host(s) ? NULL : "a domain such as example.com is wanted";
}

static const char *check_users(const char *s)
{
	if (s[0] == '\0' || strcmp(s, "system") == 0 || strcmp(s, "store") == 0)
		return NULL;
	return strncmp(s, "file:/", 6) == 0 && s[6] != '\0'
		   ? NULL
		   : "system, store, file:/absolute/path or \"\" is wanted";
}

static const char *check_delimiter(const char *s)
{
	return s[0] == '\0' || (ispunct((unsigned char)s[0]) && s[0] != '@' && s[1] == '\0')
		   ? NULL
		   : "one character such as + is wanted, or \"\" for none";
}

static const char *check_field_name(const char *s)
{
	for (const char *p = s; *p != '\0'; p++)
		if (!isgraph((unsigned char)*p) || *p == ':')
			return "the name of a header field such as X-Spam-Score is wanted, or \"\"";
	return NULL;
}

static const char *check_own_name(const char *s)
{
	struct ip_address ip;

	return is_host(s) || ip_address_parse(&ip, s) ? NULL
						      : "a host name or an IP address is wanted";
}

static const char *check_transport(const char *s)
{
	if (s[0] != '\0' && s[strcspn(s, " :[],/")] == '\0')
		return NULL;
	return "the name of a service of master.cf such as \"smtp\" is wanted";
}

static const char *check_optional_transport(const char *s)
{
	return s[0] == '\0' ? NULL : check_transport(s);
}

static const char *check_optional_host(const char *s)
{
	return s[0] == '\0' || is_host(s) ? NULL : "a host name is wanted, or \"\"";
}

/* [host], [host]:port, [address]:port; without brackets Postfix looks for MX records. */
static const char *check_relay(const char *s)
{
	static const char wanted[] =
	    "[host], [host]:port or [IP address]:port is wanted, or \"\" "
	    "for none; without the brackets the host's MX records are used";
	bool bracket = s[0] == '[';
	const char *end = strchrnul(s, bracket ? ']' : ':'),
		   *port = end + (bracket && *end != '\0');
	char host[LIMIT_DNS_NAME_BYTES + 1];
	struct ip_address ip;
	size_t n = (size_t)(end - s) - bracket;

	if (s[0] == '\0')
		return NULL;
	if (n >= sizeof host || (bracket && *end == '\0'))
		return wanted;
	memcpy(host, s + bracket, n);
	host[n] = '\0';
	if (!is_host(host) && !(bracket && ip_address_parse(&ip, host)))
		return wanted;
	return *port == '\0' || (*port == ':' && is_port(port + 1, strlen(port + 1))) ? NULL
										      : wanted;
}

static const char *check_filled(const char *s)
{
	return s[0] != '\0' ? NULL : "something is wanted between the quotes";
}

/* 192.0.2.1, 192.0.2.1:53, 2001:db8::1, [2001:db8::1], [2001:db8::1]:53 */
static const char *check_server(const char *s)
{
	static const char wanted[] = "the IP address of a DNS server is wanted: 192.0.2.1, "
				     "192.0.2.1:53, 2001:db8::1 or [2001:db8::1]:53";
	char host[INET6_ADDRSTRLEN];
	struct ip_address ip;
	bool bracket = s[0] == '[';
	const char *end, *port;

	if (!bracket && ip_address_parse(&ip, s))
		return NULL;
	s += bracket;
	end = strchrnul(s, bracket ? ']' : ':');
	if ((size_t)(end - s) >= sizeof host || *end == '\0')
		return wanted;
	memcpy(host, s, (size_t)(end - s));
	host[end - s] = '\0';
	port = end + bracket;
	if (!ip_address_parse(&ip, host) || (*port == '\0' && !bracket))
		return wanted;
	return *port == '\0' || (*port == ':' && is_port(port + 1, strlen(port + 1))) ? NULL
										      : wanted;
}

const char *config_check_title(const char *s)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (iscntrl((unsigned char)s[i]) || s[i] == '=')
			return "its name must not contain control characters or =";
	if (n == 0 || n > LIMIT_CONFIG_TITLE_BYTES)
		return "a name of 1 to 64 bytes is wanted";
	return NULL;
}

/* ---- the settings ---- */

#define AT(field) .offset = offsetof(struct config, field)
#define OF(field) .offset = offsetof(struct service_config, field)
#define OF_SCRIPT(field) .offset = offsetof(struct script_config, field)
#define OF_SENDER(field) .offset = offsetof(struct sender_config, field)
#define OF_PROFILE(field) .offset = offsetof(struct profile_config, field)
#define RANGE(from, to) .least = (from), .most = (to)

#define MTA_WAITS "an MTA gives up on a filter after 30 seconds"

static const char zero_or_more[] = "0 means no limit of ours";
static const char postfix_own[] = "0 means Postfix's own";

const struct setting config_settings[] = {
    {"", "scripts", SETTING_PATH, AT(scripts), .preset = "/etc/mailhooks/scripts"},
    {"", "store", SETTING_TEXT, AT(store), .preset = "sqlite:/var/lib/mailhooks/store.db",
	.check = check_store},
    {"", "user", SETTING_TEXT, AT(user), .preset = "mailhooks", .check = check_account},
    {"", "group", SETTING_TEXT, AT(group), .preset = "mailhooks", .check = check_account},
    {"", "state_dir", SETTING_PATH, AT(state_dir), .preset = "/var/lib/mailhooks"},
    {"", "local_domains", SETTING_LIST, AT(local_domains), .preset = "{}",
	.check = check_local_domain},

    {"log", "target", SETTING_WORD, AT(log.target), .preset = "syslog", .words = target_words},
    {"log", "format", SETTING_WORD, AT(log.format), .preset = "text", .words = format_words},
    {"log", "level", SETTING_WORD, AT(log.level), .preset = "info", .words = level_words},
    {"log", "facility", SETTING_WORD, AT(log.facility), .preset = "mail", .words = facility_words},

    {"lua", "hook_ms", SETTING_INT, AT(lua.hook_ms), .preset = "5000", RANGE(1, 28000),
	.reason = MTA_WAITS},
    {"lua", "command_ms", SETTING_INT, AT(lua.command_ms), .preset = "10000", RANGE(1, 28000),
	.reason = MTA_WAITS},
    {"lua", "instructions", SETTING_INT64, AT(lua.instructions), .preset = "50000000",
	RANGE(1, 1000000000000),
	.reason = "a hook without a bound could hold a processor for ever"},
    {"lua", "memory_kb", SETTING_SIZE, AT(lua.memory_bytes), .preset = "32768", RANGE(256, 4194304),
	.scale = 1024,
	.reason = "the libraries alone take some 100 KiB, and every session has an instance"},
    {"lua", "total_mb", SETTING_SIZE, AT(lua.total_bytes), .preset = "1024", RANGE(1, 1048576),
	.scale = 1048576,
	.reason =
	    "all instances of a process together; without a bound greedy scripts take the machine"},
    {"lua", "idle_instances", SETTING_INT, AT(lua.idle_instances), .preset = "64", RANGE(0, 10000),
	.reason = "each keeps some 100 KiB"},
    {"lua", "on_error", SETTING_WORD, AT(lua.on_error), .preset = "accept",
	.words = on_error_words},
    {"lua", "compat", SETTING_WORD, AT(lua.compat), .preset = "auto", .words = compat_words},
    {"lua", "out", SETTING_PATH, AT(lua.out), .preset = "/var/log/mailhooks/LUA.OUT",
	.optional = true},
    {"lua", "errors", SETTING_PATH, AT(lua.errors), .preset = "/var/log/mailhooks/LUAERRORS.LOG",
	.optional = true},
    {"lua", "attachment_dirs", SETTING_LIST, AT(lua.attachment_dirs), .preset = "{}",
	.check = check_directory},

    {"milter", "listen", SETTING_LIST, AT(milter.listen),
	.preset = "{\"unix:/run/mailhooks/milter.sock\"}", .check = check_listen},
    {"milter", "socket_owner", SETTING_TEXT, AT(milter.socket_owner), .preset = "",
	.check = check_account},
    {"milter", "socket_group", SETTING_TEXT, AT(milter.socket_group), .preset = "",
	.check = check_account},
    {"milter", "socket_mode", SETTING_MODE, AT(milter.socket_mode), .preset = "0660",
	RANGE(0, 0777)},
    {"milter", "waiting", SETTING_INT, AT(milter.waiting), .preset = "100", RANGE(1, 10000),
	.reason = "each that waits holds a thread"},
    {"milter", "drain_seconds", SETTING_INT, AT(milter.drain_seconds), .preset = "25",
	RANGE(0, 600), .reason = "a service manager kills what does not end"},
    {"milter", "memory_kb", SETTING_SIZE, AT(milter.memory_bytes), .preset = "1024",
	RANGE(4, 1048576), .scale = 1024, .reason = "every message in transit takes that much"},
    {"milter", "spill_mb", SETTING_BYTES, AT(milter.spill_bytes), .preset = "100",
	RANGE(0, 1048576), .scale = 1048576, .reason = "it is the disk that one message may fill"},

    {"policy", "listen", SETTING_LIST, AT(policy.listen),
	.preset = "{\"unix:/run/mailhooks/policy.sock\"}", .check = check_listen},
    {"policy", "socket_owner", SETTING_TEXT, AT(policy.socket_owner), .preset = "",
	.check = check_account},
    {"policy", "socket_group", SETTING_TEXT, AT(policy.socket_group), .preset = "",
	.check = check_account},
    {"policy", "socket_mode", SETTING_MODE, AT(policy.socket_mode), .preset = "0660",
	RANGE(0, 0777)},
    {"policy", "deadline_ms", SETTING_INT, AT(policy.deadline_ms), .preset = "2000",
	RANGE(10, 28000), .reason = "SMTP clients and Postfix wait while a request is answered"},
    {"policy", "workers", SETTING_INT, AT(policy.workers), .preset = "8", RANGE(1, 512),
	.reason = "each is a thread with a script instance"},
    {"policy", "queue", SETTING_INT, AT(policy.queue), .preset = "1000", RANGE(0, 100000),
	.reason = "what waits long misses its deadline anyway"},
    {"policy", "connections", SETTING_INT, AT(policy.connections), .preset = "2000",
	RANGE(1, 100000), .reason = "each takes a file descriptor"},
    {"policy", "idle_seconds", SETTING_INT, AT(policy.idle_seconds), .preset = "600",
	RANGE(1, 86400), .reason = "Postfix itself closes a connection after 300"},

    {"socketmap", "listen", SETTING_LIST, AT(socketmap.listen),
	.preset = "{\"unix:/run/mailhooks/socketmap.sock\"}", .check = check_listen},
    {"socketmap", "ehlo_keywords", SETTING_LIST, AT(socketmap.ehlo_keywords),
	.preset = "{\"PIPELINING\", \"SIZE\", \"VRFY\", \"ETRN\", \"STARTTLS\", \"AUTH\", "
		  "\"ENHANCEDSTATUSCODES\", \"8BITMIME\", \"DSN\", \"SMTPUTF8\", \"CHUNKING\"}",
	.check = check_keyword},
    {"socketmap", "ehlo_seconds", SETTING_INT, AT(socketmap.ehlo_seconds), .preset = "10",
	RANGE(0, 3600), .reason = "0 asks the script for every connection"},

    {"maillog", "source", SETTING_TEXT, AT(maillog.source), .preset = "", .check = check_source},
    {"maillog", "postfix", SETTING_LIST, AT(maillog.postfix), .preset = "{\"postfix\"}",
	.check = check_filled},
    {"maillog", "sendmail", SETTING_LIST, AT(maillog.sendmail),
	.preset = "{\"sendmail\", \"sm-mta\"}", .check = check_filled},
    {"maillog", "units", SETTING_LIST, AT(maillog.units),
	.preset = "{\"postfix.service\", \"postfix@-.service\", \"sendmail.service\"}",
	.check = check_filled},
    {"maillog", "users", SETTING_LIST, AT(maillog.users),
	.preset = "{\"root\", \"postfix\", \"smmta\"}", .check = check_account},

    {"outbound", "deadline_ms", SETTING_INT, AT(outbound.deadline_ms), .preset = "1000",
	RANGE(10, 28000), .reason = "the queue manager of Postfix waits for a transport"},
    {"outbound", "transport", SETTING_TEXT, AT(outbound.transport), .preset = "smtp",
	.check = check_transport},
    {"outbound", "wait_transport", SETTING_TEXT, AT(outbound.wait_transport),
	.preset = "mailhooks-wait", .check = check_transport},
    {"outbound", "own_names", SETTING_LIST, AT(outbound.own_names), .preset = "{}",
	.check = check_own_name},
    {"outbound", "local_domains", SETTING_LIST, AT(outbound.local_domains), .preset = "{}",
	.check = check_domain},
    {"outbound", "fallback_relays", SETTING_LIST, AT(outbound.fallback_relays), .preset = "{}",
	.check = check_own_name},
    {"outbound", "any_reply", SETTING_BOOL, AT(outbound.any_reply), .preset = "false"},
    {"outbound", "fingerprint_digest", SETTING_WORD, AT(outbound.fingerprint_bytes),
	.preset = "sha1", .words = digest_words},
    {"outbound", "minute_ms", SETTING_INT, AT(outbound.minute_ms), .preset = "60000",
	RANGE(1, 600000), .reason = "shorter ones are for trying things out"},
    {"outbound", "holds_ms", SETTING_INT, AT(outbound.holds_ms), .preset = "1000", RANGE(0, 60000),
	.reason = "0 asks the store for every MX record"},
    {"outbound", "route_seconds", SETTING_INT, AT(outbound.route_seconds), .preset = "5",
	RANGE(0, 3600), .reason = "0 works each route out anew"},

    {"agent", "mta", SETTING_WORD, AT(agent.mta), .preset = "none", .words = agent_words},
    {"agent", "directory", SETTING_PATH, AT(agent.directory), .preset = "/var/lib/mailhooks/queue"},
    {"agent", "interval_seconds", SETTING_INT, AT(agent.interval_seconds), .preset = "60",
	RANGE(1, 86400)},
    {"agent", "most_hold_minutes", SETTING_INT, AT(agent.most_hold_minutes), .preset = "4320",
	RANGE(1, 44640), .reason = "Postfix returns mail that has grown old at its next try"},
    {"agent", "hold_mixed", SETTING_BOOL, AT(agent.hold_mixed), .preset = "true"},
    {"agent", "smallest_first", SETTING_BOOL, AT(agent.smallest_first), .preset = "false"},
    {"agent", "socket", SETTING_PATH, AT(agent.socket),
	.preset = "/run/mailhooks-queue/queue.sock"},
    {"agent", "commands", SETTING_PATH, AT(agent.commands), .preset = "/usr/sbin"},
    {"agent", "config_directory", SETTING_PATH, AT(agent.config_directory), .preset = "",
	.optional = true},
    {"agent", "commands_per_second", SETTING_INT, AT(agent.commands_per_second), .preset = "50",
	RANGE(1, 1000)},

    {CONFIG_SERVICE, "id", SETTING_INT, OF(id), .preset = "0", RANGE(0, 65535),
	.reason = "0 means its position"},
    {CONFIG_SERVICE, "listen", SETTING_LIST, OF(listen), .preset = "{}", .check = check_listen},
    {CONFIG_SERVICE, "daemon_names", SETTING_LIST, OF(daemon_names), .preset = "{}",
	.check = check_filled},
    {CONFIG_SERVICE, "client_networks", SETTING_NETWORKS, OF(client_networks),
	.preset = "{\"0.0.0.0/0\", \"::/0\"}"},
    {CONFIG_SERVICE, "local_networks", SETTING_NETWORKS, OF(local_networks),
	.preset = "{\"127.0.0.0/8\", \"::1\"}"},
    {CONFIG_SERVICE, "auth_required", SETTING_BOOL, OF(auth_required), .preset = "false"},
    {CONFIG_SERVICE, "allowed_users", SETTING_TEXT, OF(allowed_users), .preset = ""},
    {CONFIG_SERVICE, "max_message_bytes", SETTING_BYTES, OF(max_message_bytes), .preset = "0",
	RANGE(0, 1000000000000000), .reason = zero_or_more},
    {CONFIG_SERVICE, "max_line_bytes", SETTING_BYTES, OF(max_line_bytes), .preset = "0",
	RANGE(0, 1000000000), .reason = zero_or_more},

    {CONFIG_SCRIPT, "hook_ms", SETTING_INT, OF_SCRIPT(hook_ms), .preset = "0", RANGE(0, 28000),
	.reason = "0 means lua.hook_ms"},
    {CONFIG_SCRIPT, "instructions", SETTING_INT64, OF_SCRIPT(instructions), .preset = "0",
	RANGE(0, 1000000000000), .reason = "0 means lua.instructions"},
    {CONFIG_SCRIPT, "memory_kb", SETTING_SIZE, OF_SCRIPT(memory_bytes), .preset = "0",
	RANGE(0, 4194304), .scale = 1024, .reason = "0 means lua.memory_kb"},

    {CONFIG_SENDER, "relay", SETTING_TEXT, OF_SENDER(relay), .preset = "", .check = check_relay},
    {CONFIG_SENDER, "transport", SETTING_TEXT, OF_SENDER(transport), .preset = "",
	.check = check_optional_transport},
    {CONFIG_SENDER, "helo_name", SETTING_TEXT, OF_SENDER(helo_name), .preset = "",
	.check = check_optional_host},
    {CONFIG_SENDER, "tls", SETTING_WORD, OF_SENDER(tls), .preset = "may", .words = tls_words},
    {CONFIG_SENDER, "verify_certificate", SETTING_BOOL, OF_SENDER(verify_certificate),
	.preset = "false"},
    {CONFIG_SENDER, "domains", SETTING_LIST, OF_SENDER(domains), .preset = "{}",
	.check = check_domains},
    {CONFIG_SENDER, "max_messages_per_connection", SETTING_INT,
	OF_SENDER(max_messages_per_connection), .preset = "0", RANGE(0, 100000),
	.reason = zero_or_more},
    {CONFIG_SENDER, "max_recipients_per_connection", SETTING_INT,
	OF_SENDER(max_recipients_per_connection), .preset = "0", RANGE(0, 100000),
	.reason = zero_or_more},
    {CONFIG_SENDER, "max_recipients_per_message", SETTING_INT,
	OF_SENDER(max_recipients_per_message), .preset = "0", RANGE(0, 100000),
	.reason = zero_or_more},

    {CONFIG_PROFILE, "transport", SETTING_TEXT, OF_PROFILE(transport), .preset = "",
	.check = check_optional_transport},
    {CONFIG_PROFILE, "helo_name", SETTING_TEXT, OF_PROFILE(helo_name), .preset = "",
	.check = check_optional_host},
    {CONFIG_PROFILE, "esmtp", SETTING_BOOL, OF_PROFILE(esmtp), .preset = "true"},
    {CONFIG_PROFILE, "connect_seconds", SETTING_INT, OF_PROFILE(connect_seconds), .preset = "0",
	RANGE(0, 3600), .reason = postfix_own},
    {CONFIG_PROFILE, "command_seconds", SETTING_INT, OF_PROFILE(command_seconds), .preset = "0",
	RANGE(0, 3600), .reason = postfix_own},
    {CONFIG_PROFILE, "data_seconds", SETTING_INT, OF_PROFILE(data_seconds), .preset = "0",
	RANGE(0, 3600), .reason = postfix_own},

    {"rbl", "zones", SETTING_LIST, AT(rbl.zones), .preset = "{}", .check = check_zone},
    {"rbl", "whitelist", SETTING_LIST, AT(rbl.whitelist), .preset = "{}", .check = check_filled},
    {"rbl", "check_all", SETTING_BOOL, AT(rbl.check_all), .preset = "false"},
    {"rbl", "timeout_ms", SETTING_INT, AT(rbl.timeout_ms), .preset = "3000", RANGE(1, 28000),
	.reason = MTA_WAITS},
    {"rbl", "action", SETTING_WORD, AT(rbl.action), .preset = "header", .words = action_words},
    {"rbl", "redirect", SETTING_TEXT, AT(rbl.redirect), .preset = "", .check = check_redirect},
    {"rbl", "message", SETTING_TEXT, AT(rbl.message),
	.preset = "550 5.7.1 Refused: your server is on a DNS block list", .check = check_reply},
    {"rbl", "header", SETTING_TEXT, AT(rbl.header),
	.preset = "X-RBL-Warning: the sending server is on a DNS block list",
	.check = check_header},

    {"dns", "servers", SETTING_LIST, AT(dns.servers), .preset = "{}", .check = check_server},
    {"dns", "breaker_failures", SETTING_INT, AT(dns.breaker_failures), .preset = "5",
	RANGE(0, 1000000), .reason = "0 means never to skip the servers"},
    {"dns", "breaker_ms", SETTING_INT, AT(dns.breaker_ms), .preset = "10000", RANGE(0, 3600000),
	.reason = "an hour is the most"},

    {"users", "source", SETTING_TEXT, AT(users.source), .preset = "", .check = check_users},
    {"users", "least_uid", SETTING_INT, AT(users.least_uid), .preset = "1000", RANGE(0, 2147483647),
	.reason = "it is the number of an account"},
    {"users", "most_uid", SETTING_INT, AT(users.most_uid), .preset = "59999", RANGE(0, 2147483647),
	.reason = "it is the number of an account"},
    {"users", "aliases", SETTING_PATH, AT(users.aliases), .preset = "", .optional = true},
    {"users", "delimiter", SETTING_TEXT, AT(users.delimiter), .preset = "",
	.check = check_delimiter},
    {"users", "spam_field", SETTING_TEXT, AT(users.spam_field), .preset = "",
	.check = check_field_name},

    {"http", "timeout_ms", SETTING_INT, AT(http.timeout_ms), .preset = "5000", RANGE(1, 28000),
	.reason = MTA_WAITS},
    {"http", "max_kb", SETTING_SIZE, AT(http.body_bytes), .preset = "1024", RANGE(1, 65536),
	.scale = 1024, .reason = "a page is kept in memory"},
    {"http", "allow_private", SETTING_BOOL, AT(http.allow_private), .preset = "false"},
    {"http", "ca_file", SETTING_PATH, AT(http.ca_file), .preset = "", .optional = true},

    {"errors", "per_hour", SETTING_INT, AT(errors.per_hour), .preset = "0", RANGE(0, 1000000),
	.reason = "0 is any number"},

    {"batv", "key_file", SETTING_PATH, AT(batv.key_file), .preset = "", .optional = true},
    {"batv", "days", SETTING_INT, AT(batv.days), .preset = "7", RANGE(1, BATV_MOST_DAYS),
	.reason = "a bounce that takes longer is lost, and a day comes again after 1000"},
    {"batv", "sign", SETTING_BOOL, AT(batv.sign), .preset = "false"},
    {"batv", "domains", SETTING_LIST, AT(batv.domains), .preset = "{}", .check = check_domains},
    {"batv", "bounces", SETTING_WORD, AT(batv.bounces), .preset = "accept", .words = bounces_words},

    {"srs", "secret_file", SETTING_PATH, AT(srs.secret_file), .preset = "", .optional = true},
    {"srs", "domain", SETTING_TEXT, AT(srs.domain), .preset = "", .check = check_domain},
    {"srs", "rewrite", SETTING_WORD, AT(srs.rewrite), .preset = "never", .words = rewrite_words},
    {"srs", "exclude", SETTING_LIST, AT(srs.exclude), .preset = "{}", .check = check_domains},
    {"srs", "separator", SETTING_WORD, AT(srs.separator), .preset = "=", .words = separator_words},
    {"srs", "hash_chars", SETTING_INT, AT(srs.hash_chars), .preset = "4",
	RANGE(4, SRS_MOST_HASH_CHARS), .reason = "four characters are a guess in 2 million"},
    {"srs", "least_hash_chars", SETTING_INT, AT(srs.least_hash_chars), .preset = "4",
	RANGE(4, SRS_MOST_HASH_CHARS), .reason = "four characters are a guess in 2 million"},
    {"srs", "days", SETTING_INT, AT(srs.days), .preset = "21", RANGE(1, SRS_MOST_DAYS),
	.reason = "a bounce that takes longer is lost, and a day comes again after 1024"},

    {"signature", "plain_file", SETTING_PATH, AT(signature.plain_file), .preset = "",
	.optional = true},
    {"signature", "html_file", SETTING_PATH, AT(signature.html_file), .preset = "",
	.optional = true},

    {"password", "min_length", SETTING_INT, AT(password.min_length), .preset = "8", RANGE(0, 256),
	.reason = "0 leaves it to the script"},
};

const size_t config_nsettings = sizeof config_settings / sizeof *config_settings;

const char *const config_sections[] = {"log", "lua", "milter", "policy", "socketmap", "maillog",
    "outbound", "agent", CONFIG_SERVICE, CONFIG_SCRIPT, CONFIG_SENDER, CONFIG_PROFILE, "rbl", "dns",
    "users", "http", "errors", "batv", "srs", "signature", "password", NULL};

#define TITLED(section, title, elements, n)                                                    \
	{                                                                                      \
		section, title, offsetof(struct config, elements), offsetof(struct config, n), \
		    sizeof *((struct config *)NULL)->elements                                  \
	}

const struct titled_section config_titled[] = {
    TITLED(CONFIG_SERVICE, CONFIG_FIRST_SERVICE, services, nservices),
    TITLED(CONFIG_SCRIPT, "smtpsvr", script_sections, nscripts),
    TITLED(CONFIG_SENDER, "main", senders, nsenders),
    TITLED(CONFIG_PROFILE, "other-name", profiles, nprofiles),
    {NULL},
};

const struct titled_section *config_titled_section(const char *name)
{
	for (const struct titled_section *t = config_titled; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

size_t config_titled_count(const struct titled_section *t, const struct config *c)
{
	return *(const size_t *)((const char *)c + t->count);
}

void *config_titled_element(const struct titled_section *t, const struct config *c, size_t i)
{
	return *(char *const *)((const char *)c + t->array) + i * t->size;
}

const struct setting *config_setting(const char *section, const char *name)
{
	for (size_t i = 0; i < config_nsettings; i++)
		if (strcmp(config_settings[i].section, section) == 0 &&
		    strcmp(config_settings[i].name, name) == 0)
			return &config_settings[i];
	return NULL;
}

bool config_setting_is_list(const struct setting *s)
{
	return s->kind == SETTING_LIST || s->kind == SETTING_NETWORKS;
}

/* ---- as options of libconfuse ---- */

/* All of them are strings there: numbers and words are read by config_value.c, in one way for the
 * file and for -o. (libconfuse's own integers read 010 as 8 and look at a stale errno.) */
cfg_opt_t *config_options(const char *section, cfg_callback_t parse)
{
	size_t most = config_nsettings + sizeof config_sections / sizeof *config_sections, n = 0;
	cfg_opt_t *options =
	    xcalloc(most, sizeof *options); /* the last one used is followed by zeros */

	for (size_t i = 0; i < config_nsettings; i++) {
		const struct setting *s = &config_settings[i];

		if (strcmp(s->section, section) != 0)
			continue;
		/* libconfuse copies the texts, it does not change them. */
		options[n++] = config_setting_is_list(s)
				   ? (cfg_opt_t)CFG_STR_LIST_CB(
					 s->name, (char *)(uintptr_t)s->preset, CFGF_NONE, parse)
				   : (cfg_opt_t)CFG_STR_CB(s->name, s->preset, CFGF_NONE, parse);
	}
	if (section[0] != '\0')
		return options;
	for (size_t i = 0; config_sections[i] != NULL; i++) {
		bool many = config_titled_section(config_sections[i]) != NULL;

		options[n++] = (cfg_opt_t)CFG_SEC(config_sections[i],
		    config_options(config_sections[i], parse),
		    many ? CFGF_MULTI | CFGF_TITLE | CFGF_NO_TITLE_DUPES : CFGF_NONE);
	}
	return options;
}

void config_options_free(cfg_opt_t *options)
{
	for (size_t i = 0; options[i].name != NULL; i++)
		free(options[i].subopts);
	free(options);
}
