"""Questions of a delivery that are answered late, are refused by the queue, or are cut in two by a
restart (R18): no mail leaves in clear that must be encrypted, none is bounced as a loop."""

import contextlib

import pytest

from rig import machine, outbound, postfix
from rig import policy as policy_module
from rig.deciding import hosts, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

# the strict server has no TLS: what arrives there has come in clear
DETAILS = f"""function ServerDetails(p, headers, actions)
    if p.server == "b.{DOMAIN}" then actions.forceTLS = 1 end
    return actions
end"""
STRICT, FREE = f"MX 20 b.{DOMAIN}.", f"MX 10 a.{DOMAIN}."
US = "us.backup.test. 0 IN A 127.0.0.1"


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2740, parameters={
        **outbound.parameters(service, "mx", "tls", "ehlo_out"),
        "smtp_tls_security_level": "may"})
    yield server
    server.stop()


@pytest.fixture
def zone(dns):
    dns.add(f"mx-host=both.test,a.{DOMAIN},10", f"mx-host=both.test,b.{DOMAIN},20")


def start(policy, *options, rules=None, milliseconds=0, **scripts):
    """With one worker; a request of a policy client keeps it for so many milliseconds."""
    policy.start(f"function Policy() os.sleep({milliseconds}) return 'DUNNO' end",
                 outbound.store(policy), "policy.workers=1", "policy.deadline_ms=10000",
                 "outbound.holds_ms=0", *options,
                 **({"mxserverrules": rules} if rules else {}), **scripts)


@contextlib.contextmanager
def busy(policy, requests=1):
    """While these requests are worked at; the end of it waits for them."""
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(policy.connect()) for _ in range(requests)]
        for client in clients:
            client.sendall(policy_module.request())
        # the loop of the service has them when it answers one that comes later
        policy.look_up("srs", "nobody@nowhere.test")
        yield
        for client in clients:
            policy_module.read_action(client)


def test_a_late_server_is_not_forgotten(server, hosts, policy, zone):
    """The question about the strict server waits behind a script until its time is up. Which one
    comes first is the name server's choice: the other one is strict."""
    first = policy.directory / "first"
    start(policy, "outbound.deadline_ms=1500", milliseconds=2500, rules="""
        function CheckServer(domain, mx)
            print(mx)
            os.sleep(800)
        end""", mxout=f"""
        function ServerDetails(p, headers, actions)
            actions.forceTLS = io.open("{first}"):read("l") ~= p.server
            return actions
        end""")
    assert server.send("ann@sender.test", "bob@both.test", MESSAGE).ok
    machine.wait_until(policy.out, 10, "the first question")
    first.write_text(policy.out())
    with busy(policy):
        server.wait_log(r"to=<bob@both\.test>, .*status=deferred")
    assert policy.out() == first.read_text()    # the other one was late, indeed
    assert "dsn=4.7.4" in server.log() and server.deliveries() == []


def test_a_refused_server_is_not_forgotten(policy, zone):
    """policy.queue is full when it comes; and the sum of the others does not become the answer for
    times when there is none."""
    start(policy, "policy.queue=1", "outbound.deadline_ms=8000", milliseconds=1000, mxout=DETAILS)
    with busy(policy, 2):
        assert policy.look_up("mx", f"both.test. 0 IN {STRICT}") == "NOTFOUND "
    policy.wait_log("policy.queue was full")
    assert policy.look_up("mx", f"both.test. 0 IN {FREE}") == "NOTFOUND "
    assert policy.look_up("tls", "both.test") == "OK encrypt"
    with busy(policy, 2):
        assert policy.look_up("tls", "both.test") == "OK encrypt"


@pytest.mark.parametrize("dead", [False, True])
def test_a_restart_between_two_records(policy, zone, dead):
    """The new process has not heard of the first one: DNS tells, or the mail waits."""
    dns = ["dns.servers=127.0.0.99"] if dead else []
    start(policy, mxout=DETAILS, *dns)
    policy.look_up("mx", f"both.test. 0 IN {STRICT}")
    policy.stop()
    start(policy, mxout=DETAILS, *dns)
    policy.look_up("mx", f"both.test. 0 IN {FREE}")
    wanted = "TEMP ServerDetails gave no answer" if dead else "OK encrypt"
    assert policy.look_up("tls", "both.test") == wanted


def test_a_domain_without_mx_records_needs_no_dns(policy):
    """Postfix has asked about none, so it is its own server, whatever our name server says."""
    start(policy, "dns.servers=127.0.0.99", mxout="""
        function ServerDetails(p, headers, actions)
            actions.forceTLS = p.server == "plain.test"
            return actions
        end""")
    policy.look_up("mx", f"one.test. 0 IN {FREE}")     # the process is known from now on
    assert policy.look_up("tls", "one.test") == "TEMP ServerDetails gave no answer"
    policy.look_up("mx", f"plain.test. 0 IN A {HOSTS['b']}")
    assert policy.look_up("tls", "plain.test") == "OK encrypt"


