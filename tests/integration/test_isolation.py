"""One message, one session: nothing of it is seen in the next one (R11), whatever ends it; and
submissions that are no SMTP sessions."""

import re
import signal
import threading

import pytest

from rig import machine, mta as mta_module, smtp
from test_hooks_session import printed, said

SENDER, BOB, EVE = "ann@sender.test", "bob@one.test", "eve@two.test"
MESSAGE = ("From: ann@sender.test\nTo: bob@one.test\nSubject: {}\nMessage-Id: <1@sender.test>\n"
           "Date: Sat, 21 Nov 2026 10:00:00 +0000\n\nhello\n")

# Prints everything that a hook is told about a message, and changes what can be changed.
TELL = '''
function DoMAILFROM(data, from, p)
    print("MAIL", from, p.BODY)
end
function DoRCPTTO(data, rcpt, p, list)
    print("RCPT", rcpt, p.NOTIFY, table.concat(list, ","))
    if rcpt:find("^no") then return "550 5.7.1 no" end
    if rcpt:find("^quiet") then p.NOTIFY = "NEVER" return "", p end
end
function DoDATAStart(list)
    print("DATA", table.concat(list, ","))
    return "", "X-Start: " .. list[1]
end
function ProcessMessage(from, subject, list, actions, mime, size)
    print("MESSAGE", from, subject, table.concat(list, ","), size, actions.Reason,
          #actions.Recipients, #actions.HeaderModifiers, actions.Ignore)
    actions.Reason = subject
    actions.HeaderModifiers = { "X-Subject: " .. subject }
    actions.Recipients = { "copy-" .. subject .. "@two.test" }
end
function LogRecipients() print("LOG") end
function LogRecipientsBlocked() print("BLOCKED") end
function DoRSET() print("RSET") end
function End() print("END") end
'''


def told(milter, count):
    """LUA.OUT, when it has count lines (and no more)."""
    machine.wait_until(lambda: len(milter.out().splitlines()) >= count, 5,
                       lambda: f"{count} lines:\n{milter.out()}")
    lines = milter.out().splitlines()
    assert len(lines) == count, lines
    return lines


def size_of(subject):
    return len(smtp.crlf(MESSAGE.format(subject)))


# messages of one connection

def test_messages_of_one_connection(mta, milter):
    """R11: three messages, and nothing of one in the next."""
    milter.start(TELL)
    with mta.client() as c:
        assert c.mail(SENDER, "BODY=8BITMIME").code == 250
        assert c.rcpt("quiet@one.test").code == 250
        assert c.rcpt("no@one.test").code == 550
        assert c.data(smtp.crlf(MESSAGE.format("first"))).code == 250
        assert c.send("", BOB, MESSAGE.format("second")).code == 250
        assert c.send("x@sender.test", [EVE, BOB], MESSAGE.format("third")).code == 250
    sizes = size_of("first"), size_of("second"), size_of("third")
    assert told(milter, 18) == [
        f"MAIL\t{SENDER}\t8BITMIME", "RCPT\tquiet@one.test\tnil\t", "RCPT\tno@one.test\tnil\tquiet@one.test",
        "DATA\tquiet@one.test", f"MESSAGE\t{SENDER}\tfirst\tquiet@one.test\t{sizes[0]}\t\t0\t0\tfalse", "BLOCKED",
        "MAIL\t\tnil", f"RCPT\t{BOB}\tnil\t", f"DATA\t{BOB}",
        f"MESSAGE\t\tsecond\t{BOB}\t{sizes[1]}\t\t0\t0\tfalse", "LOG",
        "MAIL\tx@sender.test\tnil", f"RCPT\t{EVE}\tnil\t", f"RCPT\t{BOB}\tnil\t{EVE}", f"DATA\t{EVE},{BOB}",
        f"MESSAGE\tx@sender.test\tthird\t{EVE},{BOB}\t{sizes[2]}\t\t0\t0\tfalse", "LOG", "END"]
    mta.settle()
    got = sorted((d.header("X-Subject"), d.header("X-Start"), r) for d in mta.deliveries() for r in d.recipients)
    assert got == sorted([
        (["first"], ["quiet@one.test"], "quiet@one.test"), (["first"], ["quiet@one.test"], "copy-first@two.test"),
        (["second"], [BOB], BOB), (["second"], [BOB], "copy-second@two.test"),
        (["third"], [EVE], EVE), (["third"], [EVE], BOB), (["third"], [EVE], "copy-third@two.test")])
    for d in mta.deliveries():
        for line in d.rcpt_lines:   # Sendmail gives copies a NOTIFY of its own
            assert ("NOTIFY=NEVER" in line) == (mta.name == "postfix" and "quiet@" in line) or "copy-" in line


