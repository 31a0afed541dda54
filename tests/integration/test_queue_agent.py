"""The queue agent on a real Postfix: mailhooks-policy asks CheckFile() about messages in the queue,
mailhooks-queue does what it says."""

import pathlib
import re
import shutil
import socket
import stat

import pytest

from rig import daemon, machine, milter as milter_module

BINARY = machine.BUILD / "policy/mailhooks-queue"
BOB, HOST = "bob@one.test", "127.0.0.21"
ASKED = 'print(what.Priority, tries, "<" .. last .. ">", from, table.concat(to, " "), data.Subject)\n'
SKIP = 'what.SkipSend = true what.Reason = "not now"'


def script(body):
    return ("function CheckFile(file, what, size, created, tries, last, from, to, data, lines)\n"
            f"{ASKED}{body}\nreturn what end\n")


class Site:
    """A Postfix, the filter, mailhooks-policy and mailhooks-queue with one directory of records."""

    def __init__(self, make_postfix, milter, policy):
        self.milter, self.policy = milter, policy
        self.server = make_postfix(parameters={"minimal_backoff_time": "300s",
                                               "enable_long_queue_ids": "yes"})
        self.queue = daemon.Daemon("queue")
        self.records = machine.new_directory("agent") / "records"
        shutil.chown(self.records.parent, milter_module.USER)
        self.settings = ("agent.mta=postfix", f"agent.directory={self.records}",
                         f"agent.socket={self.queue.directory}/queue.sock",
                         f"agent.config_directory={self.server.etc}", "agent.interval_seconds=1",
                         f"store=sqlite:{policy.directory}/store.db")

    def start(self, at_submission, later=None, *options, log=False):
        self.milter.start(None, *self.settings, mxout=script(at_submission))
        self.start_queue()
        if later is not None:
            self.start_policy(later, *options, log=log)

    def start_queue(self):
        self.policy.config.touch()
        unit = (machine.TOP / "contrib/mailhooks-queue.service").read_text()
        rights = re.search("^CapabilityBoundingSet=(.*)", unit, re.M)[1].lower()
        self.queue.launch("setpriv", "--no-new-privs", "--bounding-set",   # as in its unit
                          "-all," + ",".join("+" + r.removeprefix("cap_") for r in rights.split()),
                          BINARY, "-c", self.policy.config, "-f",
                          *[word for s in self.settings for word in ("-o", s)])

    def start_policy(self, body, *options, log=False):
        # as root: Postfix lets nobody else read its maillog_file
        more = (f"maillog.source=file:{self.server.maillog}", "user=", "group=") if log else ()
        self.policy.start(None, *self.settings, *more, *options, mxout=script(body))

    def change(self, body):
        self.policy.script("mxout.lua", script(body))
        self.policy.reload()

    def send(self, subject="hi", size=0, settle=True):
        """Returns the queue id."""
        reply = self.server.send("ann@sender.test", BOB,
                                 f"From: ann@sender.test\nSubject: {subject}\n\n" + "x" * size + "\n")
        assert reply.ok
        if settle:
            self.server.settle()
        return reply.text.split()[-1]

    def state(self, queue_id):
        return dict((i, name) for name, i in self.server.queue()).get(queue_id)

    def wait_state(self, queue_id, wanted):
        machine.wait_until(lambda: self.state(queue_id) == wanted, 15, f"{queue_id} {wanted}")

    def wait_asked(self, times):
        machine.wait_until(lambda: len(self.policy.out().splitlines()) >= times, 15,
                           f"{times} questions")

    def edit_record(self, queue_id, name, change):
        """Changes a number in a record."""
        file = self.records / queue_id
        value = int(re.search(rf"^{name} \d+\n(\d+)\n", file.read_text(), re.M)[1])
        new = str(change(value))
        file.write_text(re.sub(rf"^{name} \d+\n\d+\n", f"{name} {len(new)}\n{new}\n",
                               file.read_text(), flags=re.M))


@pytest.fixture
def site(make_postfix, milter, policy, sink):
    yield (s := Site(make_postfix, milter, policy))
    if wrong := s.queue.finish():
        pytest.fail("mailhooks-queue: " + "\n".join(wrong), pytrace=False)


def test_held_and_released_by_the_script(site):
    """Asked again at every interval; the service that runs scripts has no privileges."""
    site.start(SKIP, SKIP)
    queue_id = site.send()
    assert site.state(queue_id) == "hold"
    site.wait_asked(2)
    assert site.policy.out().splitlines()[0].split("\t") == [
        "50", "0", "<>", "ann@sender.test", BOB, "hi"]
    assert site.state(queue_id) == "hold" and site.server.deliveries() == []
    status = pathlib.Path(f"/proc/{site.policy.pid}/status").read_text()
    assert re.search(r"^Uid:\t(\d+)", status, re.M)[1] != "0"
    site.change("what.Reason = 'office is closed'")
    site.server.wait_delivery(recipient=BOB)
    site.policy.wait_log(f"queue={queue_id} queue agent: released, priority 50: office is closed")
    machine.wait_until(lambda: site.server.queue() == [], 10, "an empty queue")


def released_names(site, sizes, *options):
    """Messages of these sizes, held together and released in one pass: their names in that order."""
    site.milter.start(None, *site.settings, mxout=script(SKIP))
    ids = {site.send(name, size): name for name, size in sizes.items()}
    assert [site.state(i) for i in ids] == ["hold"] * len(ids)
    site.start_policy("what.Priority = ({low = 1, high = 100})[data.Subject] or 50", *options)
    site.server.wait_deliveries(len(ids), recipient=BOB)
    machine.wait_until(lambda: site.server.queue() == [], 10, "an empty queue")
    site.policy.stop()
    site.milter.stop()
    return [ids[i] for i in re.findall(r"done: 'H(\w+)'", site.queue.log()) if i in ids]


