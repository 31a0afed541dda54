"""Hooks of smtpsvr.lua within a message: MAIL, RCPT, DATA, the whole message, and what they change."""

import time

import pytest

from rig import machine, smtp
from test_hooks_session import printed, said

SENDER, BOB, EVE = "ann@sender.test", "bob@one.test", "eve@two.test"
MESSAGE = ("From: Ann <ann@sender.test>\nTo: bob@one.test\nSubject: first\n\tfolded\nX-Two: a\n"
           "X-Other: b\nx-two: c\nDate: Sat, 21 Nov 2026 10:00:00 +0000\nMessage-Id: <1@sender.test>\n"
           "\nhello\n")


# DoMAILFROM and DoRCPTTO

def test_mail_arguments(mta, milter):
    milter.start('''
        function DoMAILFROM(data, from, p)
            print(data, from, p.SIZE, p.size, p["Body"], p.none)
        end
    ''')
    with mta.client() as c:
        assert c.mail(SENDER, "SIZE=100", "BODY=8BITMIME").code == 250
        c.rset()
        assert c.mail("").code == 250
    printed(milter, f"<{SENDER}> SIZE=100 BODY=8BITMIME\t{SENDER}\t100\t100\t8BITMIME\tnil",
            "<>\t\tnil\tnil\tnil\tnil")


def test_rcpt_arguments(mta, milter):
    milter.start('''
        function DoRCPTTO(data, rcpt, p, list)
            print(data, rcpt, p.notify, #list, table.concat(list, ","))
        end
    ''')
    with mta.client() as c:
        c.mail(SENDER)
        assert c.rcpt(BOB, "NOTIFY=NEVER").code == 250
        assert c.rcpt(EVE).code == 250
    printed(milter, f"<{BOB}> NOTIFY=NEVER\t{BOB}\tNEVER\t0\t", f"<{EVE}>\t{EVE}\tnil\t1\t{BOB}")


@pytest.mark.parametrize("result,code,enhanced", [
    ("550 5.7.9 no", 550, "5.7.9"), ("450 4.7.9 no", 450, "4.7.9"), ("550 no", 550, "5.7.1")])
def test_mail_and_rcpt_refused(mta, milter, result, code, enhanced):
    milter.start(f'''
        function DoMAILFROM(data, from) if from == "bad@sender.test" then return "{result}" end end
        function DoRCPTTO(data, rcpt) if rcpt == "{EVE}" then return "{result}" end end
    ''')
    with mta.client() as c:
        reply = c.mail("bad@sender.test")
        assert (reply.code, reply.enhanced, said(reply)) == (code, enhanced, ["no"])
        assert c.mail(SENDER).code == 250
        reply = c.rcpt(EVE)
        assert (reply.code, reply.enhanced, said(reply)) == (code, enhanced, ["no"])
        assert c.rcpt(BOB).code == 250       # one refused recipient is no refused message
        assert c.data(smtp.crlf(MESSAGE)).code == 250
    assert mta.wait_delivery().recipients == [BOB]
    mta.settle()
    assert len(mta.deliveries()) == 1


@pytest.mark.parametrize("hook", ["DoMAILFROM", "DoRCPTTO", "DoDATAStart", "ProcessMessage"])
def test_421_closes(mta, milter, hook):
    result = '"421 4.7.0 closing"'
    milter.start(f'function {hook}(a) return {"a, " if False else "nil, " * (hook == "ProcessMessage")}{result} end')
    c = mta.client()
    reply = c.send(SENDER, [BOB], MESSAGE)
    assert reply.code == 421
    assert c.server_closed()
    mta.settle()
    assert mta.deliveries() == []


