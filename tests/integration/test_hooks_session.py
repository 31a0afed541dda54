"""Hooks of smtpsvr.lua outside of a message: greeting, HELO, other commands, the end."""

import pytest

from rig import machine, smtp

STRANGER = "192.0.2.7"


def said(reply):
    """The text a script gave, without what Sendmail puts in front (`<addr>... `) and the codes."""
    return [line.rpartition("... ")[2].removeprefix(reply.enhanced + " ") for line in reply.lines]


def printed(milter, *lines):
    """LUA.OUT holds these lines in this order, perhaps with others between."""
    def there():
        rest = iter(milter.out().splitlines())
        return all(any(line == seen for seen in rest) for line in lines)
    machine.wait_until(there, 5, f"LUA.OUT with {lines}, is {milter.out()!r}")


ORDER = '''
local function note(name) return function(...) print(name, ...) end end
LoadLimits = note "LoadLimits"
Start = note "Start"
RBLResults = note "RBLResults"
function GetMaxMessageSize(host, current) print("GetMaxMessageSize", host, current) return current end
function GetEHLOCapabilities(host, caps) print("GetEHLOCapabilities", host) return caps end
function DoHELO(host, refuse, ehlo) print("DoHELO", host, refuse, ehlo) return refuse, "" end
DoMAILFROM = note "DoMAILFROM"
DoRCPTTO = note "DoRCPTTO"
DoDATAStart = note "DoDATAStart"
StartMessage = note "StartMessage"
EndMessage = note "EndMessage"
CheckRecipients = note "CheckRecipients"
ProcessMessage = note "ProcessMessage"
MonitorBcc = note "MonitorBcc"
LogRecipients = note "LogRecipients"
LogRecipientsBlocked = note "LogRecipientsBlocked"
End = note "End"
'''


def test_all_hooks_in_order(mta, milter):
    milter.start(ORDER)
    with mta.client(source=STRANGER) as c:
        c.send("ann@sender.test", [mta_user(mta)], "Subject: hi\n\nhello\n")
    machine.wait_until(lambda: "End" in milter.out().split(), 5, "End()")
    names = [line.split("\t")[0] for line in milter.out().splitlines()]
    assert names == ["LoadLimits", "Start", "RBLResults", "GetMaxMessageSize", "GetMaxMessageSize",
                     "GetEHLOCapabilities", "DoHELO", "DoMAILFROM", "DoRCPTTO", "DoDATAStart",
                     "StartMessage", "EndMessage", "CheckRecipients", "ProcessMessage",
                     "MonitorBcc", "LogRecipients", "End"]
    assert f"GetMaxMessageSize\t{STRANGER}\t0" in milter.out()
    assert "GetMaxMessageSize\tclient.test\t0" in milter.out()
    assert "DoHELO\tclient.test\tfalse\ttrue" in milter.out()


def mta_user(mta):
    return f"bob@{mta.hostname}"


# Start and RBLResults: the greeting

@pytest.mark.parametrize("hook", ["Start", "RBLResults"])
def test_421_greets_and_closes(mta, milter, hook):
    """Also one of several lines, which Sendmail would take for a refusal at MAIL."""
    for text in ("421 4.3.2 go away", r"421 4.3.2 go\naway", "421"):
        milter.script("smtpsvr.lua", f'function {hook}() return "{text}" end')
        milter.reload() if milter.process else milter.start()
        c = mta.client(source=STRANGER, hello=False)
        assert c.banner.code == 421, text
        assert c.server_closed(), text


@pytest.mark.parametrize("hook", ["Start", "RBLResults"])
@pytest.mark.parametrize("code", [550, 450])
def test_refused_session_gets_the_text_at_mail(mta, milter, hook, code):
    milter.start(f'function {hook}() return "{code} {code // 100}.7.9 not today" end')
    with mta.client(source=STRANGER, hello=False) as c:
        if mta.name == "postfix" and code == 550:
            assert c.banner.code == 554
        else:
            assert c.banner.code == 220
        c.ehlo("client.test")
        for _ in range(2):
            reply = c.mail("ann@sender.test")
            assert (reply.code, reply.enhanced) == (code, f"{code // 100}.7.9")
            assert said(reply) == ["not today"]


