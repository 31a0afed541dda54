/* redis_tls.h - TLS to Redis servers: certificate and host name are always verified.
 *
 * A struct redis_tls may be used by many threads; each session belongs to one connection. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct redis_tls;
struct redis_tls_session;

/* ca: PEM file of the authorities to trust, NULL = the system's. cert and key: PEM files for a
 * server that wants to know us, or NULL. NULL with why set. */
struct redis_tls *redis_tls_new(
    const char *ca, const char *cert, const char *key, char *why, size_t size);
void redis_tls_free(struct redis_tls *);

/* name: the host name or IP address that the certificate must be for. fd stays the caller's. NULL
 * with why set. */
struct redis_tls_session *redis_tls_start(
    struct redis_tls *, int fd, const char *name, char *why, size_t size);
void redis_tls_end(struct redis_tls_session *); /* says goodbye without waiting; NULL is fine */

/* None of these waits: -1 with *want = the poll(2) events to wait for before the same call is
 * made again, or 0 if the session is broken, with why set. handshake: 1 = done. read: 0 = the peer
 * ended. */
int redis_tls_handshake(struct redis_tls_session *, short *want, char *why, size_t size);
ssize_t redis_tls_read(
    struct redis_tls_session *, void *, size_t, short *want, char *why, size_t size);
ssize_t redis_tls_write(
    struct redis_tls_session *, const void *, size_t, short *want, char *why, size_t size);
/* Has anything arrived that was not read yet? */
bool redis_tls_pending(struct redis_tls_session *);
