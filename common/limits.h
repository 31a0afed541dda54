/* limits.h - every fixed bound of mailhooks: name, unit, reason. What an administrator may
 * change is a setting (config.h); what stands here protects the process itself. */
#pragma once

/* SMTP and the milter protocol */
#define LIMIT_REPLY_LINES 32		/* smfi_setmlreply takes no more (observed) */
#define LIMIT_REPLY_LINE_BYTES 980	/* smfi_setreply refuses longer text (observed) */
#define LIMIT_ADDRESS_BYTES 4096	/* longer envelope addresses are refused, not parsed (R5) */
#define LIMIT_RECIPIENTS 50000		/* per message; far above any MTA's own limit */
#define LIMIT_PARAMETERS 64		/* ESMTP parameters of one MAIL or RCPT command */
#define LIMIT_HEADER_NAME_BYTES 998	/* RFC 5322 2.1.1 */
#define LIMIT_HEADER_VALUE_BYTES 60000	/* Postfix cuts header values there (observed) */
#define LIMIT_HEADERS 20000		/* header fields kept of one message */
#define LIMIT_HEADERS_BYTES (16u << 20) /* of them; Postfix bounds each field, not their sum */
#define LIMIT_COMMAND_BYTES 16384	/* kept of the argument of one MAIL or RCPT command */
#define LIMIT_HEADER_CHANGES 1000	/* header changes that one script may ask for a message */
#define LIMIT_MACROS_PER_STAGE 40	/* Sendmail breaks the session above 50 (trap T9) */

/* Scripts */
#define LIMIT_SCRIPT_BYTES (4u << 20) /* one script file */
#define LIMIT_SCRIPT_FILES 5000	      /* in a script directory, those of users included */
#define LIMIT_SCRIPT_OPEN_FILES                                                                   \
	32			   /* by one instance: it must not take the process's descriptors \
				    */
#define LIMIT_SCRIPT_SETTINGS 200  /* of users, declared by one script */
#define LIMIT_TRACEBACK_BYTES 8192 /* of one script error in the log */
#define LIMIT_LIST_FROM_SCRIPT 10000	    /* entries read from a list that a script returns */
#define LIMIT_STRING_FROM_SCRIPT (1u << 20) /* bytes read from a string that a script returns */

/* Configuration */
#define LIMIT_CONFIG_BYTES (1u << 20) /* one file; a big one has some 20 KiB */
#define LIMIT_CONFIG_VALUE_BYTES 2000 /* one value */
#define LIMIT_CONFIG_TITLE_BYTES 64   /* name of a service */

/* Logging */
#define LIMIT_LOG_LINE_BYTES 2048 /* one line before it is cut; syslog takes 8 KiB at most */

/* DNS */
#define LIMIT_DNS_NAME_BYTES 253      /* RFC 1035 2.3.4, as text */
#define LIMIT_DNS_PARALLEL 64	      /* questions asked together */
#define LIMIT_DNS_SERVERS 8	      /* c-ares reports 16 sockets: UDP and TCP of each server */
#define LIMIT_DNS_MESSAGE_BYTES 16384 /* of an answer that is read; real ones stay below 4 KiB */
#define LIMIT_DNS_RECORDS 512	      /* in the answer section of one message */
#define LIMIT_DNS_CHAIN 10	      /* CNAME records followed in one answer */
#define LIMIT_DNS_KNOWN_SERVERS 32    /* whose channels and health are remembered for scripts */

/* HTTP and WHOIS, for scripts */
#define LIMIT_HTTP_URL_BYTES 8000      /* RFC 9110 4.1 wants this much supported */
#define LIMIT_HTTP_REDIRECTS 5	       /* followed for one page */
#define LIMIT_HTTP_ADDRESSES 8	       /* of one host that are tried */
#define LIMIT_HTTP_HEADER_BYTES 65536  /* of one answer */
#define LIMIT_HTTP_LINES 100000	       /* of one body, as a list */
#define LIMIT_WHOIS_QUERY_BYTES 1000   /* real ones are names and addresses */
#define LIMIT_WHOIS_ADDRESSES 4	       /* of one server that are tried */
#define LIMIT_WHOIS_BYTES (256u << 10) /* of one answer; the longest have some 20 KiB */

#define LIMIT_DNS_IDLE_CHANNELS 16     /* c-ares channels kept for reuse, some 120 KiB each */
#define LIMIT_RBL_CACHE_ENTRIES 100000 /* about 100 bytes each */
#define LIMIT_RBL_TTL_SECONDS 86400    /* longer TTLs are cut to a day */
#define LIMIT_RBL_ZONES 1000	       /* zones whose health is remembered; scripts may name any */
#define LIMIT_RBL_ZONE_FAILURES 5      /* failures in a row after which a zone is skipped ... */
#define LIMIT_RBL_ZONE_SKIP_MS 60000   /* ... for this long */

