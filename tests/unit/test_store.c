/* test_store.c - the contract of the store, against each engine: SQLite, and real Redis servers
 * over TCP, unix socket and TLS, as a user with the rights of contrib/redis/users.acl only (R12),
 * behind Sentinels and as a cluster. */
#include "common/list.h"
#include "tests/unit/redis_servers.h"
#include "tests/unit/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int contract(const char *name, const char *format, ...)
{
	va_list ap;
	char url[400];

	va_start(ap, format);
	vsnprintf(url, sizeof url, format, ap);
	va_end(ap);
	store_rig_engine(url);
	return store_contract(name);
}

static int on_one_server(void)
{
	static const char *const plain[] = {NULL};
	struct redis_server s;
	int failed;

	redis_server_start(&s, plain);
	failed = contract("redis", "redis://127.0.0.1:%u/3", s.port);
	failed += contract("redis+unix", "redis+unix://%s?db=2", s.socket);
	redis_server_stop(&s);
	return failed;
}

static int with_tls(void)
{
	char dir[64], ca[80], cert[80], key[80];
	const char *const options[] = {"--tls-ca-cert-file", ca, "--tls-cert-file", cert,
	    "--tls-key-file", key, "--requirepass", "s3cret/@:%", NULL};
	struct redis_server s;
	int failed;

	redis_certificates_make(dir);
	snprintf(ca, sizeof ca, "%s/ca.pem", dir);
	snprintf(cert, sizeof cert, "%s/good.pem", dir);
	snprintf(key, sizeof key, "%s/good.key", dir);
	redis_server_start(&s, options);
	failed =
	    contract("rediss", "rediss://:s3cret%%2f%%40%%3a%%25@localhost:%u?ca=%s&cert=%s&key=%s",
		s.tls_port, ca, cert, key);
	redis_server_stop(&s);
	return failed;
}

/* R12: the rights that are documented are enough. */
static int with_few_rights(void)
{
	static const char *const plain[] = {NULL};
	const char *source = getenv("MAILHOOKS_SOURCE");
	char line[2000] = "", *rights, *keys, rest[2000];
	struct redis_server s;
	char path[300];
	FILE *file;
	int failed;

	snprintf(path, sizeof path, "%s/contrib/redis/users.acl", source ? source : ".");
	file = fopen(path, "r");
	if (file == NULL || fgets(line, sizeof line, file) == NULL) {
		printf("%s cannot be read\n", path);
		return 1;
	}
	fclose(file);
	line[strcspn(line, "\n")] = '\0';
	rights = line + strlen("user mailhooks ");
	keys = strstr(rights, "CHANGE-ME");
	snprintf(rest, sizeof rest, "%s", keys + strlen("CHANGE-ME"));
	snprintf(keys, sizeof line - (size_t)(keys - line), "few%s", rest);

	redis_server_start(&s, plain);
	{
		struct strlist words = STRLIST_INIT;
		char *save = NULL;
		char command[2200] = "ACL SETUSER mailhooks";

		for (char *w = strtok_r(rights, " ", &save); w != NULL;
		     w = strtok_r(NULL, " ", &save))
			strlist_add(&words, w);
		for (size_t i = 0; i < words.n; i++) {
			size_t n = strlen(command);

			snprintf(command + n, sizeof command - n, " %s", words.v[i]);
		}
		strlist_clear(&words);
		if (strcmp(redis_server_do(&s, command), "OK") != 0) {
			printf("%s: not taken by Redis\n", path);
			return 1;
		}
	}
	redis_server_do(&s, "ACL SETUSER default off");
	store_rig_prefix("mailhooks:");
	failed = contract("redis, few rights (R12)", "redis://mailhooks:few@127.0.0.1:%u", s.port);
	store_rig_prefix("");
	redis_server_stop(&s);
	return failed;
}

static int with_sentinels(void)
{
	struct redis_sentinel_servers s;
	int failed;

	redis_sentinel_start(&s);
	failed = contract("redis-sentinel", "redis-sentinel://127.0.0.1:%u,127.0.0.1:%u/mymaster/1",
	    s.sentinels[0].port, s.sentinels[1].port);
	redis_sentinel_stop(&s);
	return failed;
}

static int with_a_cluster(void)
{
	struct redis_cluster_servers c;
	int failed;

	redis_cluster_start(&c, 0);
	failed =
	    contract("redis-cluster", "redis-cluster://127.0.0.1:1,127.0.0.1:%u", c.nodes[1].port);
	redis_cluster_stop(&c);
	return failed;
}

int main(void)
{
	int failed;

	store_rig_engine("sqlite");
	failed = store_contract("sqlite");
	if (!redis_servers_installed())
		return failed;
	failed += on_one_server();
	failed += with_tls();
	failed += with_few_rights();
	failed += with_sentinels();
	failed += with_a_cluster();
	return failed;
}
