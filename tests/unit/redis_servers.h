/* redis_servers.h - real Redis servers on loopback for tests: plain, with TLS, a cluster,
 * Sentinels.
 *
 * They are found in PATH, keep everything in a folder of their own and end with the test program.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct redisReply;

struct redis_server {
	pid_t pid; /* 0 = not running */
	unsigned port, tls_port, bus_port;
	char dir[64], socket[96];
	const char *const *options;
};

/* Is there one to test with? If not, says so. */
bool redis_servers_installed(void);

/* options: pairs of redis.conf names and values, NULL at the end; kept for redis_server_again(). A
 * failure fails the test. */
void redis_server_start(struct redis_server *, const char *const options[]);
void redis_server_again(struct redis_server *); /* after kill: same folder and ports */
void redis_server_kill(struct redis_server *);	/* SIGKILL; its folder stays */
void redis_server_pause(struct redis_server *); /* SIGSTOP */
void redis_server_resume(struct redis_server *);
void redis_server_stop(struct redis_server *); /* kill and remove its folder */

/* A command as the administrator: "OK" or the text, number or error of the reply. Not for use by
 * two threads. */
const char *redis_server_do(struct redis_server *, const char *format, ...);
/* Repeat a command until its answer contains `text`, for at most 20 s. */
void redis_server_await(struct redis_server *, const char *text, const char *command);

/* Make a folder with ca.pem, and .pem and .key of good (for localhost), other (for another name)
 * and expired. */
void redis_certificates_make(char dir[static 64]);
void redis_certificates_remove(const char *dir);

/* Three masters with all slots, each with `replicas` (0 or 1) replicas. */
struct redis_cluster_servers {
	struct redis_server nodes[6];
	size_t n;
};

void redis_cluster_start(struct redis_cluster_servers *, size_t replicas);
void redis_cluster_stop(struct redis_cluster_servers *);
/* Which of the three masters has the slot of this key? */
size_t redis_cluster_owner(const struct redis_cluster_servers *, const char *key);

/* A master "mymaster", its replica, and three Sentinels that fail over within seconds. */
struct redis_sentinel_servers {
	struct redis_server data[2], sentinels[3];
};

void redis_sentinel_start(struct redis_sentinel_servers *);
void redis_sentinel_stop(struct redis_sentinel_servers *);

void redis_servers_sleep(int ms);