def test_order_of_release(site, sink):
    """By Priority, then by age or size."""
    site.start_queue()
    sizes = {"low": 10, "big": 9000, "small": 100, "high": 500}
    assert released_names(site, sizes, "agent.smallest_first=true") == ["high", "small", "big", "low"]
    names = released_names(site, {"first": 9000, "high": 10})
    assert names == ["high", "first"]


def test_last_try(site, sink):
    """ForceLastTry: one try, then forced expiration, which makes none, returns the message."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST)
    site.start(SKIP, "what.ForceLastTry = true")
    queue_id = site.send()
    site.policy.wait_log(f"queue={queue_id} queue agent: released for a last try")
    site.server.wait_log(rf"{queue_id}: from=<ann@sender.test>, status=(force-)?expired")
    assert len(re.findall(rf"{queue_id}: to=<{BOB}>, .*450 4.2.1 later", site.server.log())) == 1
    machine.wait_until(lambda: site.state(queue_id) is None, 10, "its end")


def test_deferred_messages(site, sink):
    """Asked again after a deferral, with the true number of tries: held, and released later; one
    that must not wait is tried again at once, although the schedule of Postfix says 300 s."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST, times=2)
    site.start("", "if data.Subject == 'wait' then " + SKIP + " else what.ForceRetry = true end",
               log=True)
    waits, urgent = site.send("wait", settle=False), site.send("urgent", settle=False)
    site.wait_state(waits, "hold")
    site.server.wait_delivery(recipient=BOB)
    site.wait_state(urgent, None)
    asked = [line.split("\t") for line in site.policy.out().splitlines()]
    assert all(a[1] == "1" and re.fullmatch(r"<\d{14}>", a[2]) for a in asked)
    site.change("")
    site.wait_state(waits, None)
    site.server.wait_deliveries(2)


def test_last_try_of_a_deferred_message(site, sink):
    sink.answer("RCPT", "450 4.2.1 later", host=HOST)
    site.start("", "what.ForceLastTry, what.ForceRetry = true, true", log=True)
    queue_id = site.send(settle=False)
    site.policy.wait_log("the next try is the last one")
    site.server.wait_log(rf"{queue_id}: from=<ann@sender.test>, status=(force-)?expired", 20)
    assert len(re.findall(rf"{queue_id}: to=<{BOB}>, .*450 4.2.1 later", site.server.log())) == 2


def test_killed_and_restarted(site):
    """Holds are kept on the disk: what was held before is released after."""
    site.start(SKIP, SKIP)
    queue_id = site.send()
    site.wait_asked(1)
    site.policy.kill()
    site.queue.kill()
    site.start_policy("")
    site.policy.wait_log("queue agent: mailhooks-queue at .*; held messages wait")
    assert site.state(queue_id) == "hold"
    site.start_queue()
    site.server.wait_delivery(recipient=BOB)
    site.policy.wait_log("mailhooks-queue answers again")


def test_limit_of_a_hold(site):
    """A message is never stuck: older holds than agent.most_hold_minutes end."""
    site.start(SKIP)
    queue_id = site.send()
    site.edit_record(queue_id, "held", lambda ms: ms - 121 * 60000)
    site.start_policy(SKIP, "agent.most_hold_minutes=120")
    site.server.wait_delivery(recipient=BOB)
    site.policy.wait_log(rf"queue={queue_id} .*longer than agent.most_hold_minutes: released")


def test_holds_of_others(site, sink):
    """Held by the administrator, known to us or not, or not the message of the record: untouched."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST, times=1)
    site.start("if data.Subject == 'mine' or data.Subject == 'other' then " + SKIP + " end")
    known = site.send("known")
    machine.run("postsuper", "-c", site.server.etc, "-h", known, env=site.server.env)
    other = site.send("other")
    site.edit_record(other, "noted", lambda ms: ms - 3600000)
    stranger = site.send("other")
    (site.records / stranger).unlink()
    mine = site.send("mine")
    site.start_policy("")
    site.wait_state(mine, None)
    site.wait_asked(1)
    site.policy.wait_log(rf"queue={other} queue agent: this is another message")
    assert [site.state(i) for i in (known, other, stranger)] == ["hold"] * 3
    assert site.policy.out().count("\n") == 1
    assert re.findall(r"done: '\w(\w+)'", site.queue.log()) == [mine, mine]


def test_what_the_helper_does_not_do(site):
    """Five commands for a checked id, for one user."""
    site.start(SKIP)
    queue_id = site.send()
    path = site.queue.directory / "queue.sock"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.owner() == milter_module.USER
    for request in (b"d" + queue_id.encode(), b"HALL-", b"H", b"H-", b"H" + b"A" * 60, b"l;id",
                    b"hALL deferred", b"H../" + queue_id.encode(), b"r" + queue_id.encode(),
                    b"H" + queue_id.encode() + b"\0", b"\0"):
        assert ask(path, request)[:1] == b"1", request
    assert site.state(queue_id) == "hold"
    assert queue_id.encode() in ask(path, b"l")
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as silent:   # harms nobody for long
        silent.connect(str(path))
        assert ask(path, b"H" + queue_id.encode()) == b"0"
    site.wait_state(queue_id, "deferred")


def ask(path, request):
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as s:
        s.settimeout(20)
        s.connect(str(path))
        s.send(request)
        answer = b""
        while part := s.recv(65536):
            answer += part
        return answer
