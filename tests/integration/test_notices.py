"""errors.lua: every kind of notice that Postfix writes, by real ones: bounces, warnings of delay,
receipts, copies for the postmaster, transcripts of sessions. And what Sendmail offers: nothing."""

import email
import email.policy
import re

import pytest

from rig import machine
from rig import milter as milter_module
from rig import postfix as postfix_module

PORT = 2920   # no test starts so many servers of its own
FAILED, DELAYED, DELIVERED, POSTMASTER, OTHER = range(1, 6)
LATER, REFUSAL = "450 4.2.0 come again later", "550 5.1.1 no such user here"
CHIEF, SECOND_CHIEF = "chief@one.test", "second@one.test"
MESSAGE = b"Subject: the original\r\nMessage-ID: <42@one.test>\r\n\r\nhello\r\n"

# the older hook and the newer one, asked for the same
HOOKS = {
    "ProcessError": r'''
        function ProcessError(item, err, connection, sid, subject, fid, format, parameters, target, sender)
            print("asked", sid, fid, target, err, parameters[1], subject)
            RESULT
        end''',
    "ProcessMessage3": r'''
        function ProcessMessage3(component, id, type, severity, err, connect, tid, title, mid, message, target, sender)
            print("asked", type, tid, target, err, component .. severity .. mid, title)
            RESULT
        end''',
}
REWRITE = 'return "Neu: ä", "Anderer Text, ß\\n", nil, "Haus <house@one.test>", false'


@pytest.fixture(scope="module")
def notifying(world, name_server):
    """A Postfix that writes every kind of notice, soon, and shows them to the filter."""
    server = postfix_module.Postfix(world, PORT, f"unix:{milter_module.socket_path()}", parameters={
        "internal_mail_filter_classes": "bounce, notify",
        "notify_classes": "bounce, 2bounce, delay, protocol, resource",
        "bounce_notice_recipient": CHIEF,
        "delay_notice_recipient": CHIEF,
        "2bounce_notice_recipient": SECOND_CHIEF,
        "error_notice_recipient": CHIEF,
        "delay_warning_time": "1s",
    })
    yield server
    server.stop()


@pytest.fixture
def postfix(notifying, sink):
    notifying.begin_test()
    yield notifying
    notifying.end_test()


def failed(postfix, sink):
    sink.answer("RCPT", REFUSAL, host="127.0.0.22", contains="bob@")
    assert postfix.send("ann@one.test", "bob@two.test", MESSAGE).code == 250


def delayed(postfix, sink):
    """Deferred, and tried again until it has been long enough in the queue."""
    sink.answer("RCPT", LATER, host="127.0.0.22", contains="bob@")
    sink.answer("RCPT", LATER, host="127.0.0.21", contains="bob@")
    assert postfix.send("ann@one.test", "bob@two.test", MESSAGE).code == 250

    def warned():
        postfix.flush()
        postfix.settle()
        return "sender delay notification" in postfix.log()
    machine.wait_until(warned, 30, "a warning of delay")


def delivered(postfix, sink):
    """The next host writes no receipts (RFC 3461), so this one does."""
    sink.offer("127.0.0.22", "PIPELINING", "8BITMIME")
    with postfix.client() as c:
        assert c.command("MAIL FROM:<ann@one.test> RET=HDRS ENVID=e42").ok
        assert c.command("RCPT TO:<bob@two.test> NOTIFY=SUCCESS ORCPT=rfc822;Bob@two.test").ok
        assert c.data(MESSAGE).code == 250


def postmaster(postfix, sink):
    """A bounce that nobody gets: reported to the postmaster alone."""
    sink.answer("RCPT", REFUSAL, host="127.0.0.22", contains="bob@")
    assert postfix.send("", "bob@two.test", MESSAGE).code == 250


def other(postfix, sink):
    """A session with errors: its transcript goes to the postmaster."""
    with postfix.client() as c:
        assert not c.command("NONSENSE").ok
        c.quit()


