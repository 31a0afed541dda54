"""The whole circle on unchanged Postfix: a mail server refuses, the log says so, a script in the
vendor's style counts and holds exactly that server, mail goes by the others, and it comes back.
With the embedded store, and with two servers that share one Redis."""

import itertools
import json
import re
import subprocess
import time

import pytest

from rig import machine, outbound
from rig import policy as policy_module
from rig.outbound import MESSAGE

DOMAIN = "many.test"
A, B, C = "127.0.0.51", "127.0.0.52", "127.0.0.53"
ZONES = [f"mx-host={DOMAIN},b.{DOMAIN},10", f"mx-host={DOMAIN},a.{DOMAIN},20",
         f"mx-host={DOMAIN},c.{DOMAIN},30", f"host-record=a.{DOMAIN},{A}",
         f"host-record=b.{DOMAIN},{B}", f"host-record=c.{DOMAIN},{C}"]

# A minute of this clock is a second, for the hold; the window is written as it is.
MINUTE_MS, WINDOW = 1000, 8
SCRIPT = f"""
function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)
    if defaultResult then
        local x = VPOP3.PostgresQuery("SELECT COUNT(*) AS cnt FROM outqueue.sendattempts " ..
            "WHERE server='" .. mxserver .. "' AND starttime > CURRENT_TIMESTAMP + " ..
            "'-{WINDOW} SECONDS' AND LEFT(result, 1) = '4'")
        if tonumber(x[1].cnt) > 5 then
            return false, {WINDOW};
        end
    end
end
"""


@pytest.fixture
def hosts(sink, dns):
    for address in (A, B, C):
        sink.listen(address)
    dns.add(*ZONES)
    yield sink
    for address in (A, B, C):
        sink.unlisten(address)


class Site:
    """One Postfix and its service."""

    def __init__(self, make_postfix, policy, store, script=SCRIPT):
        self.policy, self.store = policy, store
        self.postfix = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx"))
        # as root: Postfix lets nobody else read its maillog_file
        self.settings = (f"store={store}", "user=", "group=", "outbound.holds_ms=100",
                         f"maillog.source=file:{self.postfix.maillog}", "outbound.deadline_ms=3000",
                         "policy.deadline_ms=3000", f"outbound.minute_ms={MINUTE_MS}")
        policy.start(None, *self.settings, mxserverrules=script)

    def send(self, recipient):
        """A message to this user, when it has arrived: where."""
        assert self.postfix.send("ann@sender.test", f"{recipient}@{DOMAIN}", MESSAGE).ok
        return self.postfix.wait_delivery(recipient=f"{recipient}@{DOMAIN}").host

    def cli(self, *arguments):
        return outbound.cli(self.policy, *arguments, options=self.settings)

    def refusals(self):
        """What is on record of server b."""
        rows = [json.loads(line) for line in self.cli("attempts", "--json", "-n", "0").splitlines()]
        return [r for r in rows if r["server"] == f"b.{DOMAIN}" and r["result"][:1] == "4"]

    def wait_refusals(self, count):
        machine.wait_until(lambda: len(self.refusals()) == count, 10,
                           lambda: f"{count} refusals: {self.refusals()}")


names = (f"user{n}" for n in itertools.count(1))


def test_one_server_is_throttled(hosts, make_postfix, policy):
    """b answers 451 to everything: after the sixth attempt b alone is held, mail goes by a and c,
    and b is back after the hold."""
    site = Site(make_postfix, policy, f"sqlite:{policy.directory}/store.db")
    hosts.answer("MAIL", "451 4.7.1 try later", host=B)
    hosts.answer("RCPT", "452 4.2.2 full", host=A, contains="carol")
    assert [site.send(next(names)) for _ in range(6)] == [A] * 6
    site.wait_refusals(6)
    assert [site.send(next(names)), site.send("carol1")] == [A, C]
    policy.wait_log(rf"b\.{DOMAIN} is held until")
    assert len(hosts.dialogues_with(B)) == 6
    assert [line.split()[1] for line in site.cli("holds").splitlines()] == [f"b.{DOMAIN}"]
    hosts.forgive(host=B)
    machine.wait_until(lambda: "nothing is held" in site.cli("holds"), 20, "the end of the hold")
    assert site.send(next(names)) == B
    assert "status=bounced" not in site.postfix.log()


def test_two_servers_share_what_they_learn(hosts, make_postfix, policy, redis):
    """Three refusals seen by one Postfix and three by another one hold the server for both; by the
    example script."""
    example = (machine.TOP / "contrib/scripts/throttle.lua").read_text()
    second_policy = policy_module.Policy()
    try:
        one = Site(make_postfix, policy, redis.url, example)
        two = Site(make_postfix, second_policy, redis.url, example)
        hosts.answer("MAIL", "451 4.7.1 try later", host=B)
        for site in (one, two):
            assert [site.send(next(names)) for _ in range(3)] == [A] * 3
        two.wait_refusals(6)
        assert one.send(next(names)) == A
        policy.wait_log(rf"b\.{DOMAIN} is held until")
        assert f"server b.{DOMAIN}" in two.cli("holds")
        assert two.send(next(names)) == A
        assert len(hosts.dialogues_with(B)) == 6
        two.cli("holds", "release", "server", f"b.{DOMAIN}")
        machine.wait_until(lambda: "nothing is held" in one.cli("holds"), 10, "the release")
    finally:
        wrong = second_policy.finish()
    assert wrong == []


