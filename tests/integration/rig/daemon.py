"""A program of ours that is under test and stays in the foreground: start, signals, log, and the
check that it neither died nor upset a sanitizer."""

import os
import pathlib
import re
import signal
import socket
import subprocess

from rig import machine

SANITIZERS = {
    "ASAN_OPTIONS": "detect_stack_use_after_return=1:strict_string_checks=1:abort_on_error=0",
    "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
    "TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1",
}
SANITIZER_EXIT = 99
START_SECONDS, STOP_SECONDS = 20, 20   # libmilter alone takes 5 s to stop


def kill_session(leader):
    """SIGKILL to every process of a session: workers have process groups of their own."""
    stats = pathlib.Path("/proc").glob("[0-9]*/stat")
    for stat in sorted(stats, key=lambda s: -int(s.parent.name)):   # workers before the leader
        try:
            fields = stat.read_text().rpartition(")")[2].split()
            if int(fields[3]) == leader:
                os.kill(int(stat.parent.name), signal.SIGKILL)
        except (OSError, ProcessLookupError):
            pass     # it ended meanwhile


class Daemon:
    """Subclasses say what to run with launch(); start-up is over when the program reports
    READY=1 to NOTIFY_SOCKET, as systemd expects it."""

    def __init__(self, name):
        self.directory = machine.new_directory(name)
        self.stderr = self.directory / "stderr"
        self.stderr.touch()
        self.process = None
        self.worker_may_die = False   # a test that kills workers sets it
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.notify.bind(str(self.directory / "notify"))
        os.chmod(self.directory / "notify", 0o777)   # as systemd's: for every user

    # life

    def launch(self, *argv, env=None, ready=True, keep=()):
        """Starts the program and waits until it says that it is ready. keep: descriptors that it
        inherits."""
        assert self.process is None, "already running"
        self.drain_notify()
        with open(self.stderr, "ab") as log:
            self.process = subprocess.Popen(
                [str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.directory, env={**os.environ, **self.environment(), **(env or {})},
                start_new_session=True, pass_fds=keep)
        if ready:
            self.wait_ready(START_SECONDS)

    def environment(self):
        log = f"log_path={self.directory}/sanitizer:exitcode={SANITIZER_EXIT}"
        return {"NOTIFY_SOCKET": str(self.directory / "notify"),
                **{name: f"{options}:{log}" for name, options in SANITIZERS.items()}}

    def drain_notify(self):
        """Everything that the program reported since the last call."""
        said = ""
        self.notify.setblocking(False)
        try:
            while True:
                said += self.notify.recv(4096).decode() + "\n"
        except BlockingIOError:
            return said

    def wait_ready(self, timeout):
        def ready():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"ended with {self.process.returncode} at start:\n{self.log()}")
            return "READY=1" in self.drain_notify()
        machine.wait_until(ready, timeout, lambda: "READY=1; log:\n" + self.log())

    @property
    def pid(self):
        return self.process.pid

    def children(self):
        """Process ids of the working processes."""
        text = pathlib.Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text()
        return [int(pid) for pid in text.split()]

    def signal(self, number):
        self.process.send_signal(number)

    def reload(self):
        """SIGHUP; returns when the program says that the reload is over."""
        self.drain_notify()
        self.signal(signal.SIGHUP)
        self.wait_ready(START_SECONDS)

    def wait_exit(self, timeout=STOP_SECONDS):
        """Waits for an end that the test expects; returns the exit status."""
        status = self.process.wait(timeout)
        self.process = None
        return status

    def stop(self, timeout=STOP_SECONDS):
        """SIGTERM; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait_exit(timeout)

    def kill(self):
        """SIGKILL to the program and its working processes, as the test wants it."""
        kill_session(self.pid)
        return self.wait_exit()

    # what it said

    def log(self):
        return self.stderr.read_text(errors="replace")

    def wait_log(self, pattern, timeout=10):
        """Waits for a line that the regular expression finds; returns the match."""
        return machine.wait_until(lambda: re.search(pattern, self.log(), re.M), timeout,
                                  lambda: f"{pattern!r} in the log:\n{self.log()}")

    def sanitizer_reports(self):
        return [f.read_text(errors="replace") for f in self.directory.glob("sanitizer.*")]

    # the check at the end of each test

    def finish(self):
        """Stops the program and lists all that is wrong with how it lived and died."""
        wrong = [] if self.process is None else self.end()
        wrong += [f"sanitizer report:\n{text}" for text in self.sanitizer_reports()]
        if not self.worker_may_die:
            wrong += [line for line in self.log().splitlines() if re.search(
                r"worker \d+ .*(was killed by signal|ended with status)", line)]
        wrong += [f"broken invariant: {line}" for line in self.log().splitlines()
                  if re.search(r"\bbug: ", line)]
        self.notify.close()
        return wrong

    def end(self):
        """The last stop; also takes down what a dead program left behind."""
        group, died = self.pid, self.process.poll()
        wrong = []
        try:
            status = self.stop() if died is None else died
            if died is not None:
                wrong.append(f"died with status {died} during the test")
            elif status != 0:
                wrong.append(f"SIGTERM ended it with status {status}")
        except subprocess.TimeoutExpired:
            wrong.append(f"SIGTERM did not end it in {STOP_SECONDS} s")
        kill_session(group)
        self.process = None
        return wrong
