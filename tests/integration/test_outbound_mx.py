"""CheckServer() on stock Postfix: one mail server of three is held, mail goes by the others; all of
them held, mail waits and is delivered afterwards. The map mx, holds, `mailhooks holds`."""

import re
import time

import pytest

from rig import machine, outbound, postfix
from rig import policy as policy_module
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

BOB = f"bob@{DOMAIN}"



@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2700, parameters=outbound.parameters(service, "mx"))
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


def start_refusing(policy, minutes, *hosts, options=()):
    refuse(policy, minutes, *hosts)
    policy.start(None, outbound.store(policy), "outbound.minute_ms=1000", "outbound.holds_ms=0",
                 "log.level=debug", *options)


def send(server, recipient=BOB):
    assert server.send("ann@sender.test", recipient, MESSAGE).ok


def test_one_of_three_is_held(server, hosts, policy):
    """The held server gets no connection, the next one gets the mail; the script is not asked for
    it while the hold lasts, and the server comes back."""
    start_refusing(policy, 3, "a")
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["b"]
    assert hosts.dialogues_with(HOSTS["a"]) == []
    policy.wait_log(rf"a\.{DOMAIN} is held until .*: CheckServer\({DOMAIN}, a\.{DOMAIN}, 0, 0\) of "
                    r"mxserverrules\.lua:\d+ returned false")
    assert f"{DOMAIN}\tb.{DOMAIN}\t0\t0\ttrue\t0\tdirect" in policy.out()
    refuse(policy, 3)   # the script has changed its mind, the hold lasts
    send(server)
    server.wait_deliveries(2)
    assert hosts.dialogues_with(HOSTS["a"]) == []
    assert policy.out().count(f"\ta.{DOMAIN}\t") == 1
    machine.wait_until(lambda: "nothing is held" in outbound.cli(policy, "holds"), 15, "the end")
    send(server)
    server.wait_delivery(host=HOSTS["a"])
    assert "status=bounced" not in server.log()


def test_a_release_takes_effect(server, hosts, policy):
    """By a script of the service at once, however seldom it reads the list of holds; by the
    administrator after outbound.holds_ms."""
    refuse(policy, 0)
    policy.start("""function Policy(request)
        print("released", mailhooks.release { server = request.helo_name })
    end""", outbound.store(policy), "outbound.holds_ms=60000")
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["b"]
    begin = time.monotonic()
    policy.ask(helo_name=f"a.{DOMAIN}")
    assert policy.out().endswith("released\ttrue\n")
    send(server)
    server.wait_delivery(host=HOSTS["a"])
    assert time.monotonic() - begin < 30   # and not by reading the list anew
    policy.stop()
    policy.start(None, outbound.store(policy))   # holds_ms is a second
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    send(server)
    server.wait_deliveries(2, host=HOSTS["b"])
    outbound.cli(policy, "holds", "release", "server", f"a.{DOMAIN}")

    def back():
        send(server)
        server.settle()
        return len(server.deliveries(host=HOSTS["a"])) > 1
    machine.wait_until(back, 10, "mail to a")


def test_all_held_waits_and_is_delivered(server, hosts, policy):
    """Deferred with 4.7.0, also after a restart of the service; delivered after the hold; no
    bounce (VPOP3 8.8: held in the queue without error)."""
    start_refusing(policy, 4, "a", "b", "c")
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=4\.7\.0, status=deferred")
    policy.stop()
    refuse(policy, 4)
    policy.start(None, outbound.store(policy), "outbound.minute_ms=1000", "outbound.holds_ms=0")
    server.flush()
    machine.wait_until(lambda: server.log().count("dsn=4.7.0, status=deferred") == 2, 10,
                       "the second try")
    assert outbound.cli(policy, "holds").count("by CheckServer: ") == 3
    machine.wait_until(lambda: "nothing is held" in outbound.cli(policy, "holds"), 20, "the end")
    server.flush()
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    assert "status=bounced" not in server.log() and server.deliveries(host="127.0.0.30") == []


