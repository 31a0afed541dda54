"""Hostile text in everything that comes from the network, through every callback, and handed back
by the script in every place it can: nothing breaks out (R1, R2, R5, R10, R19)."""

import json
import re
import time

import pytest

from rig import machine, smtp
from test_hooks_session import said

SENDER, BOB = "ann@sender.test", "bob@one.test"
HEAD = (b"From: ann@sender.test\r\nTo: bob@one.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
        b"Message-Id: <1@sender.test>\r\n")

# CANARY stands for the name of a file that must never exist
CORPUS = [
    # shells and expansions (R1)
    b"$(touch CANARY)", b"`touch CANARY`", b"; touch CANARY ;", b"| touch CANARY", b"|touch CANARY",
    b"&& touch CANARY &", b"> CANARY", b">CANARY", b"x' ; touch CANARY ; '", b'x" ; touch CANARY ; "',
    b"${IFS}touch${IFS}CANARY", b"$((1+1))", b"~root", b"*?[a-z]{a,b}", b"!!", b"#x", b"\\", b"'", b'"',
    b"-oQ/tmp", b"--", b"/etc/passwd", b"|/bin/sh", b":include:/etc/passwd", b"../../../etc/passwd",
    b"${run{/bin/touch CANARY}}", b"%{CANARY}",
    # formats (R2)
    b"%s%n%x%d", b"%n%n%n%n%n%n%n%n", b"100%", b"%%", b"%1$*2$n", b"%.99999999s", b"{}{0}", b"\\n\\r\\0",
    # lines and controls (R10, R19)
    b"a\rX-Smuggled: yes", b"a\r.\r", b"a\x0bX-Smuggled: yes", b"a\x00X-Smuggled: yes",
    b"a\x8dX-Smuggled: yes", b"a\xc0\x8dX-Smuggled: yes", b"a\xe2\x80\xa8X-Smuggled: yes",
    b"a\x8d\x8aX-Smuggled: yes\x8d\x8a", b"a\rRCPT TO:<smuggled@two.test>\r",
    b"x@two.test> <smuggled@two.test", b"x@two.test,smuggled@two.test", b"x@two.test\tNOTIFY=NEVER",
    b"\x1b[2J\x1b]0;x\x07", b"\x7f\x08\x01", b"\x0b\x0c", b"\t\t", b"a\x00b", b"\x00", b"550 5.7.1 forged",
    b"250-ok", b": x", b"error: session=0 forged",
    # bytes beyond ASCII: UTF-8, overlong, cut, C1, separators, direction marks, Latin-1
    "\u00e4\u00f6\u00fc \u20ac \U0001f600".encode(), b"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf",
    b"\xc0\x8d\xc0\x8a", b"\xe2\x82", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xff\xfe",
    b"\xc2\x85\xc2\x8d", b"\xe2\x80\xa8\xe2\x80\xa9", b"\xe2\x80\xae\xe2\x80\xac", b"\x85\x8d\x8a",
    b"\x8d\x8a550 5.7.1 forged", b"caf\xe9",
    # Lua and others
    b"__index", b"__gc", b"%bxy%f[%w]", b"[[]]", b"]]--", b"\x1bLua", b"nil", b"' OR '1'='1", b"<script>",
    b"../", b"@x,@y:z",
    # long
    1000 * b"a", 1900 * b"%n", 500 * "\u20ac".encode(), b"a" * 65536, b"\"" * 300,
]

