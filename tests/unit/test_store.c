/* test_store.c - the contract of the store, against each engine: SQLite, and real Redis servers
 * over TCP, unix socket and TLS, as a user with the rights of contrib/redis/users.acl only (R12),
 * behind Sentinels and as a cluster. */
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
	redis_certificates_remove(dir);
	return failed;
}

/* The command that makes the user of contrib/redis/users.acl, with "few" as the password. */
static bool read_rights(char *command, size_t size)
{
	static const char user[] = "user ", password[] = "CHANGE-ME";
	const char *source = getenv("MAILHOOKS_SOURCE");
	char path[300], line[2000] = "", *at;
	FILE *file;

	snprintf(path, sizeof path, "%s/contrib/redis/users.acl", source != NULL ? source : ".");
	file = fopen(path, "r");
	if (file == NULL) {
		printf("%s cannot be read\n", path);
		return false;
	}
	at = fgets(line, sizeof line, file) != NULL ? strstr(line, password) : NULL;
	fclose(file);
	if (at == NULL || strncmp(line, user, strlen(user)) != 0) {
		printf("%s does not begin with a user and %s\n", path, password);
		return false;
	}
	line[strcspn(line, "\n")] = '\0';
	snprintf(command, size, "ACL SETUSER %.*sfew%s", (int)(at - line - strlen(user)),
	    line + strlen(user), at + strlen(password));
	return true;
}

/* R12: the rights that are documented are enough. */
static int with_few_rights(void)
{
	static const char *const plain[] = {NULL};
	struct redis_server s;
	char command[2200];
	int failed;

	if (!read_rights(command, sizeof command))
		return 1;
	redis_server_start(&s, plain);
	assert_string_equal(redis_server_do(&s, command), "OK");
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
		return failed != 0;
	failed += on_one_server();
	failed += with_tls();
	failed += with_few_rights();
	failed += with_sentinels();
	failed += with_a_cluster();
	return failed != 0; /* not their number: 77 would mean "skipped" */
}
