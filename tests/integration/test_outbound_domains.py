"""Decisions by domain where scripts name the servers: Postfix asks about `[a.three.test]` then, and
does not say whose mail it is."""

import pytest

from rig import certificates, machine, outbound, postfix
from rig import policy as policy_module
from rig.deciding import authority, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import DOMAIN, HOSTS, MESSAGE

OURS = f"a.{DOMAIN}"                  # without TLS
OTHER = f"b.{DOMAIN}"                 # with TLS
RULES = f"""
function GetOverrides(domain)
    if domain == "bank.test" or domain == "lax.test" then return {{ "{OURS}" }} end
    if domain == "safe.test" or domain == "open.test" then return {{ "{OTHER}:25" }} end
    if domain == "mute.test" then return {{ "{OTHER}" }} end
end
"""


@pytest.fixture(scope="module")
def files(authority):
    return authority.issue(OTHER)


@pytest.fixture
def hosts(sink, dns, files):
    sink.listen(HOSTS["b"], certificate=files)
    sink.listen(HOSTS["a"])
    dns.add(*outbound.ZONES[:4])
    yield sink
    sink.unlisten(HOSTS["a"])
    sink.unlisten(HOSTS["b"])


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, sockets, authority):
    service = policy_module.Policy(sockets)
    server = postfix.Postfix(world, 2790, parameters={
        **outbound.parameters(service, "mx", "tls", "transport", "ehlo_out"),
        "smtp_tls_security_level": "may", "smtp_tls_fingerprint_digest": "sha1",
        "smtp_tls_CAfile": authority.certificate})
    yield server
    server.stop()


def details(lines):
    return f"""
        function ServerDetails(p, headers, actions)
            print(p.domain, p.server)
            {lines}
            return actions
        end
    """


FORCE = details("if p.domain:find('^bank') then actions.forceTLS = 1 end")


def start(policy, mxout, rules=RULES, *options):
    policy.start(None, outbound.store(policy), "outbound.holds_ms=0", "outbound.route_seconds=0",
                 *options, mxserverrules=rules, mxout=mxout)


def send(server, *domains):
    with server.client() as c:
        assert c.send("ann@sender.test", [f"bob@{d}" for d in domains], MESSAGE).ok


def waits(server, domain, status):
    server.wait_log(rf"to=<bob@{domain}>, .*dsn={status}, status=deferred")


# ---- ServerDetails


@pytest.mark.parametrize("domain, rules", [("bank.test", RULES), ("bank2.test", f"""
    function FinalOverrides(domain, servers)
        if domain == "bank2.test" then return {{ "{OURS}" }} end
    end""")], ids=["GetOverrides", "FinalOverrides"])
def test_encryption_by_domain(server, hosts, policy, dns, domain, rules):
    """R18: the domain's mail does not go out in clear by the server that a script has named, and
    what `mailhooks route` says is so."""
    dns.add(f"mx-host={domain},{OTHER},10")
    start(policy, FORCE, rules)
    assert f"TLS with {OURS}, by ServerDetails: encrypt" in outbound.cli(
        policy, "route", f"bob@{domain}")
    send(server, domain)
    waits(server, domain, r"4\.7\.4")
    assert server.deliveries() == []
    assert f"{domain}\t{OURS}" in policy.out().splitlines()


def test_the_strictest_of_all_domains(server, hosts, policy):
    """One delivery may be for several domains: what one of them demands the others have too, from
    when on it is sent that way. A server that no script has named is its own domain."""
    start(policy, FORCE)
    send(server, "lax.test")
    server.wait_delivery(recipient="bob@lax.test")
    assert not server.deliveries()[0].tls
    send(server, "lax.test", "bank.test")
    waits(server, "bank.test", r"4\.7\.4")
    waits(server, "lax.test", r"4\.7\.4")
    assert len(server.deliveries()) == 1
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"
    assert policy.look_up("tls", f"[{OTHER}]") == "NOTFOUND "
    assert f"{OTHER}\t{OTHER}\n" in policy.out()


