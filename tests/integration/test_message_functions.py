"""What ProcessMessage can look at: MIME structure, attachments, parts, lines (R8)."""

import base64

import pytest

from rig import machine
from test_hooks_session import printed

SENDER, BOB = "ann@sender.test", "bob@one.test"
PDF = bytes(range(256)) * 20
MESSAGE = (b"From: ann@sender.test\r\nTo: bob@one.test\r\nSubject: parts\r\n"
           b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-Id: <1@sender.test>\r\n"
           b"MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\npreamble\r\n"
           b"--xx\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nhello\r\nworld\r\n"
           b"--xx\r\nContent-Type: application/pdf; name=\"=?utf-8?Q?=C3=A4.pdf?=\"\r\n"
           b"Content-Disposition: attachment; filename*=utf-8''%C3%A4.pdf\r\n"
           b"Content-Transfer-Encoding: base64\r\n\r\n" +
           base64.encodebytes(PDF).replace(b"\n", b"\r\n") + b"--xx--\r\nepilogue\r\n")

STRUCTURE = '''
function ProcessMessage(from, subject, rcpts, actions, mime, size, attachments)
    for i, m in ipairs(mime) do
        print(i, m.ContentType, m.ContentSubtype, m.ContentTypeFilename, m.ContentDisposition,
              m.ContentDispositionFilename)
        -- the section, cut out of the message by its offsets, is the part
        VPOP3.MessageReset()
        local _, whole = VPOP3.GetMessageLine(100000)
        print("exact", i, whole:sub(m.Start + 1, m.End) == VPOP3.GetMessagePart(m.Path), #whole == size)
    end
    for i, a in ipairs(attachments) do print("att", a.MIMESection, a.Name, a.MIMEType, a.Size, a.Type) end
end
'''


def test_structure_and_attachments(mta, milter):
    milter.start(STRUCTURE)
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    printed(milter, "1\tmultipart\tmixed\t\t\t", "exact\t1\ttrue\ttrue", "2\ttext\tplain\t\t\t",
            "exact\t2\ttrue\ttrue", "3\tapplication\tpdf\tä.pdf\tattachment\tä.pdf",
            "exact\t3\ttrue\ttrue", f"att\t3\tä.pdf\tapplication/pdf\t{len(PDF)}\tMIME")


def test_one_part_has_its_fields_on_the_list_too(mta, milter):
    milter.start('function ProcessMessage(f, s, r, a, mime) print(#mime, mime.Path, mime.ContentType) end')
    assert mta.send(SENDER, BOB, "Subject: x\n\nplain\n").code == 250
    printed(milter, "1\t1\ttext")


def test_parts_and_lines(mta, milter):
    milter.start('''
        function ProcessMessage()
            print(VPOP3.GetMessagePartBody("1"), VPOP3.GetMessagePart("7"))
            print((VPOP3.GetMessagePartHeader("1"):gsub("\\r\\n", "|")))
            print((select(2, VPOP3.GetMessageLines(1)):gsub("%s", "")))
            local n, text = VPOP3.GetMessageLine(2)
            print(n, select(2, text:gsub("\\n", "")))
            VPOP3.MessageSeek(6)
            print((select(2, VPOP3.GetMessageLine(1)):gsub("%s", "")))
            print(VPOP3.GetMessageLine(1e6) > 10, (VPOP3.GetMessageLine(1)))
        end
        function End() print("outside", VPOP3.GetMessagePart("1"), VPOP3.GetMessageLine(1)) end
    ''')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    printed(milter, "hello", "world\tnil", "Content-Type: text/plain; charset=utf-8||",
            "2\t2", "true\t0", "outside\tnil\t0\t")


