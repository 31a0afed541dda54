"""mailhooks-policy as Postfix sees it: actions at MAIL and RCPT, EHLO keywords, and what Postfix
does when the service is slow or gone."""

import time

import pytest

from rig import machine

MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: hi\n\nhello\n"

RULES = """
function First(data, size, position, modifiers, rule)
    if position == 1 then
        if data.MailFrom == "refused@sender.test" then
            return "550 5.7.1 not " .. data.MailFrom .. " from " .. data.ClientIPAddress
        elseif data.MailFrom == "late@sender.test" then
            return "REJECT come back", 3, "third rule", nil, nil, false, false, false, true
        elseif data.MailFrom == "gone@sender.test" then
            return "REJECT good bye", 4, "", nil, nil, false, true
        elseif size > 1000000 then
            return "552 5.3.4 " .. size .. " is too much"
        end
    elseif data.Recipients[1] == "nobody@one.test" then
        return "REJECT"
    elseif data.Recipients[1] == "other@one.test" then
        return "REDIRECT", 5, "", "bob@two.test"
    elseif data.Recipients[1] == "marked@one.test" then
        table.insert(modifiers, "X-Policy: was here")
        return nil, 6, "", nil, modifiers
    elseif data.Recipients[1] == "held@one.test" then
        return nil, 7, "", "looked at later", nil, false, false, true
    end
end

function Policy(request)
    if request.state == "DATA" and request.sender == "data@sender.test" then
        return "550 5.7.1 " .. request.recipient_count .. " is too many"
    elseif request.state == "EHLO" and request.helo_name == "bad.test" then
        return "550 5.7.1 bad name"
    elseif request.state == "END-OF-MESSAGE" and request.sender == "end@sender.test" then
        return "PREPEND X-Policy: too late"    -- not legal there: never sent
    elseif request.state == "CONNECT" and request.client_address == "192.0.2.66" then
        return "HOLD"                           -- likewise
    elseif request.state == "RCPT" and request.sender == "code@sender.test" then
        return "250 2.0.0 yes"                  -- likewise
    end
end
"""


@pytest.fixture
def postfix(make_postfix, policy):
    """A Postfix that asks the service everywhere, and its map for the EHLO keywords."""
    return make_postfix(milter=None, parameters={
        "smtpd_delay_reject": "no",
        "smtpd_client_restrictions": policy.policy_service,
        "smtpd_helo_restrictions": policy.policy_service,
        "smtpd_sender_restrictions": policy.policy_service,
        "smtpd_recipient_restrictions": policy.policy_service,
        "smtpd_data_restrictions": policy.policy_service,
        "smtpd_end_of_data_restrictions": policy.policy_service,
        "smtpd_discard_ehlo_keyword_address_maps": policy.map("ehlo_in"),
        "smtpd_policy_service_retry_delay": "1s",
    })


def test_actions_at_mail(postfix, policy):
    policy.start(RULES)
    with postfix.client(source="127.0.0.9") as c:
        reply = c.mail("refused@sender.test")
        assert reply.code == 550 and reply.enhanced == "5.7.1"
        assert "not refused@sender.test from 127.0.0.9" in reply.text
        reply = c.mail("late@sender.test")
        assert reply.code == 450 and "come back" in reply.text
        assert c.mail("big@sender.test", "SIZE=2000000").code == 552
        assert c.mail("small@sender.test", "SIZE=2000").code == 250
    with postfix.client() as c:
        reply = c.mail("gone@sender.test")
        assert reply.code == 521 and "good bye" in reply.text
        assert c.server_closed()
    assert "rule third rule" in policy.log()


def test_actions_at_rcpt(postfix, policy):
    policy.start(RULES)
    with postfix.client() as c:
        assert c.mail("ann@sender.test").ok
        assert c.rcpt("nobody@one.test").code == 554
        assert c.rcpt("marked@one.test").ok
        assert c.data(MESSAGE.replace("\n", "\r\n")).ok
    delivery = postfix.wait_delivery(recipient="marked@one.test")
    assert delivery.header("X-Policy") == ["was here"]
    assert postfix.send("ann@sender.test", "other@one.test", MESSAGE).ok
    postfix.wait_delivery(recipient="bob@two.test")
    assert postfix.send("ann@sender.test", "held@one.test", MESSAGE).ok
    postfix.settle()
    assert [name for name, _ in postfix.queue()] == ["hold"]


def test_policy_at_other_stages(postfix, policy):
    policy.start(RULES)
    with postfix.client(hello=False) as c:
        assert c.ehlo("bad.test").code == 550
        assert c.ehlo("good.test").ok
        assert c.envelope("data@sender.test", ["bob@one.test", "bob@two.test"]).ok
        reply = c.command("DATA")
        assert reply.code == 550 and "2 is too many" in reply.text