def test_one_connection_with_a_checked_certificate(server, hosts, policy):
    """The names that two domains want are both checked; when they are different ones no certificate
    is said to have them, so the mail waits."""
    names = """
        if p.domain == "safe.test" then actions.checkCertName = "b.three.test" end
        if p.domain == "open.test" then actions.checkCertName = Wanted end
        if p.domain == "safe.test" then actions.allowDSN = false end
    """
    start(policy, "Wanted = 'B.three.test'" + details(names))
    with server.client() as c:
        c.mail("ann@sender.test"), c.rcpt("bob@safe.test", "NOTIFY=SUCCESS,FAILURE")
        c.rcpt("bob@open.test")
        assert c.data(MESSAGE.replace("\n", "\r\n")).ok
    delivery = server.wait_delivery(recipient="bob@safe.test")
    assert sorted(delivery.recipients) == ["bob@open.test", "bob@safe.test"] and delivery.tls
    assert not any("NOTIFY" in line for line in delivery.rcpt_lines)
    assert policy.look_up("tls", f"[{OTHER}]") == f"OK secure match={OTHER}"
    policy.script("mxout.lua", "Wanted = 'other.test'" + details(names))
    policy.reload()
    send(server, "safe.test")
    waits(server, "safe.test", r"4\.7\.5")
    policy.wait_log(r"one domain wants another name or fingerprint")


def test_a_restart_forgets_nothing(server, hosts, policy):
    """R18: qmgr(8) does not ask again about the mail that it has under way, whether the service
    was stopped, reloaded or killed. Without a ServerDetails() too, since there may be one soon."""
    start(policy, "")
    assert policy.look_up("transport", "bob@bank.test") == f"OK smtp:[{OURS}]"
    policy.kill()
    start(policy, FORCE)
    assert policy.look_up("tls", f"[{OURS}]:25") == "OK encrypt"
    assert policy.stop() == 0
    start(policy, FORCE.replace("bank", "lax"))
    assert policy.look_up("tls", f"[{OURS}]") == "NOTFOUND "
    policy.script("mxout.lua", FORCE)
    policy.reload()
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"
    assert policy.look_up("tls", f"[{OTHER}]") == "NOTFOUND "


def test_no_place_for_what_is_to_be_remembered(policy):
    """R18: what cannot be written is said, and known until the end of the process."""
    (policy.directory / "routed.new").mkdir()
    start(policy, FORCE)
    policy.wait_log(r"/routed: .*after a restart ServerDetails\(\) will not know the domains")
    policy.look_up("transport", "bob@bank.test")
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"


def test_a_server_is_its_own_domain_too(server, hosts, policy):
    """What is demanded for an administrator's relay stays when a script sends other mail there."""
    start(policy, details(f"if p.domain == '{OURS}' then actions.forceTLS = 1 end"))
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"
    send(server, "lax.test")
    waits(server, "lax.test", r"4\.7\.4")
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"


def test_a_domain_without_an_answer_waits_alone(server, hosts, policy):
    """R18: anybody can write to a domain about which the script fails; nobody else's mail waits."""
    start(policy, details(f"""
        if p.domain == "mute.test" then error("none") end
        if p.domain == "bank.test" then actions.forceTLS = 1 end
    """), RULES, "lua.on_error=tempfail")
    assert policy.look_up("transport", "bob@mute.test") == "TEMP ServerDetails gave no answer"
    send(server, "safe.test")
    assert server.wait_delivery(recipient="bob@safe.test").host == HOSTS["b"]
    assert policy.look_up("tls", f"[{OTHER}]") == "NOTFOUND "
    with server.client() as c:
        c.mail("ann@sender.test")
        assert c.rcpt("bob@mute.test").code == 451
    assert policy.stop() == 0
    start(policy, details("if p.domain == 'safe.test' then error('none now') end"), RULES,
          "lua.on_error=tempfail")
    assert policy.look_up("tls", f"[{OTHER}]") == "TEMP ServerDetails gave no answer"   # a restart


def test_a_flood_of_domains(policy):
    """R18: nobody takes a demand away by writing to many other domains by the same server."""
    start(policy, FORCE, f'function GetOverrides() return {{ "{OURS}" }} end')
    assert policy.look_up("transport", "bob@bank.test") == f"OK smtp:[{OURS}]"
    policy.look_ups("transport", [f"bob@d{i}.test" for i in range(5500)])
    policy.wait_log("more domains by servers that they name than are remembered")
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"


def test_a_late_answer(policy):
    """R18: when the script hangs what it has said before counts."""
    flag = policy.directory / "slow"
    start(policy, details(f"""
        if io.open("{flag}") then while true do end end
        if p.domain == "bank.test" then actions.forceTLS = 1 end
    """), RULES, "policy.deadline_ms=2000", "lua.instructions=1000000000000")
    policy.look_up("transport", "bob@bank.test")
    assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"
    flag.touch(mode=0o644)

    def late():
        assert policy.look_up("tls", f"[{OURS}]") == "OK encrypt"
        return "answered by default" in policy.log()

    machine.wait_until(late, 20, "a late answer")
    assert policy.look_up("transport", "bob@lax.test").startswith("TEMP")


