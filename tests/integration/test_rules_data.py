"""First() and Last() of smtprules_1.lua after DATA (position 3): what they are told about the
message, and what their ten results do to it, on both servers."""

import pytest

from rig import machine, mta as mta_module, smtp

SENDER, BOB, EVE = "ann@sender.test", "bob@one.test", "eve@two.test"
MESSAGE = "From: =?utf-8?q?Ann_M=C3=BCller?= <Ann@sender.test>\nSubject: hi\nX-Old: 1\n\nhello\n"


def first(result, function="First"):
    """A script that has this result after DATA, and none before."""
    return f"""
        function {function}(data, size, position, modifiers, rule)
            if position == 3 then
                return {result}
            end
        end
    """


def send(mta, recipients=(BOB, EVE), message=MESSAGE):
    return mta.send(SENDER, list(recipients), message)


def recipients(mta):
    mta.settle()
    return sorted(r for d in mta.deliveries() for r in d.recipients)


def test_what_the_rules_are_told(mta, milter):
    milter.start(None, smtprules_1="""
        function First(data, size, position, modifiers, rule)
            print(position, size, #modifiers, rule, data.MailFrom, data.ClientIPAddress)
            print(data.AuthUser, data.HeaderFrom, data.HeaderFromTextName, data.Subject)
            print(table.concat(data.Recipients, " "), #data.BccRecipients)
            print((data.Header:gsub("\\r\\n", "|")))
        end
        function Policy() print "Policy" end
        function Last(data, size, position) print("Last", position) end
    """)
    message = MESSAGE.replace("hi\n", "a\n folded line\n")
    with mta.client() as c:
        assert c.auth_plain(*mta.login).code == 235
        assert c.send(SENDER, [BOB, EVE], message).code == 250
    size = len(smtp.crlf(message))
    machine.wait_until(lambda: "Last" in milter.out(), 5, "Last()")
    lines = [line.split("\t") for line in milter.out().splitlines()]
    user = mta.login[0] if mta.name == "postfix" else lines[1][0]   # Sendmail: with or without realm
    assert lines == [
        ["3", lines[0][1], "0", "", SENDER, "127.0.0.1"],
        [user, "Ann@sender.test", "Ann Müller", "a folded line"],
        [f"{BOB} {EVE}", "0"],
        [lines[3][0]],
        ["Last", "3"]]
    assert size <= int(lines[0][1]) < size + 300 and user.startswith(mta_module.USER)
    assert "Subject: a| folded line|X-Old: 1|" in lines[3][0]
    assert lines[3][0].endswith("|") and "hello" not in lines[3][0] and "||" not in lines[3][0]
    assert len(mta.wait_deliveries(1)) >= 1


@pytest.mark.parametrize("result, code, enhanced, text", [
    ("'550 5.7.9 no ' .. data.Subject, 7, 'seven'", 550, "5.7.9", "no hi"),
    ("'REJECT not that'", 554, "5.7.1", "not that"),
    ("'reject 5.6.0 not that'", 554, "5.6.0", "not that"),
    ("'REJECT', 1, '', 'the extra text'", 554, "5.7.1", "the extra text"),
    ("'DEFER later'", 450, "4.7.1", "later"),
    ("'550 5.7.9 wait', 1, '', nil, nil, false, false, false, true", 450, "4.7.9", "wait"),
    ("'REJECT wait', 1, '', nil, {'X-New: 2'}, 0, 0, true, 1", 454, "4.7.1", "wait"),
    ("'450 4.2.1 a\\n450 4.2.1 b'", 450, "4.2.1", "a"),
])
def test_refusals(mta, milter, result, code, enhanced, text):
    milter.start(None, smtprules_1=first(result))
    reply = send(mta)
    assert (reply.code, reply.enhanced) == (code, enhanced) and text in reply.text
    assert recipients(mta) == []
    if "seven" in result:
        milter.wait_log("by First, rule seven")


@pytest.mark.parametrize("temporary, code", [("false", 521), ("true", 421)])
def test_disconnect(mta, milter, temporary, code):
    """421 ends the connection on both, 521 on Postfix alone."""
    milter.start(None, smtprules_1=first(
        f"'REJECT bye', 1, '', nil, nil, false, true, false, {temporary}"))
    with mta.client() as c:
        reply = c.send(SENDER, BOB, MESSAGE)
        assert reply.code == code and "bye" in reply.text
        if code == 421 or mta.name == "postfix":
            assert c.server_closed()
        else:
            assert c.rset().ok