def test_positive_greeting_cannot_be_sent_and_is_logged_once(mta, milter):
    milter.start('function Start() return "220 my own greeting" end')
    for _ in range(3):
        with mta.client() as c:
            assert c.banner.code == 220 and "my own greeting" not in c.banner.text
            assert c.mail("ann@sender.test").code == 250
    lines = [line for line in milter.log().splitlines() if "Start: the result is a positive" in line]
    assert len(lines) == 1


def test_rblresults_stands_before_start(mta, milter):
    milter.start('''
        function Start() return "550 5.7.1 from Start" end
        function RBLResults() return "450 4.7.1 from RBLResults" end
    ''')
    with mta.client(source=STRANGER, hello=False) as c:
        c.ehlo("client.test")
        assert said(c.mail("ann@sender.test")) == ["from RBLResults"]


# GetMaxMessageSize

BIG = "Subject: big\n\n" + 70 * ("x" * 70 + "\n")


def test_max_message_size(mta, milter):
    milter.start('function GetMaxMessageSize(host, current) return 4000 end')
    with mta.client() as c:
        reply = c.mail("ann@sender.test", "SIZE=5000")
        assert (reply.code, reply.enhanced) == (552, "5.3.4")
        assert c.mail("ann@sender.test", "SIZE=3000").code == 250
        c.command("RSET")
        reply = c.send("ann@sender.test", ["bob@one.test"], BIG)
        assert (reply.code, reply.enhanced) == (552, "5.3.4")
        assert c.send("ann@sender.test", ["bob@one.test"], "Subject: s\n\nsmall\n").code == 250
    assert mta.wait_delivery().header("Subject") == ["s"]


def test_max_message_size_at_helo_knows_the_name(mta, milter):
    milter.start('''
        function GetMaxMessageSize(host, current)
            if host == "small.test" then return 1000 end
            return 0
        end
    ''')
    with mta.client(hello=False) as c:
        c.ehlo("small.test")
        assert c.mail("ann@sender.test", "SIZE=5000").code == 552
        c.ehlo("large.test")
        assert c.mail("ann@sender.test", "SIZE=5000").code == 250


def test_max_message_size_of_the_configuration(mta, milter):
    milter.start('function GetMaxMessageSize(host, current) print("current", current) end',
                 config='service "smtp" { max_message_bytes = 4000 }')
    with mta.client() as c:
        assert c.mail("ann@sender.test", "SIZE=5000").code == 552
    assert "current\t4000" in milter.out()


# HELO

def test_helo_refused(mta, milter):
    milter.start('''
        function DoHELO(host, refuse, ehlo)
            if host == "bad.test" then return true, "550 5.7.1 bad name" end
            if host == "worse.test" then return true, "" end
            if host == "good.test" then return false, "" end
            return refuse, ""
        end
    ''')
    with mta.client(hello=False) as c:
        assert c.ehlo("bad.test").code == 250      # observed: both MTAs answer EHLO themselves
        reply = c.mail("ann@sender.test")
        assert (reply.code, said(reply)) == (550, ["bad name"])
        c.ehlo("other.test")                       # the session stays refused ...
        assert said(c.mail("ann@sender.test")) == ["bad name"]
        c.ehlo("worse.test")
        assert c.mail("ann@sender.test").code == 550
        c.ehlo("good.test")                        # ... until DoHELO says false
        assert c.mail("ann@sender.test").code == 250


def test_helo_421_closes_at_once(mta, milter):
    milter.start('function DoHELO(host) return true, "421 4.3.2 bye bye" end')
    c = mta.client(hello=False)
    reply = c.ehlo("any.test")
    assert reply.code == 421 and "bye bye" in reply.text
    assert c.server_closed()


@pytest.mark.parametrize("mta", ["sendmail"], indirect=True)
def test_refused_session_is_told_to_dohelo(mta, milter):
    """Postfix tells a milter nothing more of a session that it refused at connect."""
    milter.start('''
        function Start() return "450 4.7.1 wait" end
        function DoHELO(host, refuse) print("refuse is", refuse) return refuse, "" end
    ''')
    with mta.client(hello=False) as c:
        c.ehlo("any.test")
        c.mail("ann@sender.test")
    printed(milter, "refuse is\ttrue")


def test_helo_text_cannot_be_changed(mta, milter):
    milter.start('''
        function DoHELO(host, refuse) return false, "250 hello from Lua" end
        function GetEHLOCapabilities(host, caps) return "SIZE 5" end
    ''')
    with mta.client(hello=False) as c:
        assert "hello from Lua" not in c.ehlo("any.test").text
        assert c.mail("ann@sender.test").code == 250
    milter.wait_log("DoHELO: the result is a positive reply")
    milter.wait_log("GetEHLOCapabilities: a milter cannot change the reply to EHLO")