def test_route(hosts, policy):
    """`mailhooks route`: each server, why it is used or not, counters, the time of the next try;
    nothing is changed by asking."""
    refuse(policy, 5, "a")
    outbound.cli(policy, "holds", "add", "server", f"c.{DOMAIN}", 60, "ill")
    told = outbound.cli(policy, "route", BOB)
    assert f"  20 b.{DOMAIN}: used" in outbound.cli(policy, "route", DOMAIN)
    assert re.search(rf"^  10 a\.{DOMAIN}: not used\n    CheckServer\({DOMAIN}, a\.{DOMAIN}, 0, 0\) of "
                     r"mxserverrules\.lua:\d+ returned false\n    not tried before 20.*\n"
                     r"    last 15 minutes: 0 with 2xx, 0 with 4xx, 0 with 5xx$", told, re.M), told
    assert f"  20 b.{DOMAIN}: used\n    CheckServer has no opinion\n" in told
    assert re.search(rf"  30 c\.{DOMAIN}: not used\n    hold on server c\.{DOMAIN} until .* by root: "
                     "ill", told), told
    assert f"a.{DOMAIN}" not in outbound.cli(policy, "holds")
    assert "no mail server for this domain" in outbound.cli(policy, "route", "nobody@nowhere.test")
    assert outbound.cli(policy, "route", "a b", check=False).returncode == 2


def test_route_changes_nothing(hosts, policy):
    """R12: asking takes from no limit and holds nothing, whatever the hook does."""
    policy.script("mxserverrules.lua", """
        mailhooks.hold{server = "top.test", minutes = 5}
        function CheckServer(domain, mx)
            if not mailhooks.rate_take(mx, {count = 1, minutes = 60}) then return false end
            mailhooks.hold{server = mx, minutes = 5}
        end
    """)
    for _ in range(2):
        assert outbound.cli(policy, "route", BOB).count(": used\n") == 3
    assert "nothing is held" in outbound.cli(policy, "holds")


def test_route_of_a_domain_without_mx_records(server, hosts, policy, dns):
    """What is told is what Postfix does: of its address only holds are asked about."""
    dns.add(f"host-record=plain.test,{HOSTS['a']}", f"host-record=held.test,{HOSTS['b']}")
    policy.start(None, outbound.store(policy), "outbound.holds_ms=0", mxserverrules=f"""
        function GetOverrides(domain) if domain == "{DOMAIN}" then return nil, false end end
        function CheckServer() return false end
    """)
    outbound.cli(policy, "holds", "add", "domain", "held.test", 60, "ill")
    told = outbound.cli(policy, "route", "bob@plain.test")
    assert "  0 plain.test: used\n    not held\n" in told and "mail waits" not in told, told
    told = outbound.cli(policy, "route", "bob@held.test")
    assert "  0 held.test: not used\n    hold on domain held.test" in told, told
    assert "none may be used: mail waits" in told
    assert "as if the domain had no servers; mail waits" in outbound.cli(policy, "route", BOB)
    for domain in "plain.test", "held.test", DOMAIN:
        send(server, f"bob@{domain}")
    for domain in "held.test", DOMAIN:
        server.wait_log(rf"to=<bob@{domain}>, .*status=deferred")
    assert server.wait_delivery(recipient="bob@plain.test").host == HOSTS["a"]


def test_released_for_some_minutes(server, hosts, policy):
    """Mail is stuck at night, and the other side says it is well again: what the script would hold
    anew at once is used for so long; a hold by hand ends that."""
    start_refusing(policy, 3600, "a", "b", "c", options=["outbound.holds_ms=0"])
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*dsn=4\.7\.0, status=deferred")
    assert outbound.cli(policy, "holds").count("by CheckServer: ") == 3
    assert "postqueue -f" in outbound.cli(policy, "holds", "release", "server", f"a.{DOMAIN}", 30)
    told = outbound.cli(policy, "route", BOB)
    assert re.search(rf"10 a\.{DOMAIN}: used\n    server a\.{DOMAIN} released until 20.*, by root: "
                     "CheckServer is not asked", told), told
    assert f"server a.{DOMAIN} released until " in outbound.cli(policy, "holds")
    server.flush()
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    assert f"hold on server a.{DOMAIN}" in outbound.cli(policy, "route", BOB)
    outbound.cli(policy, "holds", "release", "server", f"a.{DOMAIN}")
    assert f"a.{DOMAIN}" not in outbound.cli(policy, "holds")


def test_route_without_a_store(hosts, policy, redis):
    """Holds and counters are not known: said, and not shown as none."""
    refuse(policy, 5)
    redis.stop()
    store = [f"store={redis.url}"]
    told = outbound.cli(policy, "route", BOB, options=store, check=False)
    assert told.returncode == 1
    assert "last 15 minutes: unknown with 2xx, unknown with 4xx, unknown with 5xx" in told.stdout
    assert "the store does not answer" in told.stdout


def test_refused_without_minutes(server, hosts, policy):
    """Not held: asked again for the next message."""
    start_refusing(policy, "0", "a")
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["b"]
    refuse(policy, "0")
    send(server)
    server.wait_delivery(host=HOSTS["a"])
    assert "nothing is held" in outbound.cli(policy, "holds")


