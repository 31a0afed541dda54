"""Deliveries of Sendmail, decided by mxserverrules.lua: contrib/sendmail-outbound.m4 as it stands.
A held mail server is left out, all of them held: the mail waits and is delivered afterwards."""

import json
import re
import time

import pytest

from rig import machine, outbound, sendmail
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

M4 = machine.TOP / "contrib/sendmail-outbound.m4"
INSTALLED = "/run/mailhooks/socketmap.sock"
BOB = f"bob@{DOMAIN}"


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, syslog, sockets):
    text = M4.read_text()
    assert text.count(INSTALLED) == 1
    server = sendmail.Sendmail(world, 2760, syslog,
                               extra=text.replace(INSTALLED, f"{sockets}/socketmap.sock"))
    yield server
    server.stop()


def refuse(policy, minutes, *hosts):
    """The script with the hosts that it refuses from now on."""
    rules = "".join(f'refused["{host}.{DOMAIN}"] = {minutes}\n' for host in hosts)
    policy.script("mxserverrules.lua", "local refused = {}\n" + rules + """
        function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)
            print(domain, mxserver, numRetries, messageSize, defaultResult, ConnectionId,
                  ConnectionName)
            if refused[mxserver] then return false, refused[mxserver] end
        end
    """)
    if policy.process:
        policy.reload()


def start(policy, *options, **scripts):
    policy.start(None, outbound.store(policy), "outbound.minute_ms=1000", "outbound.holds_ms=0",
                 "log.level=debug", *options, **scripts)


def send(server, recipient=BOB):
    reply = server.send("ann@sender.test", recipient, MESSAGE)
    assert reply.ok, reply


def no_holds(policy):
    machine.wait_until(lambda: "nothing is held" in outbound.cli(policy, "holds"), 20, "the end")


def test_one_of_three_is_held(server, hosts, policy):
    """The held server gets no connection, the next one gets the mail; the script is not asked for
    it while the hold lasts, and the server comes back."""
    refuse(policy, 5, "a")
    start(policy)
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["b"]
    assert hosts.dialogues_with(HOSTS["a"]) == []
    assert f"{DOMAIN}\tb.{DOMAIN}\t0\t0\ttrue\t0\tdirect" in policy.out()
    refuse(policy, 5)   # the script has changed its mind, the hold lasts
    send(server)
    server.wait_deliveries(2)
    assert hosts.dialogues_with(HOSTS["a"]) == []
    assert policy.out().count(f"\ta.{DOMAIN}\t") == 1
    no_holds(policy)
    send(server)
    server.wait_delivery(host=HOSTS["a"])


def test_all_held_waits_and_is_delivered(server, hosts, policy):
    """Accepted, stays in the queue without an error, also after a restart of the service;
    delivered after the hold, no bounce. numRetries is Sendmail's own count."""
    refuse(policy, 8, "a", "b", "c")
    start(policy)
    send(server)
    server.settle()
    assert [queue for queue, _ in server.queue()] == ["active"]
    policy.stop()
    refuse(policy, 8)
    start(policy)
    server.flush()
    server.settle()
    assert len(server.queue()) == 1 and hosts.dialogues_with() == []
    assert outbound.cli(policy, "holds").count("by CheckServer: ") == 3
    no_holds(policy)
    server.flush()
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    server.settle()
    assert server.queue() == [] and server.deliveries(host="127.0.0.30") == []
    # asked when the message came in, and by the third try; the second one found holds
    asked = re.findall(rf"^{DOMAIN}\ta\.{DOMAIN}\t(\d+)\t", policy.out(), re.M)
    assert asked == ["0", "2"], policy.out()
    assert "ntries=3" in server.log()


SCRIPT = """
function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)
    local x = VPOP3.PostgresQuery("SELECT COUNT(*) AS cnt FROM outqueue.sendattempts " ..
        "WHERE server='" .. mxserver .. "' AND starttime > CURRENT_TIMESTAMP + " ..
        "'-15 MINUTES' AND LEFT(result, 1) = '4'")
    if tonumber(x[1].cnt) > 3 then
        return false, 10;
    end
end
"""