# commands outside of a transaction

UNKNOWN = '''
function DoUnrecognised(line) print("line", line) return "502 5.5.1 no such thing" end
function DoHELP(text) print("help", text) return "504 5.5.4 no help" end
function DoEXPN(line) print("expn", line) return "550 5.7.1 no lists" end
function DoVRFY(line) print("vrfy") return "550 5.7.1 no users" end
function DoNOOP() print("noop") return "450 4.0.0 noop" end
function DoQUIT() print("quit") return "450 4.0.0 quit" end
'''


def test_unknown_command(mta, milter):
    milter.start(UNKNOWN)
    with mta.client() as c:
        reply = c.command("FOO bar  Baz")
        assert (reply.code, said(reply)) == (502, ["no such thing"])
        assert c.mail("ann@sender.test").code == 250
    printed(milter, "line\tFOO" if mta.name == "postfix" else "line\tFOO bar  Baz")


def test_unknown_command_with_421(mta, milter):
    milter.start('function DoUnrecognised(line) return "421 4.7.0 enough of you" end')
    c = mta.client()
    reply = c.command("FOO")
    assert reply.code == 421 and "enough of you" in reply.text
    assert c.server_closed()


def test_help_and_expn(mta, milter):
    """Postfix has neither command, so the milter is asked; Sendmail answers them itself."""
    milter.start(UNKNOWN)
    with mta.client() as c:
        help_reply, expn = c.command("HELP"), c.command("EXPN list")
        if mta.name == "postfix":
            assert (help_reply.code, said(help_reply)) == (504, ["no help"])
            assert (expn.code, said(expn)) == (550, ["no lists"])
        else:
            assert help_reply.code == 214
            assert expn.code in (250, 252, 502, 550) and "no lists" not in expn.text


def test_commands_no_milter_sees(mta, milter):
    """NOOP, VRFY, QUIT: the MTA's own reply stands and the session goes on (hook reference)."""
    milter.start(UNKNOWN)
    c = mta.client()
    assert c.command("NOOP").code == 250
    assert c.command("VRFY bob").code in (250, 252, 550)
    assert c.quit().code == 221
    assert milter.out() == ""


def test_notice_about_hooks_that_cannot_be_called(mta, milter):
    milter.start(UNKNOWN)
    never = ["DoNOOP", "DoQUIT", "DoVRFY"] + ["DoHELP", "DoEXPN"] * (mta.name == "sendmail")
    for loading in (1, 2):
        for _ in range(3):
            with mta.client() as c:
                c.command("FOO")                  # Postfix tells a milter nothing before it must
        machine.wait_until(lambda: milter.log().count("DoNOOP: not called") == loading, 5, "the notice")
        for hook in ("DoNOOP", "DoQUIT", "DoVRFY", "DoHELP", "DoEXPN"):
            assert milter.log().count(f"{hook}: not called") == loading * (hook in never)
        milter.reload()


def test_rset(mta, milter):
    milter.start('''
        function DoMAILFROM(data, from) print("mail", from) end
        function DoRSET() print("rset") return "250 done by Lua" end
    ''')
    with mta.client() as c:
        assert c.command("RSET").code == 250       # idle: the milter is not told
        c.mail("one@sender.test")
        assert c.command("RSET").code == 250
        c.mail("two@sender.test")
        c.command("RSET")
    printed(milter, "mail\tone@sender.test", "rset", "mail\ttwo@sender.test", "rset")
    assert milter.out().count("rset") == 2


def test_end_comes_also_when_the_client_vanishes(mta, milter):
    milter.start('count = 0\nfunction DoMAILFROM() count = count + 1 end\n'
                 'function End() print("end", count) end')
    c = mta.client()
    c.mail("ann@sender.test")
    c.drop(reset=True)
    printed(milter, "end\t1")


def test_globals_live_until_the_end(mta, milter):
    milter.start('''
        seen = {}
        function DoMAILFROM(data, from) seen[#seen + 1] = from end
        function End() print("seen", table.concat(seen, " ")) end
    ''')
    with mta.client() as c:
        for n in (1, 2, 3):
            c.mail(f"a{n}@sender.test")
            c.command("RSET")
    printed(milter, "seen\ta1@sender.test a2@sender.test a3@sender.test")
