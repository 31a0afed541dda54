"""What the MTA is asked for depends on the scripts: steps that no hook needs are switched off, steps
that are never answered are not waited for; and messages of every shape pass with each selection."""

import re

import pytest

from rig import smtp
from test_hooks_session import said

SENDER, BOB = "ann@sender.test", "bob@one.test"
FIELDS = ("From: ann@sender.test\nTo: bob@one.test\nSubject: hi\nDate: Sat, 21 Nov 2026 10:00:00 +0000\n"
          "Message-Id: <1@sender.test>\n")
MESSAGE = FIELDS + "\nhello\n"

# libmilter/mfdef.h
STEPS = {
    "NOCONNECT": 0x1, "NOHELO": 0x2, "NOMAIL": 0x4, "NORCPT": 0x8, "NOBODY": 0x10, "NOHDRS": 0x20,
    "NOEOH": 0x40, "NR_HDR": 0x80, "NOUNKNOWN": 0x100, "NODATA": 0x200, "SKIP": 0x400, "RCPT_REJ": 0x800,
    "NR_CONN": 0x1000, "NR_HELO": 0x2000, "NR_MAIL": 0x4000, "NR_RCPT": 0x8000, "NR_DATA": 0x10000,
    "NR_UNKN": 0x20000, "NR_EOH": 0x40000, "NR_BODY": 0x80000, "HDR_LEADSPC": 0x100000,
}
ACTIONS = {
    "ADDHDRS": 0x1, "CHGBODY": 0x2, "ADDRCPT": 0x4, "DELRCPT": 0x8, "CHGHDRS": 0x10, "QUARANTINE": 0x20,
    "CHGFROM": 0x40, "ADDRCPT_PAR": 0x80, "SETSYMLIST": 0x100,
}
HEADER, RECIPIENTS = {"ADDHDRS", "CHGHDRS"}, {"ADDRCPT", "ADDRCPT_PAR", "DELRCPT"}
OFF = {"NOCONNECT", "NOHELO", "NOMAIL", "NORCPT", "NODATA", "NOUNKNOWN", "NOHDRS", "NOEOH", "NOBODY"}

HOOKS = ["LoadLimits", "Start", "RBLResults", "GetMaxMessageSize", "GetEHLOCapabilities", "DoHELO", "DoHELP",
         "DoQUIT", "DoNOOP", "DoRSET", "DoVRFY", "DoEXPN", "DoMAILFROM", "DoRCPTTO", "DoDATAStart",
         "DoUnrecognised", "StartMessage", "MessageLineRaw", "MessageLine", "EndMessage", "CheckRecipients",
         "ProcessMessage", "MonitorBcc", "LogRecipients", "LogRecipientsBlocked", "End"]

# name: (script, steps, actions)
SELECTIONS = {
    "nothing": ("", OFF, set()),
    "comment": ("-- no hook yet", (OFF - {"NOCONNECT"}) | {"NR_CONN"}, set()),
    "MAIL": ('function DoMAILFROM(data, from) if from:find("^no") then return "550 5.7.1 no" end end',
             (OFF - {"NOCONNECT", "NOMAIL"}) | {"NR_CONN"}, {"CHGFROM"}),
    "RCPT and DATA": ('function DoRCPTTO() end function DoDATAStart() return "", "X-Data: yes" end',
                      (OFF - {"NOCONNECT", "NOMAIL", "NORCPT", "NODATA"})
                      | {"NR_CONN", "NR_MAIL", "HDR_LEADSPC"}, HEADER | RECIPIENTS),
    "message": ('function ProcessMessage(f, s, r, actions) actions.HeaderModifiers = {"X-Message: yes"} end',
                (OFF - {"NOCONNECT", "NOMAIL", "NORCPT", "NOHDRS", "NOEOH", "NOBODY"})
                | {"NR_CONN", "NR_MAIL", "NR_RCPT", "NR_HDR", "NR_EOH", "NR_BODY", "HDR_LEADSPC"},
                HEADER | RECIPIENTS),
    "length of lines": ("MaxLineLength = 1000000", (OFF - {"NOCONNECT", "NOMAIL", "NOEOH", "NOBODY"})
                        | {"NR_CONN", "NR_MAIL", "NR_EOH", "NR_BODY"}, set()),
    "all": ("\n".join(f"function {hook}(...) end" for hook in HOOKS),
            {"NR_HDR", "NR_EOH", "NR_BODY", "HDR_LEADSPC"}, HEADER | RECIPIENTS | {"CHGFROM"}),
}


