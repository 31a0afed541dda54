"""The queue agent on a real Postfix: mailhooks-policy asks CheckFile() about messages in the queue,
mailhooks-queue does what it says."""

import pathlib
import re
import shutil
import socket
import stat
import subprocess
import time

import pytest

from rig import machine, milter as milter_module, queue

BOB, HOST = "bob@one.test", "127.0.0.21"
ASKED = 'print(what.Priority, tries, "<" .. last .. ">", from, table.concat(to, " "), data.Subject)\n'
SKIP = 'what.SkipSend = true what.Reason = "not now"'
HANGS = "if data.Subject == 'hang' then while true do end end\n"
SHORT = ("lua.hook_ms=300", "lua.instructions=1000000000000", "lua.on_error=tempfail")


def script(body):
    return ("function CheckFile(file, what, size, created, tries, last, from, to, data, lines)\n"
            f"{ASKED}{body}\nreturn what end\n")


class Site:
    """A Postfix, the filter, mailhooks-policy and mailhooks-queue with one directory of records."""

    def __init__(self, make_postfix, milter, policy):
        self.milter, self.policy = milter, policy
        self.server = make_postfix(parameters={"minimal_backoff_time": "300s",
                                               "enable_long_queue_ids": "yes"})
        self.queue = queue.Queue("postfix", "/usr/sbin", self.server.etc)
        self.settings = (*self.queue.settings, f"store=sqlite:{policy.directory}/store.db")

    def replace_commands(self):
        """An empty directory for the commands of mailhooks-queue."""
        commands = self.queue.directory / "commands"
        commands.mkdir()
        self.queue.settings = (*self.queue.settings, f"agent.commands={commands}")
        return commands

    def start(self, at_submission, later=None, *options, log=False):
        self.milter.start(None, *self.settings, mxout=script(at_submission))
        self.queue.start()
        if later is not None:
            self.start_policy(later, *options, log=log)

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
        return self.queue.state(self.server, queue_id)

    def wait_state(self, queue_id, wanted):
        self.queue.wait_state(self.server, queue_id, wanted)

    def wait_asked(self, times):
        machine.wait_until(lambda: len(self.policy.out().splitlines()) >= times, 15,
                           f"{times} questions")


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


@pytest.mark.parametrize("mixed", [True, False])
def test_recipients_here(site, sink, mixed):
    """A message is held as a whole, and that is said; or it is sent first, and held when a try has
    failed."""
    here = f"user1@{site.server.hostname}"
    site.milter.start(None, *site.settings, f"agent.hold_mixed={str(mixed).lower()}",
                      mxout=script(SKIP))
    sink.answer("RCPT", "450 4.2.1 later", contains="bob@")
    reply = site.server.send("ann@sender.test", [BOB, here], "Subject: hi\n\nhello\n")
    assert reply.ok
    queue_id = reply.text.split()[-1]
    site.server.settle()
    assert "ann@sender.test\tbob@one.test\thi" in site.milter.out()   # asked about Bob alone
    site.queue.start()
    if mixed:
        site.milter.wait_log("held for 1 recipients on this machine, too")
        assert site.state(queue_id) == "hold" and site.server.deliveries() == []
        sink.forgive()
        site.start_policy("")
        site.server.wait_delivery(recipient=BOB)
    else:
        site.milter.wait_log("not held, although CheckFile said so: 1 recipients on this machine")
        assert site.state(queue_id) == "deferred"
        site.start_policy(SKIP, log=True)
        site.wait_state(queue_id, "hold")
    site.server.wait_delivery(recipient=here)


def test_messages_that_the_script_hangs_about(site):
    """R18: others do not wait for them: they are asked about last, three in a pass."""
    site.milter.start(None, *site.settings, mxout=script(SKIP))
    site.queue.start()
    for n in range(6):
        site.send("hang", settle=n == 5)
    site.start_policy("while data.Subject == 'hang' do end", *SHORT)
    site.policy.wait_log("no answer in their time .* 3 others are asked about in the next pass")
    machine.wait_until(lambda: site.policy.out().count("hang") >= 9, 15, "two passes")
    queue_id = site.send("well")
    asked = site.policy.out().count("hang")
    site.server.wait_delivery(recipient=BOB)
    before = site.policy.out().partition("well")[0].count("hang")
    assert before - asked <= 3   # what was left of the pass that went on
    site.policy.wait_log(f"queue={queue_id} queue agent: released")
    site.change("")
    site.server.wait_deliveries(7, recipient=BOB)


def test_asked_once_in_a_pass(site):
    """However long the others take: a script is asked in intervals."""
    site.milter.start(None, *site.settings, mxout=script(SKIP))
    site.queue.start()
    site.send("well", settle=False)
    for n in range(7):
        site.send("hang", 1000, settle=n == 6)
    site.start_policy(HANGS + SKIP, "agent.smallest_first=true", *SHORT)
    site.wait_asked(9)
    asked = [line.split("\t")[-1] for line in site.policy.out().splitlines()]
    assert asked[:9] == ["well"] + ["hang"] * 7 + ["well"]
    site.change("")
    site.server.wait_deliveries(8, recipient=BOB)


