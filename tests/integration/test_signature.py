"""signature.lua on real servers: what a recipient of a signed message sees, and that nothing else
has changed."""

import base64
import email
import email.policy
import os
import pathlib
import random

import pytest

from rig import machine

SCRIPT = r'''
function GetSignature(format, user, sender, subject, attributes)
    print(format, user, sender, subject, type(attributes))
    if format == "HTML" then
        return "<p>Grüße, <b>ACME</b> €</p>"
    end
    return "-- \nGrüße, ACME €"
end
'''
PLAIN, HTML = "-- \nGrüße, ACME €", "<p>Grüße, <b>ACME</b> €</p>"


def parts(delivery):
    """The decoded leaves of a delivered message: (type, text or bytes)."""
    return [(p.get_content_type(), p.get_content()) for p in delivery.message.walk()
            if not p.is_multipart()]


def rich_message(attachment, subject="rich"):
    """Text and HTML in an alternative, an image beside the HTML, a file."""
    m = email.message.EmailMessage(policy=email.policy.SMTP)
    m["Subject"], m["From"], m["To"] = subject, "ann@one.test", "bob@two.test"
    m.set_content("Hello Bob, naïve façade.\n", charset="iso-8859-1", cte="quoted-printable")
    m.add_alternative("<html><body><p>Hello Bob ☺</p></body></html>\n", subtype="html", cte="base64")
    m.get_payload()[1].add_related(b"\x89PNG" + attachment[:500], "image", "png", cid="<i@x>")
    m.add_attachment(attachment, "application", "octet-stream", filename="data.bin")
    return m.as_bytes()


def encoded_attachment(data):
    """The base64 of the last part, as it stands in the message."""
    return data.split(b'filename="data.bin"')[1].split(b"\r\n\r\n", 1)[1]


def test_text_html_and_attachments(mta, milter):
    """Both texts of an alternative are signed in their own charset and encoding, the attachment
    stays as it is to the byte."""
    attachment = random.Random(1).randbytes(70000)
    message = rich_message(attachment)
    milter.start(None, signature=SCRIPT)
    assert mta.send("ann@one.test", "bob@two.test", message).code == 250
    got = mta.wait_delivery()
    texts = dict(parts(got)[:2])
    # the charset of the plain text has no euro: it is UTF-8 now
    assert texts["text/plain"].replace("\r\n", "\n") == f"Hello Bob, naïve façade.\n{PLAIN}\n"
    assert texts["text/html"].replace("\r\n", "\n") == (
        f"<html><body><p>Hello Bob ☺</p>\n{HTML}\n</body></html>\n")
    assert parts(got)[3] == ("application/octet-stream", attachment)
    assert encoded_attachment(got.data) == encoded_attachment(message)
    assert "PLAIN\t\tann@one.test\trich\ttable" in milter.out()
    assert "HTML\t\tann@one.test\trich\ttable" in milter.out()


@pytest.mark.parametrize("header, body, expected_field, expected", [
    # not MIME: it becomes MIME
    ("", b"Hello\r\n", "MIME-Version: 1.0", "Hello\n" + PLAIN),
    ("Content-Type: text/plain; charset=us-ascii\r\nContent-Transfer-Encoding: 7bit\r\n", b"a = b\r\n",
     "Content-Transfer-Encoding: quoted-printable", "a = b\n" + PLAIN),
    ("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n"
     "Content-Transfer-Encoding: 8bit\r\n", "über\r\n".encode(),
     "Content-Type: text/plain; charset=utf-8", "über\n" + PLAIN),
    ("MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=\"iso-8859-1\"\r\n"
     "Content-Transfer-Encoding: base64\r\n", base64.b64encode(b"f\xfcr\r\n") + b"\r\n",
     "Content-Type: text/plain;\r\n charset=utf-8", "für\n" + PLAIN),
])
def test_header_of_a_plain_message(mta, milter, header, body, expected_field, expected):
    """The message's own header says what its text is now, once."""
    milter.start(None, signature=SCRIPT)
    message = f"Subject: s\r\n{header}X-Other: stays\r\n\r\n".encode() + body
    assert mta.send("ann@one.test", "bob@two.test", message).code == 250
    got = mta.wait_delivery()
    assert expected_field.encode() in got.data
    for name in ("MIME-Version", "Content-Type", "Content-Transfer-Encoding"):
        assert len(got.header(name)) <= 1
    assert got.header("X-Other") == ["stays"]
    assert got.message.get_content().replace("\r\n", "\n") == expected + "\n"


