/* config.h - the settings of all programs: one libconfuse file plus `-o name=value` overrides.
 *
 * Every setting has a default, a unit in its name where it has one, and a line in
 * mailhooks.conf(5). Unknown keys and wrong values are errors with file and line. A struct
 * config is immutable after loading and reference counted: a session keeps the one it started
 * with. config_ref() and config_unref() are thread-safe. */
#pragma once

#include "common/list.h"
#include "common/log.h"
#include "common/network.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum on_error { ON_ERROR_ACCEPT, ON_ERROR_TEMPFAIL, ON_ERROR_REJECT };
enum compat_mode { COMPAT_AUTO, COMPAT_50, COMPAT_52, COMPAT_54 }; /* lua-bindings/compat/ */
enum batv_bounces { BATV_BOUNCES_ACCEPT, BATV_BOUNCES_FORGED, BATV_BOUNCES_UNTAGGED };
enum agent_mta { AGENT_NONE, AGENT_POSTFIX, AGENT_SENDMAIL };
enum srs_rewrite { SRS_REWRITE_NEVER, SRS_REWRITE_FORWARDED, SRS_REWRITE_ALWAYS };
enum sender_tls { SENDER_TLS_NONE, SENDER_TLS_MAY, SENDER_TLS_ENCRYPT, SENDER_TLS_WRAPPED };
enum rbl_action { RBL_ACTION_HEADER, RBL_ACTION_REJECT, RBL_ACTION_DISCARD, RBL_ACTION_REDIRECT };

struct network_list {
	struct ip_network *v;
	size_t n;
};

struct service_config { /* one SMTP service as VPOP3 knows it; the first one is the default */
	char *name;	/* ServerName */
	int id;		/* ServerID */
	struct strlist listen;	     /* milter and policy addresses that belong to this service */
	struct strlist daemon_names; /* or values of {daemon_name}, or of policy_context */
	struct network_list client_networks; /* ValidClientAddress; default everything */
	struct network_list local_networks;  /* LocalClientAddress; default loopback */
	bool auth_required;		     /* AuthenticationRequired at the start of a session */
	char *allowed_users;		     /* AllowedUsers at the start, "" = everybody */
	uint64_t max_message_bytes;	     /* 0 = unlimited (the MTA has its own limit) */
	uint64_t max_line_bytes;	     /* MaxLineLength, 0 = unlimited */
};

struct script_config { /* what one script may spend, where that is not lua.*; 0 = as there */
	char *name;    /* of its file, without ".lua" */
	int hook_ms;
	int64_t instructions;
	size_t memory_bytes;
};

struct sender_config {	 /* a relay that mail may be sent through; relayout.lua chooses */
	char *name;	 /* sendername */
	int id;		 /* senderid: its position, from 0 */
	char *relay;	 /* next hop: "[host]:port"; "" = not used */
	char *transport; /* service of master.cf; "mailhooks-sender-ID" */
	char *helo_name; /* "" = the MTA's own */
	enum sender_tls tls;
	bool verify_certificate;
	struct strlist domains; /* of recipients it is for, none = every one */
	int max_messages_per_connection, max_recipients_per_connection;
	int max_recipients_per_message; /* 0 = no limit of ours */
};

struct profile_config { /* a prepared transport; ServerDetails() of mxout.lua chooses */
	char *name;
	int id;		 /* its position, from 0 */
	char *transport; /* service of master.cf; "mailhooks-profile-ID" */
	char *helo_name; /* "" = the MTA's own */
	bool esmtp;	 /* false: HELO at once */
	int connect_seconds, command_seconds, data_seconds; /* timeouts; 0 = the MTA's own */
};

struct config {
	char *path;		      /* file it came from, for messages; "" if none */
	char *scripts;		      /* directory */
	char *store;		      /* sqlite:PATH, redis://... */
	char *user, *group;	      /* run as; "" = do not change */
	char *state_dir;	      /* last good scripts, spill files */
	struct strlist local_domains; /* whose mail the MTA delivers here: users.h */

