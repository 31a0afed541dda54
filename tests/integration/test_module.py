"""require "mailhooks" in Debian's lua5.4: mail scripts under test (doc/testing-scripts.md, R14)."""

import os
import re
import shutil
import subprocess

import pytest

from rig import machine

MODULE = machine.BUILD / "lua-bindings/mailhooks.so"


def environment():
    """A module with sanitizers needs their libraries before anything else."""
    libraries = subprocess.run(["ldd", MODULE], capture_output=True, check=True, text=True).stdout
    assert "liblua" not in libraries     # the host has one
    asan = re.search(r"=> (\S*libasan\S*)", libraries)
    variables = {**os.environ, "LUA_CPATH": f"{MODULE.parent}/?.so;;"}
    if asan:
        variables |= {"LD_PRELOAD": asan[1], "ASAN_OPTIONS": "detect_leaks=0"}
    return variables


def lua(tmp_path, text):
    (tmp_path / "test.lua").write_text(text)
    done = subprocess.run([shutil.which("lua5.4"), "test.lua"], cwd=tmp_path, env=environment(), capture_output=True,
                          text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


@pytest.fixture
def scripts(tmp_path):
    (tmp_path / "lists.lua").write_text("return { bad = 'bad.test' }")
    (tmp_path / "smtpsvr.lua").write_text("""
        local lists = require "lists"
        seen = IPAddress
        print("top level", ServerName, "C:\\VPOP3")
        function DoHELO(host, refuse, ...)
            if host == lists.bad then return true, "550 5.7.1 no " .. arg.n end
        end
        function Leave() os.execute("true") end
        function Secret() return load("return secret")(), secret, rawlen(_G) end
        """)
    return tmp_path


def test_a_script_and_its_hooks(scripts):
    """Old idioms are rewritten, siblings found, sample variables set; each environment is a new one."""
    assert lua(scripts, """
        local mailhooks = require "mailhooks"
        secret = "of the host"
        local s = mailhooks.script("SMTPSVR.lua")
        print(s.seen, s.DoHELO("good.test", false, true), s.DoHELO("bad.test", false, true, 5))
        print(pcall(s.Leave))
        print(s.Secret())
        s.string.rep = nil
        print(string.rep("x", 3), ("y"):rep(2))
        local again = mailhooks.script("smtpsvr.lua")
        print(again ~= s, again.string.rep ~= nil, rawget(_G, "seen"), rawget(_G, "DoHELO"))
        """) == [
            "top level\tsmtp\tC:VPOP3", "127.0.0.1\tnil\ttrue\t550 5.7.1 no 2",
            "false\tsmtpsvr.lua:8: os.execute is disabled in mailhooks; use os.timedexecute(program, milliseconds)",
            "nil\tnil\t0", "xxx\tyy", "top level\tsmtp\tC:VPOP3", "true\ttrue\tnil\tnil"]


def test_the_host_stays_as_it_was(scripts):
    assert lua(scripts, """
        local before = {}
        for _, t in ipairs { _G, string, table, os, io, math, coroutine } do
            for k, v in pairs(t) do before[#before + 1] = { t, k, v } end
        end
        local methods, files = getmetatable("").__index, getmetatable(io.stdout)
        local mailhooks = require "mailhooks"
        assert(require "mailhooks" == mailhooks and package.loaded.string == string)
        mailhooks.environment()
        for _, entry in ipairs(before) do assert(entry[1][entry[2]] == entry[3], entry[2]) end
        assert(getmetatable("").__index == methods and getmetatable(io.stdout) == files)
        assert(load("x = 1; return x")() == 1 and x == 1)
        io.stdout:write("host\\n")
        print(VPOP3.HexString("abc"), table.getn { 1, 2 }, type(os.sleep), type(VPOP3Net.GetHTTP), type(unpack))
        print(coroutine.wrap(function() return VPOP3.HexString("z") end)())
        """) == ["host", "616263\t2\tfunction\tfunction\tfunction", "7a"]


def test_environments(scripts):
    """A debugger's hook of the host stays; files work and end with their environment; errors say what is wrong."""
    out = lua(scripts, """
        local mailhooks = require "mailhooks"
        local lines = 0
        debug.sethook(function() lines = lines + 1 end, "l")
        local env = mailhooks.environment { scripts = "." }
        local f = assert(load("local f = io.open('out.txt', 'w') f:write('text') kept = f\\n"
            .. "for i = 1, 5 do\\n local co = coroutine.wrap(function() return i end) co()\\n end\\n"
            .. "return load('return kept')() == kept, _G.kept == kept, debug.sethook", "=t", "t", env))
        print(f())
        print(lines > 15, debug.gethook() ~= nil)
        debug.sethook()
        print(pcall(env.io.close, io.stdout))
        mailhooks.environment()
        print(pcall(env.kept.write, env.kept, "more"))
        print(pcall(mailhooks.script, "none.lua"))
        print(pcall(mailhooks.environment, { "lua.hok_ms=5" }))
        for i = 1, 50 do mailhooks.script("smtpsvr.lua") collectgarbage() end
        """)
    assert out[:2] == ["true\ttrue\tnil", "true\ttrue"]
    assert re.search("^false.*another library", out[2])
    assert re.search("^false.*closed file", out[3])
    assert re.search("^false.*there is no none.lua in ", out[4])
    assert re.search("^false.*did you mean .*lua.hook_ms", out[5])
    assert len(out) == 6 + 50 and (scripts / "out.txt").read_text() == "text"


def test_the_example_of_the_manual(scripts):
    text = (machine.TOP / "doc/testing-scripts.md").read_text()
    example = re.search(r"```lua\n(.*?)```", text, re.S)[1].replace("/etc/mailhooks/scripts", str(scripts))
    (scripts / "smtpsvr.lua").write_text("""
        function DoMAILFROM(data, from) return IPAddress == "192.0.2.7" and "" or "550 who?" end
        function DoRCPTTO(data, rcpt) return rcpt:find("^trap@") and "550 5.7.1 no" end""")
    assert lua(scripts, example) == []