def test_who_is_signed_for(mta, milter):
    """Strangers and bounces get no signature; mail between local users its own; users who logged in
    one from anywhere."""
    milter.start(None, config=f'local_domains = {{ "{mta.hostname}" }}', signature='''
        function GetSignature(format, user) return "OUT:" .. user end
        function GetInternalSignature(format, user) return "IN:" .. user end
    ''')
    me, text = f"ann@{mta.hostname}", "Subject: s\n\nx\n"

    def body(sender, recipients, login=False, **options):
        before = len(mta.deliveries())
        with mta.client(**options) as c:
            if login:
                assert c.auth_plain(*mta.login).code == 235
            assert c.send(sender, recipients, text).code == 250
        found = mta.wait_deliveries(before + 1)
        mta.settle()
        return found[before].body

    assert body(me, "bob@two.test") == b"x\r\nOUT:\r\n"
    assert body(me, f"eve@{mta.hostname}") == b"x\r\nIN:\r\n"
    assert body(me, [f"eve@{mta.hostname}", "bob@two.test"]) == b"x\r\nOUT:\r\n"
    # a filter on this host hands over mail of strangers
    assert body("sam@one.test", f"eve@{mta.hostname}") == b"x\r\n"
    assert body("", "bob@two.test") == b"x\r\n"
    assert body(f"MAILER-DAEMON@{mta.hostname}", "bob@two.test") == b"x\r\n"
    assert body(f"double-bounce@{mta.hostname}", "bob@two.test") == b"x\r\n"
    assert body("sam@one.test", f"eve@{mta.hostname}", source="192.0.2.7") == b"x\r\n"
    signed = body("sam@one.test", "bob@two.test", login=True, source="192.0.2.7")
    assert signed.startswith(b"x\r\nOUT:user1")


def test_blank_and_the_settings(mta, milter):
    """No result means the signature of the settings, "<blank>" means none."""
    plain, html = milter.directory / "plain.txt", milter.directory / "signature.html"
    plain.write_text("The company\n")
    html.write_text("<p>The company</p>\n")
    files = (f"signature.plain_file={plain}", f"signature.html_file={html}")
    milter.start(None, *files, signature='''
        function GetSignature(format, user, sender, subject)
            if subject == "none" then return "<blank>" end
            if subject == "own" then return "Own" end
            return ""
        end
    ''')
    for subject, text in (("none", b""), ("own", b"Own\r\n"), ("other", b"The company\r\n")):
        assert mta.send("ann@one.test", "bob@two.test", f"Subject: {subject}\n\nx\n").code == 250
        machine.wait_until(
            lambda: [d for d in mta.deliveries() if d.header("Subject") == [subject]], 20, subject)
        got = [d for d in mta.deliveries() if d.header("Subject") == [subject]]
        assert got[0].body == b"x\r\n" + text
    # without a script
    milter.script("signature.lua", "")
    milter.reload()
    assert mta.send("ann@one.test", "al@two.test",
                    "Subject: h\nContent-Type: text/html\n\n<body>x</body>\n").code == 250
    assert mta.wait_delivery(recipient="al@two.test").body == (
        b"<body>x\r\n<p>The company</p>\r\n</body>\r\n")


# what the MTA would add, with its own values
OWN_FIELDS = "From: ann@one.test\nTo: bob@two.test\nDate: Fri, 2 Jan 2026 03:04:05 +0000\n"

LEFT_ALONE = {
    "smime": "Content-Type: multipart/signed; boundary=b\n\n--b\n\nx\n--b\n"
             "Content-Type: application/pkcs7-signature\n\ny\n--b--\n",
    "pgp": "Subject: s\n\n-----BEGIN PGP MESSAGE-----\n\nhQ==\n-----END PGP MESSAGE-----\n",
    "dkim": "DKIM-Signature: v=1; a=rsa-sha256; b=x\nSubject: s\n\nx\n",
    "calendar": "Content-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n",
    "report": "Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n\nx\n"
              "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; x\n--b--\n",
    "image": "Content-Type: image/png\n\nx\n",
    "broken": "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n",
}