@pytest.mark.parametrize("result, wanted", [
    ("nil", [BOB, EVE]),
    ("'None'", [BOB, EVE]),
    ("'OK'", [BOB, EVE]),
    ("'DISCARD'", []),
    ("'REDIRECT', 1, '', 'joe@one.test'", ["joe@one.test"]),
    ("'REDIRECT Bob@One.Test'", [BOB]),
    ("'BCC joe@one.test'", [BOB, EVE, "joe@one.test"]),
])
def test_recipients(mta, milter, result, wanted):
    milter.start(None, smtprules_1=first(result, "Last"))
    assert send(mta).code == 250
    assert recipients(mta) == wanted


def test_header_modifiers(mta, milter):
    """The fifth result, or the list that was given and changed; PREPEND goes to the top."""
    milter.start(None, smtprules_1="""
        function First(data, size, position, modifiers)
            if position ~= 3 then
                return
            elseif data.Subject == "hi" then
                return nil, 1, "", nil, {"X-New: 2", "Subject: other", "X-Old:"}
            elseif data.Subject == "kept" then
                table.insert(modifiers, "X-New: 3")
                return "OK", 1, "", nil, modifiers
            end
            return "PREPEND X-Top: 4"
        end
    """)
    assert send(mta, [BOB]).code == 250
    got = mta.wait_delivery(recipient=BOB)
    assert got.header("X-New") == ["2"] and got.header("Subject") == ["other"]
    assert got.header("X-Old") == []
    assert send(mta, [EVE], MESSAGE.replace("hi", "kept")).code == 250
    assert mta.wait_delivery(recipient=EVE).header("X-New") == ["3"]
    assert send(mta, ["joe@one.test"], MESSAGE.replace("hi", "top")).code == 250
    got = mta.wait_delivery(recipient="joe@one.test")
    names = [name for name, _ in got.fields if name != "Received"]
    assert names.index("X-Top") < names.index("From") and got.header("X-Top") == ["4"]


@pytest.mark.parametrize("result", ["'HOLD look at it'", "nil, 1, '', nil, nil, false, false, true"])
def test_hold(mta, milter, result):
    milter.start(None, smtprules_1=first(result))
    assert send(mta).code == 250
    assert recipients(mta) == [] and [name for name, _ in mta.queue()] == ["hold"]


def test_what_cannot_be_done(mta, milter):
    """Illegal actions are not obeyed, and the log says so; the next hook is not asked."""
    milter.start(None, smtprules_1="""
        local wrong = { a = "250 2.0.0 fine", b = "FILTER smtp:elsewhere", c = "REDIRECT nobody",
                        d = "BCC a b@c", e = "PREPEND no header", f = "550", g = "nonsense" }
        function First(data, size, position)
            if position == 3 then
                return wrong[data.Subject], 1, "", nil, nil, true
            end
        end
        function Last() print "Last" end
    """)
    for subject in "abcdeg":
        assert send(mta, message=MESSAGE.replace("hi", subject)).code == 250
    assert send(mta, message=MESSAGE.replace("hi", "f")).code == 550
    assert recipients(mta) == sorted(6 * [BOB, EVE])
    for why in ("not an SMTP reply that refuses", "not an action that a milter can do",
                "this action needs an address", "PREPEND needs a header line",
                "blocking of the address is not possible"):
        milter.wait_log(why)
    assert milter.out() == ""


@pytest.mark.parametrize("on_error, code", [("accept", 250), ("tempfail", 451), ("reject", 554)])
def test_failing_rules(mta, milter, on_error, code):
    """R18: lua.on_error says what a script's failure means."""
    milter.start(None, f"lua.on_error={on_error}", smtprules_1=first("nothing.there"))
    assert send(mta).code == code


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_local_submissions_have_no_rules(mta, milter):
    milter.start(None, smtprules_1=first("'REJECT'"))
    mta.submit(MESSAGE.encode(), "-f", SENDER, BOB)
    mta.wait_delivery(recipient=BOB)
