"""The life of mailhooks-policy and its clients, without an MTA: clients that break the protocol,
many clients, reload, stop, systemd's sockets."""

import os
import signal
import socket
import struct
import subprocess
import time

import pytest

from rig import daemon, machine, policy as policy_module

ECHO = "function Policy(request)\n    return 'WARN ' .. request.sender\nend\n"


def answering(text):
    return f"function Policy()\n    return 'WARN {text}'\nend\n"


def closed(connection):
    """Whether the service ends the connection, without an answer."""
    try:
        return connection.recv(1000) == b""
    except ConnectionError:
        return True


def test_requests_in_any_pieces(policy):
    policy.start(ECHO)
    with policy.connect() as s:
        for byte in policy_module.request(sender="slowly@one.test"):
            s.sendall(bytes([byte]))
        assert policy_module.read_action(s) == "WARN slowly@one.test"
        s.sendall(b"".join(policy_module.request(sender=str(i)) for i in range(50)))
        data = b""
        while data.count(b"\n\n") < 50:
            data += s.recv(65536)
        assert data == b"".join(b"action=WARN %d\n\n" % i for i in range(50))


def test_half_closed_client_gets_its_answer(policy):
    policy.start(ECHO)
    with policy.connect() as s:
        s.sendall(policy_module.request(sender="a") + policy_module.request(sender="b"))
        s.shutdown(socket.SHUT_WR)
        data = b""
        while part := s.recv(1000):
            data += part
        assert data == b"action=WARN a\n\naction=WARN b\n\n"


BROKEN = {
    "http": (False, b"GET / HTTP/1.0\r\n\r\n"), "empty": (False, b"\n"), "nul": (False, b"a=1\0\n\n"),
    "long line": (False, b"x" * 70000), "long request": (False, b"a=b\n" * 20000),
    "no name": (False, b"=\n\n"),
    "map http": (True, b"GET / HTTP/1.0\r\n\r\n"), "map length": (True, b"999999:"),
    "map without key": (True, b"3:abc,"), "map without comma": (True, b"3:a b;"),
    "map long": (True, b"110001:" + b"x" * 110001),
}


@pytest.mark.parametrize("maps, garbage", BROKEN.values(), ids=BROKEN)
def test_broken_client_is_sent_away(policy, maps, garbage):
    """R3: and nobody else notices."""
    policy.start(ECHO)
    with policy.connect() as good, policy.connect(maps) as bad:
        try:
            bad.sendall(garbage)
        except ConnectionError:
            pass
        assert closed(bad)
        assert policy.ask(connection=good, sender="good") == "WARN good"
    policy.wait_log("sent away")


def test_client_that_takes_no_answers(policy):
    """A client that asks and never reads fills nothing but its own buffers."""
    policy.start(ECHO)
    with policy.connect() as greedy:
        greedy.setblocking(False)
        one = policy_module.request(sender="x" * 900)
        sent = 0
        try:
            while sent < 50_000_000:
                sent += greedy.send(one)
        except BlockingIOError:
            pass
        assert sent < 50_000_000
        assert policy.ask(sender="other") == "WARN other"


def test_dropped_connections(policy):
    policy.start("function Policy(r)\n    os.sleep(200)\n    return 'WARN'\nend\n")
    for maps in (False, True):
        for data in (b"", b"requ", policy_module.request(sender="a")):
            s = policy.connect(maps)
            s.sendall(data)
            s.close()
    s = policy.connect()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.sendall(policy_module.request())
    s.close()
    assert policy.ask() == "WARN"


def test_idle_client_is_sent_away(policy):
    policy.start(ECHO, "policy.idle_seconds=1")
    with policy.connect() as s:
        assert policy.ask(connection=s, sender="a") == "WARN a"
        start = time.monotonic()
        assert closed(s)
        assert time.monotonic() - start < 1 + 2


def test_slow_request_is_not_waited_for(policy):
    """Slow loris: single bytes do not prolong the ten seconds of a request."""
    policy.start(ECHO)
    with policy.connect() as s:
        start = time.monotonic()
        while time.monotonic() - start < 15:
            try:
                s.sendall(b"x")
            except ConnectionError:
                break
            time.sleep(0.5)
        assert 9 < time.monotonic() - start < 13
    policy.wait_log("no complete request in time")


