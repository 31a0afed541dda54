"""mailhooks lua: a script by hand, in the environment of the mail scripts (R5, R14)."""

import time

from test_cli import mailhooks, write


def lua(tmp_path, text, *arguments, options=(), limits=False):
    script = tmp_path / "by_hand.lua"
    script.write_text(text)
    return mailhooks(tmp_path, *options, "lua", *(["--limits"] if limits else []), str(script), *arguments)


def test_environment_and_arguments(tmp_path):
    write(tmp_path, "return 1")
    (tmp_path / "scripts" / "lists.lua").write_text("return {'one', 'two'}")
    status, out, err = lua(tmp_path, """
        print(arg[0]:match("[^/]*$"), arg[1], arg[2], #arg, ...)
        print(VPOP3.HexString("abc"), type(VPOP3Net.GetHTTP), type(mailhooks), #require "lists")
        print(io.popen == nil, pcall(os.execute, "true"))
        io.write("half a ") io.write("line\\n", "no end")
        print(table.getn({1, 2}), script)
        """, "a b", "-x")
    assert status == 0 and err == ""
    assert out.splitlines() == [
        "by_hand.lua\ta b\t-x\t2\ta b\t-x", "616263\tfunction\ttable\t2",
        "false\tfalse\tos.execute is disabled in mailhooks; use os.timedexecute(program, milliseconds)",
        "half a line", "no end2\tnil"]


def test_an_error_has_its_traceback(tmp_path):
    write(tmp_path, "")
    status, out, err = lua(tmp_path, "print('before')\nlocal function f() error('boom') end\nf()")
    assert (status, out) == (1, "before\n")
    assert "by_hand.lua:2: boom" in err and "stack traceback" in err
    assert "by_hand.lua:3: in main chunk" in err and err.count("boom") == 1


def test_what_cannot_be_run(tmp_path):
    write(tmp_path, "")
    status, out, err = lua(tmp_path, "\nx = = 1")
    assert (status, out) == (78, "") and "by_hand.lua:2: unexpected symbol" in err
    status, _, err = lua(tmp_path, "\x1bLua")
    assert status == 78 and "binary chunk" in err
    assert mailhooks(tmp_path, "lua", "/no/such/file.lua")[0] == 1
    assert mailhooks(tmp_path, "lua")[0] == 2
    assert mailhooks(tmp_path, "lua", "--no-such-option", "x")[0] == 2
    assert mailhooks(tmp_path, "-o", "scripts=/no/such/place", "lua", "/dev/null")[0] == 78


def test_an_old_script(tmp_path):
    """R14: the file itself and the strings it loads are old, though no file of the set is; a new one is not."""
    write(tmp_path, "")
    text = r"""
        io.write(10/2, " ") print(10/2, 10/2 .. "", tostring(10/2), unpack({ 1, 2 }, 1.5))
        print(loadstring("return 10/2 .. '', tostring(4/2)")())
        local f = load("return function(x) return x .. '' end")()
        print(f(10/2), string.sub("abc", 2.5), os.difftime(2.5, 1))
        """
    status, out, err = lua(tmp_path, "file = 'C:\\VPOP3'" + text)
    assert (status, err) == (0, "") and out.splitlines() == ["5 5\t5\t5\t1\t2", "5\t2", "5\tbc\t1"]
    status, out, err = lua(tmp_path, text)
    assert (status, err) == (0, "")
    assert out.splitlines() == ["5.0 5.0\t5.0\t5.0\t1\t2", "5.0\t2.0", "5.0\tbc\t1.0"]


def test_standard_input(tmp_path):
    write(tmp_path, "")
    status, out, _ = mailhooks(tmp_path, "lua", "-", "x", stdin=b"print(arg[0], arg[1])")
    assert (status, out) == (0, "stdin\tx\n")


def test_limits_only_when_asked_for(tmp_path):
    """A broken script elsewhere does not matter; the budgets of a hook hold with --limits."""
    write(tmp_path, "x = = 1")
    options = "-o", "lua.hook_ms=200", "-o", "lua.memory_kb=1024", "-o", "lua.instructions=1000000000"
    grow = "local s = ('x'):rep(3 << 20) print(#s)"
    assert lua(tmp_path, grow, options=options)[:2] == (0, f"{3 << 20}\n")
    status, _, err = lua(tmp_path, grow, options=options, limits=True)
    assert status == 1 and "memory budget used up" in err
    begin = time.monotonic()
    status, _, err = lua(tmp_path, "while true do end", options=options, limits=True)
    assert status == 1 and "time budget of the hook used up" in err
    assert time.monotonic() - begin < 5
