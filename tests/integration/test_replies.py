"""Result strings: what each kind of result of a hook does to the reply that the client sees.

The client checks every reply against the protocol (rig/smtp.py), so a reply that breaks it fails
the test wherever it comes from."""

import random

import pytest

from test_hooks_session import said

SENDER, BOB, CASE = "ann@sender.test", "bob@one.test", "case@one.test"
MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"


# the five places where a reply is due

def at_mail(client):
    return client.mail("case@sender.test")


def at_rcpt(client):
    client.mail(SENDER)
    return client.rcpt(CASE)


def at_data(client):
    """To DATA itself or to the final dot."""
    return client.send(SENDER, "data@one.test", MESSAGE)


def at_unknown(client):
    return client.command("XCASE")


def at_end(client):
    return client.send("end@sender.test", BOB, MESSAGE)


# hook -> how to get there, and the code of the MTA's own reply
PLACES = {"DoMAILFROM": (at_mail, 250), "DoRCPTTO": (at_rcpt, 250), "DoDATAStart": (at_data, 250),
          "DoUnrecognised": (at_unknown, 500), "ProcessMessage": (at_end, 250)}

SCRIPT = '''
local result = %s
function DoMAILFROM(data, from) if from == "case@sender.test" then return result end end
function DoRCPTTO(data, rcpt) if rcpt == "case@one.test" then return result end end
function DoDATAStart(list) if list[1] == "data@one.test" then return result end end
function DoUnrecognised(line) if line == "XCASE" then return result end end
function ProcessMessage(from) if from == "end@sender.test" then return nil, result end end
'''


def literal(text):
    """Any bytes as a Lua string."""
    raw = text if isinstance(text, bytes) else text.encode()
    return '"' + "".join(f"\\{byte:03d}" for byte in raw) + '"'


class Loaded:
    """The filter with a script in force, and what its log says since."""

    def __init__(self, milter, script, *options):
        self.milter = milter
        if milter.process is None:
            milter.start(script, *options)
        else:
            milter.script("smtpsvr.lua", script)
            milter.reload()
        self.begin = len(milter.log())

    def log(self):
        return self.milter.log()[self.begin:]

    def notices(self, hook):
        """What is logged once about results of this hook."""
        start = f"script smtpsvr.lua, {hook}: "
        return [line.partition(start)[2].partition(" (logged once")[0]
                for line in self.log().splitlines() if start in line]


def replies(mta, milter, result, *options):
    """Puts a script with this result in force; returns it, and hook -> reply, each in a session of
    its own. All is done twice, for what is to be logged only once."""
    loaded = Loaded(milter, SCRIPT % result, *options)
    for _ in range(2):
        seen = {}
        for hook, (go, _) in PLACES.items():
            with mta.client() as c:
                seen[hook] = go(c)
    return loaded, seen


# what is sent

THIRTY_TWO = [f"line {n}" for n in range(1, 33)]
TOO_MANY = "lines after the first 32 dropped"
CUT = "text cut at 980 bytes"
CONTROL = "control characters replaced by '?'"
CLASS = "enhanced status code of another class than the code replaced"

