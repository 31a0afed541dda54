/* lib_vpop3net_http.c - VPOP3Net.GetHTTP. */
#include "common/http.h"
#include "common/limits.h"
#include "common/waiting.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/owned.h"
#include "lua-bindings/lib/wait.h"
#include "lua-bindings/lib/work.h"

#include <stdio.h>
#include <string.h>

/* for a state without a configuration */
#define TIMEOUT_MS 5000
#define BODY_BYTES (1024 * 1024)

struct fetch {
	struct dns_options dns;
	struct http_options options;
	struct http_answer answer;
};

static void clear(void *arg)
{
	struct fetch *f = arg;

	strlist_clear(&f->dns.servers);
	http_answer_clear(&f->answer);
}

static void l_take_options(lua_State *L, struct fetch *f)
{
	const struct config *cfg = wait_config(L);
	int most = cfg != NULL ? cfg->http.timeout_ms : TIMEOUT_MS, left = wait_ms(L);

	wait_dns_options(L, &f->dns);
	f->options = (struct http_options){
	    .ms = left < most ? left : most,
	    .body_bytes = cfg != NULL ? cfg->http.body_bytes : BODY_BYTES,
	    .ca_file = cfg != NULL ? cfg->http.ca_file : "",
	    .dns = &f->dns,
	    .allowed = cfg != NULL && cfg->http.allow_private ? NULL : http_public_address,
	};
}

/* ---- results ---- */

/* Counted up to one more than Body may have. */
static size_t count_lines(const char *text, size_t n)
{
	const char *p = text, *end = text + n;
	size_t lines = 0;

	while (p < end && lines <= LIMIT_HTTP_LINES) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		lines++;
		p = stop != NULL ? stop + 1 : end;
	}
	return lines;
}

/* The lines of the body without their ends; no empty one behind the last end. */
static void l_push_lines(lua_State *L, const char *text, size_t n, bool *cut)
{
	const char *p = text, *end = text + n;
	size_t lines = count_lines(text, n), pending = 0;

	*cut = lines > LIMIT_HTTP_LINES;
	lines = *cut ? LIMIT_HTTP_LINES : lines;
	lua_createtable(L, (int)lines, 0);
	for (size_t i = 1; i <= lines; i++) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		const char *next = stop != NULL ? stop + 1 : end;

		if (stop == NULL)
			stop = end;
		if (stop > p && stop[-1] == '\r')
			stop--;
		lua_pushlstring(L, p, (size_t)(stop - p));
		lua_rawseti(L, -2, (lua_Integer)i);
		l_meter(L, &pending, 4 + (size_t)(next - p) / WORK_COPY);
		p = next;
	}
	l_iterable(L, -1);
}

static void l_push_answer(lua_State *L, const struct http_answer *a)
{
	char many[64];
	bool cut;

	lua_createtable(L, 0, 8);
	lua_pushstring(L, a->host);
	lua_setfield(L, -2, "Host");
	lua_pushstring(L, a->file);
	lua_setfield(L, -2, "File");
	l_push_list(L, &a->headers);
	lua_setfield(L, -2, "Headers");
	l_push_lines(L, a->n > 0 ? a->body : "", a->n, &cut);
	lua_setfield(L, -2, "Body");
	snprintf(many, sizeof many, "only the first %d lines are in Body", LIMIT_HTTP_LINES);
	lua_pushstring(L, a->error[0] == '\0' && cut ? many : a->error);
	lua_setfield(L, -2, "ErrorInfo");
	lua_pushinteger(L, a->status);
	lua_setfield(L, -2, "HTTPResult");
	lua_pushinteger(L, a->stated);
	lua_setfield(L, -2, "StatedLength");
	lua_pushinteger(L, (lua_Integer)a->n);
	lua_setfield(L, -2, "ActualLength");
	l_iterable(L, -1);
}

/*** VPOP3Net.GetHTTP(url) -> true, page or false, nil
 * Fetches a web page by http or https. Any answer of the server is a success, "not found" as well.
 * page is a table of Host and File (path and query) that answered in the end, Headers (list of
 * lines), Body (list of lines), HTTPResult (200, 404 ...), StatedLength (Content-Length, -1 without
 * one), ActualLength (bytes of the body), and ErrorInfo: "", or what is wrong with the answer: a
 * body that was cut at http.max_kb or did not come in time, a redirect that was not followed.
 *
 * Redirects are followed, five at most. Certificates are verified. Addresses that are not on the
 * internet (loopback, private networks ...) are refused unless http.allow_private is true, also
 * behind a redirect. It takes at most http.timeout_ms, and seven eighths of the time that the hook
 * has left. Why there was no answer is in the log. */
static int l_get_http(lua_State *L)
{
	struct fetch *f;
	const char *url;
	bool fine = false;
	size_t n;

	lua_settop(L, 1);
	if (l_to_string(L, 1, &url, &n) != GIVEN || strlen(url) != n)
		return luaL_error(L, "VPOP3Net.GetHTTP(url): a string is wanted");
	f = l_owned(L, sizeof *f, clear);
	l_take_options(L, f);
	l_charge(L, 50 * WORK_SYSCALL);
	if (n > LIMIT_HTTP_URL_BYTES) {
		snprintf(f->answer.error, sizeof f->answer.error, "the URL is too long");
	} else if (!waiting_enter()) {
		snprintf(f->answer.error, sizeof f->answer.error, "too many sessions wait already");
	} else {
		fine = http_get(url, &f->options, &f->answer);
		waiting_leave();
	}
	lua_pushboolean(L, fine);
	if (fine) {
		l_push_answer(L, &f->answer);
	} else {
		log_warn(runtime_log_id(runtime_of(L)), "VPOP3Net.GetHTTP: no answer: %s",
		    f->answer.error);
		lua_pushnil(L);
	}
	l_owned_clear(L, 2);
	return 2;
}

static const struct library_row rows[] = {
    {"GetHTTP", l_get_http},
    {NULL, NULL},
};

const struct library library_vpop3net_http = {"VPOP3Net", rows};