# how it comes to be, who gets it, what its report says, what it is about
KINDS = {
    FAILED: (failed, "ann@one.test", "failed", "5.1.1", "message/rfc822"),
    DELAYED: (delayed, "ann@one.test", "delayed", "4.2.0", "text/rfc822-headers"),
    DELIVERED: (delivered, "ann@one.test", "relayed", "2.0.0", "text/rfc822-headers"),
    POSTMASTER: (postmaster, SECOND_CHIEF, "failed", "5.1.1", "message/rfc822"),
    OTHER: (other, CHIEF, None, None, None),
}


def check_report(message, action, status, original):
    """Still what programs read (RFC 3464, RFC 6522)."""
    assert message.get_content_type() == "multipart/report" and not message.defects
    assert message.get_param("report-type") == "delivery-status"
    parts = list(message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "message/delivery-status", original]
    about_all, about_bob = parts[1].get_payload()
    assert about_all["Reporting-MTA"] == "dns; mail.test" and about_all["Arrival-Date"]
    assert about_bob["Final-Recipient"] == "rfc822; bob@two.test"
    assert (about_bob["Action"], about_bob["Status"]) == (action, status)
    if action == "delayed":
        assert about_bob["Will-Retry-Until"]
    if action == "relayed":
        assert about_all["Original-Envelope-Id"] == "e42"
        assert about_bob["Original-Recipient"] == "rfc822;Bob@two.test"
    inside = parts[2].get_payload()
    inside = inside[0] if isinstance(inside, list) else email.message_from_string(inside)
    assert inside["Subject"] == "the original" and inside["Message-ID"] == "<42@one.test>"


def read(delivery, kind):
    message = email.message_from_bytes(delivery.data, policy=email.policy.SMTP)
    if kind == OTHER:
        assert message.get_content_type() == "text/plain" and not message.defects
        return message, message.get_content()
    check_report(message, *KINDS[kind][2:])
    return message, next(message.iter_parts()).get_content()


@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_rewritten(postfix, sink, milter, kind, hook):
    """Subject, From and text are others, and the report is the one that Postfix wrote."""
    make, reader = KINDS[kind][:2]
    milter.start(None, errors=HOOKS[hook].replace("RESULT", REWRITE))
    make(postfix, sink)
    got = postfix.wait_delivery(recipient=reader)
    message, text = read(got, kind)
    assert got.sender.partition("@")[0] == ("double-bounce" if kind in (POSTMASTER, OTHER) else "")
    assert message["Subject"] == "Neu: ä" and message["From"] == "Haus <house@one.test>"
    assert text.replace("\r\n", "\n") == "Anderer Text, ß\n" and got.data.isascii()
    number, again, target, err, _, _ = re.search(
        rf"^asked\t(.*)\t(.*)\t({re.escape(reader)})\t(.*)\t(.*)\t(.*)$", milter.out(), re.M).groups()
    assert number == again == str(kind)
    assert err.startswith({FAILED: REFUSAL, DELAYED: LATER, DELIVERED: "250 ", POSTMASTER: REFUSAL,
                           OTHER: ""}[kind])
    assert milter.errors() == ""


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_unchanged(postfix, sink, milter, kind):
    """A script without an opinion, and none at all: the same notice, but for what Postfix itself
    makes new each time."""
    make, reader = KINDS[kind][:2]
    milter.start(None, errors=HOOKS["ProcessError"].replace("RESULT", "return subject, format, target, sender"))
    texts = []
    for script in ("asked", ""):
        if script == "":
            milter.script("errors.lua", "")
            milter.reload()
        make(postfix, sink)
        got = postfix.wait_deliveries(len(texts) + 1, recipient=reader)[-1]
        read(got, kind)
        texts.append(without_what_is_new(got))
        postfix.settle()
        postfix.purge()
        postfix.begin_test()
    assert milter.out().count("asked\t") >= 1
    assert texts[0] == texts[1]