# group -> result: code, enhanced code, lines, and what the log says
SENT = {
    "one line": {
        "550 5.7.9 no": (550, "5.7.9", ["no"], None),
        "450 4.2.1 later": (450, "4.2.1", ["later"], None),
        "550 no": (550, "5.7.1", ["no"], None),
        "  550 no  ": (550, "5.7.1", ["no"], None),
        "550-no": (550, "5.7.1", ["no"], None),
        "550": (550, "5.7.1", [""], None),
        "550 5.7.9": (550, "5.7.9", [""], None),
        "550 1.2.3.4 is listed": (550, "5.7.1", ["1.2.3.4 is listed"], None),
    },
    "lines": {
        "550 a\nb": (550, "5.7.1", ["a", "b"], None),
        "550 a\r\nb\r\n": (550, "5.7.1", ["a", "b"], None),
        "550-5.7.9 a\r\n550-5.7.9 b\r\n550 5.7.9 c": (550, "5.7.9", ["a", "b", "c"], None),
        "550-a\n550 b": (550, "5.7.1", ["a", "b"], None),
        "550 a\n\nb": (550, "5.7.1", ["a", "", "b"], None),
        "550 a\n.\n": (550, "5.7.1", ["a", "."], None),
        "550 a\n250 b": (550, "5.7.1", ["a", "250 b"], None),
        "550 a\n551 b": (550, "5.7.1", ["a", "b"], "lines with different codes, the first code used"),
        "450 " + "\n".join(THIRTY_TWO): (450, "4.2.0", THIRTY_TWO, None),
        "550 " + "\n".join(THIRTY_TWO + ["more"] * 8): (550, "5.7.1", THIRTY_TWO, TOO_MANY),
    },
    "percent": {   # R2
        "550 100% sure": (550, "5.7.1", ["100% sure"], None),
        "550 %s%n%d%%": (550, "5.7.1", ["%s%n%d%%"], None),
        "550 a%s\n%n\n%1$n": (550, "5.7.1", ["a%s", "%n", "%1$n"], None),
    },
    "length": {
        "550 " + "x" * 980: (550, "5.7.1", ["x" * 980], None),
        "550 " + "x" * 981: (550, "5.7.1", ["x" * 980], CUT),
        "550 a\n" + "y" * 100000 + "\nb": (550, "5.7.1", ["a", "y" * 980, "b"], CUT),
        "550 " + "%" * 491: (550, "5.7.1", ["%" * 490], CUT),
        "550 " + "x" * 979 + "\u00e9": (550, "5.7.1", ["x" * 979], CUT),
    },
    "control": {   # R10
        "550 a\rb": (550, "5.7.1", ["a?b"], CONTROL),
        "550 a\0b": (550, "5.7.1", ["a?b"], CONTROL),
        "550 \x1b[31mred\x07\x7f": (550, "5.7.1", ["?[31mred??"], CONTROL),
        "550 a\r250 b": (550, "5.7.1", ["a?250 b"], CONTROL),
        "550 a\tb": (550, "5.7.1", ["a b"], None),
    },
    "class": {
        "550 4.7.1 no": (550, "5.7.1", ["no"], CLASS),
        "450 5.7.1 no": (450, "4.2.0", ["no"], CLASS),
        "554 2.0.0 no": (554, "5.7.1", ["no"], CLASS),
    },
}


@pytest.mark.parametrize("group", SENT)
def test_sent(mta, milter, group):
    """R2, R10"""
    for result, (code, enhanced, lines, notice) in SENT[group].items():
        loaded, seen = replies(mta, milter, literal(result))
        for hook, reply in seen.items():
            assert (reply.code, reply.enhanced, said(reply)) == (code, enhanced, lines), \
                (hook, result[:60])
            assert loaded.notices(hook) == [notice] * (notice is not None), (hook, result[:60])


CODES = {   # result: enhanced code that fits
    "421": "4.3.2", "450": "4.2.0", "451": "4.3.0", "452": "4.3.1", "454": "4.7.0", "499": "4.0.0",
    "500": "5.5.2", "501": "5.5.4", "502": "5.5.1", "503": "5.5.1", "504": "5.5.4", "521": "5.3.2",
    "530": "5.7.0", "535": "5.7.8", "551": "5.1.6", "552": "5.3.4", "553": "5.1.3", "554": "5.7.1",
    "555": "5.5.4", "556": "5.1.10", "557": "5.7.1", "400": "4.0.0", "599": "5.0.0"}


def test_fitting_enhanced_codes(mta, milter):
    milter.start('function DoMAILFROM(data, from) return from:match("^%d+") .. " no" end')
    for code, enhanced in CODES.items():
        with mta.client() as c:
            reply = c.mail(f"{code}@sender.test")
        assert (reply.code, reply.enhanced, said(reply)) == (int(code), enhanced, ["no"])


# 421 and 521

def test_421_closes(mta, milter):
    for text in ("421 4.7.0 no more", "421 no\nmore\nof this"):
        Loaded(milter, SCRIPT % literal(text))
        for hook, (go, _) in PLACES.items():
            c = mta.client()
            reply = go(c)
            assert reply.code == 421 and said(reply)[0].startswith("no"), hook
            assert len(reply.lines) == 1 + text.count("\n"), hook
            assert c.server_closed(), hook