def test_messages_left_alone(mta, milter):
    """Signed, encrypted, calendar, reports, no text, broken: as without the filter, to the byte."""
    milter.start(None, signature=SCRIPT)
    for plain in (False, True):
        with mta.client(plain=plain) as c:
            for name, message in LEFT_ALONE.items():
                message = f"{OWN_FIELDS}Message-Id: <{name}@one.test>\n{message}"
                assert c.send("ann@one.test", f"{name}@two.test", message).code == 250
    mta.wait_deliveries(2 * len(LEFT_ALONE))
    for name in LEFT_ALONE:
        with_filter, without = mta.deliveries(recipient=f"{name}@two.test")
        assert with_filter.without_trace() == without.without_trace()
    assert milter.out() == ""   # not even asked
    assert milter.log().count("no signature put into the message: ") == len(LEFT_ALONE)


def test_failing_script(mta, milter):
    """R18: lua.on_error says what a script that fails means."""
    script = "function GetSignature() error('oops') end"
    milter.start(None, "lua.on_error=accept", signature=script)
    assert mta.send("ann@one.test", "bob@two.test", "Subject: s\n\nx\n").code == 250
    assert mta.wait_delivery().body == b"x\r\n"
    milter.stop()
    milter.start(None, "lua.on_error=tempfail", signature=script)
    assert mta.send("ann@one.test", "bob@two.test", "Subject: s\n\nx\n").code == 451


def test_hostile_texts(mta, milter):
    """R9, R10: a lone dot, bare line ends, delimiters of the message, control characters in a
    signature end neither the message nor a part."""
    milter.start(None, signature=r'''
        function GetSignature(format)
            if format == "HTML" then return nil end
            return "a\n.\nb\r.\r\r\n--b--\n\n--b\nContent-Type: text/html\n\n\27[1mx\0331"
        end
    ''')
    message = ("Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n"
               "Content-Type: application/pdf\n\npdf\n--b--\n")
    assert mta.send("ann@one.test", "bob@two.test", message).code == 250
    got = mta.wait_delivery()
    assert b"\r" not in got.data.replace(b"\r\n", b"") and b"\n" not in got.data.replace(b"\r\n", b"")
    assert [kind for kind, _ in parts(got)] == ["text/plain", "application/pdf"]
    assert parts(got)[0][1].replace("\r\n", "\n") == (
        "x\na\n.\nb\n.\n\n--b--\n\n--b\nContent-Type: text/html\n\n[1mx!1")


def test_big_message(mta, milter):
    """A message larger than what is kept in memory is signed from its file; a disk that is gone
    would refuse it for now, never cut it."""
    attachment = random.Random(2).randbytes(3 << 20)
    message = rich_message(attachment, "big")
    milter.start(None, "milter.memory_kb=64", signature=SCRIPT)
    assert mta.send("ann@one.test", "bob@two.test", message).code == 250
    got = mta.wait_delivery(timeout=40)
    assert encoded_attachment(got.data) == encoded_attachment(message)
    assert PLAIN in parts(got)[0][1].replace("\r\n", "\n")


def test_stored_message_is_lost(mta, milter):
    """R18: when the file of a large message cannot be read to its end, the message is refused for
    now: the MTA may have the beginning of the new body."""
    lost = milter.directory / "lost"
    milter.start(None, "milter.memory_kb=64", "lua.hook_ms=20000", "lua.command_ms=20000",
                 signature='''
        function GetSignature(format)
            print("now")
            while not io.open("LOST") do
                os.sleep(50)
            end
            return "signature"
        end
    '''.replace("LOST", str(lost)))
    message = rich_message(random.Random(3).randbytes(400000))

    def lose_file():
        machine.wait_until(lambda: "now" in milter.out(), 20, "the script")
        (worker,) = milter.children()
        files = pathlib.Path(f"/proc/{worker}/fd")
        for fd in files.iterdir():
            if "(deleted)" in os.readlink(fd):
                os.truncate(fd, 0)
        lost.touch()

    reply, _ = machine.in_parallel(2, lambda n: lose_file() if n else mta.send(
        "ann@one.test", "bob@two.test", message))
    assert 400 <= reply.code < 500
    milter.wait_log("the stored message cannot be read")
    mta.settle()
    assert mta.deliveries() == []


