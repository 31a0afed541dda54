/* redis_tls.c - see redis_tls.h.
 *
 * OpenSSL reaches the socket through a BIO of ours: its own one writes without MSG_NOSIGNAL, and a
 * library must not depend on the program's SIGPIPE. */
#include "common/store/redis_tls.h"

#include "common/list.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

struct redis_tls {
	SSL_CTX *ctx;
	BIO_METHOD *method;
};

struct redis_tls_session {
	SSL *ssl;
};

/* ---- the BIO: the socket is its data ---- */

static int bio_fd(BIO *b)
{
	return (int)(intptr_t)BIO_get_data(b);
}

static int bio_result(BIO *b, ssize_t n, void (*retry)(BIO *))
{
	BIO_clear_retry_flags(b);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		retry(b);
	return (int)n;
}

static void retry_read(BIO *b)
{
	BIO_set_retry_read(b);
}

static void retry_write(BIO *b)
{
	BIO_set_retry_write(b);
}

static int bio_read(BIO *b, char *buf, int n)
{
	return bio_result(b, recv(bio_fd(b), buf, (size_t)n, 0), retry_read);
}

static int bio_write(BIO *b, const char *buf, int n)
{
	return bio_result(b, send(bio_fd(b), buf, (size_t)n, MSG_NOSIGNAL), retry_write);
}

static long bio_control(BIO *b, int command, long number, void *pointer)
{
	(void)b;
	(void)number;
	(void)pointer;
	return command ==
	       BIO_CTRL_FLUSH; /* nothing is buffered here, and nothing else is offered */
}

static BIO_METHOD *bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "redis socket");

	if (m == NULL)
		return NULL;
	BIO_meth_set_read(m, bio_read);
	BIO_meth_set_write(m, bio_write);
	BIO_meth_set_ctrl(m, bio_control);
	return m;
}

/* ---- the context ---- */

static void explain(char *why, size_t size, const char *what)
{
	unsigned long error = ERR_peek_last_error();
	const char *reason = error != 0 ? ERR_reason_error_string(error) : NULL;

	snprintf(why, size, "TLS: %s%s%s", what, reason != NULL ? ": " : "",
	    reason != NULL ? reason : "");
	ERR_clear_error();
}

static int load(
    SSL_CTX *ctx, const char *ca, const char *cert, const char *key, char *why, size_t size)
{
	const char *file = ca;

	if (ca == NULL ? SSL_CTX_set_default_verify_paths(ctx) != 1
		       : SSL_CTX_load_verify_locations(ctx, ca, NULL) != 1)
		goto fail;
	if (cert == NULL)
		return 0;
	file = cert;
	if (SSL_CTX_use_certificate_chain_file(ctx, cert) != 1)
		goto fail;
	file = key;
	if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) == 1 &&
	    SSL_CTX_check_private_key(ctx) == 1)
		return 0;
fail:
	explain(why, size, file != NULL ? file : "the system's certificate authorities");
	return -1;
}

struct redis_tls *redis_tls_new(
    const char *ca, const char *cert, const char *key, char *why, size_t size)
{
	struct redis_tls *t = xcalloc(1, sizeof *t);

	ERR_clear_error();
	t->method = bio_method();
	t->ctx = SSL_CTX_new(TLS_client_method());
	if (t->method == NULL || t->ctx == NULL) {
		explain(why, size, "no context");
		goto fail;
	}
	SSL_CTX_set_min_proto_version(t->ctx, TLS1_2_VERSION);
	SSL_CTX_set_verify(t->ctx, SSL_VERIFY_PEER, NULL);
	SSL_CTX_set_mode(
	    t->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	if (load(t->ctx, ca, cert, key, why, size) == 0)
		return t;
fail:
	redis_tls_free(t);
	return NULL;
}

void redis_tls_free(struct redis_tls *t)
{
	if (t == NULL)
		return;
	SSL_CTX_free(t->ctx);
	BIO_meth_free(t->method);
	free(t);
}

/* ---- one session ---- */

static int expect_name(SSL *ssl, const char *name)
{
	unsigned char address[sizeof(struct in6_addr)];

	if (inet_pton(AF_INET, name, address) == 1 || inet_pton(AF_INET6, name, address) == 1)
		return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name);
	SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	return SSL_set1_host(ssl, name) == 1 && SSL_set_tlsext_host_name(ssl, name) == 1;
}

struct redis_tls_session *redis_tls_start(
    struct redis_tls *t, int fd, const char *name, char *why, size_t size)
{
	struct redis_tls_session *s;
	SSL *ssl;
	BIO *bio;

	ERR_clear_error();
	ssl = SSL_new(t->ctx);
	bio = BIO_new(t->method);
	if (ssl == NULL || bio == NULL || expect_name(ssl, name) != 1) {
		explain(why, size, "no session");
		BIO_free(bio);
		SSL_free(ssl);
		return NULL;
	}
	BIO_set_data(bio, (void *)(intptr_t)fd);
	BIO_set_init(bio, 1);
	SSL_set_bio(ssl, bio, bio);
	SSL_set_connect_state(ssl);
	s = xcalloc(1, sizeof *s);
	s->ssl = ssl;
	return s;
}

void redis_tls_end(struct redis_tls_session *s)
{
	if (s == NULL)
		return;
	ERR_clear_error();
	SSL_shutdown(s->ssl);
	ERR_clear_error();
	SSL_free(s->ssl);
	free(s);
}

/* What an SSL call that returned rc <= 0 means: -1, or 0 for the end of the stream. */
static int outcome(SSL *ssl, int rc, short *want, char *why, size_t size)
{
	long verified = SSL_get_verify_result(ssl);

	*want = 0;
	switch (SSL_get_error(ssl, rc)) {
	case SSL_ERROR_WANT_READ:
		*want = POLLIN;
		return -1;
	case SSL_ERROR_WANT_WRITE:
		*want = POLLOUT;
		return -1;
	case SSL_ERROR_ZERO_RETURN:
		return 0;
	default:
		if (verified != X509_V_OK) {
			ERR_clear_error();
			snprintf(why, size, "TLS: certificate refused: %s",
			    X509_verify_cert_error_string(verified));
		} else {
			explain(why, size, "the connection broke");
		}
		return -1;
	}
}

int redis_tls_handshake(struct redis_tls_session *s, short *want, char *why, size_t size)
{
	int rc;

	ERR_clear_error();
	rc = SSL_do_handshake(s->ssl);
	if (rc == 1)
		return 1;
	if (outcome(s->ssl, rc, want, why, size) == 0)
		snprintf(why, size, "TLS: the server ended the handshake");
	return -1;
}

static int int_size(size_t n)
{
	return n < INT_MAX ? (int)n : INT_MAX;
}

ssize_t redis_tls_read(
    struct redis_tls_session *s, void *buf, size_t n, short *want, char *why, size_t size)
{
	int rc;

	ERR_clear_error();
	rc = SSL_read(s->ssl, buf, int_size(n));
	return rc > 0 ? rc : outcome(s->ssl, rc, want, why, size);
}

ssize_t redis_tls_write(
    struct redis_tls_session *s, const void *buf, size_t n, short *want, char *why, size_t size)
{
	int rc;

	ERR_clear_error();
	rc = SSL_write(s->ssl, buf, int_size(n));
	if (rc > 0)
		return rc;
	if (outcome(s->ssl, rc, want, why, size) == 0)
		snprintf(why, size, "TLS: the server ended the session");
	return -1;
}

bool redis_tls_pending(struct redis_tls_session *s)
{
	return SSL_has_pending(s->ssl) == 1;
}