def test_new_mail_parameters(mta, milter):
    """RET and ENVID on Postfix; Sendmail would send a broken AUTH= along, so they stay."""
    milter.start('''
        function DoMAILFROM(data, from, p) p.RET = "HDRS" p.ENVID = "id7" p.size = "5" return "", p end
    ''')
    with mta.client() as c:
        c.mail(SENDER, "RET=FULL")
        c.rcpt(BOB)
        assert c.data(smtp.crlf(MESSAGE)).code == 250
    d = mta.wait_delivery()
    if mta.name == "postfix":
        assert "RET=HDRS" in d.mail_line and "ENVID=id7" in d.mail_line
    else:
        assert "RET=FULL" in d.mail_line and "AUTH=" not in d.mail_line
        milter.wait_log("parameters of MAIL not changed")
    assert d.sender == SENDER


def test_new_rcpt_parameters(mta, milter):
    milter.start('''
        function DoRCPTTO(data, rcpt, p) p.NOTIFY = "NEVER" return "", p end
    ''')
    with mta.client() as c:
        c.mail(SENDER)
        c.rcpt(BOB, "NOTIFY=SUCCESS,FAILURE")
        assert c.data(smtp.crlf(MESSAGE)).code == 250
    d = mta.wait_delivery()
    assert d.recipients == [BOB]
    if mta.name == "postfix":
        assert "NOTIFY=NEVER" in d.rcpt_lines[0]
    else:                                         # observed: Sendmail keeps those of the command
        assert "NOTIFY=SUCCESS,FAILURE" in d.rcpt_lines[0]
        milter.wait_log("parameters of RCPT not changed")


# DoDATAStart

def test_data_refused(mta, milter):
    milter.start('function DoDATAStart(list) return "550 5.7.1 no data for " .. #list end')
    with mta.client() as c:
        c.envelope(SENDER, [BOB, EVE])
        reply = c.data(smtp.crlf(MESSAGE))        # the reply to the final dot
        assert (reply.code, said(reply)) == (550, ["no data for 2"])
    mta.settle()
    assert mta.deliveries() == []


@pytest.mark.parametrize("again", [["DATA"], ["RCPT TO:<eve@two.test>", "DATA"]])
def test_refused_data_is_not_had_by_asking_again(again, mta, milter):
    """A client that says DATA once more after a refusal neither hangs nor gets its message through."""
    milter.start('function DoDATAStart(list) return "550 5.7.1 no data" end')
    with mta.client() as c:
        c.envelope(SENDER, [BOB])
        began = time.monotonic()
        assert c.data(smtp.crlf(MESSAGE)).code == 550
        for command in again:
            assert c.command(command).code == 503     # the transaction is over
        assert c.send(SENDER, [BOB], MESSAGE).code == 550
        assert time.monotonic() - began < 10
    mta.settle()
    assert mta.deliveries() == []


