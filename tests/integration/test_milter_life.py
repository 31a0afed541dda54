"""The daemon's life around a test's scripts: start, reload, stop, refusal to start, a dead worker."""

import os
import signal
import socket
import subprocess

from rig import daemon, machine, milter as milter_module

MESSAGE = "From: ann@sender.test\nTo: bob@one.test\nSubject: hi\n\nhello\n"


def refusing(text):
    return f'function DoMAILFROM(from)\n    return "550 5.7.1 {text}"\nend\n'


def refusal(mta):
    """What the server says to MAIL, without Sendmail's address in front."""
    with mta.client() as c:
        reply = c.mail("ann@sender.test")
    return reply.code, reply.lines[0].rpartition("... ")[2].removeprefix("5.7.1 ")


def test_script_decides(mta, milter):
    milter.start(refusing("first"))
    assert refusal(mta) == (550, "first")


def test_no_script_changes_nothing(mta, milter):
    milter.start()
    assert mta.send("ann@sender.test", "bob@one.test", MESSAGE).code == 250
    assert mta.send("ann@sender.test", "bob@two.test", MESSAGE, plain=True).code == 250
    with_filter = mta.wait_delivery(recipient="bob@one.test")
    without = mta.wait_delivery(recipient="bob@two.test")
    assert with_filter.body == without.body
    assert [name for name, _ in with_filter.fields] == [name for name, _ in without.fields]


def test_reload_takes_the_new_script(mta, milter):
    milter.start(refusing("first"))
    milter.script("smtpsvr.lua", refusing("second"))
    assert refusal(mta) == (550, "first")
    milter.reload()
    assert refusal(mta) == (550, "second")


def test_broken_script_keeps_the_old_one(mta, milter):
    milter.start(refusing("first"))
    milter.script("smtpsvr.lua", "function DoMAILFROM(")
    milter.reload()
    milter.wait_log(r"smtpsvr\.lua:1:")
    assert refusal(mta) == (550, "first")


def test_what_a_script_prints_and_breaks_is_kept(mta, milter):
    milter.start('print("hello from the script")\n'
                 'function DoMAILFROM(from)\n    return nothing.at_all\nend\n')
    with mta.client() as c:
        assert c.mail("ann@sender.test").code == 250   # lua.on_error = accept
    machine.wait_until(lambda: "hello from the script" in milter.out(), 5, "LUA.OUT")
    machine.wait_until(lambda: "smtpsvr.lua:3" in milter.errors(), 5, "LUAERRORS.LOG")


def test_stop_removes_the_socket(mta, milter):
    milter.start(refusing("first"))
    assert milter.stop() == 0
    assert not milter_module.socket_path().exists()
    with mta.client() as c:
        assert c.mail("ann@sender.test").code == 451   # the server's own answer


def test_stop_waits_for_a_message_in_progress(mta, milter):
    milter.start("function DoDATAStart() end\nfunction ProcessMessage() end\n")
    with mta.client() as c:
        assert c.envelope("ann@sender.test", "bob@one.test").ok
        assert c.command("DATA").code == 354
        milter.signal(signal.SIGTERM)
        milter.wait_log("finishing what is in progress")
        c.send_raw(MESSAGE.replace("\n", "\r\n").encode() + b".\r\n")
        assert c.reply().code == 250
    assert milter.wait_exit() == 0
    assert mta.wait_delivery().message["Subject"] == "hi"


def test_unusable_start_says_why(milter):
    """Nothing to fall back to: status 78, file and line on standard error."""
    for options, said in ((["scripts=/nonexistent"], "/nonexistent"),
                          (["lua.hook_ms=never"], "lua.hook_ms")):
        done = subprocess.run([milter_module.BINARY, "-f", *milter.options(options)],
                              capture_output=True, timeout=20, check=False,
                              env={**os.environ, **milter.environment()})
        assert (done.returncode, said in done.stderr.decode()) == (78, True), done.stderr


def test_an_address_in_use_may_become_free(milter):
    """Status 75: systemd tries again, which it does not after the 78 of a wrong configuration."""
    milter.worker_may_die = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"inet:{taken.getsockname()[1]}@127.0.0.1"
        milter.launch(milter_module.BINARY, "-f", *milter.options([f"milter.listen={address}"]), ready=False)
        assert milter.wait_exit() == 75
        assert f'cannot listen on "{address}": Address already in use' in milter.log()


def test_missing_directory_of_the_socket_is_made(milter):
    """Started as root, as for a socket in the chroot of Postfix."""
    milter.socket = milter.directory / "new/milter.sock"
    milter.start(refusing("first"))
    assert machine.accepts(milter.socket)
    assert milter.socket.parent.owner() == milter_module.USER
    assert milter.stop() == 0 and not milter.socket.exists()


def test_second_instance_is_refused(mta, milter):
    milter.start(refusing("first"))
    second = milter_module.Milter()
    second.launch(milter_module.BINARY, "-f", *second.options(), ready=False)
    assert second.wait_exit() not in (0, daemon.SANITIZER_EXIT)
    assert "another mailhooks-milter" in second.log()
    assert second.finish() == []
    assert refusal(mta) == (550, "first")


def test_second_instance_with_the_same_state_dir_is_refused(milter):
    """R18: it would overwrite the last good scripts of the other."""
    milter.start(refusing("first"))
    second = milter_module.Milter(milter.directory / "second.sock")
    line = [milter_module.BINARY, "-c", "/dev/null", "-f",
            *second.options([f"state_dir={milter.directory}"])]
    second.script("smtpsvr.lua", refusing("second"))
    second.launch(*line, ready=False)
    assert second.wait_exit() == 75
    assert f"another mailhooks-milter (process {milter.pid}) uses state_dir" in second.log()
    kept = milter.directory / "scripts.milter/smtpsvr.lua"
    assert "first" in kept.read_text()
    lock = milter.directory / "mailhooks-milter.lock"
    assert lock.owner() == milter_module.USER and int(lock.read_text()) == milter.pid
    # one that stops is waited for
    milter.signal(signal.SIGTERM)
    milter.wait_log("finishing what is in progress")
    second.launch(*line)
    assert milter.wait_exit() == 0 and "second" in kept.read_text()
    assert second.finish() == []


def test_dead_worker_is_replaced(mta, milter):
    """R18: a worker that crashed is away for a moment only."""
    milter.worker_may_die = True
    milter.start(refusing("first"))
    milter.drain_notify()
    os.kill(milter.children()[0], signal.SIGKILL)
    milter.wait_ready(10)
    assert refusal(mta) == (550, "first")
