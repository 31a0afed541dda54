/* lib_vpop3_bytes.c - digests, HMAC and hexadecimal text.
 *
 * VPOP3 hands bytes out as a list of numbers from 0 to 255. Where bytes go in, a string is taken as
 * well as such a list. What is no such thing is an error of the kind that VPOP3 documents: an empty
 * list, or nil. The names of its digest functions are not documented; MD5, SHA1, SHA256 and SHA512
 * are ours. */
#include "common/digest.h"
#include "lua-bindings/convert.h"
#include "lua-bindings/lib/library.h"
#include "lua-bindings/lib/work.h"

#include <string.h>

#define WORK_DIGEST 2 /* bytes of a digest per unit: some 3 ns for each in SHA-256 */

/* ---- bytes in ---- */

/* The number at index of the list at the top as a byte. */
static bool l_byte_at(lua_State *L, lua_Integer index, unsigned char *byte)
{
	int64_t value = -1;
	enum given given;

	lua_rawgeti(L, -1, index);
	given = l_to_integer(L, -1, &value);
	lua_pop(L, 1);
	*byte = (unsigned char)value;
	return given == GIVEN && value >= 0 && value <= 255;
}

/* The list at index becomes a string, in its place. */
static bool l_pack(lua_State *L, int index)
{
	lua_Unsigned n = lua_rawlen(L, index);
	size_t pending = 0;
	unsigned char *bytes = lua_newuserdatauv(L, n > 0 ? n : 1, 0);
	bool fine = true;

	lua_pushvalue(L, index);
	for (lua_Unsigned i = 0; i < n && fine; i++) {
		fine = l_byte_at(L, (lua_Integer)i + 1, &bytes[i]);
		l_meter(L, &pending, 4);
	}
	lua_pop(L, 1);
	if (fine) {
		lua_pushlstring(L, (char *)bytes, n);
		lua_replace(L, index);
	}
	lua_pop(L, 1);
	return fine;
}

/* The argument as bytes, owned by the stack; false when it is neither text nor bytes. */
static bool l_bytes(lua_State *L, int index, const char **bytes, size_t *n)
{
	if (lua_istable(L, index) && !l_pack(L, index))
		return false;
	return l_to_string(L, index, bytes, n) == GIVEN;
}

/* ---- bytes out ---- */

static int l_push_bytes(lua_State *L, const unsigned char *bytes, size_t n)
{
	lua_createtable(L, (int)n, 0);
	for (size_t i = 0; i < n; i++) {
		lua_pushinteger(L, bytes[i]);
		lua_rawseti(L, -2, (lua_Integer)i + 1);
	}
	l_iterable(L, -1);
	return 1;
}

/* ---- digests ---- */

/*** VPOP3.HMAC(algorithm, text, key) -> bytes
 * The keyed digest (RFC 2104) of a text as a list of numbers. algorithm is "SHA1", "SHA256",
 * "SHA512" or "MD5"; text and key are strings or lists of bytes. The list is empty when an argument
 * is wrong. */
static int l_hmac(lua_State *L)
{
	unsigned char out[DIGEST_BYTES];
	size_t length = 0, name_n = 0, n, nkey;
	const char *name = NULL, *text, *key;
	enum digest digest;

	lua_settop(L, 3);
	if (l_to_string(L, 1, &name, &name_n) == GIVEN && digest_parse(name, &digest) &&
	    l_bytes(L, 2, &text, &n) && l_bytes(L, 3, &key, &nkey)) {
		l_charge(L, 4 * WORK_SYSCALL + (n + nkey) / WORK_DIGEST);
		length = digest_hmac(digest, key, nkey, text, n, out);
	}
	return l_push_bytes(L, out, length);
}

static int l_digest(lua_State *L, enum digest digest)
{
	unsigned char out[DIGEST_BYTES];
	size_t length = 0, n;
	const char *text;

	lua_settop(L, 1);
	if (l_bytes(L, 1, &text, &n)) {
		l_charge(L, WORK_SYSCALL + n / WORK_DIGEST);
		length = digest_make(digest, text, n, out);
	}
	return l_push_bytes(L, out, length);
}

/*** VPOP3.MD5(text) -> bytes
 * The MD5 digest of a string or list of bytes as a list of 16 numbers; empty when text is neither.
 * An addition of mailhooks. */
static int l_md5(lua_State *L)
{
	return l_digest(L, DIGEST_MD5);
}

/*** VPOP3.SHA1(text) -> bytes
 * The SHA-1 digest as a list of 20 numbers, as VPOP3.MD5. An addition of mailhooks. */
static int l_sha1(lua_State *L)
{
	return l_digest(L, DIGEST_SHA1);
}

/*** VPOP3.SHA256(text) -> bytes
 * The SHA-256 digest as a list of 32 numbers, as VPOP3.MD5. An addition of mailhooks. */
static int l_sha256(lua_State *L)
{
	return l_digest(L, DIGEST_SHA256);
}

/*** VPOP3.SHA512(text) -> bytes
 * The SHA-512 digest as a list of 64 numbers, as VPOP3.MD5. An addition of mailhooks. */
static int l_sha512(lua_State *L)
{
	return l_digest(L, DIGEST_SHA512);
}

/* ---- hexadecimal text ---- */

/*** VPOP3.HexString(text) -> string
 * A string or list of bytes in lower-case hexadecimal digits; nil when text is neither. */
static int l_hex_string(lua_State *L)
{
	static const char digits[] = "0123456789abcdef";
	const char *text;
	luaL_Buffer b;
	char *out;
	size_t n;

	lua_settop(L, 1);
	if (!l_bytes(L, 1, &text, &n)) {
		lua_pushnil(L);
		return 1;
	}
	l_charge(L, n / WORK_BYTE);
	out = luaL_buffinitsize(L, &b, 2 * n);
	for (size_t i = 0; i < n; i++) {
		out[2 * i] = digits[(unsigned char)text[i] >> 4];
		out[2 * i + 1] = digits[text[i] & 15];
	}
	luaL_pushresultsize(&b, 2 * n);
	return 1;
}

/* -1: no hexadecimal digit. Not isxdigit(): it asks the locale. */
static int digit_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/*** VPOP3.UnHexString(hex) -> bytes
 * The bytes that pairs of hexadecimal digits mean, as a list of numbers. There is nothing between
 * the pairs. A pair that is none, such as half of one at the end, gives 0. The list is empty when
 * hex is no string. */
static int l_unhex_string(lua_State *L)
{
	size_t n = 0, pending = 0;
	const char *hex = "";

	lua_settop(L, 1);
	if (l_to_string(L, 1, &hex, &n) != GIVEN)
		n = 0;
	lua_createtable(L, 0, 0);
	for (size_t i = 0; i < n; i += 2) {
		int high = digit_value(hex[i]), low = i + 1 < n ? digit_value(hex[i + 1]) : -1;

		lua_pushinteger(L, high < 0 || low < 0 ? 0 : 16 * high + low);
		lua_rawseti(L, -2, (lua_Integer)(i / 2) + 1);
		l_meter(L, &pending, 4);
	}
	l_iterable(L, -1);
	return 1;
}

static const struct library_row rows[] = {
    {"HMAC", l_hmac},
    {"HexString", l_hex_string},
    {"MD5", l_md5},
    {"SHA1", l_sha1},
    {"SHA256", l_sha256},
    {"SHA512", l_sha512},
    {"UnHexString", l_unhex_string},
    {NULL, NULL},
};

const struct library library_vpop3_bytes = {"VPOP3", rows};
