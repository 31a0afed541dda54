"""SIGHUP is a transaction: sessions in flight keep their scripts and settings to the end, new ones
get the new ones, and what cannot be used changes nothing."""

import re
import threading

from rig import machine, smtp
from test_hooks_session import said

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: hi\n\nhello\n"


def generation(n):
    """A script whose every reply tells which one it is; "ok" is accepted."""
    return f'''
        local function tell(what, ok) if not ok then return "550 5.7.1 {n} " .. what end end
        function DoMAILFROM(data, from) return tell("mail", from:find("ok")) end
        function DoRCPTTO(data, rcpt) return tell("rcpt", rcpt:find("ok")) end
        function DoDATAStart(list) return tell("data", list[1]:find("data.ok")), "X-Start: {n}" end
        function ProcessMessage(from, subject) return nil, tell("message", subject:find("ok")) end
        function DoUnrecognised() return tell("unknown") end
    '''


def which(reply):
    """"2 mail" from a refusal of generation(2)."""
    assert reply.code == 550, reply
    return said(reply)[0]


def new_session(mta):
    with mta.client() as c:
        return which(c.mail("x@sender.test"))


def test_sessions_in_flight_keep_theirs(mta, milter):
    milter.start(generation(1))
    c = mta.client()
    assert which(c.mail("x@sender.test")) == "1 mail"
    assert c.envelope("ok@sender.test", "data.ok@one.test").code == 250
    for n in (2, 3):
        milter.script("smtpsvr.lua", generation(n))
        milter.reload()
        assert new_session(mta) == f"{n} mail"
    assert which(c.rcpt("x@one.test")) == "1 rcpt"
    assert which(c.data(smtp.crlf(MESSAGE))) == "1 message"
    assert which(c.mail("x@sender.test")) == "1 mail"     # and its next message
    assert which(c.send("ok@sender.test", "ok@one.test", MESSAGE)) == "1 data"
    c.rset()
    assert c.send("ok@sender.test", "data.ok@one.test", MESSAGE.replace("hi", "ok")).code == 250
    c.quit()
    assert mta.wait_delivery().header("X-Start") == ["1"]
    assert new_session(mta) == "3 mail"


def test_reload_while_a_message_is_being_sent(mta, milter):
    milter.start(generation(1))
    with mta.client() as c:
        assert c.envelope("ok@sender.test", "data.ok@one.test").code == 250
        assert c.command("DATA").code == 354
        c.send_raw(b"Subject: ok\r\n\r\nhel")
        milter.script("smtpsvr.lua", generation(2))
        milter.reload()
        c.send_raw(b"lo\r\n.\r\n")
        assert c.reply().code == 250
    assert mta.wait_delivery().header("X-Start") == ["1"]


BROKEN = {
    "syntax": ("smtpsvr.lua", "\n\nfunction DoMAILFROM(", r"/smtpsvr\.lua:3: "),
    "top level": ("smtpsvr.lua", "\nnothing.at_all()", r"/smtpsvr\.lua:2: attempt to index"),
    "endless": ("smtpsvr.lua", "while true do end", r"/smtpsvr\.lua:1: (time|instruction) budget"),
    "memory": ("smtpsvr.lua", 'x = ("x"):rep(1e9)', r"/smtpsvr\.lua:1: memory budget"),
    "sibling": ("part.lua", "\nreturn = 1", r"part\.lua:2: "),
    "sibling fails": ("part.lua", "\n\n\nerror('no')", r"/part\.lua:4: no"),
    "bytecode": ("smtpsvr.lua", b"\x1bLua" + 100 * b"\x00", r"/smtpsvr\.lua: .*binary"),
    "settings": ("../mailhooks.conf", "lua { hook_ms = 500 }\nlua { no_such_thing = 1 }", r"mailhooks\.conf:2: "),
    "setting": ("../mailhooks.conf", "\nlua { hook_ms = never }", r"mailhooks\.conf:2: "),
}


def test_what_cannot_be_used_changes_nothing(mta, milter):
    """The log says file and line; scripts and settings stay as they were, the good ones among the
    new files too."""
    script = 'require "part"\n' + generation(1)
    milter.start(script, "lua.hook_ms=400", part="return 1")
    new = {"smtpsvr.lua": 'require "part"\n' + generation(2), "part.lua": "return 2",
           "../mailhooks.conf": 'service "new" { max_message_bytes = 10 }'}
    for name, (file, text, wanted) in BROKEN.items():
        for each, content in {**new, file: text}.items():
            milter.script(each, content)
        before = len(milter.log())
        milter.reload()
        failed = re.search("reload failed, the scripts and settings in force stay: (.*)", milter.log()[before:])
        assert failed and re.search(wanted, failed[1]), (name, milter.log()[before:])
        with mta.client() as c:
            assert which(c.mail("x@sender.test", "SIZE=1000")) == "1 mail", name
    for each, content in new.items():
        milter.script(each, content)
    milter.reload()
    with mta.client() as c:
        assert which(c.mail("x@sender.test", "SIZE=9")) == "2 mail"
        assert c.mail("x@sender.test", "SIZE=1000").code == 552


