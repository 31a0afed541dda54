"""Scripts that fail: when they are loaded, at their top level, in each hook; scripts that never
end; what the client sees (lua.on_error), and that nobody else notices. R5, R14, R18."""

import os
import re
import subprocess
import threading
import time

import pytest

from rig import machine, milter as milter_module, smtp
from test_hooks_session import said

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: hi\n\nhello\n"
SLACK = 1.0   # seconds on top of a budget


# loading

def run_to_the_end(milter, script, *options):
    """Starts the program with a script that it must refuse; exit status and what it said."""
    milter.script("smtpsvr.lua", script)
    done = subprocess.run([milter_module.BINARY, "-f", *milter.options(options)],
                          capture_output=True, timeout=20, check=False,
                          env={**os.environ, **milter.environment()})
    return done.returncode, done.stderr.decode()


def test_no_script_in_every_form(mta, milter):
    """Missing, empty, nothing but blanks: no script, and the mail goes on."""
    milter.start()
    for text in (None, "", " \t\r\n \n\n"):
        if text is not None:
            milter.script("smtpsvr.lua", text)
            milter.reload()
        assert mta.send(SENDER, BOB, MESSAGE).code == 250
    milter.script("smtpsvr.lua", 'function DoMAILFROM() return "550 5.7.1 no" end')
    milter.reload()
    assert mta.send(SENDER, BOB, MESSAGE).code == 550
    milter.script("smtpsvr.lua", "")   # VPOP3: emptying a script is how one removes it
    milter.reload()
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    assert len(mta.wait_deliveries(4)) == 4


@pytest.mark.parametrize("script,wanted", [
    ("function DoMAILFROM(", r"/smtpsvr\.lua:1: .*expected"),
    ("-- one\n\nlocal x = = 1\n", r"/smtpsvr\.lua:3: "),
    ("x = nothing.at_all\n", r"/smtpsvr\.lua:1: attempt to index a nil value"),
    ('\nerror("boom")', r"/smtpsvr\.lua:2: boom"),
    ("error({})", r"/smtpsvr\.lua: \(error object is a table value\)"),
    ("\n\nwhile true do end", r"/smtpsvr\.lua:3: (time|instruction) budget"),
    ('local s = ("x"):rep(1e9)', r"/smtpsvr\.lua:1: memory budget used up"),
    ('require "not_there"', r"/smtpsvr\.lua:1: module 'not_there' not found"),
    ("\x1bLua" + 40 * "\0", r"smtpsvr\.lua"),
    (b"\xff\xfe\x00", r"/smtpsvr\.lua:1: "),
])
def test_unusable_script_at_start(milter, script, wanted):
    """Exit status 78, and the message names file and line."""
    status, text = run_to_the_end(milter, script, "lua.hook_ms=300")
    assert status == 78, text
    assert re.search("scripts not loaded: " + re.escape(str(milter.scripts)) + ".*", text)
    assert re.search(wanted, text), text
    assert "no earlier set of scripts" in text


def test_last_good_scripts_run_when_the_new_ones_are_broken(mta, milter):
    """A broken edit and a restart do not take the service down, and the log is loud about it."""
    milter.start('function DoMAILFROM() return require("texts").refusal end',
                 texts='return { refusal = "550 5.7.1 good" }')
    assert said(mta.send(SENDER, BOB, MESSAGE)) == ["good"]
    assert milter.stop() == 0
    milter.start("\nfunction DoMAILFROM(", texts="return {}")
    milter.wait_log(r"scripts not loaded: .*/smtpsvr\.lua:2: ")
    milter.wait_log("RUNNING THE LAST GOOD SCRIPTS")
    assert said(mta.send(SENDER, BOB, MESSAGE)) == ["good"]
    milter.script("smtpsvr.lua", 'function DoMAILFROM() return "550 5.7.1 corrected" end')
    milter.reload()
    assert said(mta.send(SENDER, BOB, MESSAGE)) == ["corrected"]


# an error in each hook

# where a client notices that a hook failed; None: nowhere
NOTICED = {
    "LoadLimits": "MAIL", "Start": "MAIL", "RBLResults": "MAIL", "GetMaxMessageSize": "MAIL",
    "GetEHLOCapabilities": "MAIL", "DoHELO": "MAIL", "DoMAILFROM": "MAIL", "DoRCPTTO": "RCPT",
    "DoDATAStart": ".", "StartMessage": ".", "MessageLineRaw": ".", "MessageLine": ".",
    "EndMessage": ".", "CheckRecipients": ".", "ProcessMessage": ".", "MonitorBcc": None,
    "LogRecipients": None, "DoUnrecognised": "FOO", "DoRSET": None, "End": None,
}
HOOKS = list(NOTICED)

