"""contrib/scripts/quotas.lua on a real Postfix: who is counted, what is counted, what is not; and
that Policy() gets everything that Postfix sends."""

import re

import pytest

from rig import machine
from test_examples import example

MESSAGE = "Subject: hi\r\n\r\nhello\r\n"
STRANGER = "192.0.2.77"

# Quotas that a test reaches. Hours: nothing comes back while it runs.
SMALL = (
    ("messages = { { 30, minute }, { 300, hour } }", "messages = { { 3, hour }, { 300, day } }"),
    ("recipients = { { 500, hour }, { 2000, day } }",
     "recipients = { { 6, hour }, { 2000, day } }"),
    ("messages = { { 1000, hour } }, recipients = { { 5000, day } }",
     "messages = { { 4, hour } }"),
    ("messages = { { 60, minute } }, recipients = { { 600, hour } }",
     "messages = { { 2, hour } }, recipients = { { 3, hour } }"))


@pytest.fixture
def postfix(make_postfix, policy):
    return make_postfix(milter=None, parameters={
        "smtpd_end_of_data_restrictions": policy.policy_service})


@pytest.fixture
def quotas(policy):
    """Starts the service with the example; edits as an administrator makes them."""
    def start(*changes, store=f"sqlite:{policy.directory}/store.db"):
        policy.start(example("quotas.lua", *SMALL, *changes), f"store={store}")
    return start


def send(postfix, sender="ann@sender.test", recipients=("bob@one.test",), login=True, bdat=False,
         **options):
    """The reply to one message."""
    with postfix.client(**options) as c:
        if login:
            assert c.auth_plain(*postfix.login).code == 235
        assert c.envelope(sender, list(recipients)).ok
        return c.bdat(MESSAGE.encode()) if bdat else c.data(MESSAGE)


def users(count):
    return [f"u{n}@one.test" for n in range(count)]


def test_messages_of_a_user(postfix, policy, quotas):
    """Whoever logged in is counted, from wherever and as whomever he writes; BDAT is no way round
    it, and a restart forgets nothing."""
    quotas()
    assert send(postfix).code == 250
    assert send(postfix, "other@two.test", source=STRANGER).code == 250
    policy.stop()
    policy.start(None, f"store=sqlite:{policy.directory}/store.db")
    assert send(postfix, bdat=True).code == 250
    for bdat in (False, True):
        reply = send(postfix, "third@three.test", bdat=bdat)
        assert reply.code == 450 and reply.enhanced == "4.7.1"
        assert re.search(rf"Too many messages of user {postfix.login[0]}, please try again in \d+",
                         reply.text)
    assert send(postfix, login=False, source="127.0.0.9").code == 250   # somebody else
    assert len(postfix.wait_deliveries(4)) == 4


def test_recipients_of_a_user(postfix, quotas):
    """Recipients are counted, too, but not of messages that were refused; more at once than the
    quota allows are refused for good."""
    quotas()
    assert send(postfix, recipients=users(4)).code == 250
    reply = send(postfix, recipients=users(3))
    assert reply.code == 450 and "Too many recipients of user" in reply.text
    reply = send(postfix, recipients=users(7))
    assert reply.code == 554 and "Too many recipients of user" in reply.text
    assert send(postfix, recipients=users(2)).code == 250
    assert "Too many recipients" in send(postfix).text


def test_sender_domain(postfix, quotas):
    """All senders of a domain together; a stranger cannot use up what is another one's."""
    quotas(("user = {\n", "user = {}, nobody = {\n"),
           ("client = { messages", "client = {}, nothing = { messages"))
    for _ in range(5):
        assert send(postfix, "forged@sender.test", ["bob@mail.test"], login=False,
                    source=STRANGER).code == 250
    for n in range(3):
        assert send(postfix, f"user{n}@Sender.Test").code == 250
    assert send(postfix, "local@sender.test", login=False).code == 250   # trusted
    reply = send(postfix, "late@sender.test")
    assert reply.code == 450 and "Too many messages of domain sender.test" in reply.text
    assert send(postfix, "ann@other.test").code == 250
    assert send(postfix, "").code == 250


def test_clients_and_exceptions(postfix, quotas):
    """Who did not log in is counted by his address, or his IPv6 network; exceptions may be none."""
    quotas()
    for _ in range(2):
        assert send(postfix, "", login=False, source="127.0.0.9").code == 250
    reply = send(postfix, "", login=False, source="127.0.0.9")
    assert reply.code == 450 and "Too many messages of client 127.0.0.9" in reply.text
    assert send(postfix, "", login=False, source="127.0.0.10").code == 250
    for _ in range(3):
        assert send(postfix, "", login=False).code == 250   # 127.0.0.1


