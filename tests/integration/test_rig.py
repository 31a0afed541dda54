"""The rig proves itself: both mail servers bring a message to the sink as it was sent, with and
without a filter, and nothing leaks from one test into the next."""

import os
import signal
import subprocess
import sys

import pytest

from rig import daemon, machine, milter as milter_module, mta as mta_module, smtp

CONTROL = machine.BUILD / "tests/bench/noop_milter"
MESSAGE = (b"From: Ann <ann@sender.test>\r\n"
           b"To: bob@one.test\r\n"
           b"Subject: folded\r\n\t subject,  two blanks\r\n"
           b"Date: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
           b"Message-Id: <1@sender.test>\r\n"
           b"X-Odd:no blank after the colon\r\n"
           b"\r\n"
           b"first line\r\n"
           b".a dot, and two\r\n..\r\n"
           b"\t trailing blanks  \r\n"
           b"caf\xc3\xa9 \xff 8-bit\r\n"
           b"\r\n\r\n")


@pytest.fixture
def control():
    """A filter that does nothing, on the socket that both servers ask."""
    process = subprocess.Popen([CONTROL, "-s", f"unix:{milter_module.socket_path()}", "-n", "none"],
                               umask=0)
    machine.wait_until(lambda: machine.accepts(milter_module.socket_path()), 10, "the control")
    yield process
    assert process.poll() is None
    process.kill()
    process.wait()


def test_message_arrives_byte_for_byte(mta):
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True).code == 250
    delivery = mta.wait_delivery()
    assert delivery.without_trace() == MESSAGE
    assert (delivery.sender, delivery.recipients) == ("ann@sender.test", ["bob@one.test"])
    assert (delivery.host, delivery.port, delivery.tls) == ("127.0.0.21", 25, None)
    assert delivery.header("subject") == ["folded\r\n\t subject,  two blanks"]
    assert delivery.body.startswith(b"first line\r\n.a dot")


def test_filter_that_does_nothing_changes_nothing(mta, control):
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE).code == 250
    assert mta.wait_delivery().without_trace() == MESSAGE


def test_filter_that_is_away_refuses_for_now(mta):
    """The port with the filter really asks it; the other port really does not."""
    milter_module.socket_path().unlink(missing_ok=True)
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE).code == 451
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True).code == 250


def test_envelope_parameters_are_recorded(mta):
    with mta.client(plain=True) as c:
        assert c.mail("ann@sender.test", "RET=HDRS", "ENVID=e1", "BODY=8BITMIME").ok
        assert c.rcpt("bob@one.test", "NOTIFY=SUCCESS").ok
        assert c.rcpt("carl@one.test").ok
        assert c.data(MESSAGE).ok
    delivery = mta.wait_delivery()
    assert {"RET=HDRS", "ENVID=e1", "BODY=8BITMIME"} <= set(delivery.mail_parameters)
    assert any("NOTIFY=SUCCESS" in line for line in delivery.rcpt_lines)
    assert sorted(delivery.recipients) == ["bob@one.test", "carl@one.test"]


def test_local_mail_goes_to_the_hub(mta):
    recipient = "user@" + mta.hostname
    assert mta.send("ann@sender.test", recipient, MESSAGE, plain=True).ok
    delivery = mta.wait_delivery()
    assert (delivery.host, delivery.recipients) == (mta_module.LOCAL_HUB, [recipient])


def test_dialogue_is_kept_verbatim(mta):
    with mta.client(plain=True, hello=False) as c:
        assert c.banner.raw.startswith(b"220 " + mta.hostname.encode())
        reply = c.ehlo("client.test")
        assert reply.raw.count(b"\r\n") == len(reply.lines) > 5
        assert "PIPELINING" in reply.lines and "8BITMIME" in reply.lines
        assert (b"C", b"EHLO client.test\r\n") in c.dialogue
        assert b"".join(data for who, data in c.dialogue if who == b"S") \
            == c.banner.raw + reply.raw
        unknown = c.command("FROBNICATE")
        assert unknown.code == 500 and unknown.enhanced.startswith("5.5.")
        assert c.quit().code == 221


def test_starttls_and_auth(mta):
    with mta.client(plain=True, source="192.0.2.77") as c:
        assert c.rcpt("bob@one.test").code == 503
        assert c.mail("ann@sender.test").ok
        assert c.rcpt("bob@one.test").code in (550, 554), "192.0.2.77 may relay"
        c.rset()
        assert c.starttls().code == 220
        assert c.tls.startswith("TLSv1.")
        assert any(line.startswith("AUTH ") for line in c.ehlo().lines)
        assert c.auth_plain(mta.login[0], "wrong").code == 535
        assert c.auth_plain(*mta.login).code == 235
        assert c.send("ann@sender.test", "bob@one.test", MESSAGE).code == 250
    assert mta.wait_delivery().without_trace() == MESSAGE


