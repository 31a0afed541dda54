/* compat_idioms.c - the table of old idioms: for notices, and for doc/old-scripts.md, which the
 * unit test compat compares with it. */
#include "lua-bindings/compat/compat.h"

#include <stdio.h>

#define ALL_OLD (1u << COMPAT_AUTO | 1u << COMPAT_50 | 1u << COMPAT_52)
#define BEFORE_52 (1u << COMPAT_AUTO | 1u << COMPAT_50)

static const struct compat_idiom_info idioms[COMPAT_IDIOMS] = {
    [COMPAT_ARG] = {"implicit-arg", "`arg` inside of `function f(...)`", "5.2",
	"`arg` is a global variable, usually nil",
	"The function gets a local table `arg` with its extra arguments and their number in "
	"`arg.n`. Under `auto` only where the function never uses `...` itself, never asks whether "
	"there is an `arg`, and the script assigns to no variable of that name; a global `arg` "
	"that exists is left in force.",
	"the function gets the table arg of its arguments, as in Lua 5.0", BEFORE_52},
    [COMPAT_FOR_TABLE] = {"for-in-table", "`for k, v in t do`", "5.1",
	"error: attempt to call a table value",
	"A table that cannot be called is walked with `next`. Decided when the loop begins; "
	"anything else is passed on as it is.",
	"a table that cannot be called is walked with next(), as in Lua 5.0", BEFORE_52},
    [COMPAT_ESCAPE] = {"unknown-escape", "`\"C:\\VPOP3\\lists.txt\"`", "5.2",
	"the script does not load: invalid escape sequence",
	"The backslash in front of an unknown letter is dropped, so this reads `C:VPOP3lists.txt` as "
	"it did. In a string that has one, and under `5.0` in all of them, the newer `\\x` `\\z` "
	"`\\u` are letters, too. (Write `\"C:\\\\VPOP3\"` or `\"C:/VPOP3\"`.)",
	"the backslash is dropped, as in Lua 5.0", BEFORE_52},
    [COMPAT_LONG_STRING] = {"nested-long-string", "`[[ a [[ b ]] c ]]`, also in `--[[ ... ]]`",
	"5.1", "the string ends at the first `]]`, usually a syntax error",
	"The text gets brackets of another level. Under `auto` only where the script does not load "
	"otherwise.",
	"the brackets nest, as in Lua 5.0", BEFORE_52},
    [COMPAT_GOTO] = {"goto-name", "a variable, field or method named `goto`", "5.2",
	"the script does not load: `goto` is a reserved word",
	"The name is a name. A local variable is called `goto_` in messages.",
	"the name is used as a name, as in Lua 5.0", BEFORE_52},
    [COMPAT_CTRL_Z] = {"ctrl-z", "a Ctrl-Z (byte 26) at the end of the file", "-",
	"the script does not load: unexpected symbol",
	"The script ends there, as it did on Windows.", "the script ends here, as on Windows",
	ALL_OLD},
    [COMPAT_NUMBER_TEXT] = {"number-text", "`10/2 .. \"\"`, `tostring(2^3)`", "5.3",
	"`5.0` and `8.0`",
	"`5` and `8`: with `..`, `tostring`, `print`, `string.format(\"%s\")`, `table.concat` and "
	"`write`, in a script that is old: under `5.0` and `5.2` every script, under `auto` one that "
	"Lua 5.2 could not have loaded and that uses nothing newer. In every mode the results of hooks "
	"and the lists they return accept 5.0 for 5.",
	"numbers are written without .0, as before Lua 5.3", ALL_OLD},
    [COMPAT_GSUB_PERCENT] = {"gsub-percent", "`string.gsub(s, p, \"50%\")`, `\"%x\"`", "5.2",
	"error: invalid use of '%' in replacement string",
	"A `%` in front of anything but a digit stands for that character; at the end for itself.",
	"the character after % is taken as it is, as in Lua 5.0", BEFORE_52},
    [COMPAT_FORMAT_FRACTION] = {"format-fraction",
	"`string.format(\"%d\", 3.5)`, also `%i %u %c %o %x`", "5.3",
	"error: number has no integer representation; `%u` of -1 has 20 digits",
	"The fraction is cut off; `%u` of a negative number is one of 32 bits.",
	"the fraction is cut off", ALL_OLD},
    [COMPAT_FRACTION] = {"fraction", "`string.sub(s, 1, #s / 2)` and other fractions for integers",
	"5.3", "error: number has no integer representation",
	"The fraction is cut off, in every function of Lua 5.0, 5.1 and 5.2 that takes an integer: of "
	"`string`, `table`, `math` and `bit32`, `unpack`, `select`, `tonumber`, `error`, `os.date`, "
	"`os.time` (also the fields of its table), `os.difftime`, `file:read`, `seek`, `setvbuf`.",
	"the fraction is cut off", ALL_OLD},
    [COMPAT_TABLE_POSITION] = {"table-position",
	"`table.insert(t, 9, v)`, `table.remove(t, 9)` outside of the list", "5.3",
	"error: position out of bounds", "The element is put there; nothing is removed.",
	"accepted, as in Lua 5.1", ALL_OLD},
    [COMPAT_ARGUMENT] = {"old-argument",
	"`io.open(f, \"rb+\")`, `\"rt\"`; `tonumber(10, 16)`; `os.difftime(t)`; `os.time` with a field "
	"that is no number; `math.fmod(1, 0)`",
	"5.2, 5.3", "error: bad argument, or field is not an integer",
	"Taken as Lua 5.1 did: `t` means nothing; the number is read as its digits; since 1970; the "
	"field counts as missing; not a number. `tonumber(x, 10)` is `tonumber(x)` under `5.0`, and "
	"under `auto` in a script that is old.",
	"accepted, as in Lua 5.1", ALL_OLD},
    [COMPAT_DATE] = {"date-conversion", "`os.date(\"%Q\")`: a conversion that C99 does not know",
	"5.2", "error: invalid conversion specifier", "It stands for itself.",
	"an unknown conversion stands for itself", ALL_OLD},
    [COMPAT_OLD_FUNCTION] = {"old-function",
	"`table.getn` `setn` `foreach` `foreachi` `maxn`, `string.gfind`, `unpack`, `loadstring`, "
	"`setfenv`, `getfenv`, `gcinfo`, `math.mod` `pow` `log10` `ldexp` `frexp` `cosh` `sinh` "
	"`tanh` `atan2`, `bit32`",
	"5.1 to 5.4", "nil", "They exist; see the [function reference](functions.md).",
	"the function exists here", ALL_OLD},
    [COMPAT_REFUSED_FUNCTION] = {"refused-function", "`loadlib`, `module`, `newproxy`", "5.1, 5.2",
	"nil", "Calling one raises an error that says what to write instead.",
	"calling it raises an error that says what to write instead", ALL_OLD},
};

const struct compat_idiom_info *compat_idiom_info(enum compat_idiom idiom)
{
	return &idioms[idiom];
}

const char *compat_done_name(enum compat_done done)
{
	static const char *const names[] = {
	    [COMPAT_REWRITTEN] = "rewritten",
	    [COMPAT_SUPPLIED] = "supplied",
	    [COMPAT_REFUSED] = "refused",
	    [COMPAT_LEFT] = "left",
	};

	return names[done];
}

const char *compat_mode_name(enum compat_mode mode)
{
	static const char *const names[] = {
	    [COMPAT_AUTO] = "auto",
	    [COMPAT_50] = "5.0",
	    [COMPAT_52] = "5.2",
	    [COMPAT_54] = "5.4",
	};

	return names[mode];
}

void compat_notice_text(
    const struct compat_notice *notice, const char *file, char *out, size_t size)
{
	const struct compat_idiom_info *info = compat_idiom_info(notice->idiom);

	snprintf(out, size, "%s:%d: %s%s%s: %s%s", file, notice->line, info->name,
	    notice->detail[0] != '\0' ? " " : "", notice->detail,
	    notice->done == COMPAT_LEFT ? "left as it is; with lua.compat = \"5.2\" " : "",
	    info->brief);
}
