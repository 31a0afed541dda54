"""The servers of the world do what they are told, and remember what they were told."""

import pytest

from rig import machine

MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"
postfix_only = pytest.mark.parametrize("mta", ["postfix"], indirect=True)


def deliver(mta, recipient="bob@example.com"):
    assert mta.send("ann@sender.test", recipient, MESSAGE, plain=True).ok
    mta.settle()


@postfix_only
@pytest.mark.parametrize("verb", ["CONNECT", "EHLO", "MAIL", "RCPT", "DATA", "."])
def test_refusal_at_each_stage(mta, sink, verb):
    """One host refuses, the other gets the message; the dialogue with both is on record."""
    reply = "421 4.7.0 busy" if verb in ("CONNECT", "EHLO") else "451-4.3.0 not\n451 4.3.0 now"
    sink.answer(verb, reply, host="127.0.0.11")
    deliver(mta)
    first, *_ = sink.dialogues_with("127.0.0.11")
    assert first.heard[-1 if verb == "CONNECT" else first.heard.index(reply)] == reply
    assert mta.wait_delivery().host == "127.0.0.12"
    machine.wait_until(lambda: all(d.ended for d in sink.dialogues_with()), 10, "their ends")


@postfix_only
def test_forgiven_host(mta, sink):
    sink.answer("MAIL", "451 4.3.0 no", host="127.0.0.11")
    sink.answer("MAIL", "451 4.3.0 no", host="127.0.0.12")
    sink.forgive("127.0.0.11")
    deliver(mta)
    assert mta.wait_delivery().host == "127.0.0.11"
    sink.forgive()
    assert sink.rules == []


@pytest.fixture
def tls_mta(mta, sink, tmp_path):
    """A server that uses TLS when it can, and one.test that offers it."""
    if mta.name == "postfix":
        mta.set_parameters({"smtp_tls_security_level": "may"})
        mta.reload()
    sink.unlisten("127.0.0.21")
    sink.listen("127.0.0.21", certificate=machine.certificate(tmp_path, "mx1.one.test"))
    yield mta
    sink.unlisten("127.0.0.21")
    sink.listen("127.0.0.21")
    if mta.name == "postfix":
        mta.set_parameters({"smtp_tls_security_level": ""})
        mta.reload()


def test_tls_and_offers(tls_mta, sink):
    sink.offer("127.0.0.21", "PIPELINING")
    deliver(tls_mta, "bob@one.test")
    assert tls_mta.wait_delivery().tls.startswith("TLSv1.")
    dialogue, = sink.dialogues_with("127.0.0.21")
    assert dialogue.tls.startswith("TLSv1.")
    assert "DSN" not in dialogue.heard[1] and "STARTTLS" in dialogue.heard[1]


@postfix_only
def test_broken_handshake(tls_mta, sink):
    sink.answer("STARTTLS", sink.BREAK)
    deliver(tls_mta, "bob@one.test")
    assert tls_mta.deliveries() == []
    dialogue, = sink.dialogues_with("127.0.0.21")
    assert dialogue.said[-1] == "STARTTLS" and dialogue.tls is None


@postfix_only
def test_slow_reply(mta, sink):
    sink.answer("RCPT", "250 2.1.5 late", after=0.5)
    deliver(mta, "bob@one.test")
    assert mta.wait_delivery().tls is None
    assert "250 2.1.5 late" in sink.dialogues_with("127.0.0.21")[0].heard
    assert float(mta.wait_log(r"delays=[\d.]+/[\d.]+/[\d.]+/([\d.]+), dsn=2")[1]) >= 0.4