/* Store */
#define LIMIT_STORE_CONNECTIONS 64  /* of one handle to one server or file */
#define LIMIT_STORE_EVENT_BYTES 255 /* key of an attempt */
#define LIMIT_STORE_KEY_BYTES 512   /* longer keys are replaced by their SHA-256 digest */
#define LIMIT_STORE_TEXT_BYTES 4096 /* one field of an attempt, hold or message, then clipped */
#define LIMIT_STORE_RECIPIENTS 1000 /* kept of one attempt or message ... */
#define LIMIT_STORE_RECIPIENTS_BYTES 65536 /* ... and their texts together */
#define LIMIT_STORE_VALUE_BYTES (1u << 20) /* one setting; as LIMIT_STRING_FROM_SCRIPT */
#define LIMIT_STORE_SETTINGS 10000	   /* names of one user */
#define LIMIT_STORE_HOLDS 10000		   /* in one list */
#define LIMIT_STORE_HOLD_TEXT_BYTES 256 /* its reason and who set it; bounds the list to 16 MiB */
#define LIMIT_STORE_HOP_MESSAGES 1000	/* messages looked at for one next hop */
#define LIMIT_MX_SERVERS 100		/* of one domain, from DNS or a script */
#define LIMIT_DELIVERIES 4096		/* smtp(8) processes; default_process_limit is 100 */
#define LIMIT_DELIVERY_SECONDS 3600	/* twice the longest timeout of smtp(8), and more */
#define LIMIT_DELIVERY_ADDRESSES 200	/* of all its mail servers */
#define LIMIT_ROUTED 50000		/* domains by server; twice what qmgr(8) has under way */
#define LIMIT_ROUTED_OF_SERVER 5000	/* so many calls of ServerDetails() take some 20 ms */
#define LIMIT_ROUTED_SECONDS 86400	/* that mail may be under way in qmgr(8) */
#define LIMIT_REPLY_BYTES 32768		/* kept of one reply of a remote server */
#define LIMIT_HOLD_MINUTES 10080	/* a week: what a script holds longer is a mistake */
#define LIMIT_FACTS_MS 500		/* to note a message's facts while its sender waits */
#define LIMIT_STORE_SCAN 100000		/* attempts whose text is compared for one count */
#define LIMIT_STORE_PAGE 50	   /* attempts fetched at once; keeps a reply far below its bound */
#define LIMIT_STORE_TRIM 16	   /* old entries removed by one write, so that none is slow */
#define LIMIT_STORE_RATE_WINDOWS 8 /* windows of one limit */
#define LIMIT_STORE_RATE_COUNT (1ull << 50)	  /* exact in the doubles of Redis's Lua */
#define LIMIT_STORE_PERIOD_MS (3660ll * 86400000) /* ten years: longest window or retention */

/* Queries of scripts (VPOP3.PostgresQuery) */
#define LIMIT_SQL_BYTES 16384u		  /* of one query; the vendor's has some 200 */
#define LIMIT_SQL_TOKENS 2000		  /* words, literals and signs in it */
#define LIMIT_SQL_DEPTH 40		  /* things inside of each other: bounds the stack */
#define LIMIT_SQL_COLUMNS 64		  /* of one answer */
#define LIMIT_SQL_SOURCES 8		  /* tables of one query, those in queries inside it too */
#define LIMIT_SQL_ROWS 10000		  /* of one answer ... */
#define LIMIT_SQL_ANSWER_BYTES (1u << 20) /* ... and their texts together */
#define LIMIT_SQL_VALUE_BYTES 65536	  /* one text while it is worked on */
#define LIMIT_SQL_PATTERN_BYTES 1000	  /* of LIKE: matching costs text times pattern */

/* Redis */
#define LIMIT_REDIS_REPLY_BYTES                                                               \
	(16u << 20)			 /* one reply; our largest real ones stay below 5 MiB \
					  */
#define LIMIT_REDIS_REPLY_ELEMENTS 65536 /* of one array in it (R13) */
#define LIMIT_REDIS_HOSTS 64		 /* named in one URL */
#define LIMIT_REDIS_ADDRESSES 16	 /* of one server that are tried */
#define LIMIT_REDIS_NODES 1024		 /* of a cluster; Redis itself advises at most 1000 */
#define LIMIT_REDIS_REDIRECTS 8		 /* MOVED and ASK followed for one call */

