/* listen.h - the listening sockets: bound by us, or handed over by systemd.
 *
 * Sockets from systemd (LISTEN_FDS) have FileDescriptorName=policy or =socketmap; they replace the
 * addresses that the configuration lists for that service, and systemd owns and keeps their files.
 * For our own unix sockets there is a lock beside each (common/daemon/lock.h). */
#pragma once

#include "common/config.h"
#include "common/daemon/privileges.h"

#include <stdbool.h>
#include <stddef.h>

enum service { SERVICE_POLICY, SERVICE_SOCKETMAP };

struct listening {
	enum service service;
	int fd;
	char *address; /* "unix:/path" ... */
	int lock;      /* -1: none */
	bool ours;     /* remove the file of a unix socket at the end */
};

struct listening_sockets {
	struct listening *v;
	size_t n;
};

/* Bind everything and give unix sockets their owner and mode. Before privileges are dropped.
 * False: error says what is wrong, *busy whether somebody else has the address. */
bool listen_open(struct listening_sockets *, const struct config *, const struct identity *,
    bool *busy, char *error, size_t size);
/* New clients find nobody (and may try again) while those that are connected are served. */
void listen_remove_files(struct listening_sockets *);
/* For another that starts meanwhile: it waits for our end. */
void listen_stopping(struct listening_sockets *);
void listen_close(struct listening_sockets *);
