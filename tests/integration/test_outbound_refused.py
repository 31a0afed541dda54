"""ReturnCodeHandler() without the map generic: after a recipient that was accepted nobody knows
whether a refusal is of the next one or of DATA, until Postfix reports the recipient (map status)."""

import pytest

from rig import machine, outbound, postfix
from rig import policy as policy_module
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

SINGLE = "single.test"   # has the first of the three hosts only
ANN, BOB, JOE = "ann@sender.test", f"bob@{SINGLE}", f"joe@{SINGLE}"

# the vendor's purpose, and the same for DATA
SCRIPT = """
function ReturnCodeHandler(command, full, last, where)
    print(command .. "|" .. full:gsub("\\r\\n", "/") .. "|" .. where.server .. "|" .. tostring(where.again))
    if command:find("^RCPT") and full:find("^4") then return "550 5.1.1 unknown user" end
    if command:find("^DATA") and full:find("^452") then return "552 5.3.4 too large" end
    if command:find("^DATA") and full:find("^554") then return "450 4.3.2 not now" end
end
"""


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2719, parameters={
        **outbound.parameters(service, "mx", "reply", "ehlo_out", "status")})
    yield server
    server.stop()


@pytest.fixture
def one_host(hosts, dns):
    dns.add(f"mx-host={SINGLE},a.{DOMAIN},10")


@pytest.fixture(params=["PIPELINING", "X-ONE-BY-ONE"])
def refusing(request, server, one_host, hosts, policy):
    """refusing(verb, reply, bob, joe): a message to both, refused so; what the log says of them."""
    hosts.offer(HOSTS["a"], request.param, "SIZE")
    policy.start(None, outbound.store(policy), mxout=SCRIPT)

    def send(verb, reply, bob, joe, **which):
        hosts.forgive()
        hosts.answer(verb, reply, **which)
        server.begin_test()
        assert server.send(ANN, [BOB, JOE], MESSAGE).ok
        for who, what in (BOB, bob), (JOE, joe):
            server.wait_log(rf"to=<{who}>, .*{what}")
        server.settle()
        assert len([line for line in server.log().splitlines()
                    if any(f"to=<{who}>" in line for who in (BOB, JOE))]) == 2
    return send


def test_recipients(refusing, policy):
    refusing("RCPT", "450 4.2.1 no such user", "dsn=5.1.1, status=bounced", "status=sent",
             contains="bob@")
    assert f"RCPT TO:|450 4.2.1 no such user|a.{DOMAIN}|false" in policy.out()
    assert "or DATA" not in policy.out()
    refusing("RCPT", "450-4.2.1 no\n450 4.2.1 such user", "status=sent",
             r"dsn=5.1.1, status=bounced \(host a.* said: 550 5.1.1 unknown user \(in reply to RCPT "
             r"TO command\)", contains="joe@")
    assert f"RCPT TO: or DATA|450-4.2.1 no/450 4.2.1 such user|a.{DOMAIN}|false" in policy.out()
    assert f"RCPT TO:|450-4.2.1 no/450 4.2.1 such user|a.{DOMAIN}|true" in policy.out()
    assert policy.log().count("may be of the next RCPT or of DATA") == 1
    refusing("RCPT", "450 4.2.1 no such user", "dsn=5.1.1, status=bounced",
             "dsn=5.1.1, status=bounced")


def test_the_next_server(server, hosts, policy):
    """What stays a 4xx for now is tried at the next server."""
    bob, joe = f"bob@{DOMAIN}", f"joe@{DOMAIN}"
    hosts.answer("RCPT", "450 4.2.1 no such user", host=HOSTS["a"], contains="joe@")
    policy.start(None, outbound.store(policy), mxout=SCRIPT)
    assert server.send(ANN, [bob, joe], MESSAGE).ok
    assert server.wait_delivery(recipient=bob).host == HOSTS["a"]
    assert server.wait_delivery(recipient=joe).host == HOSTS["b"]


def test_the_message(refusing, server, policy):
    """R18: what is refused for now is not lost."""
    refusing("DATA", "451 4.3.0 busy", "dsn=4.3.0, status=deferred .*reply to DATA",
             "dsn=4.3.0, status=deferred")
    assert f"RCPT TO: or DATA|451 4.3.0 busy|a.{DOMAIN}|false" in policy.out()
    assert f"DATA|451 4.3.0 busy|a.{DOMAIN}|true" in policy.out()
    refusing(".", "451 4.3.0 full", "dsn=4.3.0, status=deferred", "dsn=4.3.0, status=deferred")
    assert f".|451 4.3.0 full|a.{DOMAIN}|false" in policy.out()
    refusing("DATA", "452 4.3.1 too large", "dsn=5.3.4, status=bounced .*552 5.3.4 too large",
             "dsn=5.3.4, status=bounced")
    refusing("DATA", "554 5.7.1 no", "dsn=4.3.2, status=deferred", "dsn=4.3.2, status=deferred")


def test_one_recipient(server, one_host, hosts, policy):
    hosts.answer("DATA", "451 4.3.0 busy, try later")
    policy.start(None, outbound.store(policy), mxout=SCRIPT)
    assert server.send(ANN, BOB, MESSAGE).ok
    server.wait_log(rf"to=<{BOB}>, .*status=deferred .*reply to DATA")
    hosts.forgive()
    server.flush()
    server.wait_delivery(recipient=BOB)


def test_a_hook_that_fails(server, one_host, hosts, policy):
    """R18: what was refused stays as the host said it, and the delivery goes on."""
    hosts.answer("RCPT", "450 4.2.1 no", contains="joe@")
    policy.start(None, outbound.store(policy), "policy.deadline_ms=300",
                 "lua.instructions=1000000000000", mxout="""
    function ReturnCodeHandler(command, full, last, where)
        while where.again do end
    end""")
    assert server.send(ANN, [BOB, JOE], MESSAGE).ok
    server.wait_log(rf"to=<{JOE}>, .*dsn=4\.2\.1, status=deferred")
    server.wait_delivery(recipient=BOB)
    policy.wait_log("answered by default")