/* The policy service. Postfix itself stops at about these sizes (socketmap observed). */
#define LIMIT_SOCKETMAP_QUERY_BYTES 110000 /* map name and key; header_size_limit is 102400 */
#define LIMIT_SOCKETMAP_REPLY_BYTES 100000 /* Postfix refuses longer ones */
#define LIMIT_POLICY_REQUEST_BYTES 65536   /* one request; real ones have some 800 bytes */
#define LIMIT_POLICY_ATTRIBUTES 100	   /* Postfix 3.7 sends 29 */
#define LIMIT_POLICY_ACTION_BYTES 1000	   /* a header line (RFC 5322 2.1.1), or a reply */
#define LIMIT_POLICY_REQUEST_SECONDS 10	   /* from its first byte to its last, and for the answer */

/* Key files of BATV and SRS */
#define LIMIT_KEY_BYTES 1000	   /* one secret; postsrsd takes as much */
#define LIMIT_KEYS 100		   /* in one file: each is tried for an address that comes back */
#define LIMIT_KEY_FILE_BYTES 65536 /* one file */

/* Users */
#define LIMIT_USERS 100000	       /* in a file or a list */
#define LIMIT_USERS_BYTES (8u << 20)   /* of the file of users or of aliases */
#define LIMIT_USERS_STORE_MS 500       /* for the list of users in the store */
#define LIMIT_USERS_FRESH_MS 60000     /* it is asked for again after this ... */
#define LIMIT_USERS_RETRY_MS 5000      /* ... and after this when there was no answer */
#define LIMIT_USER_NAME_BYTES 64       /* RFC 5321 4.5.3.1.1: a local part */
#define LIMIT_USER_ADDRESSES 1000      /* of one user */
#define LIMIT_USER_SETTINGS 1000       /* of one user, in the file */
#define LIMIT_ALIASES 100000	       /* in the file */
#define LIMIT_ALIAS_TARGETS 10000      /* of one alias */
#define LIMIT_EXPANSION 1000	       /* targets of one address */
#define LIMIT_EXPANSION_DEPTH 20       /* aliases of aliases; Postfix's virtual_alias maps: 1000 */
#define LIMIT_PASSWD_BYTES (64u << 10) /* of one account; getpwnam_r() wants the memory */

#define LIMIT_RETURN_PATH_DOMAINS 20 /* of one message that ServerDetails() is asked for */

/* MIME */
#define LIMIT_MIME_SECTIONS 1000 /* of one message; the longest digests have some hundred */
#define LIMIT_MIME_DEPTH 32	 /* sections inside each other; ten bounces of bounces make 20 */
#define LIMIT_MIME_FIELD_BYTES 16384  /* kept of one Content-* field; four long file names */
#define LIMIT_MIME_FIELD_ITEMS 64     /* parameters and encoded words of it that are decoded */
#define LIMIT_MIME_ITEMS 10000	      /* of them in one message; each may cost 50 us */
#define LIMIT_MIME_BOUNDARY_BYTES 998 /* a line (RFC 5322 2.1.1); RFC 2046 allows 70 */
#define LIMIT_MIME_NAME_BYTES                                                                      \
	1024			    /* of a decoded file name; file systems stop at 255 characters \
				     */
#define LIMIT_MIME_ATTACHMENTS 1000 /* of one message */
#define LIMIT_TNEF_BYTES (40u << 20)	     /* looked into in memory; what 50 MB hold in base64 */
#define LIMIT_TNEF_HELD_BYTES (256u << 20)   /* of all messages at once: four of the largest */
#define LIMIT_TNEF_FILES 1000		     /* of one TNEF stream, embedded messages included */
#define LIMIT_TNEF_DEPTH 5		     /* messages embedded in messages */
#define LIMIT_BINHEX_FILE_BYTES (100u << 20) /* run lengths make 64 of one; larger is no mail */
#define LIMIT_BINHEX_MESSAGE_BYTES (128u << 20) /* of all of one message: half a second */

/* Reports of delivery */
#define LIMIT_DSN_RECIPIENTS 100	 /* of a report that are read */
#define LIMIT_DSN_TEXT_BYTES 2048	 /* one field of a report */
#define LIMIT_DSN_PART_BYTES (64u << 10) /* its text, its fields, what a script makes of them */

/* Signatures */
#define LIMIT_SIGNING_TEXT_BYTES (256u << 10) /* of one signature; long ones have some KiB */
#define LIMIT_SIGNING_PARTS 16		      /* texts of one message that get it; two are common */
#define LIMIT_SIGNING_REWRITTEN_BYTES (4u << 20) /* of its texts encoded anew, in memory */
#define LIMIT_SIGNING_HEADER_BYTES (1u << 20)	 /* of the header of a message or a part */
#define LIMIT_SIGNING_SETTINGS_MS 500		 /* for the settings of the sender, who waits */
#define LIMIT_SIGNING_LINE_BYTES 998 /* of a line that is not encoded (RFC 5322 2.1.1) */
