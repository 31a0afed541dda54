"""Redis behind the running service: how it is found, and what happens while it is away."""

import json
import os
import pathlib
import re
import time

import pytest

from rig import machine, outbound
from rig import redis as redis_module
from rig.deciding import hosts   # noqa: F401 (fixture)
from rig.outbound import DOMAIN, HOSTS, MESSAGE
from test_examples import example
from test_quotas import SMALL, postfix   # noqa: F401 (fixture)
from test_quotas import send as submit

# Over Redis the answer is "true", counted by this process alone "true local".
TAKE = """
function Policy()
    local passed, state = mailhooks.rate_take("k", {count = 1000, hours = 1})
    return "WARN " .. tostring(passed) .. (state["local"] and " local" or "")
end
"""


def cpu_seconds(pid):
    """What the process has used so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def resolv_conf():
    """resolv_conf(ADDRESS): the name server of this machine, until the test is over."""
    path = pathlib.Path("/etc/resolv.conf")
    before = path.read_text()
    yield lambda address: path.write_text(f"nameserver {address}\n")
    path.write_text(before)


def said(policy, what):
    return policy.log().count(f"store: {what}")


# how it is found

@pytest.mark.parametrize("name_server", ["silent", "none"])
@pytest.mark.parametrize("host", [
    "127.0.0.1",
    pytest.param("[::1]", marks=pytest.mark.skipif(not machine.has_ipv6(), reason="no IPv6"))])
def test_an_address_asks_no_name_server(policy, redis, silent_dns, resolv_conf, host, name_server):
    """R18: with the store named by its address, DNS may be dead: nobody is asked, nothing waits."""
    resolv_conf(silent_dns.address if name_server == "silent" else "127.0.0.54")
    policy.start(TAKE, f"store=redis://{host}:{redis_module.PORT}/0")
    assert policy.ask() == "WARN true"
    assert silent_dns.queries() == []
    assert "store: no answer" not in policy.log()


def test_a_name_without_name_servers(policy, redis, resolv_conf):
    """R18: a name that cannot be looked up is an answer at once, not a wait that burns the machine."""
    resolv_conf("127.0.0.54")   # nobody listens there
    policy.start(TAKE, f"store=redis://redis.test:{redis_module.PORT}/0", "policy.deadline_ms=10000",
                 "lua.hook_ms=10000")
    before = cpu_seconds(policy.pid)
    for _ in range(3):
        assert policy.ask() == "WARN true local"
    assert cpu_seconds(policy.pid) - before < 5   # a loop takes most of the deadline, each time
    assert "the name servers do not answer" in policy.log()


def test_a_name(policy, redis, dns):
    """Names are looked up, in DNS and in the hosts file."""
    dns.add("host-record=redis.test,127.0.0.1")
    for host in ("redis.test", "localhost"):
        policy.start(TAKE, f"store=redis://{host}:{redis_module.PORT}/0")
        assert policy.ask() == "WARN true"
        policy.stop()


# while it is away

def test_the_log_says_it_once(policy, redis):
    """R18: what goes on in memory is no answer of Redis; the log says once that it is away, and once
    that it is back, whatever scripts ask."""
    policy.start("""
    function Policy()
        local passed, state = mailhooks.rate_take("k", {count = 1000, hours = 1})
        local n, where = mailhooks.count_attempts{server = "mx.one.test", minutes = 15}
        local rows, also = VPOP3.PostgresQuery("SELECT count(*) FROM outqueue.sendattempts")
        local held = mailhooks.held{server = "mx.one.test"}
        pcall(VPOP3.PostgresQuery, "SELECT nothing")
        return "WARN " .. tostring(state["local"]) .. " " .. tostring(where) .. " " .. tostring(also)
            .. " " .. tostring(held)
    end
    """, f"store={redis.url}")
    assert policy.ask() == "WARN false nil nil false"
    redis.stop()
    for _ in range(20):
        assert policy.ask() == "WARN true local local nil"
    assert (said(policy, "no answer"), said(policy, "answers again")) == (1, 0)
    redis.start()
    machine.wait_until(lambda: policy.ask() and said(policy, "answers again"), 20, "Redis is back")
    assert policy.ask() == "WARN false nil nil false"
    assert (said(policy, "no answer"), said(policy, "answers again")) == (1, 1)


# Asks for what Redis alone knows, and for what goes on without it.
COUNTING = """
function CheckServer(domain, mxserver)
    local n, where = mailhooks.count_attempts{server = mxserver, result = "4", minutes = 15}
    print(mxserver, n, where, mailhooks.held{domain = domain})
    return n < 100
end
"""
KNOWN = """
function Policy()
    local n, where = mailhooks.count_attempts{minutes = 15}
    return "WARN " .. n .. " " .. tostring(where)