	struct {
		enum log_target target;
		enum log_format format;
		enum log_level level;
		int facility;
	} log;

	struct {
		int hook_ms;	      /* wall clock of one hook, waits included */
		int command_ms;	      /* all hooks and waits of one SMTP command together */
		int64_t instructions; /* Lua VM instructions of one hook */
		size_t memory_bytes;  /* of one script instance */
		size_t total_bytes;   /* of all script instances of a process */
		int idle_instances;   /* prepared states kept for reuse */
		enum on_error on_error;
		enum compat_mode compat;	/* which Lua the scripts are written for */
		char *out;			/* LUA.OUT, "" = none */
		struct strlist attachment_dirs; /* where VPOP3.SaveAttachment() may write */
		char *errors;			/* LUAERRORS.LOG, "" = none */
	} lua;

	struct {
		struct strlist listen;		   /* unix:/path, inet:port@host, inet6:port@host */
		char *socket_owner, *socket_group; /* "" = those of the process */
		mode_t socket_mode;
		int waiting;	      /* callbacks that may wait for DNS and the like at once */
		int drain_seconds;    /* SIGTERM: how long messages in flight may take to end */
		size_t memory_bytes;  /* of one message before it is spilled to disk */
		uint64_t spill_bytes; /* of one message on disk; longer ones are counted only */
	} milter;

	struct {				   /* mailhooks-policy */
		struct strlist listen;		   /* of Postfix's policy protocol */
		char *socket_owner, *socket_group; /* of both kinds of unix sockets */
		mode_t socket_mode;
		int deadline_ms;  /* of one request; then the default answer goes out */
		int workers;	  /* threads that run scripts; the next start takes a change */
		int queue;	  /* requests that wait for a worker */
		int connections;  /* clients at once */
		int idle_seconds; /* a client that asks nothing is sent away */
	} policy;

	struct {
		struct strlist listen;
		struct strlist ehlo_keywords; /* what the MTA offers to clients */
		int ehlo_seconds;	      /* how long an answer of ehlo_in is remembered */
	} socketmap;

	struct {
		int per_hour; /* bounces and notices to one address, 0 = any number */
	} errors;

	struct {	      /* send attempts; the next start takes a change */
		char *source; /* "file:/path", "journal", "journal:/directory"; "" = none */
		struct strlist postfix, sendmail; /* names that the MTAs log under */
		struct strlist units, users;	  /* whose journal entries are believed */
	} maillog;

	struct {		      /* deliveries of Postfix, through socketmaps */
		int deadline_ms;      /* of mx and transport; policy.deadline_ms for the others */
		char *transport;      /* of master.cf, in answers of the map transport */
		char *wait_transport; /* the same for mail that waits */
		struct strlist own_names;	/* names and addresses of this host in MX records */
		struct strlist local_domains;	/* never routed by the map transport */
		struct strlist fallback_relays; /* smtp_fallback_relay of Postfix, without [] */
		bool any_reply;	       /* ReturnCodeHandler may change to and from 2xx and 3xx */
		int fingerprint_bytes; /* of smtp_tls_fingerprint_digest: 20 or 32 */
		int minute_ms;	       /* a minute of CheckServer's second result */
		int holds_ms;	       /* how old the list of holds may be */
		int route_seconds;     /* how long a route may be reused; GetCheckCache */
	} outbound;

	struct {			 /* CheckFile() of mxout.lua */
		enum agent_mta mta;	 /* whose queue holds messages */
		char *directory;	 /* what is known of them: queue_record.h */
		int interval_seconds;	 /* between two passes of the agent */
		int most_hold_minutes;	 /* an older hold is released */
		bool hold_mixed;	 /* at arrival also what has recipients here */
		bool smallest_first;	 /* base order of release; else the oldest first */
		char *socket;		 /* of mailhooks-queue */
		char *commands;		 /* directory of postsuper and postqueue */
		char *config_directory;	 /* of Postfix, "" = its default */
		int commands_per_second; /* that mailhooks-queue runs at most */
	} agent;