@pytest.mark.parametrize("command", ["RSET", "EHLO client.test", "HELO client.test"])
def test_message_given_up(mta, milter, command):
    """R11: RSET and a second HELO end a message in progress."""
    milter.start(TELL)
    with mta.client() as c:
        c.mail("gone@sender.test")
        c.rcpt("gone@one.test")
        assert c.command(command).code == 250
        assert c.rcpt("late@one.test").code == 503
        assert c.command("DATA").code in (503, 554)
        assert c.send(SENDER, BOB, MESSAGE.format("kept")).code == 250
    lines = told(milter, 9)
    assert lines[:3] == ["MAIL\tgone@sender.test\tnil", "RCPT\tgone@one.test\tnil\t", "RSET"]
    assert lines[3:6] == [f"MAIL\t{SENDER}\tnil", f"RCPT\t{BOB}\tnil\t", f"DATA\t{BOB}"]
    mta.settle()
    assert sorted(r for d in mta.deliveries() for r in d.recipients) == [BOB, "copy-kept@two.test"]


def test_unknown_commands_around_messages(mta, milter):
    """Sendmail tells a milter of unknown commands before the first message and within one only."""
    milter.start("function DoMAILFROM() end function DoUnrecognised(line) print(line) end")
    with mta.client() as c:
        c.command("ONE")
        c.mail(SENDER)
        c.command("TWO")
        c.rset()
        c.command("THREE")
        assert c.send(SENDER, BOB, MESSAGE.format("x")).code == 250
        c.command("FOUR")
        c.mail(SENDER)
        c.command("FIVE")
    assert milter.out().split() == (["ONE", "TWO", "THREE", "FOUR", "FIVE"] if mta.name == "postfix"
                                    else ["ONE", "TWO", "FIVE"])


def test_refused_message_leaves_nothing(mta, milter):
    """R11: refused at each step, then a good one in the same connection."""
    milter.start(TELL + '''
        local mail, data, message = DoMAILFROM, DoDATAStart, ProcessMessage
        function DoMAILFROM(d, from, p) mail(d, from, p) if from:find("^mail") then return "550 5.7.1 m" end end
        function DoDATAStart(list)
            local reply, lines = data(list)
            return list[1]:find("^data") and "450 4.7.1 d" or reply, lines
        end
        function ProcessMessage(from, subject, list, actions, ...)
            message(from, subject, list, actions, ...)
            if subject == "refused" then actions.Ignore = true actions.Delete = true end
        end
    ''')
    with mta.client() as c:
        assert said(c.mail("mail@sender.test")) == ["m"]
        assert said(c.send(SENDER, "data@one.test", MESSAGE.format("x"))) == ["d"]
        c.rset()
        assert said(c.send(SENDER, EVE, MESSAGE.format("refused"))) == ["refused"]
        assert c.send(SENDER, BOB, MESSAGE.format("kept")).code == 250
    machine.wait_until(lambda: "END" in milter.out(), 5, "END")
    assert [line for line in milter.out().splitlines() if line.startswith("MESSAGE")] == [
        f"MESSAGE\t{SENDER}\trefused\t{EVE}\t{size_of('refused')}\t\t0\t0\tfalse",
        f"MESSAGE\t{SENDER}\tkept\t{BOB}\t{size_of('kept')}\t\t0\t0\tfalse"]
    mta.settle()
    assert {(d.header("X-Start")[0], d.header("X-Subject")[0]) for d in mta.deliveries()} == {(BOB, "kept")}