def test_one_server_is_throttled(server, hosts, policy, syslog):
    """The whole circle: a refuses, Sendmail's log says so, the script counts and holds a alone; the
    mail goes by b."""
    syslog.file = policy.directory / "mail.log"
    syslog.file.touch()
    hosts.answer("RCPT", "451 4.7.1 try later", host=HOSTS["a"])
    as_root = ("user=", "group=")   # as the tests of the follower
    start(policy, *as_root, f"maillog.source=file:{syslog.file}", f"maillog.sendmail={server.tag}",
          "outbound.minute_ms=60000", mxserverrules=SCRIPT)

    def refusals():
        listed = outbound.cli(policy, "attempts", "--json", "--result", "4", options=as_root)
        return [json.loads(row)["server"] for row in listed.splitlines()]
    try:
        for n in range(1, 5):
            send(server)
            server.wait_deliveries(n, host=HOSTS["b"])
            machine.wait_until(lambda: refusals() == [f"a.{DOMAIN}"] * n, 10,
                               f"{n} refusals on record")
        assert len(hosts.dialogues_with(HOSTS["a"])) == 4
        send(server)
        server.wait_deliveries(5, host=HOSTS["b"])
    finally:
        syslog.file = None
    policy.wait_log(rf"a\.{DOMAIN} is held until")
    assert len(hosts.dialogues_with(HOSTS["a"])) == 4
    held = outbound.cli(policy, "holds", options=as_root).splitlines()
    assert [line.split()[1] for line in held] == [f"a.{DOMAIN}"]


def test_size_of_the_message(server, hosts, policy, syslog):
    """messageSize is that of this message once its facts are known, here from the log; without
    minutes the servers are asked about in every queue run."""
    syslog.file = policy.directory / "mail.log"
    syslog.file.touch()
    refuse(policy, 0, "a", "b", "c")
    start(policy, "user=", "group=", f"maillog.source=file:{syslog.file}",
          f"maillog.sendmail={server.tag}")
    try:
        send(server)
        size = server.wait_log(r"from=<ann@sender\.test>, size=(\d+)")[1]

        def asked_with_size():
            server.flush()
            return re.search(rf"^{DOMAIN}\ta\.{DOMAIN}\t[1-9]\d*\t{size}\t", policy.out(), re.M)
        machine.wait_until(asked_with_size, 15, f"CheckServer with size {size}")
    finally:
        syslog.file = None
    assert "nothing is held" in outbound.cli(policy, "holds", options=("user=", "group="))
    assert hosts.dialogues_with() == []


OVERRIDES = f"""
function GetOverrides(domain, numRetries, messageSize)
    if domain == "none.test" then return nil, false end
    if domain == "port.test" then return {{ "a.{DOMAIN}:2525" }} end
    if domain == "other.test" then return {{ "a.{DOMAIN}", "b.{DOMAIN}:25" }} end
end
function FinalOverrides(domain, servers)
    if domain == "last.test" then return {{ "c.{DOMAIN}" }} end
end
"""


def test_other_servers(server, hosts, policy, dns):
    """GetOverrides and FinalOverrides: other servers, the next one when the first refuses; other
    domains and local mail are left alone; what cannot be said waits."""
    dns.add(f"mx-host=none.test,c.{DOMAIN},10", f"mx-host=last.test,a.{DOMAIN},10")
    start(policy, mxserverrules=OVERRIDES)
    hosts.answer("RCPT", "450 4.2.1 later", host=HOSTS["a"], contains="joe")
    for recipient, host in (("bob@other.test", "a"), ("joe@other.test", "b"), ("bob@last.test", "c"),
                            (BOB, "a")):
        send(server, recipient)
        assert server.wait_delivery(recipient=recipient).host == HOSTS[host]
    send(server, f"user1@{server.hostname}")
    server.wait_delivery(host="127.0.0.30")
    for recipient in ("bob@none.test", "bob@port.test"):
        send(server, recipient)
    server.settle()
    assert len(server.queue()) == 2 and "DSN" not in server.log()
    policy.wait_log("port.test: Sendmail takes no port")


def test_several_recipients(server, hosts, policy):
    """Of one message: those of the held domain wait, the others go."""
    refuse(policy, 600, "a", "b", "c")
    start(policy)
    assert server.send("ann@sender.test", [BOB, "bob@one.test", f"ann@{DOMAIN}"], MESSAGE).ok
    server.wait_delivery(recipient="bob@one.test")
    server.settle()
    assert len(server.queue()) == 1 and hosts.dialogues_with(HOSTS["a"]) == []
    outbound.cli(policy, "holds", "release", "server", f"b.{DOMAIN}")
    refuse(policy, 600)
    server.flush()
    assert sorted(server.wait_delivery(host=HOSTS["b"]).recipients) == [f"ann@{DOMAIN}", BOB]


