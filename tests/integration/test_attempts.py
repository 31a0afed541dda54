"""Send attempts: what the MTA's log says of each dialogue with a host is in the store exactly once,
whatever the hosts say (R19), whatever a rotator does and whenever the follower is killed (R18)."""

import json
import os
import shutil
import sqlite3
import threading
import time

import pytest

from rig import machine, milter as milter_module

BINARY = machine.BUILD / "cli/mailhooks"
MESSAGE = b"Subject: hi\r\n\r\nhello\r\n"
MX1, MX2 = ("mx1.example.com", "127.0.0.11"), ("mx2.example.com", "127.0.0.12")
postfix_only = pytest.mark.parametrize("mta", ["postfix"], indirect=True)
both = pytest.mark.parametrize("mta", ["postfix", "sendmail"], indirect=True)


class Follower:
    """mailhooks-policy, following the log of a mail server, and what it has recorded."""

    def __init__(self, policy, source, *settings):
        self.policy = policy
        # as root: Postfix lets nobody else read its maillog_file
        self.settings = (f"maillog.source={source}", f"store=sqlite:{policy.directory}/store.db",
                         "user=", "group=", *settings)
        self.seen = []

    def start(self):
        self.policy.start(None, *self.settings)

    def command(self, *arguments, check=True):
        settings = [word for s in self.settings for word in ("-o", s)]
        return machine.run(BINARY, "-c", "/dev/null", *settings, "attempts", *arguments,
                           check=check)

    def all(self, *arguments):
        """Oldest first."""
        lines = self.command("--json", "-n", "0", *arguments).stdout.decode().splitlines()
        return [json.loads(line) for line in reversed(lines)]

    def of(self, sender, count):
        """The rows of a message, when there are so many; and no more come."""
        def rows():
            self.seen = [row for row in self.all() if row["sender"] == sender]
            return len(self.seen) >= count
        machine.wait_until(rows, 15, lambda: f"{count} rows of {sender}: {self.seen}")
        assert len(self.seen) == count, self.seen
        return self.seen


@pytest.fixture
def follower(mta, policy, syslog):
    if mta.name == "postfix":
        f = Follower(policy, f"file:{mta.maillog}")
    else:
        syslog.file = policy.directory / "mail.log"
        f = Follower(policy, f"file:{syslog.file}", f"maillog.sendmail={mta.tag}")
    f.start()
    yield f
    syslog.file = None


def host(row):
    return row["server"], row["address"]


def short(rows):
    return [(host(row), row["stage"], row["result"]) for row in rows]


def send(mta, sender, *recipients):
    assert mta.send(sender, list(recipients), MESSAGE, plain=True).ok
    mta.settle()


@both
def test_success(mta, follower):
    send(mta, "ann1@sender.test", "bob@example.com")
    row, = follower.of("ann1@sender.test", 1)
    assert row.pop("queue_id") in mta.log()
    delay = row.pop("delay_ms")
    assert 0 <= delay < 20000 and row.pop("time")
    assert row == {
        "server": "mx1.example.com", "address": "127.0.0.11", "domain": "example.com",
        "provider": "example.com", "connection": "", "sender": "ann1@sender.test",
        "stage": "end of DATA", "result": "250 2.0.0 kept", "tls": "",
        "recipients": [{"address": "bob@example.com", "result": "250 2.0.0 kept"}]}


@both
def test_refusal_at_rcpt_by_one_host(mta, sink, follower):
    sink.answer("RCPT", "451 4.7.1 too much", host=MX1[1])
    send(mta, "ann2@sender.test", "bob@example.com")
    rows = follower.of("ann2@sender.test", 2)
    stage = "RCPT TO" if mta.name == "postfix" else ""    # Sendmail does not say
    assert short(rows) == [(MX1, stage, "451 4.7.1 too much"),
                           (MX2, "end of DATA", "250 2.0.0 kept")]
    assert [r["address"] for r in rows[0]["recipients"]] == ["bob@example.com"]
    assert rows[0]["domain"] == "example.com"


STAGES = {   # what a host does, and what Postfix makes of it
    ("CONNECT", "421 4.7.0 busy"): ("greeting", "421 4.7.0 busy"),
    ("CONNECT", "drop"): ("greeting", "4.4.2 lost connection with mx1.example.com[127.0.0.11] "
                          "while receiving the initial server greeting"),
    ("MAIL", "451 4.3.0 no"): ("MAIL FROM", "451 4.3.0 no"),
    ("MAIL", "421 4.3.0 no"): ("MAIL FROM", "421 4.3.0 no"),
    ("RCPT", "450-4.2.1 a\n450 4.2.1 b"): ("RCPT TO", "450-4.2.1 a 450 4.2.1 b"),
    ("RCPT", "drop"): ("RCPT TO", "4.4.2 lost connection with mx1.example.com[127.0.0.11] "
                       "while sending RCPT TO"),
    ("DATA", "452 4.3.1 full"): ("DATA", "452 4.3.1 full"),
    (".", "451 4.3.0 no"): ("end of DATA", "451 4.3.0 no"),
}