def names(table, bits):
    known = {name for name, bit in table.items() if bits & bit}
    assert sum(table[name] for name in known) == bits, hex(bits)
    return known


def negotiated(milter, session=-1):
    """The last negotiation in the log: (generation, steps, actions)."""
    found = re.findall(r"negotiated: generation (\d+), steps (0x[0-9a-f]+), actions (0x[0-9a-f]+)", milter.log())
    generation, steps, actions = found[session]
    return int(generation), names(STEPS, int(steps, 16)), names(ACTIONS, int(actions, 16)) - {"SETSYMLIST"}


def test_steps_and_actions(mta, milter):
    """Exactly those, on both MTAs, and after each reload; sessions from before it are served on."""
    scripts = list(SELECTIONS.items())
    milter.start(None, "log.level=debug")
    clients = []
    for n, (name, (script, steps, actions)) in enumerate(scripts + scripts[:1], 1):
        milter.script("smtpsvr.lua", script)
        milter.reload()
        c = mta.client()
        assert c.mail(SENDER).code == 250
        c.rset()
        assert negotiated(milter) == (n + 1, steps, actions), name
        clients.append(c)
    for c in clients:
        assert c.send(SENDER, BOB, MESSAGE).code == 250
        c.quit()


@pytest.mark.parametrize("settings,script,on,off,wanted", [
    # without a script: what the settings need
    ("rbl { zones = {\"bl.test\"} }", "", {"NOCONNECT", "NOMAIL", "NORCPT"}, {"NOHDRS", "NOBODY", "NR_CONN"}, HEADER),
    ('service "s" { max_message_bytes = 100000 }', "", {"NOMAIL", "NOBODY", "NOHDRS"}, {"NOUNKNOWN", "NODATA"}, set()),
    ('service "s" { max_line_bytes = 1000 }', "", {"NOMAIL", "NOBODY"}, {"NOHDRS", "NOUNKNOWN"}, set()),
    ('service "s" { auth_required = false }', "", set(), OFF, set()),
    # variables that a script mentions
    ("", "MaxLineLength = 1000", {"NOBODY", "NOMAIL"}, {"NOHDRS", "NODATA"}, set()),
    ("", "AllowedUsers = ''", {"NOMAIL"}, {"NORCPT", "NOBODY", "NOUNKNOWN"}, set()),
    ("", "print(Encryption)", {"NOHELO"}, {"NORCPT", "NOBODY"}, set()),
    # a script that fails must be able to say so
    ('lua { on_error = "tempfail" }', "function MessageLine() end", {"NOMAIL", "NOBODY"},
     {"NODATA", "NR_CONN", "NR_MAIL"}, set()),
    ('lua { on_error = "reject" }', "function StartMessage() end", {"NODATA"}, {"NR_DATA", "NR_MAIL", "NOBODY"}, set()),
])
def test_steps_of_settings(mta, milter, settings, script, on, off, wanted):
    """on: steps that are not switched off; off: those that are, or replies that are waited for."""
    milter.start(script, "log.level=debug", config=settings)
    with mta.client() as c:
        assert c.mail(SENDER).code == 250
    _, steps, actions = negotiated(milter)
    assert not steps & on
    assert {s for s in off if s.startswith("NO")} <= steps
    assert not steps & {s for s in off if s.startswith("NR_")}
    assert wanted <= actions


