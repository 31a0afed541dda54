"""Send attempts from the journal: each once, and only from the MTA's own processes (R19)."""

import pathlib
import shutil
import time
import uuid

import pytest

from rig import machine
from test_attempts import Follower

WRITER = "/lib/systemd/systemd-journal-remote"
BOOT = uuid.uuid4().hex

pytestmark = pytest.mark.skipif(not pathlib.Path(WRITER).exists(),
                                reason="systemd-journal-remote is not installed")


class Journal:
    """Journal files with entries as a test wants them."""

    def __init__(self):
        self.directory = machine.new_directory("journal")
        self.files = 0
        self.clock = int(time.time() * 1e6)

    def write(self, *entries):
        """Each entry: a message of smtp(8), or (message, {fields that differ})."""
        text = b""
        for entry in entries:
            message, other = entry if isinstance(entry, tuple) else (entry, {})
            self.clock += 1000
            fields = {"__REALTIME_TIMESTAMP": self.clock, "__MONOTONIC_TIMESTAMP": self.clock,
                      "_BOOT_ID": BOOT, "_UID": 0, "_PID": 77,
                      "_SYSTEMD_UNIT": "postfix@-.service", "SYSLOG_IDENTIFIER": "postfix/smtp",
                      "MESSAGE": message, **other}
            text += "".join(f"{name}={value}\n" for name, value in fields.items()).encode() + b"\n"
        self.files += 1
        machine.run(WRITER, "-o", self.directory / f"{self.files}.journal", "-", stdin=text)


def active(queue_id, sender):
    return (f"{queue_id}: from=<{sender}>, size=9, nrcpt=1 (queue active)",
            {"SYSLOG_IDENTIFIER": "postfix/qmgr"})


def sent(queue_id, to="bob@example.com"):
    return (f"{queue_id}: to=<{to}>, relay=mx1.example.com[127.0.0.11]:25, delay=0.5, "
            "delays=0/0/0/0.5, dsn=2.0.0, status=sent (250 2.0.0 ok)")


@pytest.fixture
def journal(policy):
    j = Journal()
    j.follower = Follower(policy, f"journal:{j.directory}")
    return j


def test_entries_and_new_ones(journal):
    journal.write(active("4AAAA1", "a@s.test"), sent("4AAAA1"))
    journal.follower.start()
    row, = journal.follower.of("a@s.test", 1)
    assert (row["server"], row["result"], row["delay_ms"]) == \
        ("mx1.example.com", "250 2.0.0 ok", 500)
    journal.write(active("4AAAA2", "b@s.test"), sent("4AAAA2"))   # in a new file
    journal.follower.of("b@s.test", 1)


def test_sendmail(journal):
    """Its refusals and deliveries, too, from its unit only."""
    fields = {"SYSLOG_IDENTIFIER": "sm-mta", "_SYSTEMD_UNIT": "sendmail.service"}
    start = ("3AL1AAAA000001: from=<s@s.test>, size=100, class=0, nrcpts=1, msgid=<x@s.test>, "
             "proto=ESMTP, daemon=MTA, relay=localhost [127.0.0.1]")
    tried = ("3AL1AAAA000001: to=<bob@example.com>, delay=00:00:01, xdelay=00:00:01, mailer=esmtp, "
             "pri=30100, relay={0}.example.com. [127.0.0.{1}], dsn={2}")
    journal.write((start, fields), (tried.format("mx1", 11, "4.2.1, reply=450 4.2.1 later, stat="
                                                 "Deferred: 450 4.2.1 later"), fields))
    journal.follower.start()
    row, = journal.follower.of("s@s.test", 1)
    assert (row["server"], row["address"], row["result"][:3]) == ("mx1.example.com", "127.0.0.11", "450")
    delivered = tried.format("mx2", 12, "2.0.0, stat=Sent (250 2.0.0 kept)")
    journal.write((delivered, {**fields, "_SYSTEMD_UNIT": "other.service"}), (delivered, fields))
    row = journal.follower.of("s@s.test", 2)[1]
    assert (row["server"], row["result"][:3]) == ("mx2.example.com", "250")


def test_each_once_over_restarts(journal):
    """R18: the place is kept, and what is read twice has the same key."""
    for n in range(3):
        journal.write(active(f"4BBBB{n}", f"r{n}@s.test"),
                      f"4BBBB{n}: host mx2.example.com[127.0.0.12] said: 450 no (in reply to "
                      "RCPT TO command)", sent(f"4BBBB{n}"))
        journal.follower.start()
        journal.follower.of(f"r{n}@s.test", 2)
        journal.follower.policy.kill()
    state = journal.follower.policy.directory / "maillog.state"
    state.unlink(missing_ok=True)   # all over again
    journal.write(active("4BBBB9", "last@s.test"), sent("4BBBB9"))
    journal.follower.start()
    journal.follower.of("last@s.test", 1)
    assert len(journal.follower.all()) == 7


def test_gap_is_logged(journal):
    journal.write(active("4CCCC1", "a@s.test"), sent("4CCCC1"))
    journal.follower.start()
    journal.follower.of("a@s.test", 1)
    assert journal.follower.policy.stop() == 0
    journal.write(active("4CCCC2", "b@s.test"), sent("4CCCC2"))
    (journal.directory / "1.journal").unlink()
    journal.follower.start()
    journal.follower.of("b@s.test", 1)
    journal.follower.policy.wait_log("gap in the journal")


def test_others_plant_nothing(journal):
    """R19: what another unit, another user or another program writes is not believed, whatever it
    calls itself."""
    liars = [{"_SYSTEMD_UNIT": "user@1000.service"}, {"_UID": 1000}, {"SYSLOG_IDENTIFIER": "smtp"},
             {"_UID": "0x0"}, {"SYSLOG_IDENTIFIER": "evil/postfix/smtp"}]
    journal.write(*[(sent(f"4DDDD{n}", "lie@example.com"), fields)
                    for n, fields in enumerate(liars)])
    journal.write(active("4EEEE1", "true@s.test"), sent("4EEEE1"))
    journal.follower.start()
    journal.follower.of("true@s.test", 1)
    assert len(journal.follower.all()) == 1


def test_no_journal_there(journal):
    """It is waited for, and said once."""
    shutil.rmtree(journal.directory)
    journal.follower.start()
    journal.follower.policy.wait_log("journal .*: No such file or directory")
    journal.directory.mkdir()
    journal.write(active("4FFFF1", "a@s.test"), sent("4FFFF1"))
    journal.follower.of("a@s.test", 1)
    assert journal.follower.policy.log().count("No such file or directory") == 1