@postfix_only
def test_refusal_at_each_stage(mta, sink, follower):
    """Each host that refuses is an attempt of its own, at every stage of the dialogue."""
    for n, ((verb, reply), (stage, result)) in enumerate(STAGES.items()):
        sink.forgive()
        sink.answer(verb, sink.DROP if reply == "drop" else reply, host=MX1[1])
        send(mta, f"stage{n}@sender.test", "bob@example.com")
    for n, (stage, result) in enumerate(STAGES.values()):
        rows = follower.of(f"stage{n}@sender.test", 2)
        assert short(rows) == [(MX1, stage, result), (MX2, "end of DATA", "250 2.0.0 kept")]


@both
def test_no_connection(mta, sink, follower):
    sink.unlisten(MX1[1])
    try:
        send(mta, "ann3@sender.test", "bob@example.com")
        rows = follower.of("ann3@sender.test", 2)
    finally:
        sink.listen(MX1[1])
    assert [host(row) for row in rows] == [MX1, MX2]
    assert rows[0]["stage"] == "connect" and rows[0]["domain"] == "example.com"
    assert rows[0]["result"].startswith("4.4.1 ") and "refused" in rows[0]["result"]


@both
def test_many_recipients_are_one_attempt(mta, sink, follower):
    """One dialogue is one attempt, however many recipients were refused in it."""
    sink.answer("RCPT", "450 4.2.1 later", contains="a@")
    sink.answer("RCPT", "550 5.1.1 who", contains="b@")
    send(mta, "ann4@sender.test", "a@example.com", "b@example.com", "c@example.com", "d@one.test")
    rows = {host(row): row for row in follower.of("ann4@sender.test", 3)}
    assert {key: row["result"] for key, row in rows.items()} == {
        MX1: "450 4.2.1 later", MX2: "450 4.2.1 later",
        ("mx1.one.test", "127.0.0.21"): "250 2.0.0 kept"}
    outcomes = {r["address"]: r["result"] for r in rows[MX1]["recipients"]}
    assert outcomes["b@example.com"] == "550 5.1.1 who"
    assert outcomes["c@example.com"] == "250 2.0.0 kept"
    assert [r["address"] for r in rows[MX2]["recipients"]] == ["a@example.com"]
    assert rows["mx1.one.test", "127.0.0.21"]["domain"] == "one.test"


@both
def test_tls(mta, sink, follower, tmp_path):
    if mta.name == "postfix":
        mta.set_parameters({"smtp_tls_security_level": "may", "smtp_tls_loglevel": "1"})
        mta.reload()
    sink.unlisten("127.0.0.21")
    sink.listen("127.0.0.21", certificate=machine.certificate(tmp_path, "mx1.one.test"))
    try:
        send(mta, "ann5@sender.test", "bob@one.test")
        row, = follower.of("ann5@sender.test", 1)
        assert row["tls"].startswith("TLSv1.3 TLS_AES_256_GCM_SHA384 ")
    finally:
        sink.unlisten("127.0.0.21")
        sink.listen("127.0.0.21")
        if mta.name == "postfix":
            mta.set_parameters({"smtp_tls_security_level": "", "smtp_tls_loglevel": "0"})
            mta.reload()


@both
def test_hostile_reply_changes_its_own_text_only(mta, sink, follower):
    """R19: a reply that looks like the rest of the line, and like other lines."""
    lie = ("450 4.2.1 x (in reply to MAIL FROM command)), dsn=2.0.0, stat=Sent (ok), status=sent "
           "(250 ok) ]: 0187AA72303: to=<e@e.test>, relay=e[6.6.6.6]:25, delay=0, "
           "delays=0/0/0/0, dsn=2.0.0, status=sent (ok)")
    before = len(follower.all())
    sink.answer("RCPT", lie)
    send(mta, "ann6@sender.test", "bob@example.com")
    rows = follower.of("ann6@sender.test", 2)
    assert short(rows)[0] == (MX1, "RCPT TO" if mta.name == "postfix" else "", lie)
    assert short(rows)[1] == (MX2, "RCPT TO" if mta.name == "postfix" else "", lie)
    if mta.name == "sendmail":   # Postfix's file has lines of earlier tests
        assert len(follower.all()) == before + 2
    assert not [row for row in follower.all() if row["address"] == "6.6.6.6"]