	struct service_config *services;
	size_t nservices; /* at least 1 */

	struct script_config *script_sections;
	size_t nscripts;

	struct sender_config *senders; /* in the order in which they are asked */
	size_t nsenders;

	struct profile_config *profiles;
	size_t nprofiles;

	struct {
		struct strlist zones, whitelist;
		bool check_all;
		int timeout_ms; /* one deadline for all zones together */
		enum rbl_action action;
		char *redirect; /* address for RBL_ACTION_REDIRECT */
		char *message;	/* reply for RBL_ACTION_REJECT */
		char *header;	/* header line added when found, "" = none */
	} rbl;

	struct {
		struct strlist servers;
		int breaker_failures, breaker_ms;
	} dns;

	struct {			 /* who is local: users.h */
		char *source;		 /* "system", "file:PATH", "store", "" = nobody */
		int least_uid, most_uid; /* of system users */
		char *aliases;		 /* file in the format of aliases(5), "" = none */
		char *delimiter;	 /* between name and extension of a local part, "" = none */
		char *spam_field;	 /* header field with the spam score, "" = none */
	} users;

	struct { /* what scripts fetch */
		int timeout_ms;
		size_t body_bytes;  /* of one page; longer ones are cut */
		bool allow_private; /* also WHOIS */
		char *ca_file;	    /* PEM, "" = those of the system */
	} http;

	struct {			   /* signed return paths: return_path.h */
		char *key_file;		   /* "" = none */
		int days;		   /* that a tag is valid */
		bool sign;		   /* without being asked by a script */
		struct strlist domains;	   /* whose senders are signed; ".d" = what is below d */
		enum batv_bounces bounces; /* which ones are refused */
	} batv;

	struct {				  /* return paths of forwarded mail */
		char *secret_file;		  /* "" = none; postsrsd's format */
		char *domain;			  /* of the rewritten addresses */
		enum srs_rewrite rewrite;	  /* without being asked by a script */
		struct strlist exclude;		  /* senders of these domains are left alone */
		int separator;			  /* '=', '+' or '-' */
		int hash_chars, least_hash_chars; /* made; accepted */
		int days;			  /* that an address is valid */
	} srs;

	struct {			      /* what signature.lua leaves open; UTF-8 files */
		char *plain_file, *html_file; /* "" = none */
	} signature;

	struct { /* mailhooks passwd-check */
		int min_length;
	} password;
};

struct config_overrides { /* the -o arguments in order, "section.name=value" */
	struct strlist items;
};

#define CONFIG_DEFAULT_PATH "/etc/mailhooks/mailhooks.conf"

/* path NULL: the default path if it exists, else built-in defaults. Returns a reference, or NULL
 * with "file:line: what, why, way out" in error. Lists given by -o replace the file's list; several
 * -o of one list add up, "name=" empties it. A relative path of -o begins at the current
 * directory. Nothing is printed. Thread-safe; loads happen one after the other. */
struct config *config_load(
    const char *path, const struct config_overrides *, char *error, size_t size);
struct config *config_ref(struct config *);
void config_unref(struct config *);
/* For a setting, a text, that a running daemon cannot change: the new configuration gets the value
 * in force, and a difference is logged. Before others see the configuration. */
void config_keep(char **next, const char *in_force, const char *name);

bool network_list_has(const struct network_list *, const struct ip_address *);
/* Every address, IPv4 and IPv6, so also one that is not known? */
bool network_list_has_all(const struct network_list *);
/* The service of a session: by listen address, else by daemon name, else the first. */
const struct service_config *config_service(
    const struct config *, const char *listen, const char *daemon_name);