def test_521(mta, milter):
    """Postfix closes the connection, Sendmail does not."""
    for text in ("521 5.3.2 no", "521 a\nb"):
        Loaded(milter, SCRIPT % literal(text))
        for hook, (go, _) in PLACES.items():
            c = mta.client()
            assert go(c).code == 521, hook
            if mta.name == "postfix":
                assert c.server_closed(), hook
            else:
                assert c.rset().code == 250, hook
            c.close()


# what cannot be sent

POSITIVE = "the result is a positive reply; a milter cannot change the text of those; ignored"
NONSENSE = "the result is not an SMTP reply (a code from 200 to 599 and text); ignored"


def assert_own_replies(seen):
    assert {hook: reply.code for hook, reply in seen.items()} == \
        {hook: code for hook, (_, code) in PLACES.items()}


def test_positive_replies_are_ignored(mta, milter):
    """Logged once for each loading of the scripts."""
    for result in ("250 2.0.0 fine", "250", "354 go on", "299 a\nb", "334 aGk="):
        loaded, seen = replies(mta, milter, literal(result))
        assert_own_replies(seen)
        for hook in PLACES:
            assert "fine" not in seen[hook].text
            assert loaded.notices(hook) == [POSITIVE], (hook, result)


def test_nonsense_is_ignored(mta, milter):
    """The second result of ProcessMessage() may be any text: it goes to the log."""
    for result in ("Sorry, refused", "199 low", "600 high", "55 short", "5500 long", "550x", "0",
                   "-550 no", "\u0665\u0665\u0660 no", "x" * 100000):
        loaded, seen = replies(mta, milter, literal(result))
        assert_own_replies(seen)
        for hook in PLACES:
            assert loaded.notices(hook) == [NONSENSE] * (hook != "ProcessMessage"), (hook, result[:60])
        if result.isascii():
            assert f"ProcessMessage: {result[:100]}" in loaded.log()
        assert len(loaded.log()) < 10000


def test_no_result_is_no_opinion(mta, milter):
    for result in ("nil", '""', '"  \\r\\n"', "true"):
        loaded, seen = replies(mta, milter, result)
        assert_own_replies(seen)
        assert [loaded.notices(hook) for hook in PLACES] == [[]] * len(PLACES), result


def test_a_number_is_a_code(mta, milter):
    for result in ("550", "550.0", "5500 / 10"):
        for hook, reply in replies(mta, milter, result)[1].items():
            assert (reply.code, reply.enhanced, said(reply)) == (550, "5.7.1", [""]), (hook, result)


def test_false_is_no_reply(mta, milter):
    loaded, seen = replies(mta, milter, "false")
    assert_own_replies(seen)
    assert loaded.notices("DoMAILFROM") == loaded.notices("DoUnrecognised") == [NONSENSE]
    assert "ProcessMessage: false" in loaded.log()


FAILURES = {"accept": None, "tempfail": (451, "4.3.0"), "reject": (554, "5.3.0")}


@pytest.mark.parametrize("on_error", FAILURES)
def test_a_result_of_a_wrong_type_is_a_failure(mta, milter, on_error):
    for result in ("{}", "print", 'setmetatable({}, {__tostring = function() return "550 x" end})'):
        loaded, seen = replies(mta, milter, result, f"lua.on_error={on_error}")
        if FAILURES[on_error] is None:
            assert_own_replies(seen)
        else:
            for hook, reply in seen.items():
                assert (reply.code, reply.enhanced) == FAILURES[on_error], (hook, result)
        for hook in PLACES:
            assert loaded.notices(hook) == \
                ["a result is not text; the call counts as failed, see lua.on_error"], (hook, result)


# result, and what it should have been
WRONG_ELSEWHERE = {
    "function GetMaxMessageSize() return {} end": "a number of bytes",
    "function GetMaxMessageSize() return -5 end": "a number of bytes",
    'function GetMaxMessageSize() return "many" end': "a number of bytes",
    "function GetEHLOCapabilities() return {} end": "text",
    'function DoHELO() return {}, "550 no" end': "true or false",
    "function DoHELO() return false, {} end": "text",
    "function CheckRecipients() return {} end": "text",
}


