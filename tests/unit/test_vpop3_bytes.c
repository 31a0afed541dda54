/* Digests and hexadecimal text as scripts see them, against published vectors (RFC 1321, 2202,
 * 4231, FIPS 180-4). */
#include "tests/unit/lua_rig_setup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_hex(const char *call, const char *hex)
{
	char code[1000];

	snprintf(code, sizeof code, "return VPOP3.HexString(%s)", call);
	rig_expect(rt, code, hex);
}

static void test_digests(void **state)
{
	(void)state;
	expect_hex("VPOP3.MD5('abc')", "900150983cd24fb0d6963f7d28e17f72");
	expect_hex("VPOP3.MD5('')", "d41d8cd98f00b204e9800998ecf8427e");
	expect_hex("VPOP3.SHA1('abc')", "a9993e364706816aba3e25717850c26c9cd0d89d");
	expect_hex("VPOP3.SHA256('abc')",
	    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	expect_hex("VPOP3.SHA512('abc')",
	    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
	    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
	expect_hex("VPOP3.SHA1({97, 98, '99'})", "a9993e364706816aba3e25717850c26c9cd0d89d");
	rig_expect(
	    rt, "local t = VPOP3.SHA256('abc') return #t, t[1], t[32], t.n", "32|186|173|nil");
	rig_expect(rt, "local n = 0 for k, v in VPOP3.MD5('x') do n = n + 1 end return n", "16");
}

static void test_hmac(void **state)
{
	(void)state;
	expect_hex("VPOP3.HMAC('SHA1', 'what do ya want for nothing?', 'Jefe')",
	    "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
	expect_hex("VPOP3.HMAC('SHA256', 'what do ya want for nothing?', 'Jefe')",
	    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	expect_hex("VPOP3.HMAC('sha-256', 'Hi There', ('\\11'):rep(20))",
	    "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
	expect_hex(
	    "VPOP3.HMAC('MD5', 'Hi There', ('\\11'):rep(16))", "9294727a3638bb1c13f48ef8158bfc9d");
	/* a key longer than a block, and none */
	expect_hex("VPOP3.HMAC('SHA256', 'Test Using Larger Than Block-Size Key - Hash Key First', "
		   "('\\170'):rep(131))",
	    "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
	expect_hex("VPOP3.HMAC('SHA256', '', '')",
	    "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
	/* lists of bytes are as good, so that one result can be the next key */
	rig_expect(rt,
	    "local k = VPOP3.HMAC('SHA256', 'a', 'b') local s = string.char(table.unpack(k)) "
	    "return VPOP3.HexString(VPOP3.HMAC('SHA1', {99}, k)) == "
	    "VPOP3.HexString(VPOP3.HMAC('SHA1', 'c', s))",
	    "true");
}

static void test_errors_of_hmac_are_empty(void **state)
{
	static const char *const wrong[] = {"", "'SHA3', 'a', 'b'", "'SHA1', 'a'", "nil, 'a', 'b'",
	    "'SHA1', {256}, 'b'", "'SHA1', 'a', {-1}", "'SHA1', {'x'}, 'b'", "'SHA1', {1.5}, 'b'",
	    "'SHA1', {{}}, 'b'", "{}, 'a', 'b'", "'SHA1', print, 'b'"};
	char code[200];

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		snprintf(
		    code, sizeof code, "local t = VPOP3.HMAC(%s) return type(t), #t", wrong[i]);
		rig_expect(rt, code, "table|0");
	}
	rig_expect(rt, "return #VPOP3.SHA1(), #VPOP3.SHA1(nil), #VPOP3.SHA1(true)", "0|0|0");
}

static void test_hex(void **state)
{
	(void)state;
	rig_expect(rt,
	    "return VPOP3.HexString('\\0\\255az'), VPOP3.HexString(''), VPOP3.HexString({})",
	    "00ff617a||");
	rig_expect(
	    rt, "return VPOP3.HexString({0, 255, 16.0}), VPOP3.HexString(12)", "00ff10|3132");
	rig_expect(rt, "return VPOP3.HexString(), VPOP3.HexString(true), VPOP3.HexString({300})",
	    "nil|nil|nil");
	rig_expect(rt, "return table.concat(VPOP3.UnHexString('00fFaB10'), ' ')", "0 255 171 16");
	rig_expect(rt, "return table.concat(VPOP3.UnHexString('zz41 4242'), ' ')", "0 65 0 36 0");
	rig_expect(rt, "return table.concat(VPOP3.UnHexString('414'), ' ')", "65 0");
	rig_expect(rt,
	    "return #VPOP3.UnHexString(''), #VPOP3.UnHexString(), #VPOP3.UnHexString({})", "0|0|0");
	rig_expect(rt,
	    "local s = '' for i = 0, 255 do s = s .. string.char(i) end "
	    "return string.char(table.unpack(VPOP3.UnHexString(VPOP3.HexString(s)))) == s",
	    "true");
}

/* R5: however much a script asks for, it stays within its budgets. */
static void test_bounds(void **state)
{
	(void)state;
	assert_int_equal(
	    rig_run_budget(rt, "local s = ('x'):rep(1000000) while true do VPOP3.SHA512(s) end",
		RIG_INSTRUCTIONS, 20000),
	    RUN_INSTRUCTIONS);
	assert_int_equal(rig_run_budget(rt,
			     "local s = ('41'):rep(100000) while true do VPOP3.UnHexString(s) end",
			     1000000, 20000),
	    RUN_INSTRUCTIONS);
	assert_int_equal(rig_run_budget(rt,
			     "local t = setmetatable({}, {__index = function() return 1 end, "
			     "__len = function() return 1e15 end}) return VPOP3.HexString(t)",
			     1000000, 20000),
	    RUN_OK);
	assert_string_equal(rig_text, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_digests),
	    cmocka_unit_test(test_hmac),
	    cmocka_unit_test(test_errors_of_hmac_are_empty),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