def test_pipelining(mta):
    with mta.client(plain=True) as c:
        replies = c.pipeline("MAIL FROM:<ann@sender.test>", "RCPT TO:<bob@one.test>",
                             "RCPT TO:<carl@two.test>", "DATA")
        assert [r.code for r in replies] == [250, 250, 250, 354]
        c.send_raw(smtp.dot_stuff(MESSAGE) + b"NOOP\r\nQUIT\r\n")
        assert [c.reply().code for _ in range(3)] == [250, 250, 221]
        assert c.server_closed()
    found = mta.wait_deliveries(2)
    assert sorted(d.host for d in found) == ["127.0.0.21", "127.0.0.22"]
    assert all(d.without_trace() == MESSAGE for d in found)


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_chunking(mta):
    with mta.client(plain=True) as c:
        assert c.envelope("ann@sender.test", "bob@one.test").ok
        assert c.bdat(MESSAGE[:100], last=False).ok
        assert c.bdat(MESSAGE[100:]).ok
    assert mta.wait_delivery().without_trace() == MESSAGE


def test_dropped_connection_delivers_nothing(mta):
    for reset in (False, True):
        c = mta.client(plain=True)
        assert c.envelope("ann@sender.test", "bob@one.test").ok
        assert c.command("DATA").code == 354
        c.send_raw(MESSAGE)
        c.drop(reset)
    mta.settle()
    assert mta.deliveries() == []
    assert mta.queue() == []


def test_parallel_sessions(mta, control):
    """Sixty clients are connected at once, each sends two messages."""
    clients = machine.in_parallel(60, lambda n: mta.client())

    def send(n):
        with clients[n] as c:
            for part in "ab":
                assert c.send(f"s{n}{part}@sender.test", f"r{n}@one.test", MESSAGE).code == 250
    machine.in_parallel(60, send)
    found = mta.wait_deliveries(120, timeout=60)
    assert sorted(d.sender for d in found) == sorted(
        f"s{n}{part}@sender.test" for n in range(60) for part in "ab")
    assert all(d.without_trace() == MESSAGE for d in found)


def test_ipv6_client(mta):
    if not machine.has_ipv6():
        pytest.skip("this kernel has no IPv6")
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True, host="::1").ok
    assert "[IPv6:" in mta.wait_delivery().header("Received")[0]


@pytest.mark.parametrize("mta", ["postfix"], indirect=True)
def test_local_submission(mta, control):
    done = mta.submit(MESSAGE.replace(b"\r\n", b"\n"), "-i", "-f", "ann@sender.test",
                      "bob@one.test", user="nobody")
    assert done.returncode == 0, done.stderr
    assert mta.wait_delivery(sender="ann@sender.test").without_trace() == MESSAGE
    assert "uid=" in mta.log()


def test_deferred_mail_settles_and_is_purged(mta, sink):
    sink.answer("RCPT", "450 4.2.1 try later", contains="bob@")
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True).ok
    mta.settle()
    assert [name for name, _ in mta.queue()] in (["deferred"], ["active"])
    assert "450 4.2.1 try later" in mta.log()
    mta.purge()
    assert mta.queue() == []


def test_deferred_mail_is_sent_by_flush(mta, sink):
    sink.answer("RCPT", "450 4.2.1 try later", times=1)
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True).ok
    mta.settle()
    assert mta.deliveries() == []
    mta.flush()
    assert mta.wait_delivery().without_trace() == MESSAGE


def test_next_host_is_tried(mta, sink):
    sink.answer("MAIL", "451 4.3.2 not now", host="127.0.0.11")
    assert mta.send("ann@sender.test", "bob@example.com", MESSAGE, plain=True).ok
    assert mta.wait_delivery().host == "127.0.0.12"


def test_host_that_hangs_is_let_go(mta, sink):
    """A scripted host that never answers does not outlive the test."""
    sink.answer("MAIL", sink.HANG, host="127.0.0.21")
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE, plain=True).ok
    machine.wait_until(lambda: any("MAIL" in line for _, line in sink.commands), 10, "MAIL")
    assert not mta.is_idle()
    sink.release()
    mta.settle()
    assert mta.deliveries() == []


def test_host_that_drops(mta, sink):
    sink.answer("EHLO", sink.DROP, host="127.0.0.11")
    assert mta.send("ann@sender.test", "bob@example.com", MESSAGE, plain=True).ok
    assert mta.wait_delivery().host == "127.0.0.12"