@pytest.mark.parametrize("on_error", FAILURES)
def test_wrong_types_elsewhere(mta, milter, on_error):
    for script, wanted in WRONG_ELSEWHERE.items():
        loaded = Loaded(milter, script, f"lua.on_error={on_error}")
        with mta.client() as c:
            reply = c.send(SENDER, BOB, MESSAGE)
        assert (reply.code, reply.enhanced) == (FAILURES[on_error] or (250, "2.0.0")), script
        assert f"a result is not {wanted}; the call counts as failed" in loaded.log(), script


# characters beyond ASCII

@pytest.mark.parametrize("text,ascii_text", [
    ("Gr\u00fc\u00dfe aus \u6771\u4eac \U0001f4e7", "Gr??e aus ?? ?"), ("caf\u00e9", "caf?")])
def test_utf8(mta, milter, text, ascii_text):
    """Sendmail cannot send it: it takes the eighth bit off."""
    loaded, seen = replies(mta, milter, literal(f"550 5.7.1 {text}\n{text}"))
    for hook, reply in seen.items():
        assert said(reply) == [text if mta.name == "postfix" else ascii_text] * 2, hook
    assert loaded.log().count("characters beyond ASCII") == (mta.name == "sendmail")


# R10: one reply is one reply

HOSTILE = [b"\r", b"\n", b"\r\n", b"\n\r", b"\0", b"\x1b", b"\x7f", b"\x80", b"\x85", b"\x8a", b"\x8d",
           b"\x8d\x8a", b"\xc3\x8a", b"\xc4\x8d\xc3\x8a", b"\xff", b"250 ok", b"250-", b"354 go",
           b"550 ", b"550-", b"421 bye", b"5.7.1 ", b"4.7.1", b"%s%n", b"%", b".", b" ", b"x", b"x" * 979, b"\xc3\xa9" * 500]


def hostile_results(count, seed):
    rng = random.Random(seed)
    return [b"550 " + b"".join(rng.choices(HOSTILE, k=rng.randint(1, 12))) for _ in range(count)]


def assert_in_step(mta, client):
    """No second reply is on its way: the next one is the reply to the next command."""
    reply = client.command("RCPT TO:<bob@one.test>")
    assert reply.code == 503 and "MAIL" in reply.text.upper(), client.transcript()
    assert client.buffer == b"", client.transcript()


@pytest.mark.parametrize("place", ["DoMAILFROM", "ProcessMessage", "DoUnrecognised"])
def test_no_result_makes_a_second_reply(mta, milter, place):
    """R10: whatever stands in a result, the client gets one refusal that keeps to the protocol."""
    results = hostile_results(120, seed=place)
    milter.start("local results = {" + ",\n".join(map(literal, results)) + '''}
        local function result(text) return results[tonumber(text:match("%d+"))] end
        function DoMAILFROM(data, from) if from:find("^mail") then return result(from) end end
        function DoUnrecognised(line) return result(line) end
        function ProcessMessage(from) return nil, result(from) end
    ''')
    for first in range(1, len(results) + 1, 10):
        with mta.client() as c:
            for n in range(first, first + 10):
                reply = (c.mail(f"mail{n}@sender.test") if place == "DoMAILFROM" else
                         c.command(f"XCASE{n}") if place == "DoUnrecognised" else
                         c.send(f"end{n}@sender.test", BOB, MESSAGE))
                assert reply.code == 550, results[n - 1]
                assert len(reply.lines) <= 32
                assert not any(ord(ch) < 32 or ord(ch) == 127 for line in reply.lines for ch in line)
                assert_in_step(mta, c)