def test_new_client_takes_the_place_of_an_idle_one(policy):
    policy.start(ECHO, "policy.connections=3")
    idle = [policy.connect() for _ in range(3)]
    for n, s in enumerate(idle):
        assert policy.ask(connection=s, sender=str(n)) == f"WARN {n}"
    assert policy.ask(connection=idle[0], sender="again") == "WARN again"
    assert policy.ask(sender="new") == "WARN new"
    assert closed(idle[1])
    assert policy.ask(connection=idle[0], sender="still") == "WARN still"
    for s in idle:
        s.close()


def test_200_clients_at_once(policy):
    policy.start(ECHO, smtpsvr="function GetEHLOCapabilities(h) return 'SIZE ' .. h end")

    def client(n):
        if n % 4 == 0:
            assert policy.look_up("ehlo_in", f"192.0.2.{n}").startswith("OK PIPELINING, VRFY")
            return
        with policy.connect() as s:
            for i in range(10):
                assert policy.ask(connection=s, sender=f"{n}.{i}") == f"WARN {n}.{i}"
    machine.in_parallel(200, client)
    assert "answered by default" not in policy.log()


def test_full_queue_is_answered_by_default(policy):
    policy.start("function Policy(r) os.sleep(300) return 'WARN' end",
                 "policy.workers=1", "policy.queue=2")
    actions = machine.in_parallel(20, lambda n: policy.ask())
    assert sorted(set(actions)) == ["DUNNO", "WARN"]
    policy.wait_log("policy.queue was full")


def test_reload(policy):
    policy.start(answering("first"))
    with policy.connect() as s:
        assert policy.ask(connection=s) == "WARN first"
        policy.script("smtprules_1.lua", answering("second"))
        assert policy.ask(connection=s) == "WARN first"
        policy.reload()
        assert policy.ask(connection=s) == "WARN second"
        policy.script("smtprules_1.lua", "function Policy(")
        policy.reload()
        policy.wait_log(r"reload failed.*smtprules_1\.lua:1:")
        assert policy.ask(connection=s) == "WARN second"


def test_requests_are_answered_during_a_reload(policy):
    """A script whose top level takes its time holds up nobody."""
    policy.start(answering("first"))
    policy.script("smtprules_2.lua", "os.sleep(1000)")
    policy.drain_notify()
    start = time.monotonic()
    policy.signal(signal.SIGHUP)
    assert policy.ask() == "WARN first"
    assert time.monotonic() - start < 1
    policy.wait_ready(10)


def test_start_with_a_broken_script(policy):
    """The last good scripts are kept; without any the status is 78."""
    policy.start(answering("good"))
    assert policy.stop() == 0
    policy.script("smtprules_1.lua", "function Policy(")
    policy.start()
    assert policy.ask() == "WARN good"
    policy.wait_log("RUNNING THE LAST GOOD SCRIPTS")
    fresh = policy_module.Policy()
    fresh.script("smtprules_1.lua", "function Policy(")
    fresh.launch(policy_module.BINARY, "-c", "/dev/null", "-f", *fresh.options(), ready=False)
    assert fresh.wait_exit() == 78
    assert fresh.finish() == []


def test_stop_answers_what_is_in_progress(policy):
    policy.start("function Policy() os.sleep(1000) return 'WARN done' end")
    with policy.connect() as s, policy.connect() as idle:
        s.sendall(policy_module.request())
        time.sleep(0.2)
        policy.signal(signal.SIGTERM)
        assert policy_module.read_action(s) == "WARN done"
        assert closed(s) and closed(idle)
    assert policy.wait_exit() == 0
    assert not policy.socket.exists() and not policy.map_socket.exists()


def test_second_instance_is_refused(policy):
    policy.start(ECHO)
    second = policy_module.Policy(policy.directory)
    second.launch(policy_module.BINARY, "-c", "/dev/null", "-f", *second.options(), ready=False)
    assert second.wait_exit() not in (0, daemon.SANITIZER_EXIT)
    assert "another mailhooks-policy" in second.log()
    assert second.finish() == []
    assert policy.ask(sender="still") == "WARN still"