def test_log_starts_with_the_test(mta):
    assert mta.log() == ""
    assert mta.send("once@sender.test", "bob@one.test", MESSAGE, plain=True).ok
    mta.wait_log(r"to=<bob@one\.test>.*stat(us)?=[Ss]ent")
    assert "once@sender.test" in mta.log()


def test_zone_lines_of_a_test(mta, dns, sink):
    dns.add("mx-host=new.test,mx.new.test,10", "host-record=mx.new.test,127.0.0.77")
    sink.listen("127.0.0.77")
    try:
        assert mta.send("ann@sender.test", "bob@new.test", MESSAGE, plain=True).ok
        assert mta.wait_delivery().host == "127.0.0.77"
        assert "MX new.test" in dns.queries()
    finally:
        sink.unlisten("127.0.0.77")


def test_server_of_ones_own(make_postfix, make_sendmail):
    for server in (make_postfix(milter=None, parameters={"smtpd_banner": "mail.test OURS"}),
                   make_sendmail(milter=None, extra="define(`confSMTP_LOGIN_MSG', `OURS')dnl")):
        with server.client() as c:
            assert "OURS" in c.banner.text
            assert c.send("ann@sender.test", "bob@one.test", MESSAGE).ok
        assert server.wait_delivery().without_trace() == MESSAGE
        server.begin_test()


def test_client_refuses_broken_replies():
    for raw in (b"250 ok\n", b"250-a\r\n250-b\r\n", b"250-a\r\n251 b\r\n", b"25 ok\r\n", b"",
                b"250 a\r\n250 b\r\n", b"250 a"):
        with pytest.raises(AssertionError):
            smtp.Reply(raw)
    reply = smtp.Reply(b"550-5.7.1 one\r\n550-\r\n550 5.7.1 three\r\n")
    assert (reply.code, reply.enhanced) == (550, "5.7.1")
    assert reply.lines == ["5.7.1 one", "", "5.7.1 three"]


def test_machine_is_private():
    """The rig may do as it likes: this is not the machine's own /etc, /dev or process table."""
    assert os.path.exists("/dev/log") or not os.path.lexists("/dev/log")
    with open("/proc/1/cmdline", "rb") as f:
        assert b"enter" in f.read()
    with open("/etc/resolv.conf", encoding="ascii") as f:
        assert f.read().startswith("nameserver 127.0.0.1\n")


PROGRAM = """
import os, signal, socket, sys, time
def tell(text):
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text, os.environ["NOTIFY_SOCKET"])
signal.signal(signal.SIGHUP, lambda *_: tell(b"READY=1"))
signal.signal(signal.SIGTERM, lambda *_: sys.exit(int(sys.argv[1])))
print("up", flush=True)
tell(b"READY=1")
while True:
    time.sleep(60)
"""


def launch(status="0"):
    program = daemon.Daemon("guard")
    program.launch(sys.executable, "-c", PROGRAM, status)
    return program


def test_guard_is_content_with_a_good_program():
    program = launch()
    program.reload()
    assert program.log() == "up\n"
    assert program.finish() == []


def test_guard_sees_a_program_that_cannot_start():
    program = daemon.Daemon("guard")
    with pytest.raises(AssertionError, match="ended with 3 at start:\nno such thing"):
        program.launch("sh", "-c", "echo no such thing; exit 3")


def test_guard_sees_a_death():
    program = launch()
    os.kill(program.pid, signal.SIGKILL)
    program.process.wait(5)
    assert program.finish() == ["died with status -9 during the test"]


def test_guard_sees_a_bad_exit_status():
    assert launch("99").finish() == ["SIGTERM ended it with status 99"]


def test_guard_sees_sanitizer_reports_and_broken_invariants():
    program = launch()
    (program.directory / "sanitizer.17").write_text("ERROR: AddressSanitizer")
    died = "mailhooks-milter: error: worker 7 for unix:/x was killed by signal 11 (Segmentation fault)"
    broken = "mailhooks-milter: bug: message without an envelope"
    with open(program.stderr, "a", encoding="ascii") as log:
        log.write(died + "\n" + broken + "\n")
    assert program.finish() == ["sanitizer report:\nERROR: AddressSanitizer", died,
                                "broken invariant: " + broken]


def test_sanitizers_report_to_the_guard():
    """A program built as ours is does write its report where the guard looks."""
    program = daemon.Daemon("guard")
    source = program.directory / "overflow.c"
    source.write_text("#include <stdlib.h>\nint main(int argc, char **argv)\n"
                      "{ char *p = malloc(1); (void)argv; return p[argc]; }\n")
    machine.run("cc", "-fsanitize=address,undefined", "-o", program.directory / "overflow", source)
    program.launch(program.directory / "overflow", ready=False)
    assert program.wait_exit() == daemon.SANITIZER_EXIT
    assert "heap-buffer-overflow" in program.finish()[0]