def test_recipient_removed_with_changed_parameters_stays_removed(mta, milter):
    milter.start('''
        function DoRCPTTO(data, rcpt, p) p.NOTIFY = "NEVER" return "", p end
        function ProcessMessage(f, s, r, a)
            a.SendToOriginalRecipients = false
            a.Recipients = {"new@two.test"}
            return a
        end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    assert recipients(mta) == ["new@two.test"]


def test_hooks_for_logging_do_not_change_what_happens(mta, milter):
    milter.start('''
        function ProcessMessage(f, s, r, a) a.Ignore = true return a end
        function LogRecipients() error("oops") end
    ''', "lua.on_error=tempfail")
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    mta.settle()
    assert mta.deliveries() == []


def test_all_lines_of_a_message_share_one_budget(mta, milter):
    """Twenty headers, each line sleeping: not twenty times lua.command_ms."""
    milter.start('function MessageLine(l) os.sleep(400) end', "lua.command_ms=1000", "lua.hook_ms=900")
    headers = "".join(f"X-{n}: y\n" for n in range(20))
    began = time.monotonic()
    assert mta.send(SENDER, BOB, headers + MESSAGE).code == 250
    assert time.monotonic() - began < 5
    milter.wait_log("MessageLine hooks used up lua.command_ms")


@pytest.mark.parametrize("lines", [r'"X-One: 1\r\nX-Two: 2\r\n folded\r\n"', r'"X-One: 1\nX-Two: 2\n folded"',
                                   r'{"X-One: 1", "X-Two: 2\n folded"}', r'{"X-One: 1\r\n", "X-Two: 2", " folded"}'])
def test_header_lines_at_the_start(mta, milter, lines):
    milter.start(f'function DoDATAStart(list) return "", {lines} end')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    d = mta.wait_delivery()
    assert d.fields[:2] == [("X-One", " 1"), ("X-Two", " 2\r\n folded")]
    assert d.fields[2][0] == "Received"


def test_bad_header_lines_are_left_out(mta, milter):
    """R10: nothing a script writes becomes a second field, or the body."""
    milter.start(r'''
        function DoDATAStart(list)
            return "", {"no colon", "Bad Name: x", "X-Good: 1", ": empty", "X-Nul: a\0b",
                        "X-Cr: a\rX-Injected: b", "", "X-Empty:"}
        end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    d = mta.wait_delivery()
    names = [name for name, _ in d.fields]
    assert "X-Good" in names
    assert not {"X-Injected", "X-Cr", "Bad Name", "Bad", "no colon"} & set(names)
    assert d.body == b"hello\r\n"
    milter.wait_log("left out")


def test_no_line_of_a_script_ends_the_message(mta, milter):
    """R9: a lone dot or a bare line end in what a script writes smuggles nothing."""
    milter.start(r'''
        function DoDATAStart() return "", "X-A: 1\n.\nX-B: 2\r\n.\r\nMAIL FROM:<x@evil.test>\n" end
        function ProcessMessage(f, s, r, a)
            a.HeaderModifiers = {"X-C: 3\n.\nRCPT TO:<eve@two.test>", "X-D: 4\r.\r5"}
            return a
        end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    mta.settle()
    (d,) = mta.deliveries()
    assert d.recipients == [BOB] and d.body == b"hello\r\n"
    lines = d.data.split(b"\r\n")
    assert b"." not in lines and not any(b"\r" in line or b"\n" in line for line in lines)
    assert not any(line.startswith((b"MAIL", b"RCPT")) for line in lines)


# ProcessMessage

def test_process_message_arguments(mta, milter):
    milter.start('''
        function ProcessMessage(from, subject, rcpts, actions, mime, size, attachments)
            print(from, subject, table.concat(rcpts, ","), size)
            print(actions.SendToOriginalRecipients, actions.Delete, actions.Ignore,
                  "[" .. actions.Reason .. "]", #actions.Recipients, #actions.HeaderModifiers)
            print(type(mime), type(attachments), type(size))
        end
    ''')
    assert mta.send(SENDER, [BOB, EVE], MESSAGE).code == 250
    size = len(smtp.crlf(MESSAGE))
    printed(milter, f"{SENDER}\tfirst\tfolded\t{BOB},{EVE}\t{size}", "true\tfalse\tfalse\t[]\t0\t0",
            "table\ttable\tnumber")


def process(body):
    return f'function ProcessMessage(from, subject, rcpts, actions)\n{body}\nend'


@pytest.mark.parametrize("body,code,text", [
    ('actions.Ignore = true actions.Delete = true actions.Reason = "not this" return actions', 550, "not this"),
    ('actions.Ignore = 1 actions.Delete = 1 return actions', 550, "Message refused"),
    ('actions.Ignore = true actions.Delete = true return actions, "554 5.6.1 own text"', 554, "own text"),
    ('return actions, "451 4.3.2 later"', 451, "later"),
    ('actions.Ignore = true actions.Delete = true actions.Reason = "in place"', 550, "in place")])
def test_message_refused(mta, milter, body, code, text):
    milter.start(process(body))
    reply = mta.send(SENDER, BOB, MESSAGE)
    assert (reply.code, said(reply)) == (code, [text])
    mta.settle()
    assert mta.deliveries() == []


def test_message_discarded(mta, milter):
    milter.start(process('actions.Ignore = true actions.Delete = false return actions'))
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    mta.settle()
    assert mta.deliveries() == [] and mta.queue() == []


def recipients(mta):
    mta.settle()
    return sorted(r for d in mta.deliveries() for r in d.recipients)


@pytest.mark.parametrize("body,expected", [
    ('actions.Recipients = {"copy@one.test"}', [BOB, "copy@one.test"]),
    ('actions.Recipients = {"<new@two.test>"} actions.SendToOriginalRecipients = 0', ["new@two.test"]),
    ('actions.Recipients = {"BOB@one.test", "x@two.test"} actions.SendToOriginalRecipients = false',
     [BOB, "x@two.test"]),
    ('actions.Recipients = "one.more@two.test"', [BOB, "one.more@two.test"]),
    ('actions.SendToOriginalRecipients = false', [BOB]),
    ('actions.SendToOriginalRecipients = false actions.Recipients = {"not an address\\r\\n", ""}', [BOB])])
def test_recipients(mta, milter, body, expected):
    """Recipients are never emptied by accident: the last two keep the original one."""
    milter.start(process(body + "\nreturn actions"))
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    assert recipients(mta) == sorted(expected)


def test_whoever_is_replaced_gets_nothing(mta, milter):
    """Recipients written in every way that an MTA takes: the script sees the address without blanks and
    comments, and who cannot be removed makes the message refused, never delivered to him."""
    milter.start('''
        function DoRCPTTO(data, recipient) print(recipient) end
        function ProcessMessage(from, subject, recipients, actions)
            actions.SendToOriginalRecipients = false
            actions.Recipients = {"new@two.test"}
        end
    ''')
    forms = {'"bob"@one.test': '"bob"@one.test', "BoB@ONE.Test": "BoB@ONE.Test", " bob@one.test ": BOB,
             "bob @ one.test": BOB, "bob(c)@one.test": BOB, "(a(b))bob@one.test (c)": BOB, "b . ob@one.test": "b.ob@one.test",
             '"b ob" @one.test': '"b ob"@one.test', "@one.test:bob@one.test": BOB, "bob@one.test.": "bob@one.test.",
             '"(bob)"@one.test': '"(bob)"@one.test', "b\\ ob@one.test": "b\\ ob@one.test", "one.test!bob": "one.test!bob",
             "bob@[ 127.0.0.21 ]": None}
    seen = []
    for form, shown in forms.items():
        with mta.client() as c:
            c.mail(SENDER)
            if c.command(f"RCPT TO:<{form}>").code != 250:
                continue
            code = c.data(smtp.crlf(MESSAGE)).code
            assert code == (550 if "[ " in form else 250), form
        printed_now = milter.out().splitlines()[-1]
        assert shown in (None, printed_now), form
        seen.append(form)
    assert len(seen) > 12
    assert set(recipients(mta)) == {"new@two.test"}


DOUBTFUL = ["x:bob@one.test;", "bob@one.test;", "x : bob @ one.test ;", "(c)@one.test:bob@one.test"]


def test_doubtful_addresses(mta, milter):
    """The MTAs make different addresses of them, and no hook would know which: refused where a hook
    is asked, and whoever cannot be removed makes the message refused."""
    milter.start('function DoMAILFROM() end function DoRCPTTO() end')
    with mta.client() as c:
        for form in DOUBTFUL:
            assert c.command(f"MAIL FROM:<{form}>").code in (501, 553), form
            assert c.mail(SENDER).code == 250
            assert c.command(f"RCPT TO:<{form}>").code in (501, 553), form
            c.rset()
    milter.script("smtpsvr.lua", process('actions.SendToOriginalRecipients = false actions.Recipients = {"new@two.test"}'))
    milter.reload()
    for form in DOUBTFUL:
        with mta.client() as c:
            c.mail(SENDER)
            if c.command(f"RCPT TO:<{form}>").code == 250:
                assert c.data(smtp.crlf(MESSAGE)).code == 550, form
    mta.settle()
    assert mta.deliveries() == []


def test_null_sender_in_disguise(mta, milter):
    """Whatever is written, a hook sees "" when the message goes out with the null sender."""
    milter.start('function DoMAILFROM(data, from) print("[" .. from .. "]") end')
    sent = 0
    for form in ("<>", "< >", "<(x)>", "<(x) >", "<(x>", '<"">', "<x:;>", "<;>", "<@a.test:>", "(x)", '""'):
        with mta.client() as c:
            if c.command(f"MAIL FROM:{form}").code != 250:
                continue
            assert milter.out().splitlines()[-1] == "[]", form
            c.rcpt(BOB)
            assert c.data(smtp.crlf(MESSAGE)).code == 250
            sent += 1
    assert sent >= 4
    assert {d.sender for d in mta.wait_deliveries(sent)} <= {"", f"MAILER-DAEMON@{mta.hostname}"}


def changed(mta, milter, *modifiers):
    lines = ", ".join('"' + m + '"' for m in modifiers)
    milter.start(process(f'actions.HeaderModifiers = {{{lines}}} return actions'))
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    return mta.wait_delivery()


def own_fields(delivery):
    return [(n, v) for n, v in delivery.fields if n not in ("Received", "Return-Path")]


ORIGINAL = [("From", " Ann <ann@sender.test>"), ("To", " bob@one.test"), ("Subject", " first\r\n\tfolded"),
            ("X-Two", " a"), ("X-Other", " b"), ("x-two", " c"),
            ("Date", " Sat, 21 Nov 2026 10:00:00 +0000"), ("Message-Id", " <1@sender.test>")]


def in_order(mta, fields):
    """Sendmail sorts fields it knows by its own table when it rewrites the header."""
    return fields if mta.name == "postfix" else sorted(fields)


def test_header_replaced(mta, milter):
    d = changed(mta, milter, "Subject: second")
    expected = [(n, " second" if n == "Subject" else v) for n, v in ORIGINAL]
    assert in_order(mta, own_fields(d)) == in_order(mta, expected)


def test_first_header_replaced(mta, milter):
    d = changed(mta, milter, "From: <user@company.test>")
    expected = [("From", " <user@company.test>")] + ORIGINAL[1:]
    assert in_order(mta, own_fields(d)) == in_order(mta, expected)


def test_several_of_one_name_become_one(mta, milter):
    d = changed(mta, milter, "X-Two: new")
    assert d.header("X-Two") == ["new"]
    assert len(own_fields(d)) == len(ORIGINAL) - 1


def test_header_added_and_removed(mta, milter):
    d = changed(mta, milter, "X-New: 1", "X-Two:", "X-None:", "X-New: 2")
    assert d.header("X-New") == ["2"] and d.header("X-Two") == []
    assert len(own_fields(d)) == len(ORIGINAL) - 2 + 1


def test_long_folded_and_8bit_fields_stay(mta, milter):
    raw = (b"From: ann@sender.test\r\nTo: bob@one.test\r\nX-Long: a\r\n b\r\n\tc\r\n   d\r\n"
           b"X-Eight: \xe4\xf6\xfc \xff\r\nX-Utf8: \xc3\xa4\r\nX-NoBlank:x\r\nX-Two:  y \r\n"
           b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-Id: <1@sender.test>\r\nSubject: s\r\n"
           b"\r\nbody \xe4\r\n")
    milter.start(process('actions.HeaderModifiers = {"Subject: changed"} return actions'))
    assert mta.send(SENDER, BOB, raw).code == 250
    assert mta.send(SENDER, BOB, raw, plain=True).code == 250
    filtered, plain = sorted(mta.wait_deliveries(2), key=lambda d: d.header("Subject"))
    assert filtered.header("Subject") == ["changed"]
    assert filtered.body == plain.body
    assert ([f for f in own_fields(filtered) if f[0] != "Subject"] ==
            [f for f in own_fields(plain) if f[0] != "Subject"])


# the hooks that the wiki names

def test_message_lines(mta, milter):
    milter.start('''
        lines = {}
        function MessageLineRaw(line) raw = line end
        function MessageLine(line) lines[#lines + 1] = line == raw and line or "not the raw line" end
        function EndMessage() print(#lines) for _, l in ipairs(lines) do print("[" .. l .. "]") end end
    ''')
    assert mta.send(SENDER, BOB, "X-First: 1\n 2\nSubject: s\n\none\n\n..three\n").code == 250
    printed(milter, "[X-First: 1]", "[ 2]", "[Subject: s]", "[one]", "[]", "[..three]")


def test_check_recipients(mta, milter):
    milter.start('''
        function DoRCPTTO(data, rcpt) last = rcpt end
        function CheckRecipients()
            if last == "eve@two.test" then return false end
            if last == "late@two.test" then return "450 4.2.0 not now" end
        end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    assert mta.send(SENDER, EVE, MESSAGE).code == 550
    assert mta.send(SENDER, "late@two.test", MESSAGE).code == 450


def test_log_recipients(mta, milter):
    milter.start('''
        function DoRCPTTO(data, rcpt) if rcpt == "eve@two.test" then return "550 no" end end
        function LogRecipients() print("all") end
        function LogRecipientsBlocked() print("some") end
    ''')
    with mta.client() as c:
        c.send(SENDER, [BOB], MESSAGE)
        c.mail(SENDER), c.rcpt(BOB), c.rcpt(EVE), c.data(smtp.crlf(MESSAGE))
        c.send(SENDER, [BOB], MESSAGE)
    printed(milter, "all", "some", "all")


# nothing changed: byte for byte

CORPUS = {
    "plain": b"Subject: x\r\nFrom: a@sender.test\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
             b"Message-Id: <1@s>\r\nTo: bob@one.test\r\n\r\nbody\r\n",
    "no header": b"\r\nbody only\r\n",
    "empty": b"\r\n",
    "no body": b"Subject: x\r\nFrom: a@sender.test\r\n\r\n",
    "not a header": b"Subject: x\r\nthis is no header line\r\nbody?\r\n",
    "long lines": b"Subject: x\r\nFrom: a@sender.test\r\n\r\n" + b"y" * 900 + b"\r\n" + b"z" * 900 + b"\r\n",
    "dots and blanks": b"Subject: x\r\nFrom: a@sender.test\r\n\r\n.\r\n..\r\n \t \r\n\r\n\r\n",
    "8 bit": b"Subject: \xe4\r\nFrom: a@sender.test\r\n\r\n\x01\x7f\xff\xc3\xa4\r\n",
    "large": b"Subject: x\r\nFrom: a@sender.test\r\n\r\n" + b"0123456789abcdef" * 4 * 1000 + b"\r\n",
}
CORPUS["large"] = CORPUS["plain"] + (b"0123456789" * 7 + b"\r\n") * 3000


@pytest.mark.parametrize("script", ["hooks of the message", "changes nothing"])
def test_unchanged_message_is_delivered_byte_for_byte(mta, milter, script):
    milter.start(process("return actions") if script == "hooks of the message" else
                 process("actions.HeaderModifiers = {} return actions") +
                 "\nfunction MessageLine(l) end\nfunction DoDATAStart() return '', '' end")
    for name, raw in CORPUS.items():
        to, control = f"{name.replace(' ', '-')}@one.test", f"{name.replace(' ', '-')}@two.test"
        assert mta.send(SENDER, to, raw).code == 250
        assert mta.send(SENDER, control, raw, plain=True).code == 250
        a, b = mta.wait_delivery(recipient=to), mta.wait_delivery(recipient=control)
        assert a.body == b.body, name
        volatile = ("Message-Id", "Received", "Date")     # what the MTA makes up
        assert ([f for f in a.fields if f[0] not in volatile] ==
                [f for f in b.fields if f[0] not in volatile]), name