# What the script does with the text is told by the last HELO that names a mode.
ECHO = r'''
mode, heard = "pass", {}

local function hear(what, ...)
    local text = table.concat({...}, " ")
    print(what, #text)
    if what ~= "line" then heard[#heard + 1] = text end   -- a whole line may well be a header line
    if mode == "fail-" .. what then error(text) end
    if mode == "table-" .. what then error({ text }) end
    if mode == "echo-" .. what then return "550 5.7.1 " .. text end
    if mode == "raw-" .. what then return text end
    if mode == "lines-" .. what then return "450-4.7.1 " .. text .. "\n450 4.7.1 " .. text end
end

function DoHELO(host, refuse)
    local wanted = host:match("^mode%.(.*)$")
    if wanted then mode, heard = wanted, {} end
    return hear("helo", host) ~= nil, mode == "echo-helo" and "550 5.7.1 " .. host or ""
end
function DoUnrecognised(line) return hear("unknown", line) end
function DoMAILFROM(data, from, p)
    for k, v in pairs(p) do hear("parameter", k, v) end
    if mode == "parameters" then p.ENVID = data p.RET = from p[data] = from return "", p end
    return hear("mail", data, from)
end
function DoRCPTTO(data, rcpt, p, list)
    if mode == "parameters" then p.NOTIFY = data p.ORCPT = "rfc822;" .. rcpt p[rcpt] = data return "", p end
    return hear("rcpt", data, rcpt)
end
function DoDATAStart(list)
    local lines = {}
    if mode == "header" then
        for i, text in ipairs(heard) do
            lines[#lines + 1] = "X-Hostile-" .. i .. ": " .. text
            lines[#lines + 1] = text .. ": name"
            lines[#lines + 1] = text
        end
    end
    return hear("data", table.unpack(list)), lines
end
function MessageLine(line) hear("line", line) end
function ProcessMessage(from, subject, list, actions)
    local reply = hear("message", subject)
    actions.Reason = subject
    if mode == "header" then
        for i, text in ipairs(heard) do
            table.insert(actions.HeaderModifiers, "X-Last-" .. i .. ": " .. text)
            table.insert(actions.HeaderModifiers, text .. ": name")
            table.insert(actions.HeaderModifiers, text)
        end
    elseif mode == "recipients" then
        for i, text in ipairs(heard) do
            table.insert(actions.Recipients, text)
            table.insert(actions.Recipients, text .. "@two.test")
            table.insert(actions.Recipients, "x@" .. text)
            table.insert(actions.Recipients, "<good" .. i .. "@two.test> " .. text)
        end
    elseif mode == "reason" then
        actions.Ignore, actions.Delete = true, true
    end
    return actions, reply
end
'''
MODES = ["pass", "echo-helo", "echo-unknown", "echo-mail", "echo-rcpt", "echo-data", "echo-message", "raw-mail",
         "raw-message", "lines-mail", "lines-message", "fail-mail", "table-rcpt", "fail-message", "fail-line",
         "parameters", "header", "recipients", "reason"]


@pytest.fixture
def corpus(milter):
    canary = milter.directory / "canary"
    yield [text.replace(b"CANARY", str(canary).encode()) for text in CORPUS]
    assert not canary.exists()


def as_local_part(text, quoted):
    if quoted:
        text = b'"' + text.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'
    return text


class Dialogue:
    """Transactions with a text everywhere. Each is a connection of its own, or Sendmail would slow
    down; its replies are as many as its commands, or QUIT would not get its own."""

    def __init__(self, mta):
        self.mta, self.accepted, self.steps = mta, 0, 0

    def transaction(self, text, mode, quoted):
        local = as_local_part(text, quoted)
        with self.mta.client(hello=False) as c:
            try:
                c.command(b"EHLO " + text)
                c.command(b"EHLO mode." + mode.encode())
                # Sendmail alone repeats what it does not know, and makes two lines of some of it
                if self.mta.name == "postfix" or b"\x8a" not in text or mode == "echo-unknown":
                    c.command(b"FOO " + text)
                for verb, first, second in ((b"MAIL FROM:", local + b"@sender.test", SENDER.encode()),
                                            (b"RCPT TO:", local + b"@one.test", BOB.encode())):
                    if c.command(verb + b"<" + first + b">").ok:
                        self.steps += 1
                    elif not c.command(verb + b"<" + second + b">").ok:
                        break
                else:
                    self.accepted += c.data(message(text)).code == 250
                assert c.quit().code == 221, c.transcript()
            except (smtp.ConnectionClosed, ConnectionError):   # some servers hang up on these
                assert len(text) > 1000 or {13, 0} & set(text), c.transcript()
                c.close()