@pytest.fixture
def second(policy):
    """Another service, with sockets of its own and the state_dir of the first."""
    other = policy_module.Policy()
    other.script("smtprules_1.lua", answering("second"))
    other.config.write_text("")
    other.line = [policy_module.BINARY, "-c", other.config, "-f",
                  *other.options([f"state_dir={policy.directory}"])]
    yield other
    assert other.finish() == []


def test_second_instance_with_the_same_state_dir_is_refused(policy, second):
    """R18: each would overwrite what the other keeps there. Commands and reloads go on."""
    policy.start(ECHO)
    second.launch(*second.line, ready=False)
    assert second.wait_exit() == 75
    assert f"another mailhooks-policy (process {policy.pid}) uses state_dir" in second.log()
    assert not second.socket.exists()
    assert "'WARN '" in (policy.directory / "scripts.policy/smtprules_1.lua").read_text()
    policy.script("smtprules_1.lua", answering("reloaded"))
    policy.reload()
    assert policy.ask() == "WARN reloaded"
    machine.run(machine.BUILD / "cli/mailhooks", "-c", "/dev/null", *policy.options(), "check")
    policy.kill()                        # and a dead one is in nobody's way
    second.launch(*second.line)
    assert second.ask() == "WARN second"


def test_reload_keeps_the_store(policy):
    """The follower of the log has the store of the start: scripts do not look in another one."""
    first, other = policy.directory / "first.db", policy.directory / "other.db"
    read = "return 'WARN ' .. VPOP3.GetUserSetting('u', 'a')"
    policy.start(f"function Policy() VPOP3.SetUserSetting('u', 'a', 'kept') {read} end",
                 config=f'store = "sqlite:{first}"\n')
    assert policy.ask() == "WARN kept"
    policy.config.write_text(f'store = "sqlite:{other}"\nmaillog {{ source = "file:{other}" }}\n')
    policy.script("smtprules_1.lua", f"function Policy() {read} .. ' still' end")
    policy.reload()
    assert policy.ask() == "WARN kept still"
    policy.wait_log("store: another value takes effect with a restart only")
    policy.wait_log("maillog.source: another value takes effect with a restart only")
    assert not other.exists()


def test_new_instance_waits_for_one_that_stops(policy, second):
    """R18: as systemd or an administrator may start it, while requests are still answered."""
    go_on = policy.directory / "go-on"
    policy.start(f"""function Policy()
        print('asked')
        while not io.open("{go_on}") do os.sleep(50) end
        return 'WARN first'
    end""", "policy.deadline_ms=28000", "lua.hook_ms=28000", "lua.command_ms=28000")
    first = policy.pid
    with policy.connect() as s:
        s.sendall(policy_module.request())
        machine.wait_until(lambda: "asked" in policy.out(), 10, "the script")
        policy.signal(signal.SIGTERM)
        policy.wait_log("answering what is in progress")
        second.launch(*second.line, ready=False)
        second.wait_log(f"waiting until process {first} has stopped")
        go_on.touch()
        assert policy_module.read_action(s) == "WARN first"
    assert policy.wait_exit() == 0
    second.wait_ready(daemon.START_SECONDS)
    assert second.ask() == "WARN second"


def test_start_after_a_crash(policy):
    """R18: a dead one's sockets and locks are in nobody's way."""
    policy.start(ECHO)
    policy.kill()
    assert policy.socket.exists()
    policy.start()
    assert policy.ask(sender="again") == "WARN again"


def test_unusable_start_says_why(policy):
    cases = [(["scripts=/nonexistent"], 78, "/nonexistent"),
             (["policy.deadline_ms=never"], 78, "policy.deadline_ms"),
             (["policy.socket_owner=nobody-here"], 78, "nobody-here"),
             ([f"policy.listen=unix:{policy.directory}/none/deep/x.sock"], 78, "none/deep")]
    for options, status, said in cases:
        done = subprocess.run(
            [policy_module.BINARY, "-c", "/dev/null", "-f", *policy.options(options)],
            capture_output=True, timeout=20, check=False,
            env={**os.environ, **policy.environment()})
        assert (done.returncode, said in done.stderr.decode()) == (status, True), done.stderr
    policy.config.write_text("policy { listen = {} }\nsocketmap { listen = {} }\n")
    done = subprocess.run(
        [policy_module.BINARY, "-c", policy.config, "-f", "-o", f"scripts={policy.scripts}",
         "-o", f"state_dir={policy.directory}", "-o", "lua.out=", "-o", "lua.errors="],
        capture_output=True, timeout=20, check=False)
    assert (done.returncode, b"both empty" in done.stderr) == (78, True), done.stderr
    for option, status in (("-h", 0), ("-V", 0), ("-x", 2)):
        done = subprocess.run([policy_module.BINARY, option], capture_output=True, check=False)
        assert done.returncode == status


