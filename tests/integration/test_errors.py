"""errors.lua: what becomes of Postfix's own bounces and notices. Sendmail shows its own to no
milter; doc/hooks-errors.md says so."""

import email
import email.policy
import re

import pytest

from rig import machine
from rig import milter as milter_module
from rig import postfix as postfix_module

PORT = 2910   # no test starts so many servers of its own
REFUSAL = "550 5.1.1 no such user here"

SHOW = r'''
function ProcessError(item, err, connection, subject_id, subject, format_id, format, parameters, target, sender)
    print("asked", item, err, connection, subject_id, subject, format_id, target, sender)
    for i, p in ipairs(parameters) do print("parameter", i, p) end
    print("text", (string.find(format, "could not", 1, true)) ~= nil)
    CHANGE
end
'''


@pytest.fixture(scope="module")
def bouncing(world, name_server):
    """A Postfix that shows its bounces to the filter."""
    server = postfix_module.Postfix(world, PORT, f"unix:{milter_module.socket_path()}", parameters={
        "internal_mail_filter_classes": "bounce, notify",
        "notify_classes": "bounce, resource",
        "bounce_notice_recipient": "chief@one.test",
        "double_bounce_sender": "double-bounce",
    })
    yield server
    server.stop()


@pytest.fixture
def postfix(bouncing, sink):
    """bob@two.test does not exist."""
    sink.answer("RCPT", REFUSAL, host="127.0.0.22", contains="bob@")
    bouncing.begin_test()
    yield bouncing
    bouncing.end_test()


def bounce(postfix, sender="ann@one.test"):
    message = b"Subject: the original\r\nMessage-ID: <42@one.test>\r\n\r\nhello\r\n"
    assert postfix.send(sender, "bob@two.test", message).code == 250


def report_of(delivery):
    """The bounce as programs read it: it must stay a valid multipart/report."""
    message = email.message_from_bytes(delivery.data, policy=email.policy.SMTP)
    assert message.get_content_type() == "multipart/report"
    parts = list(message.iter_parts())
    assert [p.get_content_type() for p in parts] == ["text/plain", "message/delivery-status", "message/rfc822"]
    fields = parts[1].get_payload()[1]
    assert fields["Action"] == "failed" and fields["Status"] == "5.1.1"
    assert fields["Final-Recipient"] == "rfc822; bob@two.test"
    assert parts[2].get_payload()[0]["Subject"] == "the original"
    return message, parts[0].get_content()


def test_what_the_script_is_told(postfix, milter):
    """R10: what a remote host said comes as an argument; unchanged results change nothing."""
    milter.start(None, errors=SHOW.replace("CHANGE", "return subject, format, target, sender, false"))
    bounce(postfix)
    got = postfix.wait_delivery(recipient="ann@one.test")
    assert got.sender == ""
    message, text = report_of(got)
    assert "could not" in text and message["Subject"] == "Undelivered Mail Returned to Sender"
    out = milter.out()
    assert f"asked\t1\t{REFUSAL}\tfalse\t1\tUndelivered Mail Returned to Sender\t1\tann@one.test\t" in out
    assert "MAILER-DAEMON" in out and "text\ttrue" in out
    expected = ["bob@two.test", REFUSAL, "5.1.1", "mx1.two.test", "mail.test", "the original", "<42@one.test>",
                "bob@two.test"]
    for i, value in enumerate(expected, 1):
        assert f"parameter\t{i}\t{value}\n" in out
    # the copy for the postmaster is shown too
    copy = postfix.wait_delivery(recipient="chief@one.test")
    assert copy.sender.startswith("double-bounce@")
    assert "asked\t1\t" + REFUSAL + "\tfalse\t4\t" in milter.out()


def test_everything_rewritten(postfix, milter):
    milter.start(None, errors=SHOW.replace("CHANGE", '''
        if target ~= "ann@one.test" then return end
        return "Nicht zustellbar: ä", "Für %1: %2 (100 %%, %3)\\nUnd tschüß\\n", "boss@one.test",
            "Hausmeister <house@one.test>", true'''))
    bounce(postfix)
    got = postfix.wait_delivery(recipient="boss@one.test")
    assert got.sender == ""            # the envelope stays that of a bounce
    message, text = report_of(got)
    assert message["Subject"] == "Nicht zustellbar: ä"
    assert message["From"] == "Hausmeister <house@one.test>"
    assert text.replace("\r\n", "\n") == f"Für bob@two.test: {REFUSAL} (100 %, 5.1.1)\nUnd tschüß\n"
    assert not postfix.deliveries(recipient="ann@one.test")
    assert got.data.isascii()


@pytest.mark.parametrize("target", ["' ann@one.test'", "'boss@one.test, <ann@one.test>'", "'ANN@one.test'", "' , '",
                                    "'not an address'"])
def test_recipients_are_never_emptied(postfix, milter, target):
    """Whoever is a recipient already and is named again stays one; without a sound address all do."""
    milter.start(None, errors=f'''
        function ProcessError(i, e, c, si, s, fi, f, p, target, sender)
            if target ~= "chief@one.test" then return nil, nil, {target} end
            return nil, ""
        end''')
    bounce(postfix)
    assert postfix.wait_delivery(recipient="ann@one.test").sender == ""
    if "boss" in target:
        postfix.wait_delivery(recipient="boss@one.test")