def test_ipv6_networks(policy, quotas):
    """Two addresses of one network of 64 bits are one client, however they are written."""
    quotas()

    def ask(client):
        return policy.ask("END-OF-MESSAGE", client_address=client, sender="", sasl_username="",
                          recipient_count="1")
    for first, second, same in (
            ("2001:db8::7", "2001:db8::8", True),
            ("2001:db8:a::7", "2001:db8:a:0:ffff::1", True),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::1", True),
            ("2001:db8:2:2::1", "2001:db8:2:3::1", False),
            ("::1", "::2", True),
            ("fe80::1", "fe81::1", False)):
        assert [ask(first), ask(first)] == ["DUNNO", "DUNNO"]
        assert ask(second).startswith("450 4.7.1 Too many messages of client") == same, second


@pytest.mark.parametrize("changes, code", [
    ((), 451),
    ((('"451 4.3.0 Quotas cannot be looked up, please try again later"', '"DUNNO"'),), 250)])
def test_store_away(postfix, policy, quotas, changes, code):
    """R18: a store that is not there costs what the administrator says."""
    quotas(*changes, store=f"sqlite:{policy.directory}/missing/store.db")
    assert send(postfix).code == code


# what Policy() gets

EVERYTHING = """
function Policy(request)
    local names = {}
    for name, value in pairs(request) do
        table.insert(names, name .. "=" .. value)
    end
    table.sort(names)
    print(request.state, table.concat(names, "|"))
end
"""

# What Postfix 3.7 sends, at each stage the same names (SMTPD_POLICY_README).
NAMES = {
    "request", "protocol_state", "protocol_name", "helo_name", "queue_id", "sender", "recipient",
    "recipient_count", "client_address", "client_name", "reverse_client_name", "instance",
    "sasl_method", "sasl_username", "sasl_sender", "size", "ccert_subject", "ccert_issuer",
    "ccert_fingerprint", "ccert_pubkey_fingerprint", "encryption_protocol", "encryption_cipher",
    "encryption_keysize", "etrn_domain", "stress", "client_port", "policy_context",
    "server_address", "server_port"}


def test_every_attribute(make_postfix, policy):
    """Whatever Postfix sends is in the table, with the value that it has."""
    service = f"check_policy_service {{ unix:{policy.socket}, policy_context=here }}"
    stages = ("client", "helo", "sender", "recipient", "data", "end_of_data", "etrn")
    postfix = make_postfix(milter=None, parameters={
        "smtpd_delay_reject": "no", **{f"smtpd_{s}_restrictions": service for s in stages}})
    policy.start(EVERYTHING)
    with postfix.client(source="127.0.0.9") as c:
        assert c.starttls().code == 220
        c.ehlo("me.test")
        assert c.auth_plain(*postfix.login).code == 235
        assert c.command("VRFY bob@one.test").code == 252
        assert c.mail("ann@sender.test", "SIZE=321").ok
        assert c.rcpt("bob@one.test").ok and c.rcpt("eve@two.test").ok
        assert c.data(MESSAGE).ok
        assert c.envelope("ann@sender.test", ["bob@one.test"]).ok
        assert c.bdat(MESSAGE.encode()).ok
        c.command("ETRN one.test")
        port = c.socket.getsockname()[1]
    seen = {}

    def ready():
        for line in policy.out().splitlines():
            state, _, text = line.partition("\t")
            if "|client_address=127.0.0.9|" in text:   # not the rig's own connection
                seen.setdefault(state, dict(pair.split("=", 1) for pair in text.split("|")))
        return "ETRN" in seen
    machine.wait_until(ready, 10, lambda: f"ETRN in {sorted(seen)}")
    assert set(seen) == {"CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "END-OF-MESSAGE", "VRFY",
                         "ETRN"}
    for state, request in seen.items():
        assert set(request) == NAMES | {"state"}, state
        assert request["state"] == request["protocol_state"] == state
        assert request["policy_context"] == "here" and request["client_address"] == "127.0.0.9"
    rcpt, end = seen["RCPT"], seen["END-OF-MESSAGE"]
    assert rcpt["sasl_username"] == postfix.login[0] and rcpt["sasl_method"] == "PLAIN"
    assert rcpt["encryption_protocol"].startswith("TLSv1") and rcpt["size"] == "321"
    assert (rcpt["sender"], rcpt["recipient"]) == ("ann@sender.test", "bob@one.test")
    assert (rcpt["helo_name"], rcpt["client_port"]) == ("me.test", str(port))
    assert end["recipient_count"] == "2" and end["queue_id"] != ""
    assert seen["ETRN"]["etrn_domain"] == "one.test"