def test_holds_by_hand(server, hosts, policy):
    """`mailhooks holds`, without any script; address records of a relay too."""
    policy.start(None, outbound.store(policy), "outbound.holds_ms=0")
    assert outbound.cli(policy, "holds", "list") == "nothing is held\n"
    outbound.cli(policy, "holds", "add", "server", f"A.{DOMAIN}", 10, "it is ill\nreally")
    outbound.cli(policy, "holds", "add", "address", HOSTS["b"], 10)
    listed = outbound.cli(policy, "holds")
    assert re.search(rf"^server a\.{DOMAIN} until .* \(\d+ s left\) by root: it is ill\\nreally$",
                     listed, re.M), listed
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["c"]
    outbound.cli(policy, "holds", "release", "server", f"a.{DOMAIN}")
    send(server)
    server.wait_delivery(host=HOSTS["a"])
    assert outbound.cli(policy, "holds", "release", "server", "a.test", check=False).returncode == 1
    for arguments, wrong in ((("release", "host", "a.test"), '"host" is none of server, address'),
                             (("add", "all", "1e9"), '"1e9" is no number of minutes'),
                             (("add", "server", "a.test"), "for how many minutes?"),
                             (("add", "server", "a_/b", "5"), "cannot be the name of a host"),
                             (("release", "all", "5"), "not with all"),
                             (("free", "all"), '"free" is none of list')):
        failed = outbound.cli(policy, "holds", *arguments, check=False)
        assert failed.returncode == 2 and wrong in failed.stderr, failed.stderr
    outbound.cli(policy, "holds", "add", "all", 10)
    send(server, "bob@one.test")
    server.wait_log(r"to=<bob@one\.test>, .*dsn=4\.7\.0, status=deferred")


def test_other_records_are_left_alone(server, hosts, policy, dns):
    """A domain without MX records, an alias, a null MX, a relay in brackets."""
    dns.add(f"host-record=plain.test,{HOSTS['a']}", "mx-host=alias.test,name.alias.test,10",
            "cname=name.alias.test,plain.test")
    start_refusing(policy, 6, "b")
    for recipient in ("bob@plain.test", "bob@alias.test", "bob@[127.0.0.33]"):
        send(server, recipient)
        server.wait_delivery(recipient=recipient)
    send(server, "bob@null.test")
    server.wait_log(r"to=<bob@null\.test>, .*status=bounced .*null ?MX")
    assert "alias.test\tname.alias.test" in policy.out() and "plain.test\tplain" not in policy.out()


def test_hostile_names(server, hosts, policy, dns):
    """R17: what a domain's owner puts into DNS reaches no script unless it could be a host's name;
    his other servers get the mail."""
    evil = "x'or'1'='1.evil.test"
    dns.add(f"mx-host=evil.test,{evil},10", f"mx-host=evil.test,c.{DOMAIN},20")
    policy.start(None, outbound.store(policy), mxserverrules="""
        function CheckServer(domain, mxserver) print("asked", domain, mxserver) end
        function FinalOverrides(domain, servers) print(#servers, servers[1].server) end
    """)
    send(server, "bob@evil.test")
    server.wait_log(f"malformed domain name in resource data of MX record for evil.test: {evil}")
    assert server.wait_delivery(recipient="bob@evil.test").host == HOSTS["c"]
    # whatever else might ask
    assert policy.look_up("mx", f"evil.test. 0 IN MX 10 {evil}.") == "NOTFOUND "
    assert policy.look_up("mx", "'; DROP TABLE x;. 0 IN MX 10 a.test.") == "NOTFOUND "
    assert policy.look_up("transport", f"bob@{evil}") == "NOTFOUND "
    assert policy.look_up("transport", "bob@evil.test") == "NOTFOUND "    # by our own DNS question
    assert f"1\tc.{DOMAIN}" in policy.out() and "'" not in policy.out()


def backup_zone(first):
    return [f"mx-host=backup.test,{first}.{DOMAIN},10", "mx-host=backup.test,us.backup.test,20",
            f"mx-host=backup.test,c.{DOMAIN},30", "host-record=us.backup.test,127.0.0.1"]