def message(text):
    name = re.sub(rb"[^!-9;-~]", b"_", text)[:60]
    return (HEAD + b"Subject: " + text + b"\r\nX-" + name + b": " + text
            + b"\r\nX-Folded: a\r\n X-Smuggled: yes\r\n\r\n" + text
            + b"\r\n.\r\n..\r\nX-Smuggled: only in the body\r\n")


COMMON = {"received", "from", "to", "date", "message-id", "subject"}
ALLOWED_VERBS = {"EHLO", "HELO", "MAIL", "RCPT", "DATA", "RSET", "QUIT", "NOOP"}


def check_what_left(mta, sink):
    """No command, no recipient and no header field that somebody smuggled in."""
    with sink.arrived:
        commands = [line for _, line in sink.commands]
    assert {line.split(" ")[0].split(":")[0].upper() for line in commands} <= ALLOWED_VERBS
    for d in mta.deliveries():
        names = [name.lower() for name, _ in d.fields]
        assert "x-smuggled" not in names and "x-smuggled" not in [name.strip("\r\v\0 ") for name in names], d.data
        assert d.body.endswith(b"\r\n.\r\n..\r\nX-Smuggled: only in the body\r\n"), d.data
        assert all(name in COMMON or name.startswith("x-") or re.fullmatch(r"[!-9;-~]+", name) for name in names), names
        assert "smuggled@two.test" not in d.recipients, d.rcpt_lines


def check_log(milter):
    """R19: one line is one event of ours, whatever came in, and printable."""
    raw = milter.stderr.read_bytes()
    text = raw.decode("utf-8")   # valid
    for line in text.splitlines():
        assert re.match(r"mailhooks-milter\[\d+\]: (error|warn|info|debug): ", line), repr(line)
        assert line.isprintable(), repr(line)
    assert text.count("\n") == len(text.splitlines())   # no other line ends, as Unicode knows some
    errors = (milter.directory / "LUAERRORS.LOG").read_bytes().decode("utf-8")
    for line in errors.splitlines():
        assert re.match(r"\d{4}-\d\d-\d\d |\t", line), repr(line)
        assert line.replace("\t", "", 1).isprintable(), repr(line)
    return text


@pytest.mark.parametrize("quoted", [True, False])
def test_corpus(mta, milter, sink, corpus, quoted):
    """R1, R2, R5, R10, R19: every text in every place, handed back in every way."""
    milter.start(ECHO, "lua.on_error=accept")
    pids = milter.children()
    dialogue = Dialogue(mta)
    for n, text in enumerate(corpus):
        for mode in MODES if n % 2 == quoted else ("pass", "header", "recipients", "parameters"):
            dialogue.transaction(text, mode, quoted)
    assert dialogue.steps > len(corpus) and dialogue.accepted > 3 * len(corpus)
    assert milter.children() == pids
    mta.settle(60)
    check_what_left(mta, sink)
    check_log(milter)
    assert mta.send(SENDER, BOB, "Subject: fine\n\nhello\n").code == 250


PRINTABLE = [text for text in CORPUS if re.fullmatch(rb"[ -~]{1,200}", text) and not re.match(rb"\d{3}[ -]", text)]


def test_replies_are_said_exactly(mta, milter):
    """R2: what is no control character comes back as it went in, percent signs too."""
    milter.start('function ProcessMessage(from, subject) return nil, "550 5.7.1 [" .. subject .. "]" end\n'
                 'function DoUnrecognised(line) return "550 5.7.1 " .. line end')
    for text in PRINTABLE:
        with mta.client() as c:
            reply = c.send(SENDER, BOB, b"Subject: " + text + b"\r\n\r\nx\r\n")
            assert said(reply) == [f"[{text.decode()}]"]
    text = "%s%n%d%%"
    with mta.client() as c:
        reply = c.command("X" + text + " " + text)
        assert said(reply) == ["X" + text] if mta.name == "postfix" else ["X" + text + " " + text]


def test_log_as_json(mta, milter, sink, corpus):
    """R19: every line is one JSON object, whatever came in."""
    milter.start(ECHO, "log.format=json", "log.level=debug")
    dialogue = Dialogue(mta)
    for n, text in enumerate(corpus):
        dialogue.transaction(text, ("fail-mail", "echo-message", "recipients", "header", "fail-message")[n % 5], True)
    lines = milter.stderr.read_bytes().decode("utf-8").split("\n")
    assert lines.pop() == "" and len(lines) > len(corpus)
    for line in lines:
        event = json.loads(line)
        assert isinstance(event, dict) and all(str(v).isprintable() for v in event.values()), line