# One daemon for all: the client's address says which hook fails, 192.0.2.10 the first one.
FAIL_BY_ADDRESS = '''
local hooks = { "%s" }
local failing = hooks[tonumber(IPAddress:match("%%d+$")) - 9]
if IPAddress == "192.0.2.99" then error("top level") end
for _, name in ipairs(hooks) do
    _ENV[name] = function()
        if name == failing then
            local function deep() return nothing.of[name] end
            deep()
        end
    end
end
''' % '", "'.join(HOOKS)
FAILING_LINE = 2 + FAIL_BY_ADDRESS[:FAIL_BY_ADDRESS.index("local function deep")].count("\n") - 1

ON_ERROR = {"tempfail": (451, "4.3.0"), "reject": (554, "5.3.0")}


def address_of(hook):
    return f"192.0.2.{10 + HOOKS.index(hook)}"


def whole_session(mta, source):
    """One of everything; the first step that the script refused, with the reply."""
    with mta.client(source=source, hello=False) as c:
        c.ehlo("client.test")
        steps = [("MAIL", lambda: c.mail(SENDER)),
                 ("RSET", c.rset),
                 ("MAIL", lambda: c.mail(SENDER)),
                 ("FOO", lambda: c.command("FOO")),
                 ("RCPT", lambda: c.rcpt(f"bob@{mta.hostname}")),
                 ("DATA", lambda: c.command("DATA")),
                 (".", lambda: c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE))) or c.reply())]
        for name, do in steps:
            reply = do()
            if not reply.ok and not (name == "FOO" and reply.code in (500, 502)):
                return name, reply
    return None, None


def failure_in_errors(milter, hook):
    """The entry of LUAERRORS.LOG about a hook, with its traceback lines."""
    def entry():
        return re.search(rf"^\d{{4}}-\d\d-\d\d .*hook={hook}\n(?:\t.*\n)+", milter.errors(), re.M)
    return machine.wait_until(entry, 5, lambda: f"{hook} in LUAERRORS.LOG:\n{milter.errors()}")[0]


def test_error_in_each_hook_is_told_with_its_place(mta, milter):
    """on_error = accept: as if the hook were absent; LUAERRORS.LOG has file, line, hook, session
    and traceback, the log one line."""
    milter.start(FAIL_BY_ADDRESS, "lua.on_error=accept")
    for hook in HOOKS:
        assert whole_session(mta, address_of(hook)) == (None, None), hook
    assert len(mta.wait_deliveries(len(HOOKS))) == len(HOOKS)
    for hook in HOOKS:
        entry = failure_in_errors(milter, hook)
        head, *rest = entry.splitlines()
        session = re.search(r" session=([0-9A-F]+-[0-9A-F]+-[0-9A-F]+) ", head)
        assert session and " script=smtpsvr.lua " in head, entry
        assert f"smtpsvr.lua:{FAILING_LINE}: attempt to index a nil value" in rest[0], entry
        assert "stack traceback:" in entry and len(rest) > 3, entry
        line = milter.wait_log(rf"^.*script smtpsvr\.lua, {hook}: .*$")[0]
        assert session[1] in line and f"smtpsvr.lua:{FAILING_LINE}: " in line


@pytest.mark.parametrize("on_error", list(ON_ERROR))
def test_error_in_each_hook_on_the_wire(mta, milter, on_error):
    """R18: a script that fails does what lua.on_error says, at the place where it can be said."""
    milter.start(FAIL_BY_ADDRESS, f"lua.on_error={on_error}")
    for hook, place in NOTICED.items():
        step, reply = whole_session(mta, address_of(hook))
        assert step == place, (hook, step, reply)
        if place:
            assert (reply.code, reply.enhanced) == ON_ERROR[on_error], (hook, reply)
        failure_in_errors(milter, hook)
    assert "not sent" not in milter.log()
    assert mta.send(SENDER, BOB, MESSAGE).code == 250   # the same process still works


@pytest.mark.parametrize("on_error", ["accept", *ON_ERROR])
def test_error_at_top_level_of_one_session(mta, milter, on_error):
    """The session goes on without a script, or is refused."""
    milter.start(FAIL_BY_ADDRESS, f"lua.on_error={on_error}")
    step, reply = whole_session(mta, "192.0.2.99")
    if on_error == "accept":
        assert step is None
    else:
        assert (step, reply.code, reply.enhanced) == ("MAIL", *ON_ERROR[on_error])
    entry = failure_in_errors(milter, "main chunk")
    assert "smtpsvr.lua:4: top level" in entry and "session=" in entry
    assert "not sent" not in milter.log()
    assert mta.send(SENDER, BOB, MESSAGE).code == 250