def test_sockets_from_systemd(policy):
    """R18: systemd holds the sockets while the service is away: nobody is turned away."""
    path = policy.directory / "held.sock"
    with socket.socket(socket.AF_UNIX) as held:
        held.bind(str(path))
        held.listen(100)
        os.chmod(path, 0o666)
        policy.script("smtprules_1.lua", ECHO)
        policy.config.write_text("")
        # the variables must name the process id: a shell that becomes the service knows it
        launch = ["/bin/bash", "-c", f"exec 3<&{held.fileno()}; LISTEN_PID=$$ exec \"$@\"", "-",
                  policy_module.BINARY, "-c", policy.config, "-f", *policy.options()]
        env = {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "policy"}
        policy.socket = path
        policy.launch(*launch, env=env, keep=[held.fileno()])
        assert policy.ask(sender="one") == "WARN one"
        policy.stop()
        assert path.exists()
        with policy.connect() as waiting:
            waiting.sendall(policy_module.request(sender="two"))
            policy.launch(*launch, env=env, keep=[held.fileno()])
            assert policy_module.read_action(waiting) == "WARN two"


def test_both_sockets_from_systemd(policy):
    """Each by its name, in whatever order systemd hands them over; the settings do not open a second
    one, and a name that is not known does not start."""
    held = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    policy.map_socket, policy.socket, unused = (
        policy.directory / name for name in ("map.held", "policy.held", "unused"))
    for s, path in zip(held, (policy.map_socket, policy.socket)):
        s.bind(str(path))
        s.listen(100)
        os.chmod(path, 0o666)
    policy.script("smtprules_1.lua", ECHO)
    policy.config.write_text("")
    descriptors = [os.dup2(s.fileno(), 200 + i) for i, s in enumerate(held)]

    def launch(names, **options):
        shell = "exec 3<&200 4<&201 200<&- 201<&-; LISTEN_PID=$$ exec \"$@\""
        settings = [f"policy.listen=unix:{unused}/a", f"socketmap.listen=unix:{unused}/b"]
        policy.launch("/bin/bash", "-c", shell, "-", policy_module.BINARY, "-c", policy.config, "-f",
                      *policy.options(settings), keep=descriptors,
                      env={"LISTEN_FDS": "2", "LISTEN_FDNAMES": names}, **options)
    launch("socketmap:other", ready=False)
    assert policy.wait_exit() != 0
    assert 'socket "other" from systemd' in policy.log()
    launch("socketmap:policy")
    assert policy.ask(sender="one") == "WARN one"
    assert policy.look_up("ehlo_in", "192.0.2.7") == "NOTFOUND "
    policy.stop()
    with policy.connect(maps=True) as waiting:   # while nobody is there
        waiting.sendall(b"17:ehlo_in 192.0.2.7,")
        launch("socketmap:policy")
        assert waiting.recv(1000) == b"9:NOTFOUND ,"
    assert list(unused.iterdir()) == []   # the directory is made, no socket in it
    for s, descriptor in zip(held, descriptors):
        s.close()
        os.close(descriptor)


def test_into_the_background(policy):
    """Without -f the starter's status tells that the service is ready."""
    policy.script("smtprules_1.lua", ECHO)
    pid_file = policy.map_socket.with_name("policy.sock.lock")
    done = subprocess.run([policy_module.BINARY, "-c", "/dev/null", *policy.options()],
                          timeout=20, check=False, env={**os.environ, **policy.environment()})
    assert done.returncode == 0
    pid = int(pid_file.read_text())
    try:
        assert policy.ask(sender="bg") == "WARN bg"
    finally:
        os.kill(pid, signal.SIGTERM)
    machine.wait_until(lambda: not policy.socket.exists(), 10, "the end of the service")