end
"""


def test_redis_hangs_under_deliveries(hosts, make_postfix, policy, redis):
    """R18: a script that counts goes on within its deadline while Redis hangs, mail is delivered, and
    afterwards each attempt is there once, also those that Redis had heard of but not answered."""
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx"))
    settings = (f"store={redis.url}", "user=", "group=", f"maillog.source=file:{server.maillog}")
    policy.start(KNOWN, *settings, mxserverrules=COUNTING)
    hosts.answer("MAIL", "451 4.7.1 later", host=HOSTS["a"])
    results = ["250"] * 5 + ["451"] * 5

    def deliver(n):
        begin = time.monotonic()
        assert server.send("ann@sender.test", f"u{n}@{DOMAIN}", MESSAGE).ok
        assert server.wait_delivery(recipient=f"u{n}@{DOMAIN}").host == HOSTS["b"]
        assert time.monotonic() - begin < 15   # three servers, each within a deadline of a second

    def on_record():
        rows = outbound.cli(policy, "attempts", "--json", "-n", "0", options=settings).splitlines()
        return sorted(json.loads(row)["result"][:3] for row in rows)

    for n in range(2):
        deliver(n)
    machine.wait_until(lambda: on_record() == results[3:7], 10, "the attempts before")
    redis.hang()
    try:
        for n in range(2, 5):
            deliver(n)
        machine.wait_until(lambda: policy.ask() == "WARN 10 local", 20, "what the log tells")
        assert f"a.{DOMAIN}\t2\tlocal\tnil" in policy.out()
    finally:
        redis.resume()
    policy.wait_log("store: merged what was kept", 20)
    assert on_record() == results
    assert policy.ask() == "WARN 10 nil"
    assert "status=deferred" not in server.log()


def test_redis_hangs_under_quotas(postfix, policy, redis):
    """R18: the first message already is counted without Redis, its client gets his answer, and
    afterwards every message was counted once, whether Redis had heard of it or not."""
    policy.start(example("quotas.lua", *SMALL), f"store={redis.url}", "policy.deadline_ms=4000")
    assert submit(postfix).code == 250
    redis.hang()
    try:
        begin = time.monotonic()
        assert submit(postfix).code == 250
        assert time.monotonic() - begin < 15
    finally:
        redis.resume()
    policy.wait_log("store: merged what was kept", 20)
    assert [submit(postfix).code for _ in range(2)] == [250, 450]   # three in an hour


# how old it may be

def tokens(arguments):
    """The words of a command's syntax, each with the version that brought it."""
    found = {}
    for argument in arguments:
        found.update(tokens(argument.get("arguments", [])))
        if "token" in argument:
            found[argument["token"]] = argument.get("since", "1.0.0")
    return found


def test_what_is_asked_of_redis_is_old(redis):
    """R12: Redis is wanted from that version on which doc/store.md names. contrib/redis/users.acl has
    the commands (test_store.c runs with no other ones), the scripts have their options; the server
    knows since when there is each."""
    text = (machine.TOP / "doc/store.md").read_text()
    wanted = [int(n) for n in re.search(r"Any Redis from ([\d.]+) on", text)[1].split(".")]
    rights = (machine.TOP / "contrib/redis/users.acl").read_text()
    commands = ["auth"] + re.findall(r" \+([a-z|]+)", rights)
    options = {}
    for file in (machine.TOP / "common/store").glob("redis_script*"):
        for name, rest in re.findall(r"redis\.call\('([A-Z]+)'([^\n]*)", file.read_text()):
            options.setdefault(name.lower(), set()).update(re.findall(r"'([A-Z]+)'", rest))
    assert len(commands) > 25 and options["zrevrangebyscore"] == {"WITHSCORES", "LIMIT"}
    assert set(options) <= set(commands)
    docs = json.loads(redis.command("--json", "COMMAND", "DOCS", *commands).stdout)
    assert set(docs) == set(commands)
    for name, doc in docs.items():
        words = tokens(doc.get("arguments", []))
        for word, since in {name: doc["since"], **{w: words[w] for w in options.get(name, ())}}.items():
            assert [int(n) for n in since.split(".")][:len(wanted)] <= wanted, (name, word, since)


def test_a_server_without_a_command(policy):
    """R12: one that is too old, or where it was disabled: the log says what is wanted."""
    server = redis_module.Redis("--rename-command", "EVALSHA", "")
    try:
        policy.start(TAKE, f"store={server.url}")
        assert policy.ask() == "WARN true local"
        assert re.search("Redis 5.0 or later with all its commands is wanted: ERR unknown command",
                         policy.log())
    finally:
        server.stop()