def test_limit_of_a_hold_behind_late_answers(site):
    """What needs no script does not wait for one."""
    site.milter.start(None, *site.settings, mxout=script(SKIP))
    site.queue.start()
    ids = [site.send("hang", 1000 * n, settle=n == 4) for n in range(5)]
    site.queue.edit_record(ids[-1], "held", lambda ms: ms - 121 * 60000)
    site.start_policy(HANGS + SKIP, "agent.most_hold_minutes=120",
                      "agent.smallest_first=true", *SHORT)
    site.policy.wait_log(rf"queue={ids[-1]} .*longer than agent.most_hold_minutes: released")
    before = site.policy.log().partition("longer than agent.most_hold_minutes")[0]
    assert "CheckFile" not in before, before
    site.policy.wait_log(rf"queue={ids[-1]} queue agent: released")
    before = site.policy.log().partition(f"queue={ids[-1]} queue agent: released,")[0]
    assert sum(f"queue={i} " in before for i in ids[:4]) == 3
    site.change("")
    site.server.wait_deliveries(5, recipient=BOB)


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
    return [ids[i] for i in site.queue.done("H") if i in ids]


def test_order_of_release(site, sink):
    """By Priority, then by age or size."""
    site.queue.start()
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


def test_hold_that_fails(site, sink):
    """Asked again in the next pass, although there was no other try."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST)
    commands = site.replace_commands()
    (commands / "postsuper").write_text(f"#!/bin/sh\n[ -e {commands}/works ] || exit 1\n"
                                        'exec /usr/sbin/postsuper "$@"\n')
    (commands / "postsuper").chmod(0o755)
    (commands / "postqueue").symlink_to("/usr/sbin/postqueue")
    site.start("", SKIP, log=True)
    queue_id = site.send(settle=False)
    site.queue.wait_log(f"request 'h{queue_id}' not done")
    assert site.state(queue_id) == "deferred"
    (commands / "works").touch()
    site.wait_state(queue_id, "hold")
    asked = [line.split("\t") for line in site.policy.out().splitlines()]
    assert {a[1] for a in asked} == {"1"} and len(asked) >= 2
    assert "\nheld_before 1\n0\n" in (site.queue.records / queue_id).read_text()


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
    site.queue.start()
    site.server.wait_delivery(recipient=BOB)
    site.policy.wait_log("mailhooks-queue answers again")


def test_limit_of_a_hold(site):
    """A message is never stuck: older holds than agent.most_hold_minutes end."""
    site.start(SKIP)
    queue_id = site.send()
    site.queue.edit_record(queue_id, "held", lambda ms: ms - 121 * 60000)
    site.start_policy(SKIP, "agent.most_hold_minutes=120")
    site.server.wait_delivery(recipient=BOB)
    site.policy.wait_log(rf"queue={queue_id} .*longer than agent.most_hold_minutes: released")


def test_limit_of_all_holds(site, sink):
    """What grows old is the message, so its holds count together: after the limit it is not held
    again."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST, times=1)
    site.start(SKIP)
    queue_id = site.send()
    site.queue.edit_record(queue_id, "held_before", lambda ms: 121 * 60000)
    site.start_policy(SKIP, "agent.most_hold_minutes=120", log=True)
    site.policy.wait_log(rf"queue={queue_id} .*longer than agent.most_hold_minutes: released")
    site.policy.wait_log(rf"queue={queue_id} .*not held again")
    site.wait_state(queue_id, "deferred")
    site.server.flush()
    site.server.wait_delivery(recipient=BOB)


@pytest.mark.parametrize("lifetime, end", [("1s", "expired"), ("1h", "deferred")])
def test_age_after_a_long_hold(site, sink, lifetime, end):
    """Postfix counts the age from the arrival. Released after more than its lifetime a message has
    one try, and none after that; released before, it waits for the next one as ever."""
    site.server.set_parameters({"maximal_queue_lifetime": lifetime, "bounce_queue_lifetime": lifetime})
    site.server.reload()
    sink.answer("RCPT", "450 4.2.1 later", host=HOST)
    site.start(SKIP)
    site.queue.wait_log("warn: agent.most_hold_minutes = 4320, and Postfix returns mail after")
    queue_id = site.send()
    arrived = (site.server.top / "spool/hold" / queue_id).stat().st_mtime
    machine.wait_until(lambda: time.time() > arrived + 2, 10, "two seconds of age")
    site.start_policy("")
    site.server.wait_log(rf"{queue_id}: to=<{BOB}>, .*status=deferred \(.*450 4.2.1 later")
    if end == "expired":
        site.server.wait_log(rf"{queue_id}: from=<ann@sender.test>, status=expired")
    site.wait_state(queue_id, None if end == "expired" else "deferred")
    assert len(re.findall(rf"{queue_id}: to=<{BOB}>, .*450 4.2.1 later", site.server.log())) == 1


