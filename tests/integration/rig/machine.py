"""Where the rig keeps its files, and how it waits, runs programs and does things in parallel."""

import concurrent.futures
import os
import pathlib
import socket
import subprocess
import tempfile
import time

TOP = pathlib.Path(__file__).resolve().parents[3]
BUILD = pathlib.Path(os.environ.get("MAILHOOKS_BUILD", TOP / "build-tests/asan"))
CACHE = pathlib.Path(os.environ.get("MAILHOOKS_TEST_CACHE", TOP / "build-tests/cache"))
LOGS = pathlib.Path(os.environ.get("MAILHOOKS_TEST_LOGS", TOP / "build-tests/logs"))


def root():
    """The rig's directory in memory; it exists only inside tests/integration/enter."""
    path = os.environ.get("RIG_ROOT")
    if not path:
        raise RuntimeError("not on the private machine: start with tests/integration/enter "
                           "python3 -m pytest, or with tests/run --suite integration")
    return pathlib.Path(path)


def new_directory(name):
    """A fresh directory that every user may pass through."""
    path = pathlib.Path(tempfile.mkdtemp(prefix=name + ".", dir=root()))
    path.chmod(0o755)
    return path


def wait_until(condition, timeout, what):
    """Returns the first true value of condition(); fails when there was none in time. what says
    what was waited for: a text, or a function that makes it when it is needed."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= end:
            what = what() if callable(what) else what
            raise AssertionError(f"waited {timeout} s in vain for {what}")
        time.sleep(0.01)


def accepts(address):
    """Whether something listens: a path, or (host, port)."""
    family = socket.AF_UNIX if isinstance(address, (str, pathlib.Path)) else (
        socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
    with socket.socket(family, socket.SOCK_STREAM) as s:
        s.settimeout(2)
        try:
            s.connect(str(address) if family == socket.AF_UNIX else address)
        except OSError:
            return False
    return True


def run(*argv, stdin=b"", env=None, timeout=60, check=True):
    """Runs a program to its end; returns what it wrote. A failure shows what it said."""
    done = subprocess.run([str(a) for a in argv], input=stdin, capture_output=True,
                          env={**os.environ, **(env or {})}, timeout=timeout)
    if check and done.returncode != 0:
        raise AssertionError(f"{argv} ended with {done.returncode}:\n"
                             + (done.stdout + done.stderr).decode(errors="replace"))
    return done


def in_parallel(count, function, timeout=120):
    """Calls function(0) ... function(count - 1), each in its own thread, all at once.

    Returns the results in order. The first exception is raised when all have ended."""
    with concurrent.futures.ThreadPoolExecutor(max_workers=count) as pool:
        futures = [pool.submit(function, i) for i in range(count)]
        concurrent.futures.wait(futures, timeout=timeout)
        return [f.result(timeout=1) for f in futures]


def certificate(directory, name):
    """A self-signed certificate; returns (certificate file, key file)."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
        "-days", "30", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
        "-keyout", key, "-out", cert)
    key.chmod(0o600)
    return cert, key


def sasl_user(database, realm, user, password, owner=None):
    """Adds a user to a sasldb file, as both MTAs use it."""
    run("saslpasswd2", "-p", "-c", "-f", database, "-u", realm, user, stdin=password.encode())
    if owner:
        run("chown", owner, database)
    database.chmod(0o600)


def has_ipv6():
    return os.path.exists("/proc/net/if_inet6")