def test_pipelined_commands(mta, milter):
    """R11: two messages sent without waiting for replies, one recipient of each refused."""
    milter.start(TELL)
    with mta.client() as c:
        for n in (1, 2):
            replies = c.pipeline(f"MAIL FROM:<a{n}@sender.test>", f"RCPT TO:<no{n}@one.test>",
                                 f"RCPT TO:<b{n}@one.test>", f"RCPT TO:<c{n}@two.test>", "DATA")
            assert [r.code for r in replies] == [250, 550, 250, 250, 354]
            c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE.format(f"p{n}"))))
            assert c.reply().code == 250
        replies = c.pipeline("MAIL FROM:<gone@sender.test>", f"RCPT TO:<{EVE}>", "RSET",
                             f"MAIL FROM:<{SENDER}>", f"RCPT TO:<{BOB}>", "DATA")
        assert [r.code for r in replies] == [250, 250, 250, 250, 250, 354]
        c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE.format("p3"))))
        assert c.reply().code == 250
    printed(milter, f"MESSAGE\ta1@sender.test\tp1\tb1@one.test,c1@two.test\t{size_of('p1')}\t\t0\t0\tfalse",
            f"MESSAGE\ta2@sender.test\tp2\tb2@one.test,c2@two.test\t{size_of('p2')}\t\t0\t0\tfalse",
            f"MESSAGE\t{SENDER}\tp3\t{BOB}\t{size_of('p3')}\t\t0\t0\tfalse", "LOG", "END")
    mta.settle()
    assert EVE not in [r for d in mta.deliveries() for r in d.recipients]


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)   # Sendmail has no BDAT
def test_chunks(mta, milter):
    """BDAT is DATA to a script."""
    milter.start(TELL)
    message = smtp.crlf(MESSAGE.format("chunks"))
    with mta.client() as c:
        for given_up in (True, False):   # between two chunks
            c.mail(SENDER)
            c.rcpt(BOB)
            assert c.bdat(message[:20], last=False).code == 250
            if given_up:
                assert c.rset().code == 250
        assert c.bdat(message[20:], last=False).code == 250
        assert c.bdat(b"", last=True).code == 250
        assert c.send(SENDER, EVE, MESSAGE.format("dots")).code == 250
    printed(milter, f"DATA\t{BOB}", "RSET", f"DATA\t{BOB}",
            f"MESSAGE\t{SENDER}\tchunks\t{BOB}\t{len(message)}\t\t0\t0\tfalse",
            f"MESSAGE\t{SENDER}\tdots\t{EVE}\t{size_of('dots')}\t\t0\t0\tfalse")
    assert mta.wait_delivery(recipient=BOB).body == b"hello\r\n"


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
@pytest.mark.parametrize("hook,result", [("DoDATAStart", '"550 5.7.1 no chunks"'),
                                         ("ProcessMessage", 'nil, "550 5.7.1 no chunks"')])
def test_chunks_refused(mta, milter, hook, result):
    milter.start(f"function {hook}() return {result} end")
    with mta.client() as c:
        c.mail(SENDER)
        c.rcpt(BOB)
        assert said(c.bdat(smtp.crlf(MESSAGE.format("x")))) == ["no chunks"]
        assert c.rset().code == 250
        c.mail(SENDER)
        assert c.rcpt(BOB).code == 250
    mta.settle()
    assert mta.deliveries() == []


# connections that break

STAGES = ["connect", "EHLO", "MAIL", "RCPT", "DATA", "header", "body", "dot"]


def drop_at(mta, stage, reset):
    c = mta.client(hello=False)
    head, _, body = smtp.crlf(MESSAGE.format("dropped")).partition(b"\r\n\r\n")
    steps = [lambda: c.ehlo("client.test"), lambda: c.mail("gone@sender.test"),
             lambda: c.rcpt("gone@one.test"), lambda: c.command("DATA"),
             lambda: c.send_raw(head[:30]), lambda: c.send_raw(head[30:] + b"\r\n\r\n" + body + 70000 * b"x"),
             lambda: c.send_raw(b"\r\n.\r")]
    for step in steps[:STAGES.index(stage)]:
        step()
    c.drop(reset=reset)


