"""VPOP3's own examples on a real Postfix, unchanged: each as its vendor shows it, but for what that
page has visibly lost (an `end`, a call of os.date). Nothing in them is shortened: time and size are
those of the test's clock and messages."""

import time

import pytest

from rig import certificates, outbound, relays
from rig import milter as milter_module
from rig import policy as policy_module
from rig.relays import RELAYS
from test_outbound_end_to_end import A, B
from test_outbound_end_to_end import DOMAIN as MANY
from test_outbound_end_to_end import Site, hosts, names   # noqa: F401 (fixture)
from test_relay_holds import BOB, NOBODY, SENDER
from test_relay_holds import Site as Held

# mxout.lua: no TLS with one server
WITHOUT_TLS = """
function ServerDetails(params, headers, actions)
  if params["server"] == "mail.broken.com" then
    actions["tryTLS"] = 0
  end
  return actions
end
"""

# relayout.lua: large messages not in working hours, and last
LARGE_LATER = """
function CheckFile(filename, actions, size, createtime, mailfrom, recipients, headerdata, headerlines)

 time = os.date("*t");
 if size > 10000000 and (time.hour > 7 and time.hour < 19) then
  actions["SkipSend"] = 1;
 end

 if size > 5000000 then
  actions["Priority"] = 1;
 end

 return actions;
end
"""

# mxserverrules.lua: a server that refuses rests
THROTTLE = """
function CheckServer(domain, mxserver, numRetries, messageSize, defaultResult)
    if defaultResult then
        x = VPOP3.PostgresQuery("SELECT COUNT(*) AS cnt FROM outqueue.sendattempts WHERE server='" 
        .. mxserver .. "' AND starttime > CURRENT_TIMESTAMP + '-15 MINUTES' AND LEFT(result, 1) = '4'")
        
        if tonumber(x[1].cnt) > 5 then
            return false, 10;
        end
    end    
end
"""  # noqa: W291, W293 (its own blanks)


def test_no_tls_with_one_server(sink, dns, make_postfix, policy):
    authority = certificates.Authority()
    servers = {"broken.com": "127.0.0.41", "fine.test": "127.0.0.42"}
    files = {domain: authority.issue(f"mail.{domain}") for domain in servers}
    for _ in outbound.servers_with_tls(sink, dns, servers, files):
        server = make_postfix(milter=None, parameters={
            **outbound.parameters(policy, "mx", "tls", "ehlo_out"), "smtp_tls_security_level": "may"})
        policy.start(None, outbound.store(policy), mxout=WITHOUT_TLS)
        for domain in servers:
            assert server.send(SENDER, f"bob@{domain}", outbound.MESSAGE).ok
        tls = {d: server.wait_delivery(recipient=f"bob@{d}").tls for d in servers}
        assert [bool(tls[d]) for d in servers] == [False, True]
    assert policy.errors() == ""


@pytest.fixture
def held(sink, name_server):
    directory = outbound.socket_directory()
    milter = milter_module.Milter(directory / "milter.sock")
    policy = policy_module.Policy(directory)
    made = relays.written(policy, relays.configuration(), LARGE_LATER,
                          "agent.mta=postfix")
    site = Held(milter, policy, relays.start_postfix(sink, 2790, milter, *made))
    for _ in relays.listen(sink):
        yield site
    site.postfix.stop()
    assert [p.finish() for p in (milter, policy, site.queue)] == [[], [], []]


def test_large_messages_later(held, monkeypatch):
    """Three messages that wait: in working hours the largest one stays, the others go, the larger of
    them last although it came first; at night the largest goes, too."""
    def at_hour(hour):
        held.policy.stop()
        monkeypatch.setenv("TZ", f"TEST{time.gmtime().tm_hour - hour:+d}")
        held.policy.start(None, *held.settings, config=relays.configuration(), relayout=LARGE_LATER)
    held.start(NOBODY)
    line = "x" * 998 + "\n"
    middle, large, small = (held.hold(f"From: {SENDER}\nSubject: {n}\n\n" + n * line)
                            for n in (6000, 11000, 1))
    at_hour(12)
    found = held.postfix.wait_deliveries(2, 30, recipient=BOB)
    assert {d.host for d in found} == {RELAYS["big"]}
    assert sorted(d.header("Subject")[0] for d in found) == ["1", "6000"]
    assert list(dict.fromkeys(held.queue.done())) == [small, middle]
    assert held.state(large) == "hold"
    at_hour(23)
    assert held.postfix.wait_deliveries(3, 30, recipient=BOB)[2].header("Subject") == ["11000"]
    assert held.policy.errors() == ""


def test_a_server_that_refuses_rests(hosts, make_postfix, policy):
    """Six refusals in the last quarter of an hour; the hold is released by hand, and as they are still
    there the server is held again."""
    site = Site(make_postfix, policy, f"sqlite:{policy.directory}/store.db", THROTTLE)
    hosts.answer("MAIL", "451 4.7.1 try later", host=B)
    assert [site.send(next(names)) for _ in range(6)] == [A] * 6
    site.wait_refusals(6)
    for _ in range(2):
        assert site.send(next(names)) == A
        assert f"server b.{MANY}" in site.cli("holds")
        site.cli("holds", "release", "server", f"b.{MANY}")
    assert len(hosts.dialogues_with(B)) == 6 and policy.errors() == ""