STRICT = '''
setmetatable(_G, {
    __index = function(_, name) %s end,
    __newindex = function(_, name) %s end,
})
rawset(_G, "DoMAILFROM", function() return "550 5.7.1 strict " .. tostring(RBLFound) end)
'''


@pytest.mark.parametrize("does", ['error("undeclared " .. name, 2)', "while true do end"])
def test_metatable_of_the_environment(mta, milter, does):
    """Scripts that forbid undeclared variables work; ours are none of them, and nothing of ours
    calls the metamethods outside of a budget."""
    milter.start(STRICT % (does, does), "lua.hook_ms=300", "lua.on_error=tempfail")
    with mta.client(source="192.0.2.7") as c:
        assert said(c.mail(SENDER)) == ["strict false"]
    assert milter.errors() == ""


# all ways to fail, in three hooks

BUDGET_MS = 150
BUDGET = r"(time|instruction) budget"
MEMORY = r"memory budget|not enough memory|resulting string too large"
STACK = r"stack overflow|memory budget"

# name: (Lua, what the log says)
WAYS = {
    "text": ('error("boom")', r"smtpsvr\.lua:\d+: boom"),
    "number": ("error(42)", r"^42$"),
    "table": ("error({})", "error object is a table value"),
    "nothing": ("error()", "error object is a nil value"),
    "boolean": ("error(false)", "error object is a boolean value"),
    "told": ('error(setmetatable({}, {__tostring = function() return "told\\nmore" end}))', "^told$"),
    "tostring_fails": ('error(setmetatable({}, {__tostring = function() error("in tostring") end}))',
                       "in tostring|error object"),
    "tostring_again": ("error(setmetatable({}, {__tostring = function(e) error(e) end}))", "."),
    "tostring_number": ("error(setmetatable({}, {__tostring = function() return 7 end}))",
                        "error object is a table value|^7$"),
    "tostring_loops": ("error(setmetatable({}, {__tostring = function() while true do end end}))", BUDGET),
    "loop": ("while true do end", BUDGET),
    "pcall": ("pcall(function() while true do end end)", BUDGET),
    "pcall_loop": ("while true do pcall(function() while true do end end) end", BUDGET),
    "pcall_calls": ("local function f() while true do pcall(f) end end f()", BUDGET + "|" + STACK),
    "xpcall": ("xpcall(function() while true do end end, function() while true do end end)", BUDGET),
    "xpcall_loop": ("while true do xpcall(error, function() while true do end end) end", BUDGET),
    "close": ("local x <close> = setmetatable({}, {__close = function() while true do end end})\n"
              "while true do end", BUDGET),
    "coroutine": ("coroutine.resume(coroutine.create(function() while true do end end)) "
                  "while true do end", BUDGET),
    "coroutines": ("while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
                   BUDGET),
    "wrap": ("pcall(coroutine.wrap(function() while true do end end)) while true do end", BUDGET),
    "yield": ("local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
              "while true do c() end", BUDGET),
    "coroutine_close": ('''
        local c = coroutine.create(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end})
            while true do end
        end)
        coroutine.resume(c)
        coroutine.close(c)''', BUDGET),
    "wrap_close": ('''
        pcall(coroutine.wrap(function()
            local x <close> = setmetatable({}, {__close = function() while true do end end})
            while true do end
        end))''', BUDGET),
    "memory_string": ('local s = "x" while true do s = s .. s end', MEMORY),
    "memory_table": ("local t = {} while true do t[#t + 1] = {} end", MEMORY + "|" + BUDGET),
    "memory_pcall": ('local t = {} while true do pcall(function() t[#t + 1] = ("x"):rep(1e6) end) end', BUDGET),
    "gigabyte": ('local s = ("x"):rep(2^30)', MEMORY),
    "gigabytes": ('local s = ("x"):rep(2^30, "yz")', MEMORY),
    "nothing_often": ('for i = 1, 1e9 do local s = (""):rep(2^40) end', BUDGET),
    "recursion": ("local function f(n) return 1 + f(n + 1) end f(1)", STACK + "|" + BUDGET),
    "tail_calls": ("local function f(n) return f(n + 1) end f(1)", BUDGET),
    "metamethods": ("local t = setmetatable({}, {}) getmetatable(t).__index = function(_, k) return t[k] end "
                    "return t.x", STACK + "|" + BUDGET),
    "pattern": ('return (("a"):rep(40) .. "b"):find(("a*"):rep(40) .. "c")', BUDGET + "|too complex"),
    "pattern_long": ('return (("a"):rep(200000)):find(".-.-.-.-b")', BUDGET + "|too complex"),
    "gsub": ('return (("a"):rep(100)):gsub(".", function() while true do end end)', BUDGET),
    "sort": ("local t = {} for i = 1, 1000 do t[i] = i end "
             "table.sort(t, function() while true do end end)", BUDGET),
    "load": ('return load(function() return " " end)', BUDGET + "|longer than"),
    "sleep": ("os.sleep(1e9)", BUDGET),
    "sleep_often": ("while true do pcall(os.sleep, 20) end", BUDGET),
}
NAMES = list(WAYS)

