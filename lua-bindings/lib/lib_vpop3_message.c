/* lib_vpop3_message.c - VPOP3's functions for the message that ProcessMessage() looks at.
 *
 * Outside of that hook there is no message: they return nothing, 0 or false and do no harm. What is
 * read counts towards the memory of the script, and reading towards its time. */
#include "common/limits.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/message_view.h"
#include "lua-bindings/lib/sandbox.h"
#include "lua-bindings/lib/work.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE_BYTES 16384 /* read at once */

static struct message_view *view_of(lua_State *L)
{
	return runtime_message(runtime_of(L));
}

/* ---- parts ---- */

/* mime_read() must not be left by a Lua error, so the bytes go to a buffer of a fixed size that was
 * made before: a userdata, which Lua frees whatever happens. */
struct fill {
	char *p;
	size_t n, cap;
};

static bool fill(void *arg, const void *bytes, size_t n)
{
	struct fill *f = arg;

	if (n > f->cap - f->n)
		return false;
	memcpy(f->p + f->n, bytes, n);
	f->n += n;
	return true;
}

static int l_part(lua_State *L, enum mime_piece piece)
{
	const char *path = luaL_checkstring(L, 1);
	const struct message_view *v = view_of(L);
	const struct mime_section *s;
	struct fill f = {0};
	struct mime_sink sink = {fill, &f};

	s = v != NULL && v->mime != NULL ? mime_find(v->mime, path) : NULL;
	if (s == NULL) {
		lua_pushnil(L);
		return 1;
	}
	f.cap = (size_t)(s->end - s->start);
	l_charge(L, f.cap / WORK_COPY);
	f.p = lua_newuserdatauv(L, f.cap, 0);
	if (mime_read(v->mime, path, piece, &sink) == MIME_OK)
		lua_pushlstring(L, f.p, f.n);
	else
		lua_pushnil(L);
	return 1;
}

/*** VPOP3.GetMessagePart(path) -> string or nil
 * The part as it was sent, header and body; the transfer encoding is not undone. path as in the
 * mime table
 * ("1", "2.1"); "" is the whole message. In ProcessMessage only. */
static int l_get_message_part(lua_State *L)
{
	return l_part(L, MIME_WHOLE);
}

/*** VPOP3.GetMessagePartHeader(path) -> string or nil
 * The header of the part with the empty line after it. In ProcessMessage only. */
static int l_get_message_part_header(lua_State *L)
{
	return l_part(L, MIME_HEADER);
}

/*** VPOP3.GetMessagePartBody(path) -> string or nil
 * The body of the part; the transfer encoding is not undone. In ProcessMessage only. */
static int l_get_message_part_body(lua_State *L)
{
	return l_part(L, MIME_BODY);
}

/* ---- lines ---- */

/*** VPOP3.MessageReset()
 * GetMessageLine() goes on at the beginning of the message. In ProcessMessage only. */
static int l_message_reset(lua_State *L)
{
	struct message_view *v = view_of(L);

	if (v != NULL)
		v->position = 0;
	return 0;
}

/*** VPOP3.MessageSeek(offset)
 * GetMessageLine() goes on at this offset from the beginning of the message, in bytes. In
 * ProcessMessage only. */
static int l_message_seek(lua_State *L)
{
	lua_Number offset = luaL_checknumber(L, 1);
	struct message_view *v = view_of(L);

	if (v != NULL)
		v->position = offset > 0 && offset < (lua_Number)INT64_MAX ? (uint64_t)offset : 0;
	return 0;
}

/* How many bytes of this piece belong to the lines still wanted; counts those that end in it. */
static size_t take_lines(const char *p, size_t n, int64_t *wanted)
{
	const char *end = p + n, *at = p;

	while (*wanted > 0 && at < end) {
		const char *line_end = memchr(at, '\n', (size_t)(end - at));

		if (line_end == NULL)
			return n;
		at = line_end + 1;
		(*wanted)--;
	}
	return (size_t)(at - p);
}

/*** VPOP3.GetMessageLines(n) -> number of lines got, text
 * Another name of VPOP3.GetMessageLine(). */
/*** VPOP3.GetMessageLine(n) -> number of lines got, text
 * The next n lines of the message with their line ends (CR LF), and moves on behind them. 0 and ""
 * at the end. In ProcessMessage only. */