@pytest.mark.parametrize("names", ["us.backup.test", ""])
def test_we_are_the_backup(server, hosts, policy, dns, names):
    """When the better server is held, mail never goes to this host or to worse ones, whether it is
    known by its name or by its address."""
    dns.add(f"mx-host=backup.test,a.{DOMAIN},10", "mx-host=backup.test,us.backup.test,20",
            f"mx-host=backup.test,c.{DOMAIN},30", "host-record=us.backup.test,127.0.0.1")
    start(policy, f"outbound.own_names={names}")
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    send(server, "bob@backup.test")
    server.settle()
    assert len(server.queue()) == 1 and hosts.dialogues_with() == []
    outbound.cli(policy, "holds", "release", "server", f"a.{DOMAIN}")
    server.flush()
    assert server.wait_delivery(recipient="bob@backup.test").host == HOSTS["a"]


def test_slow_script_and_dead_service(server, hosts, policy):
    """R18: a script that hangs costs the deadline and the mail goes; without the service mail is
    accepted and waits, and nothing is lost."""
    start(policy, "outbound.deadline_ms=500", "lua.instructions=1000000000000",
          mxserverrules=f"function CheckServer(d, mx) while mx == 'a.{DOMAIN}' do end end")
    begin = time.monotonic()
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    assert time.monotonic() - begin < 0.5 + 3
    policy.wait_log("answered by default")
    assert policy.kill() == -9
    send(server)
    server.settle()
    assert len(server.queue()) == 1
    refuse(policy, 1)
    start(policy)
    server.flush()
    server.wait_deliveries(2)


def test_a_script_that_fails(server, hosts, policy):
    """lua.on_error says whether mail passes."""
    start(policy, "lua.on_error=tempfail", mxserverrules="function CheckServer() error('no') end")
    send(server)
    server.settle()
    assert len(server.queue()) == 1 and hosts.dialogues_with() == []
    policy.stop()
    start(policy, "lua.on_error=accept")
    server.flush()
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]


def test_keys(hosts, policy, dns):
    """R17: only names that a host could have are looked up; nothing in an address passes for another
    part of the key."""
    start(policy, "outbound.local_domains=ours.test", mxserverrules=OVERRIDES + """
        function CheckServer(domain, mxserver, retries) print("asked", domain, mxserver, retries) end
    """)
    route = f"OK [a.{DOMAIN}]:[b.{DOMAIN}]"
    assert policy.look_up("local_rule", "6A | 3 | a@b.test | bob@OTHER.test.") == route
    assert policy.look_up("local_rule", "6A|3|\"x|9|y\"@b.test|bob@other.test") == route
    assert policy.look_up("local_rule", '6A |  | <> | "a|9|@x"@other.test.') == route
    assert re.findall(rf"other\.test\ta\.{DOMAIN}\t(\d+)", policy.out()) == ["3", "3", "0"]
    for nothing in ("", "x", "bob@other.test", "6A | x | a | bob@other.test", "6A|-1||b@other.test",
                    "6A | 1 | bob@other.test | bob", "6A | 1 | a@b.test | bob@ours.test",
                    "6A | 1 | a@b.test | bob@x'or'1'='1.test", "6A | 1 | a | bob@[127.0.0.1]"):
        assert policy.look_up("local_rule", nothing) == "NOTFOUND ", nothing
    assert policy.look_up("mailertable", "other.test") == "OK esmtp:" + route[3:]
    assert policy.look_up("mailertable", "none.test").startswith("TEMP ")
    for nothing in (".test", ".", "[127.0.0.1]", DOMAIN, "ours.test", "a b"):
        assert policy.look_up("mailertable", nothing) == "NOTFOUND ", nothing


def test_mailertable(hosts, make_sendmail, policy):
    """The same by FEATURE(mailertable), for those who want no rules of ours."""
    server = make_sendmail(
        milter=None, extra=f"FEATURE(`mailertable', `socket -f local:{policy.map_socket}')dnl")
    start(policy, mxserverrules=OVERRIDES)
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    send(server, "bob@other.test")
    assert server.wait_delivery(recipient="bob@other.test").host == HOSTS["b"]
    for host in ("b", "c"):
        outbound.cli(policy, "holds", "add", "server", f"{host}.{DOMAIN}", 10)
    send(server)
    server.settle()
    assert len(server.queue()) == 1
    outbound.cli(policy, "holds", "release", "server", f"c.{DOMAIN}")
    server.flush()
    assert server.wait_delivery(recipient=BOB).host == HOSTS["c"]