def test_our_own_address_comes_late(policy):
    """We are the backup: the address is enough to know."""
    start(policy, "outbound.deadline_ms=700", milliseconds=1500)
    outbound.cli(policy, "holds", "add", "server", "a.backup.test", 10)
    assert policy.look_up("mx", "backup.test. 0 IN MX 10 a.backup.test.") == "OK IGNORE"
    assert policy.look_up("mx", "backup.test. 0 IN MX 20 us.backup.test.") == "NOTFOUND "
    assert policy.look_up("mx", "backup.test. 0 IN MX 30 c.backup.test.") == "NOTFOUND "
    with busy(policy):
        assert policy.look_up("mx", US) == "OK IGNORE"
        assert policy.look_up("mx", f"c.backup.test. 0 IN A {HOSTS['c']}") == "OK IGNORE"
        # the next delivery of the process, by a relay
        assert policy.look_up("mx", f"relay.test. 0 IN A {HOSTS['b']}") == "NOTFOUND "
    assert policy.look_up("mx", f"relay.test. 0 IN A {HOSTS['a']}") == "NOTFOUND "


def test_aliases_behind_the_backup(policy):
    """Servers behind this host whose MX names are aliases: their addresses have other owners, and are
    not used. What comes after all of them is the next delivery's."""
    start(policy)
    outbound.cli(policy, "holds", "add", "server", "a.backup.test", 10)

    def ask(record):
        return policy.look_up("mx", record)
    for aliases in ("c",), ("d",), ("c", "d"):
        assert ask("backup.test. 0 IN MX 10 a.backup.test.") == "OK IGNORE"
        for preference, host in (20, "us"), (30, "c"), (40, "d"):
            assert ask(f"backup.test. 0 IN MX {preference} {host}.backup.test.") == "NOTFOUND "
        assert ask(US) == "OK IGNORE"
        for host in "cd":
            owner = f"real-{host}.test" if host in aliases else f"{host}.backup.test"
            assert ask(f"{owner}. 0 IN A {HOSTS[host.replace('d', 'b')]}") == "OK IGNORE"
            assert ask(f"{owner}. 0 IN AAAA 2001:db8::{ord(host):x}") == "OK IGNORE"
        assert ask(f"relay.test. 0 IN A {HOSTS['a']}") == "NOTFOUND "


def test_a_restart_between_the_records_of_a_backup(policy):
    """The new process does not know that a better server was dropped."""
    start(policy)
    outbound.cli(policy, "holds", "add", "server", "a.backup.test", 10)
    assert policy.look_up("mx", "backup.test. 0 IN MX 10 a.backup.test.") == "OK IGNORE"
    policy.stop()
    start(policy)
    assert policy.look_up("mx", "backup.test. 0 IN MX 20 us.backup.test.") == "NOTFOUND "
    assert policy.look_up("mx", US) == "OK IGNORE"


@pytest.mark.parametrize("alias", [False, True])
def test_we_are_the_backup_and_dns_is_dead(hosts, make_postfix, policy, dns, alias):
    """Our own name server does not answer, that of Postfix does: nothing is bounced as a loop, nor
    sent to a server that would bring it back."""
    server = make_postfix(milter=None, parameters=outbound.parameters(policy, "mx"))
    dns.add(f"mx-host=backup.test,a.{DOMAIN},10", "mx-host=backup.test,us.backup.test,20",
            f"mx-host=backup.test,c.{DOMAIN},30", "host-record=real.backup.test,127.0.0.1",
            "cname=us.backup.test,real.backup.test" if alias else
            "host-record=us.backup.test,127.0.0.1")
    policy.start(None, outbound.store(policy), "dns.servers=127.0.0.99")
    outbound.cli(policy, "holds", "add", "server", f"a.{DOMAIN}", 10)
    assert server.send("ann@sender.test", "bob@backup.test", MESSAGE).ok
    server.wait_log(r"to=<bob@backup\.test>, .*dsn=4\.7\.0, status=deferred")
    policy.wait_log("the next one is this host: the mail waits")
    assert hosts.dialogues_with(HOSTS["c"]) == [] and "status=bounced" not in server.log()
    # and mail of others goes by the servers that are left
    assert server.send("ann@sender.test", f"bob@{DOMAIN}", MESSAGE).ok
    assert server.wait_delivery(recipient=f"bob@{DOMAIN}").host == HOSTS["b"]