static int l_get_message_line(lua_State *L)
{
	lua_Number asked = luaL_optnumber(L, 1, 1);
	struct message_view *v = view_of(L);
	int64_t wanted = asked >= INT32_MAX ? INT32_MAX : asked > 0 ? (int64_t)asked : 0;
	int64_t missing = wanted;
	bool partial = false;
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	while (v != NULL && missing > 0) {
		char *p = luaL_prepbuffsize(&b, PIECE_BYTES);
		ssize_t n = message_read(v->message, v->position, p, PIECE_BYTES);
		size_t used;

		if (n <= 0)
			break;
		l_charge(L, WORK_SYSCALL + (size_t)n / WORK_COPY);
		used = take_lines(p, (size_t)n, &missing);
		partial = p[used - 1] != '\n'; /* the last line may have no end */
		luaL_addsize(&b, used);
		v->position += used;
	}
	luaL_pushresult(&b);
	lua_pushinteger(L, wanted - missing + (partial ? 1 : 0));
	lua_insert(L, -2);
	return 2;
}

/* ---- attachments ---- */

/* Is the open directory one of lua.attachment_dirs, or below one? */
static bool is_allowed(const struct config *c, int directory)
{
	char link[40], real[PATH_MAX], allowed[PATH_MAX];
	size_t n;

	snprintf(link, sizeof link, "/proc/self/fd/%d", directory);
	if (realpath(link, real) == NULL)
		return false;
	for (size_t i = 0; i < c->lua.attachment_dirs.n; i++) {
		if (realpath(c->lua.attachment_dirs.v[i], allowed) == NULL)
			continue;
		n = strlen(allowed);
		if (strncmp(real, allowed, n) == 0 && (real[n] == '/' || real[n] == '\0'))
			return true;
	}
	return false;
}

/* The directory of the file, opened before it is looked at, so that nobody exchanges it for another
 * one in between; -1: it is not there, or not allowed. */
static int open_directory(const struct config *c, const char *file)
{
	const char *slash = strrchr(file, '/');
	char directory[PATH_MAX];
	int fd;

	if (slash == NULL || slash == file || (size_t)(slash - file) >= sizeof directory)
		return -1;
	memcpy(directory, file, (size_t)(slash - file));
	directory[slash - file] = '\0';
	fd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0 && !is_allowed(c, fd)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

static bool save(const struct mime *mime, size_t i, int directory, const char *name)
{
	int fd = openat(directory, name,
	    O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0640);
	struct mime_sink sink = {mime_write_fd, &fd};
	bool fine;

	if (fd < 0)
		return false;
	fine = mime_save(mime, i, &sink) == MIME_OK;
	if (close(fd) != 0)
		fine = false;
	if (!fine)
		unlinkat(directory, name, 0);
	return fine;
}

/*** VPOP3.SaveAttachment(number, filename) -> boolean
 * Writes the decoded bytes of an attachment; the first of the attachments list has number 1. The
 * directory must be allowed by the setting lua.attachment_dirs. false when it cannot be written. In
 * ProcessMessage only. */
static int l_save_attachment(lua_State *L)
{
	lua_Number number = luaL_checknumber(L, 1);
	const char *file = luaL_checkstring(L, 2);
	const struct message_view *v = view_of(L);
	struct runtime *rt = runtime_of(L);
	size_t n = v != NULL && v->mime != NULL ? mime_attachment_count(v->mime) : 0;
	bool fine = false;

	l_refuse_in_safety_mode(L, "VPOP3.SaveAttachment");
	if (number >= 1 && number <= (lua_Number)n) {
		const struct mime_attachment *a = mime_attachment(v->mime, (size_t)number - 1);
		int directory;

		l_charge(L, a->size / WORK_BYTE);
		directory = open_directory(script_set_config(runtime_set(rt)), file);
		if (directory < 0) {
			log_warn(runtime_log_id(rt),
			    "VPOP3.SaveAttachment: %.200s is not below a directory of lua.attachment_dirs",
			    file);
		} else {
			fine = save(v->mime, (size_t)number - 1, directory, strrchr(file, '/') + 1);
			close(directory);
		}
	}
	lua_pushboolean(L, fine);
	return 1;
}

static const struct library_row rows[] = {
    {"GetMessagePart", l_get_message_part},
    {"GetMessagePartBody", l_get_message_part_body},
    {"GetMessagePartHeader", l_get_message_part_header},
    {"MessageReset", l_message_reset},
    {"MessageSeek", l_message_seek},
    {"GetMessageLine", l_get_message_line},
    {"GetMessageLines", l_get_message_line}, /* the wiki's name */
    {"SaveAttachment", l_save_attachment},
    {NULL, NULL},
};

const struct library library_vpop3_message = {"VPOP3", rows};