def test_the_lines_for_main_cf(hosts, make_postfix, policy):
    """contrib/postfix-outbound.cf.snippet, all of it at once, with every hook in place."""
    text = (machine.TOP / "contrib/postfix-outbound.cf.snippet").read_text()
    lines = re.findall(r"^#?(\w+) = (.*)$", text, re.M)
    assert len(lines) == 13
    parameters = {name: re.sub(r"unix:[\w/]*mailhooks/socketmap\.sock", f"unix:{policy.map_socket}",
                               value) for name, value in lines}
    policy.start(None, outbound.store(policy), mxserverrules="""
        function GetOverrides() end
        function CheckServer(domain, mxserver) return mxserver:sub(1, 1) ~= "b" end
        function FinalOverrides() end
    """, mxout="""
        function ServerDetails(parameters, headers, actions) return actions end
        function ReturnCodeHandler(command) print(command) end
    """)
    server = make_postfix(milter=None, parameters=parameters)   # now: it warns of maps that are not there
    assert server.send("ann@sender.test", f"bob@{DOMAIN}", MESSAGE).ok
    assert server.wait_delivery(recipient=f"bob@{DOMAIN}").host == A
    machine.wait_until(lambda: f"RCPT TO:<bob@{DOMAIN}>" in policy.out(), 10, "the replies")
    assert "warning:" not in server.log() and "rror" not in policy.log()


def test_tries_and_size(hosts, make_postfix, policy, milter):
    """numRetries and messageSize: what the milter noted and the log adds; 0 for a domain that has no
    mail; the highest and largest of several messages."""
    server = make_postfix(parameters=outbound.parameters(policy, "mx"))
    script = "function CheckServer(d, mx, tries, size) print('asked', d, mx, tries, size) end"
    settings = (f"store=sqlite:{policy.directory}/store.db", "user=", "group=",
                f"maillog.source=file:{server.maillog}")
    policy.start(None, *settings, mxserverrules=script)
    milter.start(None, *settings, mxserverrules=script)
    for address in (A, B, C):
        hosts.answer("MAIL", "451 4.7.1 later", host=address)

    def asked():
        """The last (tries, size) for server a."""
        lines = [line.split("\t") for line in policy.out().splitlines() if f"\ta.{DOMAIN}\t" in line]
        return (len(lines), *map(int, lines[-1][3:])) if lines else (0,)

    def run(tries):
        """A queue run; what the script is told in it, and then what it will be told."""
        before, second = asked()[0], int(time.time())
        # tries of one second, as the log tells them, count as one
        machine.wait_until(lambda: int(time.time()) > second, 5, "the next second")
        server.flush()
        machine.wait_until(lambda: asked()[0] > before, 10, "a queue run")
        assert asked()[1] == tries
        server.settle()
        told = f"numRetries {tries + 1}, "
        machine.wait_until(lambda: told in outbound.cli(
            policy, "route", DOMAIN, options=settings), 10, told)

    assert server.send("ann@sender.test", f"bob@{DOMAIN}", MESSAGE + "x" * 70 + "\n").ok
    machine.wait_until(lambda: asked()[0], 10, "the first try")
    small = asked()[2]
    assert asked()[1] == 0 and len(MESSAGE) + 70 < small < len(MESSAGE) + 300
    machine.wait_until(lambda: "numRetries 1, " in outbound.cli(
        policy, "route", DOMAIN, options=settings), 10, "numRetries 1")
    run(1)
    before = asked()[0]
    assert server.send("ann@sender.test", f"joe@{DOMAIN}", MESSAGE + ("y" * 70 + "\n") * 20).ok
    machine.wait_until(lambda: asked()[0] > before, 10, "the second message")
    assert asked()[1] == 2 and asked()[2] > small + 1000
    server.settle()
    for address in (A, B, C):
        hosts.forgive(host=address)
    server.flush()
    server.wait_deliveries(2)
    machine.wait_until(lambda: "numRetries 0, messageSize 0" in outbound.cli(
        policy, "route", DOMAIN, options=settings), 10, "no message left")


def test_without_the_log_there_are_no_tries_and_sizes(sink, make_postfix, policy, milter):
    """Nobody says that a message has gone: what it was like must not be told of later ones."""
    server = make_postfix()
    script = "function CheckServer() end"
    milter.start(None, outbound.store(policy), mxserverrules=script)
    policy.script("mxserverrules.lua", script)
    assert server.send("ann@sender.test", "bob@one.test", MESSAGE + ("y" * 70 + "\n") * 20).ok
    server.wait_delivery(recipient="bob@one.test")
    assert (policy.directory / "store.db").exists()
    assert "numRetries 0, messageSize 0" in outbound.cli(policy, "route", "one.test")