def test_illegal_actions_are_not_sent(postfix, policy):
    """Postfix would say 451 4.3.5 to the client for an action that it does not take."""
    policy.start(RULES)
    assert postfix.send("end@sender.test", "bob@one.test", MESSAGE).ok
    assert postfix.send("code@sender.test", "bob@one.test", MESSAGE).ok
    with postfix.client(source="192.0.2.66") as c:
        assert c.mail("ann@sender.test").ok
    postfix.wait_deliveries(2)
    policy.wait_log("END-OF-MESSAGE: this action has no effect at this stage")
    policy.wait_log("CONNECT: this action has no effect at this stage")
    policy.wait_log("RCPT: not an SMTP reply that refuses")
    # what Postfix says of sockets is about the time before the service ran
    assert [line for line in postfix.log().splitlines() if "warning: " in line and ".sock" not in line] == []


def keywords(reply):
    return {line.split()[0] for line in reply.lines[1:]}


def test_ehlo_keywords_of_one_client(postfix, policy):
    policy.start(smtpsvr="""
        function GetEHLOCapabilities(host, capabilities)
            if host == "192.0.2.7" then
                return (capabilities:gsub("STARTTLS\\r\\n", ""):gsub("\\r\\nCHUNKING", ""))
            end
        end
    """)
    with postfix.client(hello=False, source="192.0.2.7") as c:
        offered = keywords(c.ehlo())
        assert not offered & {"STARTTLS", "CHUNKING"} and "PIPELINING" in offered
        assert c.command("STARTTLS").code == 502
    with postfix.client(hello=False, source="192.0.2.8") as c:
        assert keywords(c.ehlo()) >= {"STARTTLS", "CHUNKING", "PIPELINING"}
        assert c.starttls().code == 220


def test_slow_script_gets_the_default_answer(postfix, policy):
    """R18: a script that hangs costs its client the deadline; the others notice nothing."""
    policy.start("""
        function First(data)
            while data.MailFrom == "loop@sender.test" do end
        end
    """, "policy.deadline_ms=1500", "lua.instructions=1000000000000")
    with postfix.client() as slow, postfix.client() as other:
        start = time.monotonic()
        slow.send_raw(b"MAIL FROM:<loop@sender.test>\r\n")
        for _ in range(10):
            assert other.mail("ann@sender.test").ok
            other.rset()
        assert time.monotonic() - start < 1.5
        assert slow.reply().ok
        assert time.monotonic() - start < 1.5 + 1
    policy.wait_log("1 requests were answered by default: not done within policy.deadline_ms")


@pytest.mark.parametrize("on_error, code", [("accept", 250), ("tempfail", 451), ("reject", 554)])
def test_failing_script(postfix, policy, on_error, code):
    """R18: lua.on_error says what a script's failure means."""
    policy.start("function Policy(r)\n    if r.state == 'MAIL' then return nothing.there end\nend",
                 f"lua.on_error={on_error}")
    with postfix.client() as c:
        assert c.mail("ann@sender.test").code == code
    assert "smtprules_1.lua:2" in policy.errors()


def test_over_the_network(make_postfix, policy):
    """Postfix asks over TCP, at MAIL in IPv4 and at RCPT in IPv6, as it does on a unix socket."""
    listen = {"sender": ("inet:127.0.0.1:15030", "inet:15030@127.0.0.1")}
    if machine.has_ipv6():
        listen["recipient"] = ("inet:[::1]:15031", "inet6:15031@::1")
    policy.start("""
    function Policy(request)
        if (request.state == "MAIL" and request.sender or request.recipient):find("^refused") then
            return "550 5.7.1 not you"
        end
    end
    """, *(f"policy.listen={address}" for _, address in listen.values()))
    server = make_postfix(milter=None, parameters={"smtpd_delay_reject": "no", **{
        f"smtpd_{stage}_restrictions": f"check_policy_service {service}"
        for stage, (service, _) in listen.items()}})
    with server.client() as c:
        assert c.mail("refused@sender.test").code == 550
        assert c.mail("ann@sender.test").ok and c.rcpt("bob@one.test").ok
        assert c.rcpt("refused@one.test").ok == ("recipient" not in listen)


def test_killed_service(make_postfix, policy):
    """R18: without the service Postfix refuses for the moment, or does what default_action says;
    it comes back by itself."""
    server = make_postfix(milter=None, parameters={
        "smtpd_sender_restrictions": policy.policy_service,
        "smtpd_delay_reject": "no"})
    lenient = make_postfix(milter=None, parameters={
        "smtpd_sender_restrictions": "check_policy_service "
                                     f"{{ unix:{policy.socket}, default_action=DUNNO }}",
        "smtpd_delay_reject": "no"})
    policy.start(RULES)
    with server.client() as c, lenient.client() as d:
        assert c.mail("ann@sender.test").ok and d.mail("ann@sender.test").ok
        c.rset(), d.rset()
        assert policy.kill() == -9
        assert c.mail("ann@sender.test").code == 451
        assert d.mail("ann@sender.test").ok
        policy.start()
        assert c.mail("ann@sender.test").ok
        assert c.rset().ok and c.mail("refused@sender.test").code == 550
