"""ServerDetails() with the real Sendmail: contrib/sendmail-outbound-tls.m4 as it stands, against
servers with the right certificate, a wildcard, one of another name, an expired one, a self-signed
one, and without TLS."""

import pytest

from rig import certificates, machine, outbound, relays, sendmail
from rig.deciding import authority, policy, server, sockets   # noqa: F401 (fixtures)
from rig.outbound import MESSAGE

M4 = machine.TOP / "contrib/sendmail-outbound-tls.m4"
INSTALLED = "/run/mailhooks/socketmap.sock"
SERVERS = {**outbound.TLS_SERVERS, "wild.test": "127.0.0.46"}


@pytest.fixture(scope="module")
def files(authority):
    """The certificate and key of each server."""
    return {**outbound.tls_files(authority), "wild.test": authority.issue("*.wild.test")}


@pytest.fixture(scope="module")
def mta_of_module(world, name_server, syslog, sockets, authority):
    text = M4.read_text()
    assert text.count(INSTALLED) == 1
    server = sendmail.Sendmail(
        world, 2770, syslog, extra=f"define(`confCACERT', `{authority.certificate}')dnl",
        post=text.replace(INSTALLED, f"{sockets}/socketmap.sock"))
    yield server
    server.stop()


@pytest.fixture
def hosts(sink, dns, files):
    yield from outbound.servers_with_tls(sink, dns, SERVERS, files)


def outcomes(server, policy, lua, domains=SERVERS, options=()):
    """What becomes of a message to each domain, when ServerDetails does this: "tls", "clear", or
    "waits"."""
    policy.script("mxout.lua",
                  f"function ServerDetails(p, headers, actions)\n{lua}\nreturn actions\nend\n")
    if policy.process:
        policy.reload()
    else:
        policy.start(None, outbound.store(policy), *options)
    before = len(server.deliveries())
    for domain in domains:
        assert server.send("ann@sender.test", f"bob@{domain}", MESSAGE).ok
    server.settle()
    found = {domain.partition(".")[0]: "waits" for domain in domains}
    for d in server.deliveries()[before:]:
        name = d.recipients[0].partition("@")[2].partition(".")[0]
        assert found[name] == "waits", "delivered twice"
        found[name] = "tls" if d.tls else "clear"
    assert list(found.values()).count("waits") == len(server.queue())
    assert "DSN" not in server.log()
    server.purge()
    return found


def test_levels(server, policy):
    """Sendmail's default, no TLS, encryption, and the checks of certificate and name."""
    everywhere = {"right": "tls", "wrong": "tls", "expired": "tls", "self": "tls", "wild": "tls",
                  "clear": "clear"}
    assert outcomes(server, policy, "") == everywhere
    assert outcomes(server, policy, 'actions["tryTLS"] = 0') == dict.fromkeys(everywhere, "clear")
    assert outcomes(server, policy, "actions.forceTLS = 1") == {**everywhere, "clear": "waits"}
    assert outcomes(server, policy, "actions.verifyCert = 1") == {
        **dict.fromkeys(everywhere, "waits"), "right": "tls", "wild": "tls"}


def test_names(server, policy):
    """checkCertName: the certificate's own name, names below a domain, another name; what cannot be
    said makes the mail wait instead of going out unchecked."""
    got = outcomes(server, policy, """
        actions.checkCertName = ({["right.test"] = "*.RIGHT.test", ["wrong.test"] = "other.example",
            ["expired.test"] = "mail.expired.test", ["self.test"] = "mail.self.test",
            ["wild.test"] = "*.wild.test"})[p.domain]
    """)
    assert got == {"right": "tls", "wrong": "tls", "expired": "waits", "self": "waits",
                   "wild": "tls", "clear": "clear"}
    assert outcomes(server, policy, 'actions.checkCertName = "m*l.right.test"', ["right.test"]) == {
        "right": "waits"}
    policy.wait_log(r"checkCertName must be a name, or \*\.domain; mail waits")
    assert outcomes(server, policy, 'actions.checkCertName = "right.test"', ["right.test"]) == {
        "right": "waits"}
    assert outcomes(server, policy, 'actions.checkCertName = "*.other.test"', ["right.test"]) == {
        "right": "waits"}


def test_thumbprints(server, policy, files):
    """checkCertThumbprint: SHA-1 as VPOP3 has it, in any case; the wrong one makes the mail wait,
    and one that is none."""
    prints = {d: certificates.thumbprint(files[d][0]) for d in files}
    prints["right.test"] = prints["wrong.test"]
    prints["expired.test"] = prints["expired.test"].upper()
    rows = ", ".join(f'["{d}"] = "{p}"' for d, p in prints.items())
    assert outcomes(server, policy, f"actions.checkCertThumbprint = ({{{rows}}})[p.domain]") == {
        "right": "waits", "wrong": "tls", "expired": "tls", "self": "tls", "wild": "tls",
        "clear": "clear"}
    some = prints["self.test"]
    assert outcomes(server, policy, f'actions.checkCertThumbprint = "{some}"', ["clear.test"]) == {
        "clear": "waits"}
    assert outcomes(server, policy, 'actions.checkCertThumbprint = "abc"', ["self.test"]) == {
        "self": "waits"}