def test_holds_of_others(site, sink):
    """Held by the administrator, known to us or not, or not the message of the record: untouched."""
    sink.answer("RCPT", "450 4.2.1 later", host=HOST, times=1)
    site.start("if data.Subject == 'mine' or data.Subject == 'other' then " + SKIP + " end")
    known = site.send("known")
    machine.run("postsuper", "-c", site.server.etc, "-h", known, env=site.server.env)
    other = site.send("other")
    site.queue.edit_record(other, "noted", lambda ms: ms - 3600000)
    stranger = site.send("other")
    (site.queue.records / stranger).unlink()
    mine = site.send("mine")
    site.start_policy("")
    site.wait_state(mine, None)
    site.policy.wait_log(f"queue={mine} queue agent: released")
    site.wait_asked(1)
    site.policy.wait_log(rf"queue={other} queue agent: this is another message")
    assert [site.state(i) for i in (known, other, stranger)] == ["hold"] * 3
    assert site.policy.out().count("\n") == 1
    assert site.queue.done() == [mine, mine]


def test_after_a_long_dialogue(site):
    """The queue has the time of MAIL, the record that of the end of the message: hours may be
    between them."""
    site.start(SKIP)
    queue_id = site.send()
    site.queue.edit_record(queue_id, "noted", lambda ms: ms + 2 * 3600000)
    site.start_policy("")
    site.server.wait_delivery(recipient=BOB)
    assert "another message" not in site.policy.log()


def test_list_that_is_not_whole(site):
    """What is held must not be forgotten, or nobody would release it."""
    commands = site.replace_commands()
    (commands / "postqueue").write_text(f"#!/bin/sh\necho >> {commands}/lists\n"
                                        f"[ ! -e {commands}/whole ] || exec /usr/sbin/postqueue \"$@\"\n")
    (commands / "postqueue").chmod(0o755)
    (commands / "postsuper").symlink_to("/usr/sbin/postsuper")
    (commands / "whole").touch()
    site.start(SKIP, SKIP)
    queue_id = site.send()
    site.wait_asked(1)
    (commands / "whole").unlink()
    site.queue.edit_record(queue_id, "noted", lambda ms: ms - 600000)
    (commands / "lists").write_text("")
    machine.wait_until(lambda: (commands / "lists").read_text().count("\n") > 4, 20, "some lists")
    (commands / "whole").touch()
    site.change("")
    site.server.wait_delivery(recipient=BOB)


def test_stopped_while_the_queue_is_listed(site):
    """A list may take minutes; neither daemon waits for it when it is told to stop."""
    commands = site.replace_commands()
    (commands / "postqueue").write_text(f"#!/bin/sh\necho >> {commands}/begun\nexec sleep 600\n")
    (commands / "postqueue").chmod(0o755)
    site.start(SKIP)
    site.send()

    def begun(times):
        file = commands / "begun"
        machine.wait_until(lambda: file.exists() and file.read_text().count("\n") == times, 15,
                           "a list")
    site.start_policy("")
    begun(1)
    assert site.policy.stop() == 0
    site.queue.wait_log("request 'l' not done: .*ended by us")
    assert "held messages wait" not in site.policy.log()
    site.start_policy("")
    begun(2)
    assert site.queue.stop() == 0
    site.policy.wait_log("queue agent: .*ended by us; held messages wait until it answers")


def test_places_of_others(site):
    """Not where the user of the service, who runs scripts, could put a socket or commands."""
    directory = machine.new_directory("others")
    shutil.chown(directory, milter_module.USER)
    for setting in (f"agent.socket={directory}/queue.sock", f"agent.commands={directory}"):
        done = subprocess.run([queue.BINARY, "-c", site.queue.config, "-f",
                               *[word for s in (*site.queue.settings, setting) for word in ("-o", s)]],
                              stderr=subprocess.PIPE, text=True, timeout=20)
        assert done.returncode == 78 and f"others than root can change {directory}," in done.stderr


def test_second_helper(site):
    """Status 75: systemd tries again, since the first one may go; it is not disturbed."""
    site.queue.start()
    done = subprocess.run([queue.BINARY, "-c", site.queue.config, "-f",
                           *[word for s in site.queue.settings for word in ("-o", s)]],
                          stderr=subprocess.PIPE, text=True, timeout=20)
    assert done.returncode == 75 and "Address already in use" in done.stderr
    assert ask(site.queue.socket, b"l")[-1:] == b"0"


def test_what_the_helper_does_not_do(site):
    """A few commands for a checked id, for one user."""
    site.start(SKIP)
    queue_id = site.send()
    path = site.queue.socket
    assert stat.S_IMODE(path.stat().st_mode) == 0o600 and path.owner() == milter_module.USER
    for request in (b"d" + queue_id.encode(), b"HALL-", b"H", b"H-", b"H" + b"A" * 60, b"l;id",
                    b"hALL deferred", b"H../" + queue_id.encode(), b"q" + queue_id.encode(),
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