def test_dropped_connections_leave_nothing(mta, milter):
    """R11: whatever stage a connection breaks at, End() comes, nothing is delivered, nothing stays,
    the next session knows nothing of it."""
    milter.start('''
        if leftover then print("LEFTOVER", leftover) end
        function DoMAILFROM(data, from) leftover = from end
        function DoRCPTTO(data, rcpt, p, list) leftover = rcpt if #list > 0 then print("LIST", list[1]) end end
        function ProcessMessage(from, subject) print("MESSAGE", subject) end
        function Start() end   -- so that the MTA waits for us at the connection
        function End() print("END", leftover) end
    ''')
    ends = 0
    for stage in STAGES:
        for reset in (False, True):
            drop_at(mta, stage, reset)
            ends += 1
            machine.wait_until(lambda: milter.out().count("END") == ends, 10, f"END after {stage}, reset {reset}")
            assert mta.send("", BOB, MESSAGE.format("good")).code == 250
            ends += 1
    machine.wait_until(lambda: milter.out().count("END") == ends, 10, "the last END")
    mta.settle()
    lines = milter.out().splitlines()
    assert not [line for line in lines if line.startswith(("LEFTOVER", "LIST"))]
    assert lines.count("MESSAGE\tgood") == 2 * len(STAGES) and "MESSAGE\tdropped" not in lines
    assert {r for d in mta.deliveries() for r in d.recipients} == {BOB} and mta.queue() == []
    assert milter.stop() == 0
    assert "0 idle sessions closed" in milter.log()
    assert list(milter.directory.glob("*spill*")) == []


# TLS and authentication

def test_starttls_begins_anew(mta, milter):
    """R11: what was said in clear counts no more; the variables follow the connection."""
    milter.start('''
        function DoHELO(host, refuse)
            print("HELO", host, refuse, Encryption, EncryptionDetails ~= "")
            return host == "clear.test", ""
        end
    ''' + TELL)
    with mta.client(hello=False) as c:
        c.ehlo("clear.test")
        assert c.mail("gone@sender.test").code == 550
        # injected behind STARTTLS: no server of today reads it, and no hook may see it
        c.send_raw(b"STARTTLS\r\nMAIL FROM:<injected@sender.test>\r\n")
        go = c.reply()
        if go.code == 220:
            c.wrap_tls()
            c.ehlo("tls.test")
            assert c.send(SENDER, BOB, MESSAGE.format("private")).code == 250
    assert "injected" not in milter.out()
    printed(milter, "HELO\tclear.test\tfalse\tfalse\tfalse")
    if go.code == 220:
        printed(milter, "HELO\ttls.test\ttrue\ttrue\ttrue", f"MAIL\t{SENDER}\tnil")
    with mta.client(hello=False) as c:
        c.ehlo("clear.test")
        assert c.starttls().code == 220
        c.ehlo("tls.test")
        assert c.send(SENDER, BOB, MESSAGE.format("private")).code == 250
    printed(milter, "HELO\tclear.test\tfalse\tfalse\tfalse", "HELO\ttls.test\ttrue\ttrue\ttrue", f"MAIL\t{SENDER}\tnil",
            f"RCPT\t{BOB}\tnil\t")
    with mta.client(hello=False) as c:
        c.ehlo("last.test")
    printed(milter, "HELO\tlast.test\tfalse\tfalse\tfalse")