def test_we_are_the_backup(hosts, make_postfix, policy, dns):
    """When the better servers are held and the best one left is this host, Postfix must not see it:
    it would bounce the mail as a loop, or go on to a server that brings it back."""
    server = make_postfix(milter=None, parameters={
        **outbound.parameters(policy, "mx"), "smtp_fallback_relay": f"[b.{DOMAIN}]"})
    dns.add(*backup_zone("a"))
    start_refusing(policy, 2.5, "a", options=(f"outbound.fallback_relays=b.{DOMAIN}",))
    send(server, "bob@backup.test")
    server.wait_log(r"to=<bob@backup\.test>, .*dsn=4\.7\.0, status=deferred")
    policy.wait_log("the next one is this host: the mail waits")
    assert hosts.dialogues_with(HOSTS["b"]) + hosts.dialogues_with(HOSTS["c"]) == []
    send(server)    # others do use the fallback relay when their servers are held
    server.wait_delivery(recipient=BOB, host=HOSTS["b"])
    refuse(policy, 2.5)
    machine.wait_until(lambda: "nothing is held" in outbound.cli(policy, "holds"), 15, "the end")
    server.flush()
    assert server.wait_delivery(recipient="bob@backup.test").host == HOSTS["a"]
    assert "status=bounced" not in server.log()


def test_we_are_the_backup_under_an_alias(hosts, make_postfix, policy, dns):
    """The same when our MX record names an alias, and those behind us do: no server that brings it
    back gets the mail."""
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx"))
    dns.add(*backup_zone("a")[:-1], "host-record=real.backup.test,127.0.0.1",
            "cname=us.backup.test,real.backup.test", "mx-host=backup.test,behind.backup.test,40",
            f"cname=behind.backup.test,b.{DOMAIN}")
    start_refusing(policy, 60, "a")
    send(server, "bob@backup.test")
    server.wait_log(r"to=<bob@backup\.test>, .*dsn=4\.7\.0, status=deferred")
    policy.wait_log("the next one is this host: the mail waits")
    assert hosts.dialogues_with() == [] and "status=bounced" not in server.log()


def test_the_next_delivery_of_a_process(hosts, make_postfix, policy, dns):
    """smtp(8) goes on to other mail after one that waits because we are the backup, and nothing but
    its questions says so: the fallback relay and the servers of the first are free for the next."""
    server = make_postfix(milter=None, master="one unix - - n - 1 smtp\n", parameters={
        **outbound.parameters(policy, "mx"), "smtp_fallback_relay": f"[b.{DOMAIN}]",
        "default_transport": "one"})
    dns.add(*backup_zone("a"), "host-record=deaf.test,127.0.0.99")
    start_refusing(policy, 60, "a", options=(f"outbound.fallback_relays=b.{DOMAIN}",))
    for n, (recipient, host) in enumerate((("bob@deaf.test", "b"), (f"bob@c.{DOMAIN}", "c")), 1):
        send(server, f"bob{n}@backup.test")
        server.wait_log(rf"to=<bob{n}@backup\.test>, .*dsn=4\.7\.0, status=deferred")
        send(server, recipient)
        assert server.wait_delivery(recipient=recipient).host == HOSTS[host]
    assert len(set(re.findall(r"smtp\[(\d+)\]: \w+: to=", server.log()))) == 1


def test_postfix_would_bounce(hosts, make_postfix, policy, dns):
    """The control: what Postfix does when a filter does not think of it."""
    table = machine.new_directory("table") / "filter"
    table.write_text(rf"/ MX 10 a\.{DOMAIN}/ ignore")
    server = make_postfix(milter=None, parameters={"smtp_dns_reply_filter": f"regexp:{table}"})
    dns.add(*backup_zone("a"))
    send(server, "bob@backup.test")
    server.wait_log(r"to=<bob@backup\.test>, .*status=bounced .*loops back to myself")


def test_slow_script_and_dead_service(server, hosts, policy):
    """R18: a script that hangs costs the deadline and the mail goes; without the service mail waits,
    and nothing is lost."""
    policy.start(None, outbound.store(policy), "outbound.deadline_ms=500",
                 "lua.instructions=1000000000000",
                 mxserverrules=f"function CheckServer(d, mx) while mx == 'a.{DOMAIN}' do end end")
    begin = time.monotonic()
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    assert time.monotonic() - begin < 0.5 + 3
    policy.wait_log("answered by default")
    assert policy.kill() == -9
    send(server)
    server.wait_log(rf"to=<{BOB}>, .*status=deferred")
    start_refusing(policy, 1)
    server.flush()
    server.wait_deliveries(2)


def test_over_the_network_nothing_is_decided(hosts, make_postfix, policy):
    """Without the process at the other end nobody knows which delivery asks: everything is kept,
    and the log says so."""
    port = 15025
    server = make_postfix(milter=None, parameters={
        "smtp_dns_reply_filter": f"socketmap:inet:127.0.0.1:{port}:mx"})
    start_refusing(policy, 6, "a", options=(f"socketmap.listen=inet:{port}@127.0.0.1",))
    send(server)
    assert server.wait_delivery(recipient=BOB).host == HOSTS["a"]
    policy.wait_log("served on unix sockets only")
