"""HELOname, tryESMTP and timeouts of ServerDetails() on stock Postfix: the services that `mailhooks
setup` writes for the sections `profile`, chosen by domain."""

import pytest

from rig import outbound, postfix
from rig import policy as policy_module
from rig.deciding import policy, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

CONFIG = """
profile "newsletter" { helo_name = "news.example.net" }
profile "ancient" { helo_name = "old.example.net" esmtp = false }
profile "hasty" { connect_seconds = 7 command_seconds = 1 data_seconds = 9 }
"""
SCRIPT = """
function ServerDetails(p, headers, actions)
    if p.domain == "one.test" then actions.HELOname = "NEWS.example.net" end
    if p.domain == "two.test" then
        actions.HELOname = "old.example.net"
        actions.tryESMTP = 0
    end
    if p.domain == "three.test" then
        actions.timeouts.connect, actions.timeouts.command, actions.timeouts.data = 7, 1, "9"
    end
    if p.domain == "four.test" then actions.HELOname = "nobody.declared.test" end
    if p.domain == "slow.test" then while true do end end
    if p.domain == "named.test" or p.domain == "ours.test" then
        actions.HELOname = "news.example.net"
    end
end
"""


@pytest.fixture(scope="module")
def written(sockets):
    """main.cf parameters and master.cf lines."""
    service = policy_module.Policy(sockets)
    service.script("mxout.lua", SCRIPT)
    service.config.write_text(CONFIG)
    return outbound.written(service)


@pytest.fixture(scope="module")
def postfix_of_module(world, name_server, written):
    server = postfix.Postfix(world, 2780, parameters=written[0], master=written[1])
    yield server
    server.stop()


@pytest.fixture
def server(sink, dns, postfix_of_module, policy):
    postfix_of_module.begin_test()
    for _ in outbound.three_hosts(sink, dns):
        yield postfix_of_module
    postfix_of_module.end_test()


def start(policy, *options, script=SCRIPT, **scripts):
    policy.start(None, outbound.store(policy), "outbound.route_seconds=0", *options, config=CONFIG,
                 mxout=script, **scripts)


def deliver(server, recipient):
    """The message as it arrived, under whatever name."""
    assert server.send("ann@sender.test", recipient, MESSAGE).ok
    [delivery] = server.sink.wait(1, recipient=recipient)
    return delivery


def test_what_is_written(written):
    """The timeouts of each step, and the maps that the hook needs."""
    assert {"transport_maps", "smtp_tls_policy_maps"} <= set(written[0])
    services = {part.split()[0]: part for part in written[1].split("# profile ")[1:]}
    assert "smtp_never_send_ehlo=yes" in services['"ancient"'] and "timeout" not in services['"ancient"']
    hasty = dict(line.split("=") for line in services['"hasty"'].splitlines()[2:])
    assert {name.removeprefix("  -o smtp_").removesuffix("_timeout"): value
            for name, value in hasty.items()} == {
        "connect": "7s", "helo": "1s", "starttls": "1s", "mail": "1s", "rcpt": "1s",
        "data_init": "1s", "quit": "1s", "data_xfer": "9s", "data_done": "9s"}


def test_each_domain_has_its_profile(server, sink, policy):
    """The HELO name, HELO instead of EHLO; other domains and local mail are as they were."""
    start(policy)
    assert deliver(server, "bob@one.test").helo == "news.example.net"
    assert deliver(server, "bob@two.test").helo == "old.example.net"
    said = [line for d in sink.dialogues_with("127.0.0.22") for line in d.said]
    assert "HELO old.example.net" in said and not any(line.startswith("EHLO") for line in said)
    assert deliver(server, "bob@example.com").helo == server.hostname
    server.send("ann@sender.test", f"user1@{server.hostname}", MESSAGE)
    server.wait_delivery(host="127.0.0.30")
    told = outbound.cli(policy, "route", "bob@one.test")
    assert "profile, by ServerDetails: newsletter\ntransport map: mailhooks-profile-0:\n" in told


def test_a_timeout(server, sink, policy):
    """A server that does not answer MAIL is given up after a second, the next one gets the mail."""
    sink.answer("MAIL", sink.HANG, host=HOSTS["a"])
    start(policy)
    assert deliver(server, f"bob@{DOMAIN}").host == HOSTS["b"]
    server.wait_log(r"conversation with a\.three\.test.* timed out while sending MAIL FROM")
    sink.release()


def test_together_with_other_servers(server, policy):
    """The profile takes the servers of GetOverrides()."""
    start(policy, mxserverrules=f"""
        function GetOverrides(domain) if domain == "one.test" then return {{ "c.{DOMAIN}" }} end end
    """)
    assert policy.look_up("transport", "bob@one.test") == f"OK mailhooks-profile-0:[c.{DOMAIN}]"
    delivery = deliver(server, "bob@one.test")
    assert (delivery.host, delivery.helo) == (HOSTS["c"], "news.example.net")


def test_what_has_no_profile(server, dns, policy):
    """Not declared, late, broken, no server at all, this host itself: as Postfix has it."""
    dns.add("mx-host=four.test,a.three.test,10", "mx-host=slow.test,a.three.test,10",
            f"mx-host=named.test,{server.hostname},10", "mx-host=ours.test,mx.ours.test,10",
            "host-record=mx.ours.test,127.0.0.1")
    start(policy, "outbound.deadline_ms=400", "lua.instructions=1000000000000")
    assert deliver(server, "bob@four.test").helo == server.hostname
    policy.wait_log(r"ServerDetails for a\.three\.test of four\.test: no section profile has just")
    for domain in ("slow.test", "nowhere.test", "null.test", "named.test", "ours.test"):
        assert policy.look_up("transport", f"bob@{domain}") == "NOTFOUND "
    policy.script("mxout.lua", "function ServerDetails(p, h, a) a.timeouts = 5 return a end")
    policy.reload()
    assert policy.look_up("transport", "bob@one.test") == "NOTFOUND "


def test_what_has_a_profile_passes_by_the_relay_host(sink, make_postfix, written, policy):
    """As the documents say: an answer without a next hop is the recipient's domain to Postfix, not
    its relayhost. All other mail goes by that."""
    server = make_postfix(milter=None, master=written[1], parameters={
        "transport_maps": policy.map("transport"), "relayhost": "[mx1.example.com]"})
    start(policy)
    delivery = deliver(server, "bob@one.test")
    assert (delivery.host, delivery.helo) == ("127.0.0.21", "news.example.net")
    delivery = deliver(server, "bob@four.test")
    assert (delivery.host, delivery.helo) == ("127.0.0.11", server.hostname)


@pytest.mark.parametrize("scripts", [{}, {"mxserverrules": "function GetOverrides() end"}])
def test_dead_name_servers(make_postfix, policy, silent_dns, scripts):
    """R18: which profile a domain wants cannot be found out, so its mail goes Postfix's own way; and
    smtpd(8) and qmgr(8), which ask about each recipient and wait, wait once for the domain."""
    server = make_postfix(milter=None, parameters={"transport_maps": policy.map("transport")})
    start(policy, f"dns.servers={silent_dns.address}", "dns.breaker_failures=0",
          "outbound.route_seconds=60", **scripts)
    recipients = [f"user{n}@two.test" for n in range(12)]
    assert server.send("ann@sender.test", recipients, MESSAGE).ok
    [delivery] = server.sink.wait(1, recipient=recipients[0])
    assert (len(delivery.recipients), delivery.helo) == (12, server.hostname)
    assert 0 < silent_dns.queries().count("two.test") < 5    # not 24