# header fields

LUA_NAMES = ["__index", "__newindex", "__gc", "__metatable", "__call", "__proto__", "__mode", "__close", "constructor",
             "_G", "_ENV", "nil", "true", "1", "n", "#", "string", "self", "Recipients", "SendToOriginalRecipients"]


def test_names_that_mean_something_to_lua(mta, milter):
    """R6: a header name is data; each of these is replaced like any other."""
    milter.start('''
        function ProcessMessage(from, subject, list, actions)
            for name in subject:gmatch("%S+") do
                table.insert(actions.HeaderModifiers, name .. ": seen")
            end
        end
    ''')
    fields = "".join(f"{name}: {name}\r\n{name}: again\r\n" for name in LUA_NAMES)
    message_ = HEAD + f"Subject: {' '.join(LUA_NAMES)}\r\n{fields}\r\nhello\r\n".encode()
    assert mta.send(SENDER, BOB, message_).code == 250
    d = mta.wait_delivery()
    for name in LUA_NAMES:
        assert d.header(name) == ["seen"], name
    assert d.body == b"hello\r\n" and d.recipients == [BOB]


def test_thousands_of_fields(mta, milter):
    """Many fields pass; those of one name can be taken away (R7), or the message is refused."""
    milter.start('''
        function ProcessMessage(from, subject, list, actions)
            print("SUBJECT", subject)
            if subject == "remove" then actions.HeaderModifiers = { "X-Many:" } end
            if subject == "replace" then actions.HeaderModifiers = { "X-Many: mine" } end
        end
    ''')

    def send(subject, many):
        field = b"X-Many: y\r\n"   # Sendmail takes 32 KiB of header
        return mta.send(SENDER, BOB, HEAD + f"Subject: {subject}\r\n".encode() + many * field + b"\r\nhello\r\n")
    start = time.monotonic()
    assert send("keep", 2000).code == 250
    assert send("remove", 900).code == 250
    assert send("replace", 900).code == 250
    for subject in ("remove", "replace"):
        reply = send(subject, 2000)   # more than a script may change: it must not get through as it is
        assert (reply.code, reply.enhanced) == (554, "5.6.0"), reply
    assert time.monotonic() - start < 20
    found = {d.header("Subject")[0]: d.header("X-Many") for d in mta.wait_deliveries(3)}
    assert found == {"keep": 2000 * ["y"], "remove": [], "replace": ["mine"]}


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)   # Sendmail takes 32 KiB of header only
@pytest.mark.parametrize("on_error", ["accept", "tempfail"])
def test_more_fields_than_we_keep(mta, milter, on_error):
    """They pass, or not, as lua.on_error says; but nobody hides a field behind them that the script
    removes or replaces (R7)."""
    milter.start('''
        function ProcessMessage(from, subject, list, actions)
            if subject:find(":") then actions.HeaderModifiers = { subject } end
            if subject:find("forged") then mailhooks.remove_auth_results() end
        end
    ''', f"lua.on_error={on_error}")

    def send(subject, many):
        return mta.send(SENDER, BOB, HEAD + b"Subject: " + subject + b"\r\n" + many * b"X: y\r\n"
                        + b"X-Last: z\r\nAuthentication-Results: forged\r\n\r\nhello\r\n")
    assert send(b"few", 15000).code == 250
    assert send(b"X-Last:", 15000).code == 250
    assert send(b"X-Last: mine", 15000).code == 250
    assert send(b"forged", 15000).code == 250
    for subject in (b"many", b"X-Last:", b"X-Last: mine", b"forged, many"):
        reply = send(subject, 20100)
        if on_error == "tempfail":
            assert reply.code in (451, 452), (subject, reply)
        elif subject == b"forged, many":
            machine.wait_until(lambda: "more header fields than are kept" in milter.errors(), 5,
                               "LUAERRORS.LOG")
        else:
            assert (reply.code, reply.enhanced) == ((250, "2.0.0") if subject == b"many" else (554, "5.6.0"))
    found = {d.header("Subject")[0]: d for d in mta.wait_deliveries(4)}
    assert found["few"].header("X") == 15000 * ["y"]
    assert found["X-Last:"].header("X-Last") == [] and found["X-Last: mine"].header("X-Last") == ["mine"]
    assert found["forged"].header("Authentication-Results") == []


