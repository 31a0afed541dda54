/* http.c - see http.h.
 *
 * Names are looked up by us (dns_host.h) and handed to curl as addresses: curl's own resolver has
 * no deadline, it leaves threads behind. The guard judges these addresses, and once more each
 * address that curl opens a socket to. */
#include "common/http.h"

#include "common/clock.h"
#include "common/dns_host.h"
#include "common/limits.h"

#include <curl/curl.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define AGENT "mailhooks/" MAILHOOKS_VERSION

struct target { /* what one request is about */
	char *url, *scheme, *host, *port, *path, *query;
	struct ip_address addresses[LIMIT_HTTP_ADDRESSES];
	size_t n;
};

struct request {
	const struct http_options *options;
	struct http_answer *answer;
	int64_t deadline;
	size_t header_bytes;
	bool headers_done, cut, refused;
};

/* ---- the guard ---- */

bool http_public_address(const struct ip_address *address)
{
	static const char *const others[] = {"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10",
	    "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	    "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24",
	    "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4", "2001::/23", "2001:db8::/32",
	    "2002::/16"};
	struct ip_network network;
	const char *why;

	if (address->family != AF_INET && address->family != AF_INET6)
		return false;
	if (address->family == AF_INET6 && (address->bytes[0] & 0xe0) != 0x20)
		return false; /* only 2000::/3 is in use on the internet */
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (!ip_network_parse(&network, others[i], &why) ||
		    ip_network_has(&network, address))
			return false;
	return true;
}

static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *to)
{
	struct request *r = arg;
	struct ip_address address;

	ip_address_from_sockaddr(&address, &to->addr);
	if (purpose != CURLSOCKTYPE_IPCXN ||
	    (r->options->allowed != NULL && !r->options->allowed(&address))) {
		r->refused = true;
		return CURL_SOCKET_BAD;
	}
	return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* ---- targets ---- */

static void target_clear(struct target *t)
{
	char **const parts[] = {&t->url, &t->scheme, &t->host, &t->port, &t->path, &t->query};

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		curl_free(*parts[i]);
	memset(t, 0, sizeof *t);
}

/* "[2001:db8::1]" is a host in a URL, not in DNS. */
static void strip_brackets(char *host)
{
	size_t n = strlen(host);

	if (n >= 2 && host[0] == '[' && host[n - 1] == ']') {
		memmove(host, host + 1, n - 2);
		host[n - 2] = '\0';
	}
}

static bool target_parse(struct target *t, const char *url, char *error, size_t size)
{
	CURLU *u = curl_url();
	CURLUcode code = u == NULL ? CURLUE_OUT_OF_MEMORY : CURLUE_OK;

	if (code == CURLUE_OK)
		code = curl_url_set(
		    u, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_SCHEME, &t->scheme, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_HOST, &t->host, 0);
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_PATH, &t->path, 0);
	if (code == CURLUE_OK)
		curl_url_get(u, CURLUPART_QUERY, &t->query, 0); /* there need not be one */
	if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_URL, &t->url, 0);
	if (t->scheme != NULL && strcasecmp(t->scheme, "http") != 0 &&
	    strcasecmp(t->scheme, "https") != 0)
		code = CURLUE_UNSUPPORTED_SCHEME;
	else if (code == CURLUE_OK)
		code = curl_url_get(u, CURLUPART_PORT, &t->port, CURLU_DEFAULT_PORT);
	curl_url_cleanup(u);
	if (code == CURLUE_UNSUPPORTED_SCHEME)
		snprintf(error, size, "%s: only http and https are allowed", url);
	else if (code != CURLUE_OK)
		snprintf(error, size, "%s: %s", url, curl_url_strerror(code));
	else
		strip_brackets(t->host);
	return code == CURLUE_OK;
}

/* Keep the addresses that the guard lets pass. */
static size_t keep_allowed(struct target *t, const struct http_options *o)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n; i++)
		if (o->allowed == NULL || o->allowed(&t->addresses[i]))
			t->addresses[kept++] = t->addresses[i];
	return kept;
}