def test_authentication_is_of_the_connection(mta, milter):
    """R11: it lasts over RSET and messages of its connection, and no longer."""
    milter.start("AuthenticationRequired = true\n" + TELL)
    user = f"{mta_module.USER}@{mta.hostname}"
    with mta.client() as c:
        assert (c.mail(SENDER).code, c.mail(SENDER).enhanced) == (530, "5.7.0")
        assert c.auth_plain(user, mta_module.PASSWORD).code == 235
        assert c.mail(SENDER).code == 250
        c.rset()
        assert c.send(SENDER, BOB, MESSAGE.format("one")).code == 250
        assert c.send(SENDER, BOB, MESSAGE.format("two")).code == 250
    with mta.client() as c:
        assert c.mail(SENDER).code == 530
        assert c.auth_plain(user, "wrong").code == 535
        assert c.mail(SENDER).code == 530


# local submission: sendmail(1) of Postfix

LOCAL = '''
if broken then print("LEFTOVER") end broken = true
%s
function ProcessMessage(from, subject, list, actions)
    print("LOCAL", IPAddress, LocalClientAddress, from, subject, table.concat(list, ","))
    if subject == "refused" then return nil, "550 5.7.1 own text" end
    if subject == "later" then return nil, "450 4.7.1 own text" end
    actions.HeaderModifiers = { "X-Local: yes" }
    actions.Recipients = { "copy@two.test" }
end
'''

REFUSED_LOCALLY = {
    "Start": 'function Start() return "550 5.7.1 own text" end',
    "DoHELO": 'function DoHELO() return true, "550 5.7.1 own text" end',
    "DoMAILFROM": 'function DoMAILFROM() return "550 5.7.1 own text" end',
    "DoRCPTTO": 'function DoRCPTTO(d, rcpt) if rcpt == "%s" then return "550 5.7.1 own text" end end' % EVE,
    "DoDATAStart": 'function DoDATAStart() return "550 5.7.1 own text" end',
    "ProcessMessage": "",
    "CheckRecipients": 'function CheckRecipients() return "550 5.7.1 own text" end',
}
LOCAL_SENDER = "user@one.test"   # bounces arrive there
only_postfix = pytest.mark.parametrize("mta", ["postfix"], indirect=True)


def submit(mta, subject, *recipients):
    done = mta.submit(f"From: {LOCAL_SENDER}\nTo: {BOB}\nSubject: {subject}\n\nhello\n".encode(),
                      "-f", LOCAL_SENDER, *(recipients or (BOB,)))
    assert done.returncode == 0, done.stderr


@only_postfix
@pytest.mark.parametrize("hook", list(REFUSED_LOCALLY))
def test_local_submission_refused(mta, milter, hook):
    """A 5xx at any step bounces the message to its sender; it never stays in maildrop."""
    milter.start(LOCAL % REFUSED_LOCALLY[hook])
    submit(mta, "refused", BOB, EVE)
    bounce = mta.wait_delivery(recipient=LOCAL_SENDER)
    assert bounce.sender == "" and b"own text" in bounce.data
    assert b"bob@one.test" in bounce.data and b"eve@two.test" in bounce.data
    mta.settle()
    assert mta.queue() == []
    assert [d.recipients for d in mta.deliveries()] == [[LOCAL_SENDER]]
    assert "can't reject recipient" not in mta.log()


@only_postfix
@pytest.mark.parametrize("hook", ["DoMAILFROM", "DoRCPTTO", "ProcessMessage"])
def test_local_submission_refused_for_now(mta, milter, hook):
    """A 4xx keeps the message for another try."""
    milter.start(LOCAL % REFUSED_LOCALLY[hook].replace("550 5.7.1", "450 4.7.1"))
    submit(mta, "later", BOB, EVE)
    mta.wait_log("milter-reject: END-OF-MESSAGE.*4.7.1 own text")
    # in maildrop alone: pickup(8) may come twice at once, and cleanup(8) then has it, too, a moment
    machine.wait_until(lambda: [name for name, _ in mta.queue()] == ["active"], 10,
                       "the message to be in maildrop alone")
    milter.script("smtpsvr.lua", "")
    milter.reload()
    submit(mta, "wake", BOB)   # pickup(8) looks again when something comes in
    mta.wait_deliveries(3)
    mta.settle()
    subjects = sorted((d.header("Subject")[0], r) for d in mta.deliveries() for r in d.recipients)
    assert subjects == [("later", BOB), ("later", EVE), ("wake", BOB)]
    assert mta.queue() == []