@both
def test_each_try_is_recorded(mta, sink, follower):
    sink.answer("RCPT", "450 4.2.1 later", times=2)
    send(mta, "ann7@sender.test", "bob@one.test")
    follower.of("ann7@sender.test", 1)
    mta.flush()
    follower.of("ann7@sender.test", 2)
    mta.flush()
    rows = follower.of("ann7@sender.test", 3)
    assert [row["result"] for row in rows] == ["450 4.2.1 later"] * 2 + ["250 2.0.0 kept"]
    assert len({row["queue_id"] for row in rows}) == 1
    if mta.name == "sendmail":   # whose later lines do not name the sender
        assert mta.log().count("from=<ann7") == 1


@both
def test_killed_at_any_point(mta, sink, follower):
    """R18: the follower is killed again and again while messages are sent; in the end each attempt
    is there once."""
    count = 30
    sink.answer("RCPT", "450 4.2.1 later", host=MX1[1])
    done = threading.Event()

    def kill():
        while not done.is_set():
            follower.policy.kill()
            follower.start()
            done.wait(0.15)
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        for n in range(count):
            assert mta.send("kill@sender.test", [f"r{n}@example.com"], MESSAGE, plain=True).ok
        mta.settle()
    finally:
        done.set()
        killer.join()
    rows = follower.of("kill@sender.test", 2 * count)
    assert len({(row["queue_id"], row["server"]) for row in rows}) == 2 * count
    assert {row["recipients"][0]["address"] for row in rows} == \
        {f"r{n}@example.com" for n in range(count)}


@postfix_only
def test_rotation_by_postfix(mta, follower):
    """`postfix logrotate` renames the file; what is in it was read, and what comes is."""
    mta.set_parameters({"maillog_file_compressor": "/bin/true"})
    size = mta.maillog.stat().st_size
    try:
        send(mta, "rot0@sender.test", "bob@one.test")
        machine.run("postfix", "-c", mta.etc, "logrotate", env=mta.env)
        mta.log_start = 0
        send(mta, "rot1@sender.test", "bob@one.test")
        for n in range(2):
            follower.of(f"rot{n}@sender.test", 1)
        assert mta.maillog.stat().st_size < size + 4000
    finally:
        for old in mta.maillog.parent.glob("maillog.*"):
            old.unlink()


@postfix_only
def test_copytruncate(mta, follower):
    """R18: as logrotate does it with `copytruncate`, several times, while the follower reads and
    while it is away: what the copy has is read from it, and each attempt is recorded once."""
    def rotate():
        if copies[0].exists():
            os.rename(*copies)
        shutil.copyfile(mta.maillog, copies[0])
        os.truncate(mta.maillog, 0)
        mta.log_start = 0
        cut = int(time.time())   # no rotator cuts twice in a second: the first line has its time
        machine.wait_until(lambda: time.time() > cut + 1.1, 5, "the next second")
    copies = [mta.maillog.with_name(f"maillog.{n}") for n in (1, 2)]
    try:
        for n, away in enumerate([False, False, True, False]):
            if away:
                assert follower.policy.stop() == 0
            send(mta, f"before{n}@sender.test", "bob@one.test")
            rotate()
            send(mta, f"after{n}@sender.test", "bob@one.test")
            if away:
                follower.start()
            for sender in (f"before{n}@sender.test", f"after{n}@sender.test"):
                follower.of(sender, 1)
        senders = [f"{word}{n}@sender.test" for word in ("after", "before") for n in range(4)]
        # the log has lines of the tests before, too
        assert sorted(a["sender"] for a in follower.all() if a["sender"] in senders) == senders
        assert "gap" not in follower.policy.log()
    finally:
        for copy in copies:
            copy.unlink(missing_ok=True)


@both
def test_facts_of_messages(mta, sink, follower):
    """The store knows a message while it is in the queue, and how often it was tried."""
    sink.answer("RCPT", "450 4.2.1 later", times=2)
    assert mta.send("facts@sender.test", ["bob@one.test"], MESSAGE, plain=True).ok
    mta.settle()
    queue_id = follower.of("facts@sender.test", 1)[0]["queue_id"]
    assert_facts(follower, queue_id, "facts@sender.test", 1)
    # a log has seconds: two tries within one count once
    last = facts(follower, queue_id)["last_try"]
    machine.wait_until(lambda: time.time() * 1000 >= last + 1000, 5, "the next second")
    mta.flush()
    follower.of("facts@sender.test", 2)
    assert_facts(follower, queue_id, "facts@sender.test", 2)
    mta.flush()
    follower.of("facts@sender.test", 3)
    machine.wait_until(lambda: facts(follower, queue_id) is None, 10, "facts gone")


