"""The example scripts of contrib/scripts do what their comments say; contrib/quickstart shows it."""

import email.message
import email.policy
import os
import pathlib
import re
import signal
import subprocess

import pytest

from rig import machine, milter as milter_module, mta as mta_module, smtp
from test_hooks_session import printed, said

SCRIPTS = machine.TOP / "contrib/scripts"
QUICKSTART = machine.TOP / "contrib/quickstart"
STRANGER = "192.0.2.77"
SENDER, BOB, EVE = "ann@sender.test", "bob@one.test", "eve@two.test"
MESSAGE = "From: <ann@sender.test>\nTo: <bob@one.test>\nSubject: hi\n\nhello\n"


def example(name, *changes):
    """The text of an example; changes are (old, new) pairs, edits as an administrator makes them."""
    text = (SCRIPTS / name).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    return text


def local_user(mta, name="bob"):
    """A recipient that strangers may write to."""
    return f"{name}@{mta.hostname}"


def told(reply):
    """Code and text."""
    return reply.code, said(reply)[0]


def recipients(mta):
    mta.settle()
    return sorted(r for d in mta.deliveries() for r in d.recipients)


def titled(subject, size=0):
    return f"Subject: {subject}\n\n" + "x" * 69 + "\n" * (size > 0) + ("y" * 69 + "\n") * (size // 70)


def test_every_example_is_tested():
    tests = pathlib.Path(__file__).parent.glob("test_*.py")
    text = "".join(test.read_text() for test in tests)
    named = set(re.findall(r'(?:example\("|TOP / "contrib/scripts/)([\w-]+\.lua)"', text))
    assert {file.name for file in SCRIPTS.iterdir()} == named


# attachments.lua

def with_file(name, data=b"MZ"):
    message = email.message.EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = "a file"
    message.set_content("see the file")
    message.add_attachment(data, "application", "octet-stream", filename=name)
    return message.as_bytes()


UUENCODED = b"Subject: a file\r\n\r\nsee:\r\nbegin 644 run.vbs\r\n\"35H \r\n`\r\nend\r\n"


def test_attachments(mta, milter):
    milter.start(example("attachments.lua"))

    def send(message, source=STRANGER):
        return told(mta.send(SENDER, local_user(mta), message, source=source))
    for name, kind in ("bill.EXE", "exe"), ("bill.pdf.exe . ", "exe"), ("b\u00e4r.Lnk", "lnk"):
        assert send(with_file(name)) == (550, f"Files of the kind .{kind} are not accepted here")
    assert send(UUENCODED) == (550, "Files of the kind .vbs are not accepted here")
    for message in with_file("bill.pdf"), with_file("exe"), with_file("exe.txt"), MESSAGE:
        assert send(message)[0] == 250
    assert send(with_file("tool.exe"), "127.0.0.1")[0] == 250      # our own network
    twice = with_file("one.pdf").replace(b'filename="one.pdf"', b'filename="one.pdf"; filename="two.exe"')
    assert send(twice)[0] == 250
    assert mta.wait_deliveries(6)[-1].header("X-Attachment-Warning") == ["a file may have another name than it shows"]


# first.lua

def test_first_is_harmless(mta, milter):
    milter.start(example("first.lua"))
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    assert mta.send("", BOB, "Subject: a bounce\n\nhello\n").code == 250
    for delivery in mta.wait_deliveries(2):
        assert delivery.header("X-Seen-By") == ["mailhooks"]
        assert delivery.header("Subject")[0] in ("hi", "a bounce")
    printed(milter, "DoHELO\tclient.test from 127.0.0.1", f"DoMAILFROM\t<{SENDER}>",
            f"DoRCPTTO\t{BOB}", "ProcessMessage\theader changed")


def test_first_refuses_and_marks(mta, milter):
    milter.start(example("first.lua"))
    c = mta.client(hello=False)
    assert (c.ehlo("Spammer.Example").code, c.server_closed()) == (421, True)
    with mta.client() as c:
        c.mail("ann@partner.example")
        assert told(c.rcpt("former@quick.test")) == (
            550, "former@quick.test has moved, please write to office@quick.test")
        assert c.rcpt(BOB).code == 250
        assert c.data(smtp.crlf(titled("the figures"))).code == 250
    assert mta.send("ann@Partner.Example", EVE, titled("Re: [partner] the figures")).code == 250
    assert mta.wait_delivery(recipient=BOB).header("Subject") == ["[partner] the figures"]
    assert mta.wait_delivery(recipient=EVE).header("Subject") == ["Re: [partner] the figures"]


# limits.lua

@pytest.mark.parametrize("name,text", [
    ("mail.company.example", "You are not mail.company.example"),
    ("COMPANY.example", "You are not COMPANY.example"),
    ("192.0.2.77", "192.0.2.77 is no host name (RFC 5321, 4.1.1.1)"),
    ("friend", "friend is no host name (RFC 5321, 4.1.1.1)"),
    ("[192.0.2.77]", None), ("mx_1.sender.test", None)])
def test_limits_helo(mta, milter, name, text):
    milter.start(example("limits.lua"))
    for source, refused in ((STRANGER, text is not None), ("127.0.0.1", False)):
        with mta.client(source=source, hello=False) as c:
            c.ehlo(name)
            reply = c.mail(SENDER)
            assert reply.code == (550 if refused else 250)
            if refused:
                assert said(reply)[0] == text


def test_limits_recipients(mta, milter):
    milter.start(example("limits.lua"))
    for source, most in ((STRANGER, 20), ("127.0.0.1", 100)):
        with mta.client(source=source) as c:
            c.mail(SENDER)
            for n in range(most):
                assert c.rcpt(local_user(mta, f"u{n}")).code == 250
            assert told(c.rcpt(local_user(mta, "late"))) == (
                452, f"Not more than {most} recipients, please")
            c.rset()


MB = 1024 * 1024


def refused_from(mta, sender, size, **options):
    """What MAIL with a size is answered: None, or the limit in KiB."""
    with mta.client(**options) as c:
        reply = c.mail(sender, f"SIZE={size}")
    if reply.code == 250:
        return None
    assert (reply.code, reply.enhanced) == (552, "5.3.4")
    return int(re.fullmatch(r"Not more than (\d+) KiB, please", said(reply)[0])[1])


def test_limits_size_told_beforehand(mta, milter):
    milter.start(example("limits.lua"))
    ten, twenty_five = 10 * 1024, 25 * 1024
    assert refused_from(mta, SENDER, 10 * MB, source=STRANGER) is None
    assert refused_from(mta, SENDER, 10 * MB + 1, source=STRANGER) == ten
    assert refused_from(mta, SENDER, 10 * MB + 1) is None
    assert refused_from(mta, SENDER, 25 * MB + 1) == twenty_five
    assert refused_from(mta, "any@Partner.Example", 49 * MB, source=STRANGER) is None
    assert refused_from(mta, "", 11 * MB, source=STRANGER) == ten
    assert refused_from(mta, "scanner@company.example", 49 * MB) is None
    assert refused_from(mta, "other@company.example", 49 * MB) == twenty_five


def test_limits_true_size(mta, milter):
    milter.start(example("limits.lua", ("stranger = 10 * MB", "stranger = 4096")))
    with mta.client(source=STRANGER) as c:
        assert c.send(SENDER, local_user(mta), titled("small", 3000)).code == 250
        reply = c.send(SENDER, local_user(mta), titled("big", 5000))
        assert (reply.code, said(reply)[0]) == (552, "Not more than 4 KiB, please")
    assert mta.wait_delivery().header("Subject") == ["small"]


def test_limits_of_an_authenticated_user(mta, milter):
    milter.start(example("limits.lua"), config='service "submission" { auth_required = true }')
    with mta.client(source=STRANGER) as c:
        assert c.mail(SENDER).code == 530
        assert c.auth_plain(f"{mta_module.USER}@{mta.hostname}", mta_module.PASSWORD).code == 235
        assert c.mail(SENDER, f"SIZE={20 * MB}").code == 250   # a stranger has 10 MB


# blocklist.lua

LIST = """\
# comment
Joe@bad.example   # a sender
@worse.example
198.51.100.66
203.0.113.
"""


def test_blocklist_file(mta, milter):
    milter.start(example("blocklist.lua"))
    assert mail_from(mta, "joe@bad.example").code == 250       # there is no list yet
    (milter.scripts / "blocklist.txt").write_text(LIST)        # no reload
    for sender in ("joe@BAD.example", "any@worse.example"):
        assert told(mail_from(mta, sender)) == (550, f"Mail from <{sender}> is not accepted here")
    for sender in ("ann@bad.example", "joe@fine.example", "any@sub.worse.example", ""):
        assert mail_from(mta, sender).code == 250
    for source in ("198.51.100.66", "203.0.113.9"):
        assert told(mail_from(mta, SENDER, source)) == (
            550, f"Mail from {source} is not accepted here")
    for source in ("198.51.100.6", "192.0.2.66"):
        assert mail_from(mta, SENDER, source).code == 250


def mail_from(mta, sender, source="127.0.0.1"):
    with mta.client(source=source) as c:
        return c.mail(sender)


ZONE = "zen.spamhaus.org"


def test_blocklist_rbl(mta, milter, dns):
    dns.block_list(ZONE, "192.0.2.20", "192.0.2.5", "198.51.100.20")
    dns.block_list(ZONE, "192.0.2.21", answer="127.0.0.10")
    milter.start(example("blocklist.lua"))
    assert told(mail_from(mta, SENDER, "192.0.2.20")) == (550, f"192.0.2.20 is listed by {ZONE}")
    for white in ("192.0.2.5", "198.51.100.20"):
        assert mail_from(mta, SENDER, white).code == 250
    for source, warning in (("192.0.2.21", [f"192.0.2.21 is an end user's ({ZONE})"]),
                            ("192.0.2.22", [])):
        user = local_user(mta, "u" + source.rpartition(".")[2])
        assert mta.send(SENDER, user, MESSAGE, source=source).code == 250
        assert mta.wait_delivery(recipient=user).header("X-RBL-Warning") == warning
    asked = dns.queries()
    assert f"A 20.2.0.192.{ZONE}" in asked
    assert not any(query.endswith((f" 5.2.0.192.{ZONE}", f" 1.0.0.127.{ZONE}")) for query in asked)


# archive.lua

OURS = ("@company.example", "@one.test")   # a domain that the rig delivers
ALWAYS = (("opens, closes = 8, 18", "opens, closes = 0, 24"),
          ("Fri = true }", "Fri = true, Sat = true, Sun = true }"))
NEVER = (("opens, closes = 8, 18", "opens, closes = 0, 0"),)


def archive(*changes):
    text = example("archive.lua", *changes)
    return text.replace(*OURS)


def test_archive_gets_a_copy_of_ours(mta, milter):
    milter.start(archive(*ALWAYS))
    assert mta.send("ann@One.Test", EVE, titled("from us")).code == 250
    assert mta.send("x@two.test", BOB, titled("to us")).code == 250
    assert mta.send("x@two.test", "y@two.test", titled("none of ours")).code == 250
    assert recipients(mta) == sorted([EVE, BOB, "y@two.test"] + 2 * ["archive@one.test"])


def test_desk_is_redirected_outside_of_office_hours(mta, milter):
    milter.start(archive(*NEVER))
    assert mta.send(SENDER, ["Support@one.test", EVE], titled("help")).code == 250
    assert mta.send(SENDER, BOB, titled("no help")).code == 250
    assert recipients(mta) == sorted(["oncall@one.test", "archive@one.test", EVE,
                                      BOB, "archive@one.test"])
    for delivery in mta.deliveries():
        marked = delivery.header("X-Redirected-From") == ["support@one.test"]
        assert marked == (delivery.header("Subject") == ["help"])


def test_desk_gets_its_mail_in_office_hours(mta, milter):
    milter.start(archive(*ALWAYS))
    assert mta.send(SENDER, "support@one.test", titled("help")).code == 250
    assert recipients(mta) == ["archive@one.test", "support@one.test"]
    assert mta.deliveries()[0].header("X-Redirected-From") == []


# vpop3-style.lua

@pytest.fixture
def old_script(milter):
    """As it comes from a Windows machine: not a byte changed but the line ends, name in capitals."""
    milter.script("SMTPSVR.LUA", example("vpop3-style.lua").replace("\n", "\r\n"))
    milter.start()
    return milter


def wait_out(milter, pattern):
    machine.wait_until(lambda: re.search(f"^{pattern}$", milter.out(), re.M), 5,
                       lambda: f"{pattern!r} in LUA.OUT, is {milter.out()!r}")


def test_vpop3_style_message(mta, old_script):
    message = titled("the report").replace("\n", "\nDisposition-Notification-To: <me@sender.test>\n", 1)
    size = -(-len(smtp.crlf(message)) // 1024)
    assert mta.send(SENDER, [BOB, EVE], message).code == 250
    delivery = mta.wait_deliveries(1)[0]
    assert delivery.fields[:2] == [("X-Script-Version", " 3.2"), ("X-Recipient-Count", " 2")]
    assert delivery.header("Disposition-Notification-To") == []
    assert delivery.header("X-Size") == [f"{size} KB"]
    assert recipients(mta) == [BOB, EVE]
    wait_out(old_script, r"127\.0\.0\.1: 1 messages, 0 refusals, \d+ seconds")
    assert old_script.errors() == ""


def test_vpop3_style_refusals(mta, old_script):
    with mta.client(hello=False) as c:
        c.ehlo("company.example")
        assert told(c.mail(SENDER)) == (550, "You are not company.example")
    with mta.client() as c:
        assert told(c.mail("x@Casino.example")) == (
            550, "No mail from Casino.example, please (rule 2)")
        reply = c.send(SENDER, BOB, titled("Cheap PHARMACY today"))
        assert told(reply) == (550, "Your subject contains the word pharmacy")
        c.mail(SENDER)
        assert [c.rcpt(f"u{n}@one.test").code for n in range(11)] == 10 * [250] + [452]
        c.rset()
    assert recipients(mta) == []
    wait_out(old_script, r"127\.0\.0\.1: 0 messages, 2 refusals, \d+ seconds")
    assert old_script.errors() == ""


def test_vpop3_style_redirect(mta, milter):
    milter.script("SMTPSVR.LUA", example("vpop3-style.lua").replace("company.example", "one.test"))
    milter.start()
    assert mta.send(SENDER, ["Sales@one.test", BOB], MESSAGE).code == 250
    assert mta.send(SENDER, "other@one.test", MESSAGE).code == 250
    assert recipients(mta) == [BOB, "jim@one.test", "other@one.test"]


# what attaches mailhooks to a mail server

REFUSING = 'function DoMAILFROM() return "550 5.7.1 seen" end'


def test_postfix_snippet(make_postfix):
    """As README.md has it: the socket is in the queue directory, where a chroot would be, in a
    directory made for it; the names of the milter are relative to it."""
    snippet = (machine.TOP / "contrib/postfix-main.cf.snippet").read_text()
    parameters = dict(re.findall(r"^(\w+) = (.*)$", snippet, re.M))
    assert set(parameters) == {"smtpd_milters", "non_smtpd_milters", "milter_default_action",
                               "smtpd_forbid_bare_newline"}
    postfix = make_postfix(milter=None, parameters=parameters)
    directory = postfix.top / "spool" / pathlib.Path(parameters["smtpd_milters"][5:]).parent
    machine.run("install", "-d", "-o", "mailhooks", "-g", "postfix", "-m", "2750", directory)
    milter = milter_module.Milter(directory / "milter.sock")
    milter.start(REFUSING, "milter.socket_mode=0660", "milter.socket_group=postfix")
    with postfix.client() as c:
        assert told(c.mail(SENDER)) == (550, "seen")
    assert milter.finish() == []
    with postfix.client() as c:
        assert c.mail(SENDER).code == 451


def test_sendmail_snippet(make_sendmail):
    snippet = (machine.TOP / "contrib/sendmail-mailhooks.m4").read_text()
    socket = milter_module.socket_path().with_name("snippet.sock")
    assert snippet.count("/run/mailhooks/milter.sock") == 1
    sendmail = make_sendmail(milter=None,
                             extra=snippet.replace("/run/mailhooks/milter.sock", str(socket)))
    milter = milter_module.Milter(socket)
    milter.start(REFUSING)
    with sendmail.client() as c:
        assert told(c.mail(SENDER)) == (550, "seen")
    assert milter.finish() == []
    with sendmail.client() as c:
        assert c.mail(SENDER).code == 451


# the quickstart

def leftovers(process):
    """Directories and processes that this run of the quickstart left."""
    mark = f"mailhooks-quickstart.{process.pid}."
    found = [name for name in os.listdir("/tmp") if name.startswith(mark)]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            text = pathlib.Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
            text += os.readlink(f"/proc/{pid}/cwd")   # Postfix: its queue
        except OSError:
            continue   # ended meanwhile
        if mark in text:
            found.append(text)
    return found


def quickstart():
    # bash cannot trap a signal that it was started without, as a background job of a script is
    return subprocess.Popen([QUICKSTART], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                            stderr=subprocess.STDOUT, text=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
                            env={**os.environ, "MAILHOOKS_BUILD": str(machine.BUILD)})


def test_quickstart_shows_the_first_script_at_work():
    done = quickstart()
    text = done.communicate(timeout=120)[0]
    assert done.returncode == 0, text
    for line in (r"C: MAIL FROM:<ann@partner\.example> +DoMAILFROM: <ann@partner\.example>",
                 r" +hook  Subject: \[partner\] the figures of May",
                 r" +hook  X-Seen-By: mailhooks",
                 r"C: RCPT TO:<former@quick\.test> +DoRCPTTO: former@quick\.test has moved: refused",
                 r"S: 421 4\.7\.1 spammer\.example: not today",
                 r" +\d\.\d s  message 4: mx1 says 451, then mx2 takes it +learns from the log: 3 .*",
                 r" +\d\.\d s  message 5: mx2 takes it +CheckServer: more than 2 .*: mx1 is held",
                 r" +mailhooks holds: server mx1\.big\.example until .*",
                 r" +\d+\.\d s  message 6: mx2 takes it +mx1 is still held: mail goes round it",
                 r" +\d+\.\d s  message 7: mx1 takes it +mx1 is back"):
        assert re.search(f"^{line}$", text, re.M), text
    assert max(map(len, text.splitlines())) <= 100, text
    assert "\033" not in text
    assert leftovers(done) == []


@pytest.mark.parametrize("number,moment", [
    (signal.SIGTERM, "  build "), (signal.SIGINT, "  postfix "), (signal.SIGTERM, "C: DATA"),
    (signal.SIGINT, "---- a mail server ")])
def test_interrupted_quickstart_leaves_nothing(number, moment):
    process = quickstart()
    for line in process.stdout:
        if line.startswith(moment):
            process.send_signal(number)
            break
    process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert leftovers(process) == []