def test_save_attachment(mta, milter):
    allowed = milter.directory / "attachments"
    allowed.mkdir(mode=0o777)
    allowed.chmod(0o777)
    (allowed / "link").symlink_to(milter.directory)
    (allowed / "file").symlink_to(milter.directory / "two.pdf")
    milter.start(f'''
        function ProcessMessage(f, s, r, a, mime, size, attachments)
            print("saved", VPOP3.SaveAttachment(1, "{allowed}/one.pdf"))
            print("outside", VPOP3.SaveAttachment(1, "{milter.directory}/one.pdf"))
            print("above", VPOP3.SaveAttachment(1, "{allowed}/../two.pdf"))
            print("linked", VPOP3.SaveAttachment(1, "{allowed}/link/two.pdf"))
            print("a link", VPOP3.SaveAttachment(1, "{allowed}/file"))
            print("second", VPOP3.SaveAttachment(2, "{allowed}/none.pdf"))
        end
    ''', f"lua.attachment_dirs={allowed}")
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    printed(milter, "saved\ttrue", "outside\tfalse", "above\tfalse", "linked\tfalse", "a link\tfalse", "second\tfalse")
    assert (allowed / "one.pdf").read_bytes() == PDF
    assert not (milter.directory / "two.pdf").exists()
    assert "lua.attachment_dirs" in milter.log()


def test_mime_is_parsed_only_where_it_can_be_seen(mta, milter):
    """Four parameters and no function for parts: the message is not even stored."""
    milter.start('function ProcessMessage(f, s, r, a) print(s, VPOP3.MessageReset()) end')
    assert mta.send(SENDER, BOB, MESSAGE).code == 250
    printed(milter, "parts")


@pytest.mark.parametrize("body", [b"", b"--xx\r\n", b"--xx\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n--xx",
                                  b"--xx--\r\n--xx\r\n\r\n", b"\0\xff\r\n" * 100])
def test_broken_structure_never_stops_mail(mta, milter, body):
    milter.start(STRUCTURE)
    raw = b"Subject: broken\r\nContent-Type: multipart/mixed; boundary=xx\r\n\r\n" + body
    if mta.name == "sendmail" and b"\0" in body:
        pytest.skip("Sendmail refuses NUL itself")
    assert mta.send(SENDER, BOB, raw).code == 250
    assert "exact\t1\tfalse" not in milter.out() and milter.errors() == ""


@pytest.mark.parametrize("copies", [1, 2, 7, 20])
def test_forged_authentication_results_are_removed(mta, milter, copies):
    """R7: every forged copy goes, whatever their number; those of other hosts stay in place."""
    milter.start('''
        function ProcessMessage(f, s, r, actions)
            print("all", #mailhooks.headers("authentication-results"))
            print("removed", mailhooks.remove_auth_results("mail.test"))
            actions.HeaderModifiers = {"X-Seen: 1"}
            return actions
        end
    ''')
    forged = "".join(f"Authentication-Results: mail.test; spf=pass n={n}\nX-Between: {n}\n"
                     f"authentication-results: other.test (mail.test); dkim=fail n={n}\n"
                     for n in range(copies))
    message = f"From: ann@sender.test\n{forged}Subject: forged\n\nbody\n"
    assert mta.send(SENDER, BOB, message).code == 250
    d = mta.wait_delivery()
    left = d.header("Authentication-Results")
    assert len(left) == copies and all(v.startswith("other.test") for v in left)
    assert len(d.header("X-Between")) == copies and d.header("X-Seen") == ["1"]
    printed(milter, f"all\t{2 * copies}", f"removed\t{copies}")


def test_single_header_fields_can_be_removed(mta, milter):
    """R7: all instances are seen with their numbers, and each can be removed."""
    milter.start('''
        function ProcessMessage()
            for _, h in ipairs(mailhooks.headers("x-many")) do
                if h.value == "2" or h.value == "4" then mailhooks.remove_header(h.index) end
            end
            print(mailhooks.remove_header(999), #mailhooks.headers() > 5)
        end
    ''')
    many = "".join(f"X-Many: {n}\n" for n in range(1, 6))
    assert mta.send(SENDER, BOB, f"From: ann@sender.test\n{many}Subject: s\n\nbody\n").code == 250
    assert mta.wait_delivery().header("X-Many") == ["1", "3", "5"]
    printed(milter, "false\ttrue")
