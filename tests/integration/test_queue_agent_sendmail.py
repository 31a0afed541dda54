"""The queue agent on a real Sendmail: CheckFile() holds in the quarantine, and the agent ends it."""

import os
import time

import pytest

from rig import machine, queue, relays

BOB, HOST = "bob@one.test", "127.0.0.21"
SKIP = 'what.SkipSend = true what.Reason = "not now"'


def script(body):
    return ("function CheckFile(file, what, size, created, tries, last, from, to, data, lines)\n"
            'print(tries, "<" .. last .. ">", from, table.concat(to, " "), data.Subject)\n'
            f"{body}\nreturn what end\n")


class Site:
    """A Sendmail, the filter, mailhooks-policy and mailhooks-queue."""

    def __init__(self, make_sendmail, milter, policy, syslog):
        self.milter, self.policy, self.syslog = milter, policy, syslog
        self.server = make_sendmail()
        self.queue = queue.Queue("sendmail", self.server.top, self.server.top)
        self.settings = (*self.queue.settings, f"store=sqlite:{policy.directory}/store.db")

    def start(self, at_submission, later=None, *options):
        self.milter.start(None, *self.settings, mxout=script(at_submission))
        self.queue.start()
        if later is not None:
            self.policy.start(None, *self.settings, *options, mxout=script(later))

    def change(self, body):
        self.policy.script("mxout.lua", script(body))
        self.policy.reload()

    def send(self, subject="hi"):
        """Returns the queue id."""
        reply = self.server.send("ann@sender.test", BOB,
                                 f"From: ann@sender.test\nSubject: {subject}\n\nhello\n")
        assert reply.ok
        return reply.text.split()[1]

    def wait_state(self, queue_id, wanted):
        self.queue.wait_state(self.server, queue_id, wanted)


@pytest.fixture
def site(make_sendmail, milter, policy, syslog, sink):
    yield (s := Site(make_sendmail, milter, policy, syslog))
    syslog.file = None
    if wrong := s.queue.finish():
        pytest.fail("mailhooks-queue: " + "\n".join(wrong), pytrace=False)


def test_held_and_released_by_the_script(site):
    """Quarantined at submission, asked again at every interval, released by the script and sent by
    the next queue run; what the administrator holds is left alone."""
    site.start("if data.Subject == 'mine' then " + SKIP + " end", SKIP)
    queue_id = site.send("mine")
    site.wait_state(queue_id, "hold")
    machine.wait_until(lambda: site.policy.out().count("\n") >= 2, 15, "two questions")
    assert site.policy.out().splitlines()[0].split("\t") == [
        "0", "<>", "ann@sender.test", BOB, "mine"]
    site.server.flush()
    site.server.settle()
    assert site.server.deliveries(recipient=BOB) == []
    assert site.queue.state(site.server, queue_id) == "hold"
    site.change("what.Reason = 'office is closed'")
    site.policy.wait_log(f"queue={queue_id} queue agent: released, priority 50: office is closed")
    site.wait_state(queue_id, "active")
    site.server.flush()
    assert site.server.wait_delivery(recipient=BOB).header("Subject") == ["mine"]
    site.wait_state(queue_id, None)


def test_holds_of_others(site, sink):
    """Quarantined by the administrator: known to us or not, it stays, while ours goes."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST)
    site.start("if data.Subject == 'mine' then " + SKIP + " end")
    known, stranger = site.send(), site.send()
    site.server.settle()
    (site.queue.records / stranger).unlink()
    for queue_id in (known, stranger):
        machine.run(site.server.binary, "-C", site.server.top / "sendmail.cf", "-Qby hand",
                    f"-qI{queue_id}")
        site.wait_state(queue_id, "hold")
    mine = site.send("mine")
    site.wait_state(mine, "hold")
    site.policy.start(None, *site.settings, mxout=script(""))
    site.policy.wait_log(f"queue={mine} queue agent: released")
    assert [site.queue.state(site.server, i) for i in (known, stranger)] == ["hold"] * 2
    assert site.queue.done() == [mine]


def test_deferred_messages(site, sink, syslog):
    """Asked again after a deferral that the log tells of, with the number of tries; held then, and
    released later. ForceRetry has no command there, which is said once."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST, times=1)
    syslog.file = site.policy.directory / "mail.log"
    syslog.file.touch()
    site.start("", SKIP, "user=", "group=", f"maillog.source=file:{syslog.file}",
               f"maillog.sendmail={site.server.tag}")
    queue_id = site.send()
    site.wait_state(queue_id, "hold")
    tries, last = site.policy.out().splitlines()[0].split("\t")[:2]
    assert tries == "1" and len(last) == 16
    site.change("what.ForceRetry = true")
    site.wait_state(queue_id, "active")
    site.policy.wait_log("ForceLastTry and ForceRetry have no effect with Sendmail")
    site.server.flush()
    site.server.wait_delivery(recipient=BOB)


def test_limit_of_a_hold(site):
    site.start(SKIP)
    queue_id = site.send()
    site.wait_state(queue_id, "hold")
    site.queue.edit_record(queue_id, "held", lambda ms: ms - 121 * 60000)
    site.policy.start(None, *site.settings, "agent.most_hold_minutes=120", mxout=script(SKIP))
    site.policy.wait_log(rf"queue={queue_id} .*longer than agent.most_hold_minutes: released")
    site.wait_state(queue_id, "active")


def test_damaged_record_of_a_held_message(site):
    """It stays held, but not for ever."""
    site.start(SKIP)
    queue_id = site.send()
    site.wait_state(queue_id, "hold")
    record = site.queue.records / queue_id
    record.write_text(record.read_text()[:40])
    site.policy.start(None, *site.settings, mxout=script(""))
    site.policy.wait_log(f"queue={queue_id} .*is damaged: .*; at once: sendmail -qQ -Q -qI{queue_id}")
    assert site.queue.state(site.server, queue_id) == "hold"
    os.utime(record, (time.time() - 4321 * 60,) * 2)
    site.policy.wait_log(f"queue={queue_id} .*is damaged: .*most_hold_minutes and is released")
    site.wait_state(queue_id, "active")


def test_held_by_relayout(site):
    """What every sender skips is released when one does not: which relay it takes is Sendmail's."""
    skips = "function CheckFile(name, what) what.SkipSend = true return what end"
    config = relays.configuration()
    site.milter.start(None, *site.settings, config=config, relayout=skips)
    site.queue.start()
    site.policy.start(None, *site.settings, config=config, relayout=skips)
    queue_id = site.send()
    site.wait_state(queue_id, "hold")
    site.policy.wait_log(f"queue={queue_id} sender 1 .* skips the message")
    site.policy.script("relayout.lua", "function CheckFile() end")
    site.policy.reload()
    site.wait_state(queue_id, "active")
    site.server.flush()
    assert site.server.wait_delivery(recipient=BOB).header("X-Mailhooks-Requeue") == []