# ---- holds, and domains that wait


@pytest.mark.parametrize("rules", [RULES, f"""
    function FinalOverrides(domain, servers) return {{ "{OURS}" }} end
    """], ids=["GetOverrides", "FinalOverrides"])
def test_a_domain_is_held(hosts, make_postfix, policy, dns, rules):
    """`mailhooks holds add domain`: its mail waits although a script names its servers, and nobody
    else's does; not a connection is made for it."""
    domains = "held.test", "calm.test"
    rules = rules.replace("bank", "held").replace("lax", "calm")
    dns.add(*[f"mx-host={d},{OTHER},10" for d in domains])
    policy.script("mxserverrules.lua", rules)
    server = make_postfix(milter=None, master=outbound.written(policy)[1],
                          parameters=outbound.parameters(policy, "mx", "transport"))
    start(policy, "", rules)
    outbound.cli(policy, "holds", "add", "domain", "held.test", 10, "they asked")
    send(server, *domains)
    waits(server, "held.test", r"4\.7\.5")
    assert server.wait_delivery(recipient="bob@calm.test").recipients == ["bob@calm.test"]
    assert len(hosts.dialogues_with(HOSTS["a"])) == 1 and not hosts.dialogues_with(HOSTS["b"])
    told = outbound.cli(policy, "route", "bob@held.test")
    assert "transport map: mailhooks-wait:[" in told and "they asked" in told
    assert "calm" not in outbound.cli(policy, "holds")
    outbound.cli(policy, "holds", "release", "domain", "held.test")
    send(server, "calm.test")         # qmgr(8) uses its last answer for half a minute
    server.wait_deliveries(2, recipient="bob@calm.test")
    server.flush()
    server.wait_delivery(recipient="bob@held.test")


@pytest.mark.parametrize("rules", [
    "function GetOverrides(domain) if domain == 'stop.test' then return nil, false end end", """
    function CheckServer(domain, server) return domain ~= "stop.test" or server ~= "stop.test" end
    function FinalOverrides() end"""], ids=["continue", "CheckServer"])
def test_a_domain_without_mx_records_waits(hosts, make_postfix, policy, dns, rules):
    """continue = false, and CheckServer where there is a FinalOverrides, for a domain without MX records,
    which the map mx would not see; another one is its own server as ever."""
    dns.add(f"host-record=stop.test,{HOSTS['a']}", f"host-record=go.test,{HOSTS['b']}")
    policy.script("mxserverrules.lua", rules)
    server = make_postfix(milter=None, master=outbound.written(policy)[1],
                          parameters=outbound.parameters(policy, "mx", "transport"))
    start(policy, "", rules)
    assert "mailhooks-wait:" in outbound.cli(policy, "route", "bob@stop.test")
    send(server, "stop.test", "go.test")
    waits(server, "stop.test", r"4\.7\.5")
    assert server.wait_delivery(recipient="bob@go.test").host == HOSTS["b"]
    assert hosts.dialogues_with(HOSTS["a"]) == []


def test_a_domain_that_dns_does_not_have_waits(hosts, make_postfix, policy):
    """Mail to domains that only the script knows is not returned while they wait: DNS is not asked,
    and nothing is connected to. The control: what becomes of a domain that nobody knows."""
    rules = f"""
        function GetOverrides(domain) if domain == "stop.test" then return nil, false end end
        function FinalOverrides(domain) if domain == "held.test" then return {{ "{OURS}" }} end end"""
    policy.script("mxserverrules.lua", rules)
    server = make_postfix(milter=None, master=outbound.written(policy)[1],
                          parameters=outbound.parameters(policy, "mx", "transport"))
    start(policy, "", rules)
    outbound.cli(policy, "holds", "add", "domain", "held.test", 10, "maintenance")
    with server.client() as c:
        assert c.send("", [f"bob@{d}" for d in ("stop.test", "held.test", "lost.test")], MESSAGE).ok
    server.wait_log(r"to=<bob@lost\.test>, .*dsn=5\.4\.4, status=bounced")
    for domain in ("stop.test", "held.test"):
        server.wait_log(rf"to=<bob@{domain}>, relay=none, .*dsn=4\.7\.5, status=deferred")
    assert hosts.dialogues_with() == [] and "connect to" not in server.log()
    outbound.cli(policy, "holds", "release", "domain", "held.test")
    assert policy.look_up("transport", "bob@held.test") == f"OK smtp:[{OURS}]"