def test_remote_text_in_a_result(mta, milter):
    """R2, R10: a script that quotes what the client sent gives him no second reply and no format."""
    milter.start('''
        function DoMAILFROM(data, from) return "550 5.7.1 not you, " .. from end
        function ProcessMessage(from, subject) return nil, "550 5.6.0 not " .. subject end
        function DoUnrecognised(line) return "502 5.5.1 what is " .. line end
    ''')
    for sender in ("%s%n%d@sender.test", "a%1$n@sender.test", '"a\\b<c> d"@sender.test'):
        with mta.client() as c:
            reply = c.mail(sender)
            assert reply.code == 550 and said(reply)[0].startswith("not you, "), reply
            assert "%" not in sender or sender in said(reply)[0]
            assert_in_step(mta, c)
    for sender in (b"a\x8d\x8a250@sender.test", "\u010d\u00ca@sender.test".encode()):
        with mta.client() as c:
            reply = c.command(b"MAIL FROM:<" + sender + b">")
            assert reply.code in (500, 501, 550, 553, 555)   # an MTA may refuse it itself
            assert_in_step(mta, c)
    with mta.client() as c:
        assert c.command("XFOO%s%n%d").code == 502
        assert_in_step(mta, c)


def test_subject_in_a_result(mta, milter):
    """R10: also a folded and an 8-bit one."""
    milter.start('function ProcessMessage(from, subject) return nil, "550 5.6.0 not " .. subject end')
    for subject in (b"hi\r\n 250 2.0.0 ok", b"hi\x8d\x8a250 2.0.0 ok", "\u010d\u010a250 ok".encode(), b"%s%n"):
        with mta.client() as c:
            reply = c.send(SENDER, BOB, b"Subject: " + subject + b"\r\n\r\nhello\r\n")
            assert (reply.code, len(reply.lines)) == (550, 1)
            assert_in_step(mta, c)


def test_long_address_before_long_text(mta, milter):
    """Sendmail puts the address in front of the text: both together still make one line."""
    milter.start('function DoMAILFROM() return "550 5.7.9 " .. ("x"):rep(980) end\n'
                 'function DoRCPTTO() return "550 5.7.9 " .. ("x"):rep(980) end')
    long_address = "a" * 60 + "@" + ".".join(["d" * 60] * 3) + ".test"
    with mta.client() as c:
        reply = c.mail(long_address)
        assert (reply.code, said(reply)) == (550, ["x" * 980])
        assert_in_step(mta, c)


# the same in the other hooks with a result string

@pytest.mark.parametrize("script", [
    "function Start() return result end",
    "function RBLResults() return result end",
    "function DoHELO(name, refuse) return refuse, result end",
    "function CheckRecipients() return result end",
])
def test_other_hooks(mta, milter, script):
    """A refusal of the session is said at MAIL, one of the message at its end."""
    milter.start('local result = "550-5.7.9 100% sure\\r\\n550 5.7.9 no\\0more"\n' + script)
    with mta.client(source="192.0.2.7") as c:
        reply = c.send(SENDER, f"bob@{mta.hostname}", MESSAGE)
    assert (reply.code, reply.enhanced, said(reply)) == (550, "5.7.9", ["100% sure", "no?more"])
    assert CONTROL in milter.log()


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
@pytest.mark.parametrize("hook,command", [("DoHELP", "HELP"), ("DoEXPN", "EXPN list")])
def test_other_commands(mta, milter, hook, command):
    milter.start(f'function {hook}() return "550-5.7.9 100% sure\\n550 5.7.9 no" end')
    with mta.client() as c:
        reply = c.command(command)
        assert (reply.code, reply.enhanced, said(reply)) == (550, "5.7.9", ["100% sure", "no"])


# after a refusal

@pytest.mark.parametrize("hook", PLACES)
@pytest.mark.parametrize("code", ["450", "550"])
def test_session_goes_on_after_a_refusal(mta, milter, hook, code):
    """The next message is looked at as the first one was; nothing of the refused one is left."""
    milter.start(SCRIPT % literal(f"{code} no"))
    with mta.client() as c:
        for _ in range(2):
            assert PLACES[hook][0](c).code == int(code)
            c.rset()
        assert c.send(SENDER, BOB, MESSAGE).code == 250
    assert mta.wait_delivery().recipients == [BOB]


@pytest.mark.parametrize("hook", ["DoMAILFROM", "DoDATAStart", "ProcessMessage"])
def test_a_refused_message_is_over(mta, milter, hook):
    """The daemon does not wait for it when it stops, although the client stays and says nothing."""
    milter.start(SCRIPT % literal("450 no"), "milter.drain_seconds=15")
    c = mta.client()
    assert PLACES[hook][0](c).code == 450
    assert milter.stop(timeout=10) == 0
    c.drop()