static bool target_find(struct target *t, struct request *r, char *error, size_t size)
{
	char text[INET6_ADDRSTRLEN];
	int64_t left = r->deadline - clock_ms();
	enum dns_status status = dns_host_find(r->options->dns, t->host, t->addresses,
	    LIMIT_HTTP_ADDRESSES, &t->n, left > 0 ? (int)left : 0);
	struct ip_address first = t->addresses[0];

	if (status != DNS_FOUND || t->n == 0) {
		snprintf(error, size, "%s: %s", t->host,
		    status == DNS_ABSENT ? "no such host" : "the name servers do not answer");
		return false;
	}
	t->n = keep_allowed(t, r->options);
	if (t->n == 0)
		snprintf(error, size,
		    "%s (%s): not an address on the internet; http.allow_private would allow it",
		    t->host, ip_address_text(&first, text, sizeof text));
	return t->n > 0;
}

/* "host:port:address,address", for curl. */
static struct curl_slist *target_resolved(const struct target *t)
{
	char entry[LIMIT_DNS_NAME_BYTES + 16 + LIMIT_HTTP_ADDRESSES * (INET6_ADDRSTRLEN + 3)];
	char text[INET6_ADDRSTRLEN];
	size_t at = (size_t)snprintf(entry, sizeof entry, "%s:%s:", t->host, t->port);

	for (size_t i = 0; i < t->n && at < sizeof entry; i++)
		at += (size_t)snprintf(entry + at, sizeof entry - at,
		    t->addresses[i].family == AF_INET6 ? "%s[%s]" : "%s%s", i > 0 ? "," : "",
		    ip_address_text(&t->addresses[i], text, sizeof text));
	return curl_slist_append(NULL, entry);
}

/* ---- one request ---- */

static size_t take_header(char *line, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	size_t length = n * size;

	r->header_bytes += length;
	if (r->header_bytes > LIMIT_HTTP_HEADER_BYTES) {
		snprintf(r->answer->error, sizeof r->answer->error,
		    "more than %d bytes of header lines", LIMIT_HTTP_HEADER_BYTES);
		return 0;
	}
	while (length > 0 && (line[length - 1] == '\r' || line[length - 1] == '\n'))
		length--;
	if (length >= 5 && memcmp(line, "HTTP/", 5) == 0) { /* the first, or one behind a 1xx */
		strlist_clear(&r->answer->headers);
		r->headers_done = false;
	} else if (length == 0) {
		r->headers_done = true;
	} else if (!r->headers_done) { /* trailers of a chunked body are no headers */
		strlist_addn(&r->answer->headers, line, length);
	}
	return n * size;
}

static size_t take_body(char *bytes, size_t size, size_t n, void *arg)
{
	struct request *r = arg;
	struct http_answer *a = r->answer;
	size_t room = r->options->body_bytes - a->n, length = n * size;
	char *longer;

	if (length > room) {
		r->cut = true;
		length = room;
	}
	longer = realloc(a->body, a->n + length + 1); /* a size that a peer chooses */
	if (longer == NULL)
		return 0;
	a->body = longer;
	memcpy(a->body + a->n, bytes, length);
	a->n += length;
	a->body[a->n] = '\0';
	return r->cut ? 0 : n * size;
}

#define SET(option, value)    \
	if (code == CURLE_OK) \
	code = curl_easy_setopt(easy, option, value)

static CURLcode set_up(CURL *easy, struct request *r, const struct target *t,
    struct curl_slist *resolved, char error[CURL_ERROR_SIZE])
{
	int64_t left = r->deadline - clock_ms();
	const char *ca = r->options->ca_file;
	CURLcode code = left > 0 ? CURLE_OK : CURLE_OPERATION_TIMEDOUT;

	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_ERRORBUFFER, error);
	SET(CURLOPT_URL, t->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	SET(CURLOPT_FOLLOWLOCATION, 0L);
	SET(CURLOPT_PROXY, "");
	SET(CURLOPT_RESOLVE, resolved);
	SET(CURLOPT_OPENSOCKETFUNCTION, open_socket);
	SET(CURLOPT_OPENSOCKETDATA, r);
	SET(CURLOPT_TIMEOUT_MS, (long)left);
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)left);
	SET(CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_USERAGENT, AGENT);
	SET(CURLOPT_SSL_VERIFYPEER, 1L);
	SET(CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca != NULL && ca[0] != '\0') {
		SET(CURLOPT_CAINFO, ca);
		SET(CURLOPT_CAPATH, NULL);
	}
	SET(CURLOPT_HEADERFUNCTION, take_header);
	SET(CURLOPT_HEADERDATA, r);
	SET(CURLOPT_WRITEFUNCTION, take_body);
	SET(CURLOPT_WRITEDATA, r);
	return code;
}