def test_missing_directory_changes_nothing(mta, milter):
    milter.start(generation(1))
    away = milter.scripts.rename(milter.directory / "away")
    milter.reload()
    milter.wait_log("reload failed, .*/scripts.*: No such file or directory")
    assert new_session(mta) == "1 mail"
    away.rename(milter.scripts)
    milter.script("smtpsvr.lua", generation(2))
    milter.reload()
    assert new_session(mta) == "2 mail"


def test_settings_of_sessions_in_flight(mta, milter):
    """Settings belong to the generation, as scripts do."""
    milter.start("function GetMaxMessageSize(host, current) print(current) end",
                 config='service "old" { max_message_bytes = 2000 }')
    old = mta.client()
    milter.config.write_text('service "new" { max_message_bytes = 500 }')
    milter.reload()
    with mta.client() as new:
        assert new.mail(SENDER, "SIZE=1000").code == 552
    assert old.mail(SENDER, "SIZE=1000").code == 250
    old.rset()
    assert old.mail(SENDER, "SIZE=2001").code == 552
    old.quit()


# scripts beside smtpsvr.lua

SIBLINGS = '''
local early = require "early"
function DoMAILFROM()
    return "550 5.7.1 " .. early .. " " .. require("sub.late") .. " " .. dofile("again.lua") .. " "
        .. (loadfile("AGAIN.lua") or function() return "gone" end)()
end
'''


def write_siblings(milter, n):
    (milter.scripts / "sub").mkdir(exist_ok=True)
    for name in ("early", "sub/late", "again"):
        milter.script(name + ".lua", f'return "{n}"')


def test_scripts_beside_are_of_the_same_generation(mta, milter):
    """require(), dofile() and loadfile() of a session give the files of its generation, whatever
    stands in the directory by now."""
    write_siblings(milter, 1)
    milter.start(SIBLINGS)
    with mta.client() as first, mta.client() as second:
        write_siblings(milter, 2)
        assert which(first.mail(SENDER)) == "1 1 1 1"
        with mta.client() as c:
            assert which(c.mail(SENDER)) == "1 1 1 1"   # not reloaded yet
        milter.reload()
        with mta.client() as c:
            assert which(c.mail(SENDER)) == "2 2 2 2"
        for name in ("sub/late.lua", "again.lua"):
            (milter.scripts / name).unlink()
        milter.script("smtpsvr.lua", 'function DoMAILFROM() return "550 5.7.1 " .. tostring(loadfile("again.lua")) end')
        milter.reload()
        with mta.client() as c:
            assert which(c.mail(SENDER)) == "nil"
        assert which(first.mail(SENDER)) == "1 1 1 1"
        assert which(second.mail(SENDER)) == "1 1 1 1"


# many

NUMBERED = '''
local mine, part = %d, require "part"
local function check(what)
    if part ~= mine or dofile("part.lua") ~= mine then print("MIXED", what, mine, part) end
end
function DoMAILFROM() check("mail") end
function DoRCPTTO() check("rcpt") end
function DoDATAStart() check("data") return "", "X-Generation: " .. mine end
function ProcessMessage() check("message") end
'''
RELOADS, SENDERS = 50, 4


def test_many_reloads_under_load(mta, milter):
    """Fifty reloads, each tenth of them refused, each after some more messages: every message is
    accepted, by one generation from its beginning to its end."""
    milter.start(NUMBERED % 0, part="return 0")
    finished, sent, wrong = threading.Event(), [], []

    def send(n):
        count = 0
        while not finished.is_set():
            with mta.client() as c:
                for _ in range(3):
                    reply = c.send(SENDER, f"r{n}.{count}@one.test", MESSAGE)
                    if reply.code != 250:
                        wrong.append(reply)
                    sent.append(f"r{n}.{count}@one.test")
                    count += 1
    senders = [threading.Thread(target=send, args=(n,)) for n in range(SENDERS)]
    for t in senders:
        t.start()
    good = 0
    for n in range(1, RELOADS + 1):
        if n % 10 == 0:
            milter.script("smtpsvr.lua", "function broken(")
        else:
            milter.script("part.lua", f"return {n}")
            milter.script("smtpsvr.lua", NUMBERED % n)
            good += 1
        milter.reload()
        machine.wait_until(lambda: len(sent) > 2 * n or wrong, 20, "messages")
    finished.set()
    for t in senders:
        t.join()
    assert wrong == []
    mta.settle(60)
    mta.flush()
    mta.wait_deliveries(len(sent), timeout=60)
    assert sorted(r for d in mta.deliveries() for r in d.recipients) == sorted(sent)
    generations = {int(value) for d in mta.deliveries() for value in d.header("X-Generation")}
    assert all(len(d.header("X-Generation")) == 1 for d in mta.deliveries())
    assert len(generations) > 10 and not generations & {n for n in range(1, 51) if n % 10 == 0}
    assert "MIXED" not in milter.out(), milter.out()[:300]
    assert milter.log().count("reloaded: generation") == good
    assert milter.log().count("reload failed") == RELOADS // 10
