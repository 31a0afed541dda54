"""Messages of 1, 10 and 50 MB through Postfix: the filter's memory is bounded by its configuration,
not by the message, and nothing takes longer than the message is long."""

import base64
import hashlib
import pathlib
import re
import time

import pytest

from rig import daemon, machine

MESSAGE_KB, LUA_KB = 512, 8192
# what is neither message nor script: buffers of libmilter, 64 KiB for each piece of a body on its
# way in and out, the parser's tables, the red zones of a sanitizer
OTHER_KB = 12 * 1024
SIZES = 1, 10, 50   # MB
SECONDS = 90        # a slow machine, a sanitizer, and all of the way there and on

SMTPSVR = r'''
function MessageLine(line) lines = (lines or 0) + 1 end
function ProcessMessage(from, subject, rcpts, actions, mime, size, attachments)
    local a = attachments[1]
    print(subject, size, #mime, mime[5].Path, mime[5].End - mime[5].Start, #attachments, a.Name, a.Size, a.Type)
    VPOP3.MessageSeek(1e9)
    actions.HeaderModifiers = { "X-Lines: " .. lines }
    return actions
end
'''
SIGNATURE = 'function GetSignature(format) return format == "HTML" and "<p>ACME</p>" or "-- ACME" end'


def message(megabytes):
    """Text and HTML, and a file that fills it up. Returns the message and the bytes of the file."""
    data = hashlib.shake_128(b"7361").digest(megabytes * 730000)
    head = (f"From: ann@one.test\r\nSubject: {megabytes} MB\r\nMIME-Version: 1.0\r\n"
            "Content-Type: multipart/mixed; boundary=xx\r\n\r\n--xx\r\n"
            "Content-Type: multipart/alternative; boundary=yy\r\n\r\n"
            "--yy\r\nContent-Type: text/plain\r\n\r\nhello\r\n"
            "--yy\r\nContent-Type: text/html\r\n\r\n<body>hello</body>\r\n--yy--\r\n"
            "--xx\r\nContent-Type: application/zip; name=big.zip\r\n"
            "Content-Disposition: attachment; filename=big.zip\r\n"
            "Content-Transfer-Encoding: base64\r\n\r\n").encode()
    return head + base64.encodebytes(data).replace(b"\n", b"\r\n") + b"--xx--\r\n", data


def peak_kb(milter, anew=False):
    """The most that the working process has had in memory, since the last time anew."""
    process = pathlib.Path(f"/proc/{milter.children()[0]}")
    if anew:
        (process / "clear_refs").write_text("5")
    return int(re.search(r"VmHWM:\s*(\d+) kB", (process / "status").read_text())[1])


@pytest.fixture
def no_quarantine(monkeypatch):
    """ASan keeps 256 MB of what was freed, to see who uses it still; here that would count."""
    monkeypatch.setitem(daemon.SANITIZERS, "ASAN_OPTIONS",
                        daemon.SANITIZERS["ASAN_OPTIONS"] + ":quarantine_size_mb=1")


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
@pytest.mark.parametrize("signature", ["", SIGNATURE], ids=["looked-at", "signed"])
def test_memory_is_bounded(mta, milter, no_quarantine, signature):
    """R15: the structure of 50 MB, each of its lines, and a signature in its texts."""
    milter.start(SMTPSVR, f"milter.memory_kb={MESSAGE_KB}", f"lua.memory_kb={LUA_KB}", "milter.spill_mb=100",
                 signature=signature)
    assert mta.send("ann@one.test", "bob@two.test", message(0)[0] + b"\r\n").code == 250
    mta.wait_delivery()
    for megabytes in SIZES:
        raw, data = message(megabytes)
        assert len(raw) > megabytes * 980000
        before, start = peak_kb(milter, anew=True), time.monotonic()
        assert mta.send("ann@one.test", f"bob{megabytes}@two.test", raw).code == 250
        grown, taken = peak_kb(milter) - before, time.monotonic() - start
        print(f"{megabytes} MB: {grown} KiB more, {taken:.2f} s")
        assert grown < MESSAGE_KB + LUA_KB + OTHER_KB
        assert taken < SECONDS
        got = mta.wait_delivery(recipient=f"bob{megabytes}@two.test", timeout=60)
        check(milter, got, megabytes, raw, data, signature)


def check(milter, got, megabytes, raw, data, signature):
    """What the script saw, and that the file arrived to the byte, as it was encoded."""
    file = raw[raw.index(b"--xx\r\nContent-Type: application/zip"):]
    assert got.data.endswith(file)
    assert (b"ACME" in got.data[:-len(file)]) == bool(signature)
    section = len(file) - len(b"--xx\r\n") - len(b"\r\n--xx--\r\n")
    seen = re.search(rf"^{megabytes} MB\t(\d+)\t5\t2\t(\d+)\t1\tbig.zip\t{len(data)}\tMIME$", milter.out(), re.M)
    assert seen and int(seen[1]) >= len(raw) and int(seen[2]) == section, milter.out()
    assert int(got.header("X-Lines")[0]) >= raw.count(b"\r\n") - 10