# The sender names the way to fail in DoMAILFROM and ProcessMessage, the client's address in Start.
MANY_WAYS = "\n".join(
    ["local ways = {}",
     *(f"ways[{n}] = function() {body} end ways[{name!r}] = ways[{n}]"
       for n, (name, (body, _)) in enumerate(WAYS.items(), 1)),
     '''
function Start()
    local way = ways[tonumber(IPAddress:match("^198%.51%.100%.(%d+)$"))]
    if way then way() end
end
function DoMAILFROM(data, from)
    local way = ways[from:match("^(.*)@mail.test$")]
    if way then way() end
end
function ProcessMessage(from)
    local way = ways[from:match("^(.*)@message.test$")]
    if way then way() end
end
'''])


def timed(what):
    start = time.monotonic()
    value = what()
    return value, time.monotonic() - start


def check(milter, hook, name, reply, seconds, on_error):
    assert seconds < BUDGET_MS / 1000 + SLACK, (hook, name, seconds)
    expected = ON_ERROR.get(on_error, (250, reply.enhanced))
    assert (reply.code, reply.enhanced) == expected, (hook, name, reply)


def reasons(milter, hook):
    return re.findall(rf"script smtpsvr\.lua, {hook}: (.*)$", milter.log(), re.M)


def fail_in_start(mta, milter, name, on_error):
    def connect():
        return mta.client(source=f"198.51.100.{1 + NAMES.index(name)}", hello=False)
    client, seconds = timed(connect)
    with client as c:
        c.ehlo("client.test")
        check(milter, "Start", name, c.mail(SENDER), seconds, on_error)


def fail_in_mail(mta, milter, name, on_error):
    with mta.client() as c:
        reply, seconds = timed(lambda: c.mail(f"{name}@mail.test"))
        check(milter, "DoMAILFROM", name, reply, seconds, on_error)


def fail_in_message(mta, milter, name, on_error):
    with mta.client() as c:
        assert c.envelope(f"{name}@message.test", BOB).code == 250
        assert c.command("DATA").code == 354
        c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE)))
        reply, seconds = timed(c.reply)
        check(milter, "ProcessMessage", name, reply, seconds, on_error)


FAIL_IN = {"Start": fail_in_start, "DoMAILFROM": fail_in_mail, "ProcessMessage": fail_in_message}


@pytest.mark.parametrize("hook", list(FAIL_IN))
@pytest.mark.parametrize("on_error", ["accept", "tempfail", "reject"])
def test_every_way_to_fail(mta, milter, hook, on_error):
    """R5, R14, R18: whatever a hook does, it ends within its budget, the client gets what
    lua.on_error says, the log says why, and the process lives."""
    milter.start(MANY_WAYS, f"lua.hook_ms={BUDGET_MS}", f"lua.on_error={on_error}",
                 "lua.memory_kb=16384")
    # all of them once for each hook; the two other outcomes with a few
    names = NAMES if on_error == "tempfail" else ["text", "loop", "gigabyte"]
    pids = milter.children()
    for name in names:
        before = len(reasons(milter, hook))
        FAIL_IN[hook](mta, milter, name, on_error)
        machine.wait_until(lambda: len(reasons(milter, hook)) > before, 5, f"{hook} {name} in the log")
        assert re.search(WAYS[name][1], reasons(milter, hook)[before]), (name, reasons(milter, hook)[before])
    assert milter.children() == pids
    assert mta.send(SENDER, BOB, MESSAGE).code == 250


# others

def test_nobody_else_notices(mta, milter):
    """While sessions use up their budgets, all at once, none of them waits for another, and
    messages of other sessions pass."""
    milter.start(MANY_WAYS, "lua.hook_ms=3000", "lua.command_ms=3000", "lua.instructions=1000000000000")
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    ended = []

    def runaway(name):
        with mta.client() as c:
            reply, seconds = timed(lambda: c.mail(f"{name}@mail.test"))
            assert reply.code == 250
            ended.append(seconds)
    threads = [threading.Thread(target=runaway, args=(name,)) for name in ["loop"] + 11 * ["sleep"]]
    for t in threads:
        t.start()
    slowest = 0
    while not ended:
        reply, seconds = timed(lambda: mta.send(SENDER, BOB, MESSAGE))
        assert reply.code == 250
        slowest = max(slowest, seconds)
    for t in threads:
        t.join()
    assert len(ended) == 12
    assert max(ended) < 3 + 2.5, ended
    assert slowest < 2.5, slowest