def without_what_is_new(delivery):
    """A notice without queue ids, times, numbers of processes and ports."""
    text = delivery.without_trace()
    for pattern in (rb"\b[0-9A-F]{6,15}\b", rb"\d+\.mail\.test", rb"\d\d:\d\d:\d\d", rb"\w{3}, +\d+ \w{3} \d{4}",
                    rb"(?m)^(Message-Id|X-Postfix-Queue-ID): .*", rb"(?s)(boundary=)\S+", rb"(?m)^--\S*\r?$",
                    rb"\[127\.0\.0\.1\](:\d+)?", rb"id \w+", rb"/\d{10}"):
        text = re.sub(pattern, b"#", text)
    return text


@pytest.mark.parametrize("make", [failed, delayed])
def test_the_reports_of_sender_and_postmaster(postfix, sink, milter, make):
    """Both get the same report. The one is rewritten, the other not, and all that comes after the
    text is the same, byte for byte."""
    milter.start(None, errors=HOOKS["ProcessError"].replace(
        "RESULT", f'if target == "{CHIEF}" then return end ' + REWRITE))
    make(postfix, sink)
    rewritten = postfix.wait_delivery(recipient="ann@one.test")
    copy = postfix.wait_delivery(recipient=CHIEF)

    def report(delivery):
        """The second part, from its delimiter on."""
        boundary = b"--" + delivery.message.get_boundary().encode()
        return delivery.body.split(boundary)[2].replace(boundary, b"")
    assert b"Anderer Text" in rewritten.body and b"Anderer Text" not in copy.body
    assert b"message/delivery-status" in report(copy)
    assert report(rewritten) == report(copy)
    assert f"asked\t{POSTMASTER}\t{POSTMASTER}\t{CHIEF}" in milter.out()


@pytest.mark.parametrize("kind", [DELAYED, DELIVERED, OTHER])
def test_kinds_suppressed(postfix, sink, milter, kind):
    """One kind is dropped; the message that it is about goes its way."""
    make, reader = KINDS[kind][:2]
    milter.start(None, errors=HOOKS["ProcessMessage3"].replace(
        "RESULT", f'if type == {kind} then return title, "" end'))
    make(postfix, sink)
    milter.wait_log(f"notice to <{reader}> suppressed by errors.lua")
    if kind == DELAYED:
        sink.forgive()   # the hosts take it now
        postfix.flush()
    if kind != OTHER:
        assert postfix.wait_delivery(recipient="bob@two.test").header("Subject") == ["the original"]
    postfix.settle()
    assert not postfix.deliveries(recipient=reader)


@pytest.mark.parametrize("kind", [DELAYED, DELIVERED, OTHER])
def test_kinds_and_a_failing_script(postfix, sink, milter, kind):
    """R18, as test_errors.py shows it for bounces: whatever it is, it is neither lost nor refused nor half rewritten."""
    make, reader = KINDS[kind][:2]
    milter.start(None, "lua.on_error=reject", errors=HOOKS["ProcessError"].replace("RESULT", "error('boom')"))
    make(postfix, sink)
    message, _ = read(postfix.wait_delivery(recipient=reader), kind)
    assert "Neu" not in message["Subject"] and "boom" in milter.errors()


@pytest.mark.parametrize("mta", ["sendmail"], indirect=True)
def test_what_sendmail_offers(mta, sink, milter):
    """Sendmail delivers its own notices past all milters: errors.lua is never asked, and they come
    as Sendmail wrote them."""
    milter.start(None, errors="function ProcessError() error('asked') end")
    sink.answer("RCPT", REFUSAL, host="127.0.0.22", contains="bob@")
    assert mta.send("ann@one.test", "bob@two.test", MESSAGE).code == 250
    bounce = mta.wait_delivery(recipient="ann@one.test")
    assert bounce.sender == "" and bounce.message.get_content_type() == "multipart/report"
    sink.offer("127.0.0.21", "8BITMIME")
    with mta.client() as c:
        assert c.command("MAIL FROM:<ann@one.test>").ok
        assert c.command("RCPT TO:<ed@one.test> NOTIFY=SUCCESS").ok
        assert c.data(MESSAGE).code == 250
    receipt = mta.wait_deliveries(2, recipient="ann@one.test")[-1]
    assert "delivery-status" in receipt.data.decode()
    assert milter.errors() == ""
