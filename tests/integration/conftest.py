"""Fixtures of the integration tests; README.md beside this file explains them."""

import pathlib
import re
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from rig import daemon, machine, postfix, sendmail, smtp   # noqa: E402
from rig import dns as dns_module   # noqa: E402
from rig import milter as milter_module   # noqa: E402
from rig import policy as policy_module   # noqa: E402
from rig import redis as redis_module   # noqa: E402
from rig import sink as sink_module   # noqa: E402
from rig import syslog as syslog_module   # noqa: E402

# Ports of the session's servers; .plain_port is the next one. Further instances count on.
POSTFIX_PORT, SENDMAIL_PORT, FIRST_FREE_PORT = 2510, 2520, 2530

# Where the sink listens: the MX hosts of the zones in rig/dns.py and the hub for local mail.
SINK_ADDRESSES = ("127.0.0.11", "127.0.0.12", "127.0.0.21", "127.0.0.22", "127.0.0.30")


def pytest_configure(config):
    try:
        machine.root()
    except RuntimeError as e:
        pytest.exit(str(e), returncode=2)


# the network, once per run

@pytest.fixture(scope="session")
def syslog():
    return syslog_module.Syslog()


@pytest.fixture(scope="session")
def name_server():
    server = dns_module.Dns()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def world():
    server = sink_module.Sink()
    for address in SINK_ADDRESSES:
        server.listen(address)
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postfix_server(world, name_server):
    server = postfix.Postfix(world, POSTFIX_PORT, f"unix:{milter_module.socket_path()}")
    yield server
    server.stop()


@pytest.fixture(scope="session")
def sendmail_server(world, name_server, syslog):
    server = sendmail.Sendmail(world, SENDMAIL_PORT, syslog, f"unix:{milter_module.socket_path()}")
    yield server
    server.stop()


# the network, as one test sees it

@pytest.fixture
def dns(name_server):
    """The name server; zone lines added by the test go with it."""
    yield name_server
    name_server.forget()


@pytest.fixture
def silent_dns():
    """A name server that never answers, on .address."""
    server = dns_module.SilentDns()
    yield server
    server.stop()


@pytest.fixture
def sink(world):
    """The receiving side, empty."""
    world.forget()
    yield world
    world.forget()


@pytest.fixture(params=["postfix", "sendmail"])
def mta(request, sink):
    """A mail server with the filter attached; the test runs once on each."""
    server = request.getfixturevalue(request.param + "_server")
    server.begin_test()
    yield server
    server.end_test()


@pytest.fixture
def ports():
    """Numbers for further servers: next(ports) is free, and so are the nine after it."""
    return iter(range(FIRST_FREE_PORT, 65000, 10))


@pytest.fixture
def make_postfix(sink, name_server, ports):
    """make_postfix(milter=None, parameters={...}, master="...") starts a Postfix of one's own."""
    def make(milter=f"unix:{milter_module.socket_path()}", **options):
        make.servers.append(postfix.Postfix(sink, next(ports), milter, **options))
        return make.servers[-1]
    make.servers = []
    yield make
    for server in make.servers:
        server.end_test()
        server.stop()


@pytest.fixture
def make_sendmail(sink, name_server, syslog, ports):
    """make_sendmail(milter=None, flags="F=R", extra="m4 lines", post="rule sets")."""
    def make(milter=f"unix:{milter_module.socket_path()}", **options):
        make.servers.append(sendmail.Sendmail(sink, next(ports), syslog, milter, **options))
        return make.servers[-1]
    make.servers = []
    yield make
    for server in make.servers:
        server.end_test()
        server.stop()


@pytest.fixture
def milter():
    """mailhooks-milter, not started yet. The test fails when it died, did not stop in order, or a
    sanitizer had something to say."""
    filter_ = milter_module.Milter()
    yield filter_
    wrong = filter_.finish()
    if wrong:
        pytest.fail("mailhooks-milter: " + "\n".join(wrong), pytrace=False)


@pytest.fixture
def policy():
    """mailhooks-policy, not started yet; checked like the milter."""
    service = policy_module.Policy()
    yield service
    wrong = service.finish()
    if wrong:
        pytest.fail("mailhooks-policy: " + "\n".join(wrong), pytrace=False)


@pytest.fixture
def redis():
    """A Redis server of the test's own."""
    server = redis_module.Redis()
    yield server
    server.stop()


# what a failed test shows

@pytest.fixture(autouse=True)
def remember_clients(monkeypatch, request):
    """Keeps the SMTP dialogues of the test for its report."""
    request.node.clients = []
    create = smtp.Client.__init__

    def remember(self, *args, **options):
        request.node.clients.append(self)
        create(self, *args, **options)
    monkeypatch.setattr(smtp.Client, "__init__", remember)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if not report.failed:
        return
    evidence = gather_evidence(item)
    report.sections += [(title, text[-8000:]) for title, text in evidence.items() if text.strip()]
    name = re.sub(r"[^\w.\-]+", "_", item.nodeid.partition("::")[2])
    keep = machine.LOGS / name[:150]
    shutil.rmtree(keep, ignore_errors=True)
    keep.mkdir(parents=True)
    for title, text in evidence.items():
        (keep / title.replace(" ", "-")).write_text(text)


def gather_evidence(item):
    """Everything that tells what happened in a test, by title."""
    clients = getattr(item, "clients", [])
    evidence = {"smtp dialogues": "\n\n".join(
        c.transcript() for c in clients[:20] if hasattr(c, "dialogue"))}
    values = list(getattr(item, "funcargs", {}).values())
    for value in values + [s for v in values for s in getattr(v, "servers", [])]:
        if isinstance(value, daemon.Daemon):
            name = type(value).__name__.lower()
            evidence[f"{name} log"] = value.log()
            evidence[f"{name} sanitizer"] = "\n".join(value.sanitizer_reports())
        if isinstance(value, (milter_module.Milter, policy_module.Policy)):
            evidence["LUA.OUT"] = value.out()
            evidence["LUAERRORS.LOG"] = value.errors()
        if isinstance(value, (postfix.Postfix, sendmail.Sendmail)):
            evidence[f"{value.name} {value.port} log"] = value.log()
    return evidence