def test_reload_that_needs_more(mta, milter):
    """New sessions get the new hooks; the old ones, for which the MTA was told not to ask, go on
    with theirs."""
    milter.start(None, "log.level=debug")
    old = mta.client()
    milter.script("smtpsvr.lua", 'function DoMAILFROM() return "550 5.7.1 mail" end')
    milter.reload()
    with mta.client() as c:
        assert said(c.mail(SENDER)) == ["mail"]
    middle = mta.client()
    milter.script("smtpsvr.lua", '''
        function ProcessMessage(from, subject) return nil, "550 5.7.1 " .. subject end
        function DoUnrecognised() return "550 5.7.1 unknown" end
    ''')
    milter.reload()
    with mta.client() as c:
        assert said(c.command("FOO")) == ["unknown"]
        assert said(c.send(SENDER, BOB, MESSAGE)) == ["hi"]
    assert said(middle.mail(SENDER)) == ["mail"]
    assert old.send(SENDER, BOB, MESSAGE).code == 250
    middle.quit()
    old.quit()
    assert mta.wait_delivery().header("Subject") == ["hi"]


def test_hook_that_comes_into_being_later(mta, milter):
    """Hooks are those of the trial at loading: one that appears in a session is called only where
    the MTA tells of the step anyway; nothing hangs, and what cannot be sent is logged."""
    milter.start('''
        function Start()
            function DoMAILFROM() print("MAIL") return "550 5.7.1 late" end
            function ProcessMessage() print("MESSAGE") end
        end
        function DoRCPTTO() end
    ''')
    with mta.client() as c:
        reply = c.mail(SENDER)
        assert reply.code in (250, 550)
        if reply.code == 250:
            milter.wait_log("refusal 550 not sent: the MTA was told that this step is never refused")
            assert c.rcpt(BOB).code == 250
            assert c.data(smtp.crlf(MESSAGE)).code == 250


# shapes of messages

SHAPES = {
    "all": MESSAGE, "header only": FIELDS, "header and empty line": FIELDS + "\n", "no header": "\nhello\n",
    "body at once": "hello, this is no header\nTo: and this is too late\n", "empty": "", "empty line": "\n",
    "empty lines": "\n\n\n", "one line": "x\n", "only a field": "Subject: x\n", "dots": FIELDS + "\n.\n..\n...\n",
    "broken field": FIELDS + "no colon here\nX-Late: x\n\nhello\n",
    "starts with a fold": "  folded\nSubject: x\n\nhello\n",
    "long body": FIELDS + "\n" + 3000 * (70 * "x" + "\n"),
}


@pytest.mark.parametrize("selection", list(SELECTIONS))
def test_messages_of_every_shape(mta, milter, selection):
    """libmilter does not answer at all when a step is missing that it expects; each shape passes in
    one session, and arrives as it does without the filter."""
    milter.start(SELECTIONS[selection][0])
    with mta.client(timeout=20) as c, mta.client(plain=True) as control:
        for n, (name, message) in enumerate(SHAPES.items()):
            for client, recipient in ((c, f"with{n}@one.test"), (control, f"without{n}@one.test")):
                reply = client.send(SENDER, recipient, message)
                assert reply.code == 250, (name, reply)
    mta.wait_deliveries(2 * len(SHAPES))
    for n, name in enumerate(SHAPES):
        (with_, without) = (mta.deliveries(recipient=f"{what}{n}@one.test") for what in ("with", "without"))
        assert strip(with_[0]) == strip(without[0]), name
        assert with_[0].header("X-Data") == ["yes"] * (selection == "RCPT and DATA"), name
        assert with_[0].header("X-Message") == ["yes"] * (selection == "message"), name


def strip(delivery):
    """The message without what the two ways differ in: ours, trace, generated fields."""
    text = re.sub(rb"(?m)^X-(Data|Message): yes\r\n", b"", delivery.data)
    text = re.sub(rb"\A(?:Received:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)+", b"", text)
    return re.sub(rb"(?m)^(Message-Id: .*|Date: .*)\r\n", b"", re.sub(rb"with(out)?\d+@", b"to@", text))
