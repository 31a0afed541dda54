"""ReturnCodeHandler() on stock Postfix: one call per reply, 4xx and 5xx become each other, nothing
else, and a session never loses its place (trap: an answer with a line break hangs a delivery)."""

import pytest

from rig import machine, outbound, postfix
from rig import policy as policy_module
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

BOB = f"bob@{DOMAIN}"

NOTE = """
function ReturnCodeHandler(command, full, last, where)
    print(command .. "|" .. full:gsub("\\r\\n", "/") .. "|" .. where.server)
    local change = Change
    if change then return change(command, full) end
end
"""


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2710, parameters={
        **outbound.parameters(service, "mx", "tls", "reply", "ehlo_out", "generic", "status"),
        "smtp_tls_security_level": "may"})
    yield server
    server.stop()


def start(policy, change="", *options):
    policy.start(None, outbound.store(policy), *options, mxout=f"{change}\n{NOTE}")


def send(server, sender="ann@sender.test"):
    assert server.send(sender, BOB, MESSAGE).ok


def test_the_commands_of_a_delivery(server, hosts, policy, dns, sink):
    """What the hook is told, with TLS and without; a refused host and the next one."""
    certificate = machine.certificate(machine.new_directory("tls"), f"b.{DOMAIN}")
    sink.unlisten(HOSTS["b"])
    sink.listen(HOSTS["b"], certificate=certificate)
    sink.answer("RCPT", "450-4.2.1 try\n450 4.2.1 later", host=HOSTS["a"])
    start(policy)
    send(server)
    assert server.wait_delivery(recipient=BOB).tls
    machine.wait_until(lambda: ".|" in policy.out(), 10, "the end")
    commands = [line.split("|")[0] for line in policy.out().splitlines()]
    sender, recipient = "MAIL FROM:<ann@sender.test>", f"RCPT TO:<{BOB}>"
    assert commands == ["CONNECT", "EHLO", sender, recipient, "DATA", "RSET",
                        "CONNECT", "EHLO", "STARTTLS", "EHLO", sender, recipient, "DATA", "."]
    assert f"RCPT TO:<{BOB}>|450-4.2.1 try/450 4.2.1 later|a.{DOMAIN}" in policy.out()
    assert f".|250 2.0.0 kept|b.{DOMAIN}" in policy.out()


def test_an_address_as_domain(server, hosts, policy):
    """bob@[127.0.0.31] after a delivery to the same server by its name: no question of DNS says that
    another one begins."""
    start(policy, """function ServerDetails(parameters)
        print("details|" .. parameters.domain .. "|" .. parameters.server)
    end""")
    send(server)
    server.wait_delivery(recipient=BOB)
    server.settle()    # the same process of Postfix is free for the next one
    before = len(policy.out())
    address = f"[{HOSTS['a']}]"
    assert server.send("ann@sender.test", f"bob@{address}", MESSAGE).ok
    server.wait_delivery(recipient=f"bob@{address}")
    machine.wait_until(lambda: ".|" in policy.out()[before:], 10, "the end")
    told = policy.out()[before:]
    assert f"details|{HOSTS['a']}|{HOSTS['a']}\n" in told and DOMAIN not in told


def test_a_null_sender(server, hosts, policy):
    start(policy)
    send(server, sender="")
    server.wait_delivery(recipient=BOB)
    machine.wait_until(lambda: ".|" in policy.out(), 10, "the end")
    assert "MAIL FROM:|250" in policy.out() and f"RCPT TO:<{BOB}>|250" in policy.out()


def test_4xx_becomes_5xx(server, hosts, policy):
    """The vendor's purpose: a provider says 4xx for an unknown user; the mail bounces at once."""
    hosts.answer("RCPT", "450-4.2.1 no such\n450 4.2.1 user here")
    start(policy, """function Change(command, full)
        if command:find("^RCPT") and full:find("no such") then return "550 5.1.1 unknown" end
    end""")
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=5\.1\.1, status=bounced .*450-4\.2\.1 no such 550 5\.1\.1 "
                    "unknown")
    policy.wait_log(r'becomes "550 5\.1\.1 unknown"')


def test_5xx_becomes_4xx(server, hosts, policy):
    """... and the other way round: mail waits, and goes when the host is well again."""
    hosts.answer("MAIL", "550 5.7.1 policy")
    start(policy, """function Change(command, full)
        if full:find("^550") then return "451-4.7.1 one\\r\\n451 4.7.1 two\\r\\n" end
    end""")
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=4\.7\.1, status=deferred .*451 4\.7\.1 one two")
    hosts.forgive()
    server.flush()
    server.wait_delivery(recipient=BOB)


def test_changes_that_lose_or_double_mail_are_refused(server, hosts, policy):
    """R10 too: line breaks, NUL and nonsense change nothing, and the delivery goes on."""
    hosts.answer("RCPT", "550 5.1.1 unknown")
    start(policy, """local n = 0
    function Change(command, full)
        if command == "." or full:find("^550") then return "250 2.0.0 all is well" end
        if full:find("^250") then return "451 4.0.0 no\\r\\n250 2.0.0 yes" end
        if full:find("^354") then return "\\0\\r\\n.\\r\\n" end
        return "250-"
    end""")
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=5\.1\.1, status=bounced")
    hosts.forgive()
    send(server)
    server.wait_delivery(recipient=BOB)
    server.settle()
    assert server.queue() == []
    policy.wait_log("only 4xx and 5xx may become each other")


def test_slow_and_broken_hooks(server, hosts, policy):
    """R18: the reply stands as the host gave it."""
    start(policy, """function Change(command)
        if command == "EHLO" then error("broken") end
        while command:find("^MAIL") do end
    end""", "policy.deadline_ms=300", "lua.instructions=1000000000000")
    send(server)
    server.wait_delivery(recipient=BOB)
    assert "mxout.lua:" in policy.errors()
    policy.wait_log("answered by default")


def test_the_banner_of_a_process_that_has_said_nothing(hosts, make_postfix, policy):
    """With these two maps alone, as senders of relayout.lua have them, nothing comes before the banner:
    the hook is told that the host refuses."""
    hosts.answer("CONNECT", "421 4.7.0 too busy")
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "reply", "status"))
    start(policy, """function Change(command, full)
        if command == "CONNECT" and full:find("^421") then return "421 4.7.99 not today" end
    end""")
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=4\.7\.99, status=deferred")
    assert policy.out().splitlines() == ["CONNECT|421 4.7.0 too busy|"] * 3