USERS = '''
user1:
    Name = Ann "A&B" Müller
    Phone = +49 30 1234
user2:
    Name = Bob
    Signature = off
'''


def example(name, *changes):
    """The text of an example script; changes are (old, new) pairs."""
    text = (machine.TOP / "contrib/scripts" / name).read_text()
    for old, new in changes:
        assert text.count(old) == 1, f"{name} has {text.count(old)} times {old!r}"
        text = text.replace(old, new)
    return text


ALTERNATIVE = ("Subject: s\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nx\n--b\n"
               "Content-Type: text/html\n\n<body>x</body>\n--b--\n")


def texts_of(delivery):
    return [text.replace("\r\n", "\n") for _, text in parts(delivery)]


def test_example_by_attributes(mta, milter):
    """contrib/scripts/signature.lua: each user's own, by his settings."""
    users = milter.directory / "users"
    users.write_text(USERS)
    milter.start(None, f"users.source=file:{users}", f"local_domains={mta.hostname}",
                 signature=example("signature.lua"))
    me = f"ann@{mta.hostname}"

    def send(recipient, login):
        with mta.client() as c:
            if login:
                assert c.auth_plain(*mta.login).code == 235
            assert c.send(me, recipient, ALTERNATIVE).code == 250
        return texts_of(mta.wait_delivery(recipient=recipient))

    plain, html = send("bob@two.test", login=True)
    assert plain == 'x\n-- \nAnn "A&B" Müller\nExample Ltd, +49 30 1234'
    assert "<b>Ann &quot;A&amp;B&quot; M&#252;ller</b><br>" in html and html.endswith("</body>")
    assert send(f"eve@{mta.hostname}", login=True) == [
        'x\n-- \nAnn "A&B" Müller', "<body>x</body>"]
    assert send("al@two.test", login=False) == ["x", "<body>x</body>"]
    # who has it switched off is not asked for
    users.write_text(USERS.replace("user1", "user3").replace("user2", "user1"))
    milter.reload()
    assert send("ed@two.test", login=True) == ["x", "<body>x</body>"]


def test_example_disclaimer(mta, milter):
    """contrib/scripts/disclaimer.lua, named signature.lua."""
    milter.start(None, signature=example("disclaimer.lua", ("lists.example.com", "two.test")))

    def send(sender, subject, recipient):
        message = ALTERNATIVE.replace("Subject: s", f"Subject: {subject}")
        assert mta.send(sender, recipient, message).code == 250
        return texts_of(mta.wait_delivery(recipient=recipient))

    plain, html = send("ann@one.test", "hi", "a@two.test")
    assert plain.startswith("x\n_______________\nThis message") and plain.endswith("· example.com")
    assert html.startswith("<body>x\n<hr>\n<p style=") and html.endswith("</p>\n</body>")
    assert send("ann@two.test", "hi", "b@two.test") == ["x", "<body>x</body>"]
    for n, prefix in enumerate(("Re", "RE[2]", "AW ", "Antw", "[list] Sv", "回复")):
        assert send("ann@one.test", f"{prefix}: hi", f"c{n}@two.test") == ["x", "<body>x</body>"], prefix
    for n, subject in enumerate(("Reply: hi", "Recall", "Remember: re: this")):
        assert send("ann@one.test", subject, f"d{n}@two.test") != ["x", "<body>x</body>"], subject


def test_body_changes_are_asked_for_when_needed(mta, milter):
    """The MTA is asked whether the body may be replaced only while a script may want to."""
    milter.start("function Start() end", "log.level=debug", signature=SCRIPT)

    def may_replace():
        before = milter.log().count("negotiated: ")
        assert mta.send("ann@one.test", "bob@two.test", "Subject: s\n\nx\n").code == 250
        lines = [line for line in milter.log().splitlines() if "negotiated: " in line][before:]
        return all(int(line.rpartition(" 0x")[2], 16) & 0x2 for line in lines) if lines else None

    assert may_replace() is True
    milter.script("signature.lua", "-- nothing")
    milter.reload()
    assert may_replace() is False
