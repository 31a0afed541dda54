"""The processes of mailhooks-milter: drain, death and hang of a worker and what each MTA makes of
it (R18), sockets and locks (R4), privileges."""

import grp
import os
import pathlib
import pwd
import re
import signal
import socket
import stat
import subprocess
import time

import pytest

from rig import daemon, machine, milter as milter_module, smtp
from test_hooks_session import said

SENDER, BOB = "ann@sender.test", "bob@one.test"
MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: {}\n\nhello\n"
REFUSE = 'function DoMAILFROM(data, from) if from:find("^no") then return "550 5.7.1 script" end end\n'
WATCH = REFUSE + "function ProcessMessage() end\n"


def refused(mta):
    with mta.client() as c:
        return said(c.mail("no@sender.test"))


def sender_code(mta):
    with mta.client() as c:
        return c.mail(SENDER).code


def uid(name):
    return pwd.getpwnam(name).pw_uid


def status_of(pid):
    """/proc/PID/status as a dictionary."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def run_daemon(milter, *options, argv=()):
    """Runs the program to its end; the exit status and what it said."""
    done = subprocess.run([*argv, milter_module.BINARY, "-f", *milter.options(options)],
                          capture_output=True, timeout=20, check=False,
                          env={**os.environ, **milter.environment()})
    return done.returncode, done.stderr.decode()


# stopping

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_sessions_are_closed(mta, milter, number):
    """They do not keep the program; the MTA then does what it does without a filter."""
    milter.start(WATCH)
    with mta.client() as fresh, mta.client() as used:
        assert used.send(SENDER, BOB, MESSAGE.format("x")).code == 250
        start = time.monotonic()
        milter.signal(number)
        assert milter.wait_exit(5) == 0
        assert time.monotonic() - start < 3
        for c in (fresh, used):
            assert c.mail("no@sender.test").code == 451
    assert "2 idle sessions closed" in milter.log()


def test_second_signal_does_not_cut_a_message(mta, milter):
    """Nor does a new session get in."""
    milter.start(WATCH)
    with mta.client() as c:
        assert c.envelope(SENDER, BOB).code == 250
        assert c.command("DATA").code == 354
        for _ in range(3):
            milter.signal(signal.SIGTERM)
            milter.wait_log("finishing what is in progress")
            machine.wait_until(lambda: sender_code(mta) == 451, 5, "new sessions without the filter")
        c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE.format("x"))))
        assert c.reply().code == 250
    assert milter.wait_exit() == 0
    assert mta.wait_delivery().recipients == [BOB]


def test_drain_has_an_end(mta, milter):
    milter.start(WATCH, "milter.drain_seconds=1")
    with mta.client() as c:
        assert c.envelope(SENDER, BOB).code == 250
        assert c.command("DATA").code == 354
        start = time.monotonic()
        assert milter.stop() == 0
        assert 0.9 < time.monotonic() - start < 4
        c.send_raw(smtp.dot_stuff(smtp.crlf(MESSAGE.format("x"))))
        assert c.reply().code == 451
    assert "1 messages still in progress" in milter.log()


def test_sessions_during_many_stops(mta, milter):
    """A stop and start at any moment: a message is delivered with 250, refused for now with 451,
    never lost and never doubled."""
    accepted = []

    def send(n):
        end = time.monotonic() + 6
        count = 0
        while time.monotonic() < end:
            recipient = f"r{n}.{count}@one.test"
            count += 1
            reply = mta.send(SENDER, recipient, MESSAGE.format("x"))
            assert reply.code in (250, 451), reply
            if reply.code == 250:
                accepted.append(recipient)

    def restart():
        end = time.monotonic() + 5.5
        milter.start(WATCH)
        count = 0
        while time.monotonic() < end:
            assert milter.stop() == 0
            milter.start(WATCH)
            count += 1
        return count
    stops = machine.in_parallel(5, lambda n: restart() if n == 4 else send(n))[4]
    assert stops > 3 and accepted
    mta.settle(60)
    mta.flush()
    mta.wait_deliveries(len(accepted), timeout=60)
    assert sorted(r for d in mta.deliveries() for r in d.recipients) == sorted(accepted)


# R18: a filter that is dead or hangs

@pytest.fixture
def servers(make_postfix, make_sendmail):
    """Each MTA in the two ways to treat a filter that is away: (server, does it accept)."""
    quick = {"milter_connect_timeout": "2s", "milter_command_timeout": "2s", "milter_content_timeout": "2s"}
    filter_ = f"INPUT_MAIL_FILTER(`mailhooks', `S=unix:{milter_module.socket_path()}, {{}}T=C:2s;S:2s;R:2s;E:2s')dnl"
    return [
        (make_postfix(parameters={**quick, "milter_default_action": "tempfail"}), False),
        (make_postfix(parameters={**quick, "milter_default_action": "accept"}), True),
        (make_sendmail(milter=None, extra=filter_.format("F=T, ")), False),
        (make_sendmail(milter=None, extra=filter_.format("")), True),
    ]


def check_without_filter(mta, accepts, number):
    """A new session while the filter is away."""
    reply = mta.send("no@sender.test", f"away{number}@one.test", MESSAGE.format("away"))
    assert reply.code == (250 if accepts else 451), (mta.name, accepts, reply)
    if accepts:
        mta.wait_delivery(recipient=f"away{number}@one.test")


def test_dead_worker(servers, milter):
    """R18: kill -9 of the worker, within a message, between messages and before a session; then
    the next worker decides again."""
    milter.worker_may_die = True
    milter.start(WATCH)
    within = [mta.client() for mta, _ in servers]
    between = [mta.client() for mta, _ in servers]
    for c in within:
        assert c.envelope(SENDER, "within@one.test").code == 250
    milter.drain_notify()
    os.kill(milter.children()[0], signal.SIGKILL)
    machine.wait_until(lambda: milter.children() == [], 5, "the end of the worker")
    for number, (mta, accepts) in enumerate(servers):
        reply = within[number].data(smtp.crlf(MESSAGE.format("within")))
        assert reply.code == (250 if accepts else 451), (mta.name, accepts, reply)
        reply = between[number].mail("no@sender.test")
        assert reply.code == (250 if accepts else 451), (mta.name, accepts, reply)
    milter.wait_log(r"worker \d+ for unix:.* was killed by signal 9")
    milter.wait_ready(10)
    for mta, _ in servers:
        assert refused(mta) == ["script"]
    milter.kill()   # all of it: nobody starts another
    for number, (mta, accepts) in enumerate(servers):
        check_without_filter(mta, accepts, number)
    milter.start(WATCH)
    for mta, _ in servers:
        assert refused(mta) == ["script"]


def test_hanging_worker(servers, milter):
    """R18: a worker that does nothing at all costs each MTA its own timeout, then as above."""
    milter.start(WATCH)
    within = [mta.client() for mta, _ in servers]
    for c in within:
        assert c.envelope(SENDER, "within@one.test").code == 250
    os.kill(milter.children()[0], signal.SIGSTOP)
    try:
        def use(number):
            mta, accepts = servers[number]
            reply = within[number].data(smtp.crlf(MESSAGE.format("within")))
            assert reply.code == (250 if accepts else 451), (mta.name, accepts, reply)
            check_without_filter(mta, accepts, number)
        start = time.monotonic()
        machine.in_parallel(len(servers), use)
        assert time.monotonic() - start < 15
    finally:
        os.kill(milter.children()[0], signal.SIGCONT)
    for mta, _ in servers:
        assert refused(mta) == ["script"]


def test_watchdog(milter):
    """systemd hears of us while all workers answer, and not when one hangs."""
    milter.script("smtpsvr.lua", WATCH)
    milter.launch(milter_module.BINARY, "-f", *milter.options(), env={"WATCHDOG_USEC": "1000000"})
    machine.wait_until(lambda: "WATCHDOG=1" in milter.drain_notify(), 5, "a sign of life")
    worker = milter.children()[0]
    os.kill(worker, signal.SIGSTOP)
    try:
        time.sleep(1.5)   # the last answer before the stop is valid for one second
        milter.drain_notify()
        time.sleep(1)
        assert "WATCHDOG=1" not in milter.drain_notify()
    finally:
        os.kill(worker, signal.SIGCONT)
    machine.wait_until(lambda: "WATCHDOG=1" in milter.drain_notify(), 5, "a sign of life")


def test_crash_loop_slows_down(milter):
    """Each death doubles the pause before the next start."""
    milter.worker_may_die = True
    milter.start(WATCH)
    pauses = []
    for _ in range(2):
        milter.drain_notify()
        os.kill(milter.children()[0], signal.SIGKILL)
        start = time.monotonic()
        milter.wait_ready(10)
        pauses.append(time.monotonic() - start)
    assert 0.9 < pauses[0] < pauses[1] and 1.9 < pauses[1] < 4, pauses


def test_dead_parent(mta, milter):
    """Without its parent a worker finishes what is in progress and goes; a new start works."""
    milter.start(WATCH)
    worker = milter.children()[0]
    with mta.client() as c:
        assert c.envelope(SENDER, BOB).code == 250
        os.kill(milter.pid, signal.SIGKILL)
        assert milter.wait_exit() == -signal.SIGKILL
        assert c.data(smtp.crlf(MESSAGE.format("x"))).code == 250
    machine.wait_until(lambda: not os.path.exists(f"/proc/{worker}"), 5, "the end of the worker")
    milter.start(WATCH)
    assert refused(mta) == ["script"]
    assert mta.wait_delivery().recipients == [BOB]


def test_two_addresses_two_workers(mta, milter):
    """The death of one worker is not noticed at the other address; a reload reaches both."""
    milter.worker_may_die = True
    milter.start(REFUSE, "milter.listen=inet:2599@127.0.0.1")
    first, second = milter.children()
    serving = {}
    for pid in (first, second):
        sockets = subprocess.run(["ss", "-lnp"], capture_output=True, check=True).stdout.decode()
        serving[pid] = "inet" if re.search(rf"127\.0\.0\.1:2599 .*pid={pid},", sockets) else "unix"
    assert sorted(serving.values()) == ["inet", "unix"]
    (other,) = [pid for pid, kind in serving.items() if kind == "inet"]
    milter.drain_notify()
    os.kill(other, signal.SIGKILL)
    for _ in range(5):
        assert refused(mta) == ["script"]
    milter.wait_ready(10)
    milter.script("smtpsvr.lua", REFUSE.replace("script", "new"))
    milter.reload()
    machine.wait_until(lambda: milter.log().count("reloaded: generation") == 2, 5, "both reloads")
    assert refused(mta) == ["new"]


# sockets and locks (R4)

@pytest.mark.parametrize("options,owner,group,mode", [
    (["milter.socket_mode=0660"], "mailhooks", "mailhooks", 0o660),
    (["milter.socket_mode=0600", "milter.socket_owner=postfix"], "postfix", "mailhooks", 0o600),
    (["milter.socket_mode=0640", "milter.socket_group=postfix"], "mailhooks", "postfix", 0o640)])
def test_owner_and_mode_of_the_socket(milter, options, owner, group, mode):
    """R4: as configured."""
    milter.start(WATCH, *options)
    st = milter.socket.stat()
    assert stat.S_ISSOCK(st.st_mode)
    assert (st.st_uid, st.st_gid, stat.S_IMODE(st.st_mode)) == (uid(owner), grp.getgrnam(group).gr_gid, mode)


@pytest.mark.parametrize("option,word", [
    ("milter.socket_owner=nobody_here", "nobody_here"), ("milter.socket_group=nobody_here", "nobody_here"),
    ("user=nobody_here", "nobody_here"), ("group=nobody_here", "nobody_here"),
    ("milter.listen=unix:/proc/no/where.sock", "/proc/no"), ("state_dir=/dev/null", "/dev/null"),
    ("milter.listen=inet:2599@10.1.2.3", "10.1.2.3")])
def test_refused_start(milter, option, word):
    """Nothing is started with other rights or in another place than asked for."""
    milter.script("smtpsvr.lua", WATCH)
    status, text = run_daemon(milter, option)
    assert status not in (0, daemon.SANITIZER_EXIT) and word in text, (status, text)


def test_stale_socket_does_not_matter(mta, milter):
    milter.start(WATCH)
    (worker,) = milter.children()
    milter.kill()
    machine.wait_until(lambda: not os.path.exists(f"/proc/{worker}"), 5, "the end of the worker")
    assert milter.socket.exists()
    milter.start(WATCH)
    assert refused(mta) == ["script"]
    milter.stop()
    milter.socket.unlink(missing_ok=True)
    milter.start(WATCH)
    assert refused(mta) == ["script"]


def test_socket_of_another_program(milter):
    """A live socket is not taken over, a file is not removed."""
    milter.script("smtpsvr.lua", WATCH)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        milter.socket.unlink(missing_ok=True)
        other.bind(str(milter.socket))
        other.listen()
        status, text = run_daemon(milter)
        assert status not in (0, daemon.SANITIZER_EXIT) and "another program listens" in text
        assert machine.accepts(milter.socket)
    milter.socket.unlink()
    milter.socket.write_text("precious")
    status, text = run_daemon(milter)
    assert status not in (0, daemon.SANITIZER_EXIT) and str(milter.socket) in text
    assert milter.socket.read_text() == "precious"
    milter.socket.unlink()


def test_lock(milter):
    """R4: the lock is beside the socket, names its holder, and a link there leads nowhere."""
    lock = pathlib.Path(f"{milter.socket}.lock")
    milter.start(WATCH)
    assert lock.read_text() == f"{milter.pid}\n"
    status, text = run_daemon(milter)
    assert status == 75 and f"process {milter.pid}" in text
    milter.stop()
    precious = milter.directory / "precious"
    precious.write_text("precious")
    lock.unlink()
    lock.symlink_to(precious)
    status, text = run_daemon(milter)
    assert status not in (0, daemon.SANITIZER_EXIT) and str(lock) in text
    assert precious.read_text() == "precious"
    lock.unlink()


# privileges

SNOOP = REFUSE + '''
for _, file in ipairs { "/etc/shadow", "/root/.profile", "/proc/1/environ" } do
    local f, why = io.open(file)
    print("SNOOP", file, f, why)
end
'''


def test_privileges_are_dropped(mta, milter):
    """Scripts, also in their dry run, have the rights of the configured user; there is no way back."""
    milter.start(SNOOP)
    assert refused(mta) == ["script"]
    (worker,) = milter.children()
    account = pwd.getpwnam("mailhooks")
    status = status_of(worker)
    assert status["Uid"].split() == 4 * [str(account.pw_uid)]
    assert status["Gid"].split() == 4 * [str(account.pw_gid)]
    assert status["Groups"].split() == [str(account.pw_gid)]
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    snooped = [line for line in milter.out().splitlines() if line.startswith("SNOOP")]
    assert len(snooped) >= 6 and all(line.split("\t")[2] == "nil" for line in snooped)
    for name in ("LUA.OUT", "scripts.milter"):
        assert (milter.directory / name).stat().st_uid == account.pw_uid


def test_unprivileged_start(mta, milter):
    """Started by an ordinary user it works as that user, without any change."""
    milter.script("smtpsvr.lua", SNOOP)
    pathlib.Path(f"{milter.socket}.lock").unlink(missing_ok=True)   # of an earlier start as root
    machine.run("chown", "-R", "mailhooks:", milter.directory)
    milter.launch("setpriv", "--reuid", "mailhooks", "--regid", "mailhooks", "--clear-groups",
                  milter_module.BINARY, "-f", *milter.options(["user=root", "group=root"]))
    assert refused(mta) == ["script"]
    for pid in (milter.pid, *milter.children()):
        assert status_of(pid)["Uid"].split() == 4 * [str(uid("mailhooks"))]
    milter.script("smtpsvr.lua", REFUSE.replace("script", "new"))
    milter.reload()
    assert refused(mta) == ["new"]


# in the background

def test_background(mta, milter, syslog):
    """Without -f the first process ends when the daemon is ready, with 0, or with the reason."""
    milter.script("smtpsvr.lua", "function broken(")
    options = milter.options()
    argv = [milter_module.BINARY, *options]
    env = {**os.environ, **milter.environment()}
    broken = subprocess.run(argv, env=env, timeout=20, check=False, cwd=milter.directory)
    assert broken.returncode == 78
    assert "smtpsvr.lua:1:" in syslog.text("mailhooks-milter")
    milter.script("smtpsvr.lua", WATCH)
    assert subprocess.run(argv, env=env, timeout=20, check=False, cwd=milter.directory).returncode == 0
    pid = int(re.findall(r"READY=1\n.*\nMAINPID=(\d+)", milter.drain_notify())[-1])
    assert refused(mta) == ["script"]
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert all(os.readlink(f"/proc/{pid}/fd/{n}") == "/dev/null" for n in (0, 1, 2))
    assert os.getsid(pid) not in (os.getsid(0), 0)
    os.kill(pid, signal.SIGTERM)
    machine.wait_until(lambda: not os.path.exists(f"/proc/{pid}") or status_of(pid)["State"].startswith("Z"),
                       5, "the end of the daemon")
    assert "idle sessions closed" in syslog.text("mailhooks-milter")


def test_reopened_files(mta, milter):
    """SIGUSR1 after a rotation: LUA.OUT and LUAERRORS.LOG begin anew."""
    milter.start('function DoMAILFROM() print("line") error("failed") end')
    mta.send(SENDER, BOB, MESSAGE.format("x"))
    for name in ("LUA.OUT", "LUAERRORS.LOG"):
        (milter.directory / name).rename(milter.directory / (name + ".1"))
    milter.signal(signal.SIGUSR1)
    machine.wait_until(lambda: (milter.directory / "LUA.OUT").exists(), 5, "the new LUA.OUT")
    mta.send(SENDER, BOB, MESSAGE.format("x"))
    assert milter.out() == milter.text("LUA.OUT.1") == "line\n"
    assert milter.errors().count("failed") == milter.text("LUAERRORS.LOG.1").count("failed") == 1
