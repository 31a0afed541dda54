"""Every script of tests/hostile behind a real MTA: the client gets what lua.on_error says within the
budget plus 10 %, and another session does not notice. R5, R18."""

import pathlib
import socket
import threading
import time

import pytest

SENDER = "ann@sender.test"
HOSTILE = pathlib.Path(__file__).parent.parent / "hostile"
BUDGET = 0.2
SLACK = 1.5      # other programs on this machine
DEAF = "127.0.0.99"

SMTPSVR = f"""
HTTP_URL, WHOIS_SERVER = "http://{DEAF}:8099/", "{DEAF}"
function DoMAILFROM(data, from)
    local name = from:match("^(.*)@hostile%.test$")
    if name then dofile(name .. ".lua") end
end
"""


@pytest.fixture
def deaf_servers():
    """A DNS, an HTTP and a WHOIS server that hear everything and answer nothing."""
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM)]
    sockets[0].bind((DEAF, 5399))
    for port in (8099, 43):
        sockets.append(socket.create_server((DEAF, port), backlog=1000))
    yield
    for each in sockets:
        each.close()


class Neighbour(threading.Thread):
    """A session that goes on all the time; how long each of its commands took."""

    def __init__(self, mta):
        super().__init__(daemon=True)
        self.client = mta.client()
        self.over = threading.Event()
        self.waited, self.refused = [], []

    def run(self):
        while not self.over.wait(0.02):
            begin = time.monotonic()
            reply = self.client.mail(SENDER)
            self.waited.append(time.monotonic() - begin)
            if reply.code != 250:
                self.refused.append(reply)
            self.client.rset()

    def stop(self):
        self.over.set()
        self.join(timeout=30)
        self.client.close()
        return self.waited, self.refused


def test_every_hostile_script_ends_in_time(mta, milter, deaf_servers):
    scripts = sorted(HOSTILE.glob("*.lua"))
    assert len(scripts) >= 40
    for path in scripts:
        milter.script(path.name, path.read_text())
    milter.start(SMTPSVR, f"lua.hook_ms={int(BUDGET * 1000)}", "lua.instructions=1000000000000",
                 "lua.memory_kb=8192", "lua.on_error=tempfail", f"dns.servers={DEAF}:5399",
                 "http.allow_private=true", "lua.out=")
    neighbour = Neighbour(mta)
    neighbour.start()
    wrong = []
    with mta.client() as c:
        for path in scripts:
            begin = time.monotonic()
            reply = c.mail(f"{path.stem}@hostile.test")
            took = time.monotonic() - begin
            if (reply.code, reply.enhanced) != (451, "4.3.0") or took > BUDGET * 1.1 + SLACK:
                wrong.append((path.name, reply, took))
            if c.mail(SENDER).code != 250:   # the same session goes on
                wrong.append((path.name, "and the next MAIL is refused"))
            c.rset()
    waited, refused = neighbour.stop()
    assert wrong == []
    assert refused == []
    assert len(waited) >= len(scripts)
    assert max(waited) < SLACK, f"a neighbour waited {max(waited):.2f} s"


def test_a_budget_for_one_script(mta, milter):
    """A section script NAME { } counts before lua.*, and only for that script."""
    milter.start("function DoMAILFROM() while true do end end", "lua.on_error=reject",
                 "lua.instructions=1000000000000", config='script "smtpsvr" { hook_ms = 150 }\n')
    with mta.client() as c:
        begin = time.monotonic()
        assert c.mail(SENDER).code == 554
        assert time.monotonic() - begin < 0.15 * 1.1 + SLACK
    milter.wait_log("time budget of the hook used up")