# bytes of the message

@pytest.mark.parametrize("body", [b"a\0b\r\n\0\r\n", bytes({*range(1, 256)} - {10, 13}) + b"\r\n",
                                  b"a\xc0\x8db\r\n\x8d\x8a.\x8d\x8a\r\n", b"\x00" * 3000 + b"\r\n"])
def test_body_bytes(mta, milter, body):
    """Whatever the body holds arrives as it does without the filter, and lines reach the script."""
    milter.start("function MessageLine(line) seen = (seen or 0) + #line end\n"
                 "function ProcessMessage(f, s, r, a) a.HeaderModifiers = {'X-Seen: ' .. seen} end")
    for recipient, plain in (("with@one.test", False), ("without@one.test", True)):
        assert mta.send(SENDER, recipient, HEAD + b"\r\n" + body, plain=plain).code == 250
    with_, without = (mta.wait_delivery(recipient=f"{who}@one.test") for who in ("with", "without"))
    assert with_.body == without.body
    assert int(with_.header("X-Seen")[0]) >= len(body) - 10


# many recipients, long addresses

def test_a_thousand_recipients(mta, milter):
    """One thousand of the client, one thousand more of the script; no step takes a second."""
    milter.start('''
        function DoRCPTTO(data, rcpt, p, list)
            if #list > 0 and list[#list] ~= "r" .. #list .. "@one.test" then return "550 5.7.1 order" end
        end
        function ProcessMessage(from, subject, list, actions)
            print("COUNT", #list, list[1], list[#list])
            for i = 1, 1000 do actions.Recipients[i] = "r" .. i .. "@two.test" end
            actions.SendToOriginalRecipients = false
        end
    ''')
    with mta.client() as c:
        assert c.mail(SENDER).code == 250
        slowest = 0
        for n in range(1, 1001):
            start = time.monotonic()
            assert c.rcpt(f"r{n}@one.test").code == 250
            slowest = max(slowest, time.monotonic() - start)
        assert c.data(HEAD + b"\r\nhello\r\n").code == 250
    assert slowest < 1
    mta.settle(60)
    assert "COUNT\t1000\tr1@one.test\tr1000@one.test" in milter.out()
    assert sorted(r for d in mta.deliveries() for r in d.recipients) == sorted(f"r{n}@two.test" for n in range(1, 1001))


def test_long_addresses(make_postfix, milter):
    """R5: a Postfix that lets 64 KiB through; the address is refused, quickly, and no script sees
    it. What is longer libmilter itself drops, and Postfix does as without a filter."""
    mta = make_postfix(parameters={"line_length_limit": "200000"})
    milter.start('function DoMAILFROM(data, from) print("MAIL", #from) end\n'
                 'function DoRCPTTO(data, rcpt) print("RCPT", #rcpt) end')
    for filler in (b"a", b"%n", b'\\"', b"a.", "\u20ac".encode()):
        for size, code in ((3000, 250), (5000, 501), (60000, 501), (100000, 451)):
            local = size // len(filler) * filler
            local = b'"' + local + b'"' if filler == b'\\"' else local
            with mta.client() as c:
                for verb, enhanced in ((b"RCPT TO", "5.1.3"), (b"MAIL FROM", "5.1.7")):
                    c.rset()
                    if verb == b"RCPT TO":
                        assert c.mail(SENDER).code == 250
                    start = time.monotonic()
                    reply = c.command(verb + b":<" + local + b"@one.test>")
                    assert reply.code == code and (code != 501 or reply.enhanced == enhanced), (filler, size, reply)
                    assert time.monotonic() - start < 1
    told = {int(line.split("\t")[1]) for line in milter.out().splitlines()}
    assert max(told) < 4096