def test_next_server(server, policy, hosts, dns):
    """A server that does not satisfy gets no mail, the next one of the domain does."""
    dns.add("mx-host=both.test,mail.clear.test,10", "mx-host=both.test,mail.right.test,20")
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            print(params.server, params.domain)
            actions.verifyCert = 1
        end
    """)
    assert server.send("ann@sender.test", "bob@both.test", MESSAGE).ok
    delivery = server.wait_delivery(recipient="bob@both.test")
    assert delivery.host == SERVERS["right.test"] and delivery.tls
    assert "mail.clear.test\tboth.test\n" in policy.out()
    assert not any("MAIL" in line for d in hosts.dialogues_with(SERVERS["clear.test"])
                   for line in d.said)


def test_domains_that_share_a_server(server, policy, dns):
    """Sendmail may send to both in one transaction; each has its own demand."""
    for domain in ("astrict.test", "free.test", "strict.test"):
        dns.add(f"mx-host={domain},mail.clear.test,10")
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            if params.domain ~= "free.test" then actions.forceTLS = 1 end
        end
    """)
    for strict in ("strict.test", "astrict.test"):   # Sendmail sorts them
        assert server.send("ann@sender.test", ["bob@free.test", f"bob@{strict}"], MESSAGE).ok
        server.settle()
        assert len(server.queue()) == 1
        server.purge()
    # the first of them speaks for the connection, every one for itself
    assert "ruleset=tls_server" in server.log() and "ruleset=tls_rcpt" in server.log()
    assert server.wait_delivery().recipients == ["bob@free.test"]


def test_no_answer_is_not_in_clear(server, policy):
    """R18: a script that is broken or slow, or a service that is away, never lets mail out in clear:
    it waits, or goes by the last answer."""
    assert outcomes(server, policy, "actions.forceTLS = nothing.there", ["clear.test"],
                    ("policy.deadline_ms=500", "lua.instructions=1000000000000")) == {
                        "clear": "waits"}
    assert outcomes(server, policy, "while true do end", ["clear.test"]) == {"clear": "waits"}
    policy.wait_log("answered by default")
    # once it has answered, that answer is repeated
    flag = policy.directory / "slow"
    lua = f'local f = io.open("{flag}") if f then while true do end end actions.forceTLS = 1'
    assert outcomes(server, policy, lua, ["right.test", "clear.test"]) == {
        "right": "tls", "clear": "waits"}
    flag.touch(mode=0o644)
    assert server.send("ann@sender.test", "bob@right.test", MESSAGE).ok
    assert server.wait_deliveries(2, recipient="bob@right.test")[-1].tls
    policy.stop()
    for domain in ("right.test", "clear.test"):
        assert server.send("ann@sender.test", f"bob@{domain}", MESSAGE).ok
    server.settle()
    assert len(server.queue()) == 2


def test_names_of_connections(policy):
    """A number behind the name of a map is that of a sender, whose name the script is told."""
    policy.start(None, outbound.store(policy), config=relays.configuration(), mxout="""
        function ServerDetails() print(ConnectionId, ConnectionName) end
    """)
    for name in ("server_tls", "server_tls.1", "server_tls.7"):
        assert policy.look_up(name, "tls_srv:a.test | bob@b.test.") == "NOTFOUND ", name
    assert policy.out().splitlines() == ["0\tdirect", "1\tother", "7\t"]


def test_with_an_access_database(hosts, make_sendmail, policy, sockets, authority):
    """FEATURE(access_db) of the administrator stands beside it: what either of the two demands counts."""
    database = machine.new_directory("access") / "access"
    database.write_text("from:bad@sender.test\tREJECT\ntls_srv:mail.clear.test\tENCR:112\n"
                        "try_tls:mail.self.test\tNO\n")
    server = make_sendmail(
        milter=None, post=M4.read_text().replace(INSTALLED, f"{sockets}/socketmap.sock"),
        extra=f"FEATURE(`access_db', `text -k0 -v1 -T<TMPF> {database}')dnl\n"
              f"define(`confCACERT', `{authority.certificate}')dnl")
    assert outcomes(server, policy, 'if p.domain ~= "self.test" then actions.verifyCert = 1 end',
                    ["right.test", "wrong.test", "self.test"]) == {
        "right": "tls", "wrong": "waits", "self": "clear"}
    assert outcomes(server, policy, "", ["wrong.test", "clear.test"]) == {
        "wrong": "tls", "clear": "waits"}
    assert server.send("bad@sender.test", "bob@right.test", MESSAGE).code == 550


def test_keys(policy):
    policy.start(None, outbound.store(policy), mxout="""
        function ServerDetails(params, headers, actions)
            if params.server == "a.test" then actions.tryTLS = 0 else actions.forceTLS = 1 end
        end
    """)
    assert policy.look_up("access", "try_tls:A.test.") == "OK NO"
    assert policy.look_up("server_tls", "try_tls:A.test.") == "OK NO"
    assert policy.look_up("access", "tls_srv:a.test. | bob@b.test.") == "NOTFOUND "
    assert policy.look_up("access", "try_tls:b.test") == "NOTFOUND "
    for host in ("b.test", "[192.0.2.1]", "[IPv6:2001:db8::1]", "2001:db8::1"):
        assert policy.look_up("access", f"tls_srv:{host} | bob@b.test.") == "OK ENCR", host
    assert policy.look_up("access", "tls_srv:x'y.test").startswith("TEMP ")
    for nothing in ("", "from:ann@a.test", "tls_clt:a.test", "a.test", "try_tls:x'y.test"):
        assert policy.look_up("access", nothing) == "NOTFOUND ", nothing