@only_postfix
def test_local_submission_accepted_and_changed(mta, milter):
    milter.start(LOCAL % "")
    submit(mta, "fine", BOB, EVE)
    submit(mta, "fine too", BOB)
    mta.wait_deliveries(4)
    mta.settle()
    assert all(d.header("X-Local") == ["yes"] for d in mta.deliveries())
    assert sorted(r for d in mta.deliveries() for r in d.recipients) == [
        BOB, BOB, "copy@two.test", "copy@two.test", EVE]
    printed(milter, f"LOCAL\t127.0.0.1\ttrue\t{LOCAL_SENDER}\tfine\t{BOB},{EVE}")
    assert "LEFTOVER" not in milter.out()


# many at once

SESSIONS = 300
MARKED = '''
if marker ~= nil then print("MIXED", "a variable from elsewhere", marker) end
local function check(what, other)
    if marker ~= other then print("MIXED", what, marker, other) end
end
function DoHELO(host, refuse) marker = host return refuse, "" end
function DoMAILFROM(data, from)
    check("from", from:match("^(.*)@"))
    if marker:find("7$") then return "550 5.7.1 " .. marker end
end
function DoRCPTTO(data, rcpt, p, list)
    check("rcpt", rcpt:match("^(.*)@"))
    if #list ~= 0 then print("MIXED", "list", marker, list[1]) end
end
function DoDATAStart(list) check("data", list[1]:match("^(.*)@")) return "", "X-Start: " .. marker end
function ProcessMessage(from, subject, list, actions)
    check("subject", subject)
    check("recipient", list[1]:match("^(.*)@"))
    print("MARK", from, subject, list[1], #list)
    string.shared = (string.shared or 0) + 1
    if string.shared ~= 1 then print("MIXED", "a library", string.shared) end
    actions.HeaderModifiers = { "X-Marker: " .. marker, "Subject: " .. marker .. " seen" }
end
function End() print("BYE", marker) end
'''


def test_many_sessions_at_once(mta, milter):
    """R11, R14: 300 sessions in step, each with its own name everywhere."""
    milter.start(MARKED)
    together = threading.Barrier(SESSIONS)

    def session(n):
        name = f"m{n}"
        with mta.client(hello=False) as c:
            together.wait(60)
            assert c.ehlo(name).code == 250
            together.wait(60)
            refused = c.mail(f"{name}@sender.test")
            if name.endswith("7"):
                assert said(refused) == [name]
                return 0
            assert c.rcpt(f"{name}@one.test").code == 250
            return int(c.data(smtp.crlf(MESSAGE.format(name) + 50 * (name + "\n"))).code == 250)
    accepted = sum(machine.in_parallel(SESSIONS, session))
    assert accepted == SESSIONS - SESSIONS // 10
    mta.settle(60)
    mta.flush()   # with 300 deliveries at once some are put off
    mta.wait_deliveries(accepted, timeout=60)
    machine.wait_until(lambda: milter.out().count("BYE") == SESSIONS, 20, "the end of all sessions")
    assert "MIXED" not in milter.out(), re.findall("MIXED.*", milter.out())[:5]
    names = set()
    for d in mta.deliveries():
        name = d.sender.partition("@")[0]
        names.add(name)
        assert d.recipients == [f"{name}@one.test"]
        assert d.header("X-Start") == d.header("X-Marker") == [name]
        assert d.header("Subject") == [f"{name} seen"]
        assert d.body == smtp.crlf("hello\n" + 50 * (name + "\n"))
    assert len(names) == accepted
    lines = milter.out().splitlines()
    assert sorted(line for line in lines if line.startswith("MARK")) == sorted(
        f"MARK\t{n}@sender.test\t{n}\t{n}@one.test\t1" for n in names)
    assert sorted(line for line in lines if line.startswith("BYE")) == sorted(f"BYE\tm{n}" for n in range(SESSIONS))
    milter.signal(signal.SIGTERM)
    assert milter.wait_exit() == 0