@both
def test_filters_and_counts(mta, sink, follower):
    sink.answer("RCPT", "450 4.2.1 later", contains="two.test")
    send(mta, "f@sender.test", "bob@example.com")
    send(mta, "f@sender.test", "bob@two.test")
    follower.of("f@sender.test", 2)
    since = ("--since", "1m")

    def servers(*arguments):
        return {row["server"] for row in follower.all(*since, *arguments)
                if row["sender"] == "f@sender.test"}
    assert servers() == {"mx1.example.com", "mx1.two.test"}
    assert servers("--result", "4") == {"mx1.two.test"}
    assert servers("--domain", "TWO.test") == {"mx1.two.test"}
    assert servers("--provider", "example.com", "--result", "250") == {"mx1.example.com"}
    assert servers("--server", "mx1.two.test", "--address", "127.0.0.22") == {"mx1.two.test"}
    assert servers("--server", "mx1.two.test", "--domain", "example.com") == set()
    assert int(follower.command("--count", "--server", "mx1.two.test", "--result", "450 4.2.1",
                                *since).stdout.split()[1]) >= 1
    windows = follower.command("--count").stdout.decode().split()
    assert windows[::2] == ["5m", "15m", "1h", "4h", "1d", "7d"]
    text = follower.command("-n", "1").stdout.decode()
    assert "mx1.two.test[127.0.0.22] two.test" in text
    assert "<f@sender.test> to <bob@two.test>: 450 4.2.1 later" in text


def test_usage_and_a_store_that_is_away(policy):
    f = Follower(policy, "")
    for wrong in (["--since", "soon"], ["-n", "x"], ["surplus"], ["--no-such"],
                  ["--count", "--server", "a", "--domain", "b"]):
        assert f.command(*wrong, check=False).returncode == 2
    assert f.command("--json").stdout == b""
    f.settings = ("store=redis://127.0.0.1:1/0",)
    assert f.command(check=False).returncode == 1


# the facts of a message, from the file of the store

def facts(follower, queue_id):
    with sqlite3.connect(f"file:{follower.policy.directory}/store.db?mode=ro", uri=True) as db:
        db.row_factory = sqlite3.Row
        return db.execute("select * from messages where queue_id = ?", [queue_id]).fetchone()


def assert_facts(follower, queue_id, sender, retries):
    def right():
        row = facts(follower, queue_id)
        return row is not None and (row["sender"], row["retries"]) == (sender, retries)
    machine.wait_until(right, 10, lambda: f"{sender} tried {retries} times: "
                       f"{dict(facts(follower, queue_id) or {})}")


# facts of messages

OUTCOMES = {   # what the later filter does, and the reply of the server
    "reject": ("actions.Ignore = true actions.Delete = true return actions", 550),
    "tempfail": ('return actions, "451 4.3.2 later"', 451),
    "discard": ("actions.Ignore = true actions.Delete = false return actions", 250)}


def known(store):
    with sqlite3.connect(store) as db:
        return [row[0] for row in db.execute("SELECT sender FROM messages")]


@pytest.mark.parametrize("outcome", OUTCOMES)
@pytest.mark.parametrize("name", ["postfix", "sendmail"])
def test_refused_by_a_later_filter(name, outcome, milter, policy, syslog, request):
    """What our milter has noted of a message that is not taken after all is not kept for weeks."""
    later = milter_module.Milter(milter.directory / "later.sock")
    if name == "postfix":
        mta = request.getfixturevalue("make_postfix")(f"unix:{milter.socket}, unix:{later.socket}")
        follower = Follower(policy, f"file:{mta.maillog}")
    else:
        mta = request.getfixturevalue("make_sendmail")(
            extra=f"INPUT_MAIL_FILTER(`later', `S=unix:{later.socket}, F=T')dnl\n")
        syslog.file = policy.directory / "mail.log"
        follower = Follower(policy, f"file:{syslog.file}", f"maillog.sendmail={mta.tag}")
    store = policy.directory / "store.db"
    body, code = OUTCOMES[outcome]
    milter.start(None, *follower.settings, mxserverrules="function CheckServer() end")
    later.start(f"function ProcessMessage(from, subject, rcpts, actions) {body} end")
    assert mta.send("ann@sender.test", "bob@example.com", MESSAGE).code == code
    assert known(store) == ["ann@sender.test"], mta.log()
    follower.start()
    try:
        machine.wait_until(lambda: known(store) == [], 10, mta.log)
    finally:
        syslog.file = None
    assert mta.deliveries() == [] and later.finish() == []