static void note_result(CURL *easy, struct request *r, char **next)
{
	curl_off_t stated = -1;
	const char *location = NULL;
	long status = 0;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &stated);
	curl_easy_getinfo(easy, CURLINFO_REDIRECT_URL, &location);
	r->answer->status = (int)status;
	r->answer->stated = stated;
	if (location != NULL)
		*next = xstrdup(location);
}

static void note_error(struct request *r, const struct target *t, CURLcode code, const char *text)
{
	struct http_answer *a = r->answer;

	if (r->cut)
		snprintf(a->error, sizeof a->error, "cut behind %zu bytes (http.max_kb)", a->n);
	else if (r->refused)
		snprintf(a->error, sizeof a->error, "%s: not an address on the internet", t->host);
	else if (code != CURLE_OK && a->error[0] == '\0')
		snprintf(a->error, sizeof a->error, "%s: %s", t->host,
		    text[0] != '\0' ? text : curl_easy_strerror(code));
}

/* Did the whole header come? *next: where a redirect leads. */
static bool perform(struct request *r, const struct target *t, char **next)
{
	struct curl_slist *resolved = target_resolved(t);
	char error[CURL_ERROR_SIZE] = "";
	CURL *easy = curl_easy_init();
	CURLcode code = CURLE_OUT_OF_MEMORY;

	if (easy != NULL && resolved != NULL)
		code = set_up(easy, r, t, resolved, error);
	if (code == CURLE_OK)
		code = curl_easy_perform(easy);
	if (r->headers_done)
		note_result(easy, r, next);
	note_error(r, t, code, error);
	curl_easy_cleanup(easy);
	curl_slist_free_all(resolved);
	return r->headers_done;
}

/* ---- redirects ---- */

static void start_answer(struct request *r, const struct target *t)
{
	struct http_answer *a = r->answer;

	http_answer_clear(a);
	a->stated = -1;
	a->host = xstrdup(t->host);
	a->file = xasprintf(
	    "%s%s%s", t->path, t->query != NULL ? "?" : "", t->query != NULL ? t->query : "");
	r->header_bytes = 0;
	r->headers_done = r->cut = r->refused = false;
}

/* One request; a redirect whose target is refused leaves the answer that told it, with an error. */
static bool step(struct request *r, const char *url, bool first, char **next)
{
	char why[256];
	struct target t = {0};
	bool fine = target_parse(&t, url, why, sizeof why) && target_find(&t, r, why, sizeof why);

	if (fine) {
		start_answer(r, &t);
		fine = perform(r, &t, next);
	} else {
		snprintf(r->answer->error, sizeof r->answer->error, "%s%s",
		    first ? "" : "redirect not followed: ", why);
		fine = !first;
	}
	target_clear(&t);
	return fine;
}

static void start_library(void)
{
	curl_global_init(CURL_GLOBAL_DEFAULT); /* never cleaned up: other threads may be in it */
}

bool http_get(const char *url, const struct http_options *options, struct http_answer *answer)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	struct request r = {
	    .options = options, .answer = answer, .deadline = clock_ms() + options->ms};
	char *here = NULL, *next = xstrdup(url);
	bool fine = true;

	pthread_once(&once, start_library);
	for (int hops = 0; fine && next != NULL; hops++) {
		if (hops > LIMIT_HTTP_REDIRECTS) {
			snprintf(answer->error, sizeof answer->error, "more than %d redirects",
			    LIMIT_HTTP_REDIRECTS);
			break;
		}
		free(here);
		here = next;
		next = NULL;
		fine = step(&r, here, hops == 0, &next);
	}
	free(here);
	free(next);
	return fine;
}

void http_answer_clear(struct http_answer *a)
{
	free(a->host);
	free(a->file);
	strlist_clear(&a->headers);
	free(a->body);
	memset(a, 0, sizeof *a);
}