def test_several_recipients_and_an_encoded_subject(postfix, milter):
    milter.start(None, errors=SHOW.replace("CHANGE", ""))
    message = "Subject: =?utf-8?q?Gr=C3=B6=C3=9Fe?=\r\n\r\nx\r\n".encode()
    assert postfix.send("ann@one.test", ["bob@two.test", "bob.bob@two.test"], message).code == 250
    postfix.wait_delivery(recipient="ann@one.test")
    assert "parameter\t6\tGröße\n" in milter.out()
    everybody = re.search(r"parameter\t8\t(.*)\n", milter.out())[1]
    assert sorted(everybody.split(", ")) == ["bob.bob@two.test", "bob@two.test"]


def test_mail_of_users_from_the_null_sender(postfix, milter):
    """A vacation notice is no notice of the mail server."""
    milter.start(None, errors="function ProcessError() return 's', '' end")
    postfix.submit(b"From: ann@one.test\nTo: ed@one.test\nSubject: away\n\nI am away\n", "-f", "", "ed@one.test")
    assert postfix.wait_delivery(recipient="ed@one.test").header("Subject") == ["away"]


@pytest.mark.parametrize("hook", ["ProcessMessage", "DoMAILFROM"])
def test_failing_smtpsvr_lets_bounces_through(postfix, milter, hook):
    """R18: a bounce that is refused would come again for days."""
    milter.start(f"function {hook}(sender) if sender == '' then error('boom') end end", "lua.on_error=reject")
    bounce(postfix)
    postfix.wait_delivery(recipient="ann@one.test")


@pytest.mark.parametrize("hook, result", [
    ("ProcessError", "subject, '', target"),
    ("ProcessError", "subject, format, '<blank>'"),
    ("ProcessMessage3", "title, '', target, sender, false"),
    ("ProcessMessage3", "title, message, ''"),
])
def test_suppressed(postfix, milter, hook, result):
    """The bounce is dropped: no mail is sent, and nothing comes again."""
    parameters = {"ProcessError": "item, err, con, sid, subject, fid, format, parameters, target, sender",
                  "ProcessMessage3": "component, id, type, severity, err, con, tid, title, mid, message, target, sender"}
    milter.start(None, errors=f"function {hook}({parameters[hook]}) return {result} end")
    bounce(postfix)
    milter.wait_log("notice to <ann@one.test> suppressed by errors.lua")
    milter.wait_log("notice to <chief@one.test> suppressed by errors.lua")
    postfix.settle()
    assert not postfix.deliveries()


def test_process_message3(postfix, milter):
    """It is asked instead of ProcessError, and gives the text itself."""
    milter.start(None, errors='''
        function ProcessError() error("not called") end
        function ProcessMessage3(component, id, type, severity, err, connect, title_id, title, template_id, message, target, sender)
            print("asked", component, id, type, severity, err, connect, title_id, title, template_id, target)
            return "100%1", "100 %1 and --dashes\\n--\\n", nil, nil, nil
        end''')
    bounce(postfix)
    message, text = report_of(postfix.wait_delivery(recipient="ann@one.test"))
    assert message["Subject"] == "100%1"
    assert text.replace("\r\n", "\n") == "100 %1 and --dashes\n--\n"
    assert f"asked\t1\t1\t1\t4\t{REFUSAL}\tfalse\t1\tUndelivered" in milter.out()


@pytest.mark.parametrize("script", ["error('boom')", "return {}, 1", "while true do end"])
def test_failing_script(postfix, milter, script):
    """R18: a bounce is never lost, nor refused, whatever lua.on_error says."""
    milter.start(None, "lua.on_error=reject", "lua.hook_ms=300", errors=f"function ProcessError() {script} end")
    bounce(postfix)
    message, text = report_of(postfix.wait_delivery(recipient="ann@one.test"))
    assert "could not" in text and message["Subject"] == "Undelivered Mail Returned to Sender"


def test_throttle(postfix, milter):
    """errors.per_hour holds back what follows; force lets it through."""
    milter.start(None, "errors.per_hour=1", f"store=sqlite:{milter.directory}/store.db", errors='''
        function ProcessError(i, e, c, si, subject, fi, format, parameters, target, sender)
            return "notice", nil, nil, nil, string.find(parameters[6], "urgent") ~= nil
        end''')
    bounce(postfix)
    postfix.wait_delivery(recipient="ann@one.test")
    bounce(postfix)
    milter.wait_log("notice to <ann@one.test> suppressed: errors.per_hour")
    assert postfix.send("ann@one.test", "bob@two.test", b"Subject: urgent\r\n\r\nx\r\n").code == 250
    postfix.wait_deliveries(2, recipient="ann@one.test")


def test_throttle_without_its_store(postfix, milter):
    """R18: a store that cannot be used holds no bounce back."""
    milter.start(None, "errors.per_hour=1", "store=sqlite:/proc/no/store.db", errors='''
        function ProcessError(i, e, c, si, subject) return "notice" end''')
    for count in 1, 2:
        bounce(postfix)
        postfix.wait_deliveries(count, recipient="ann@one.test")


def test_mail_of_others_is_left_alone(mta, milter):
    """What comes by SMTP from the null sender is somebody else's report."""
    milter.start(None, errors="function ProcessError() error('called') end")
    assert mta.send("", "bob@two.test", b"Subject: Undelivered\r\n\r\nx\r\n").code == 250
    assert mta.wait_delivery().header("Subject") == ["Undelivered"]
    assert "called" not in milter.errors()


def test_the_example(postfix, milter):
    """contrib/scripts/errors.lua"""
    milter.start(None, errors=(machine.TOP / "contrib/scripts/errors.lua").read_text())
    bounce(postfix)
    message, text = report_of(postfix.wait_delivery(recipient="ann@one.test"))
    assert message["Subject"] == "Not delivered: bob@two.test"
    for words in "    the original\r\n", f"    {REFUSAL}\r\n", "mx1.two.test said":
        assert words in text
